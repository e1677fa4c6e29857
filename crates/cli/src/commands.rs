//! The command line: global settings and the verbs. Each verb's options are in its module.

mod audit;
mod backup;
mod bundle;
mod completion;
mod config;
mod doctor;
mod help;
mod info;
mod join;
mod license;
mod logs;
mod notify;
mod pair;
mod pod_log;
mod restore;
mod rewards;
mod start;
mod status;
mod stop;
mod uninstall;
mod update;
mod uptime;
mod version;
mod workload;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::exit::Exit;
use crate::node::config::Settings;
use crate::setup::Setup;
pub use audit::{AuditArgs, WatchArgs};
pub use backup::BackupArgs;
pub use bundle::BundleCommand;
pub use config::ConfigCommand;
pub use doctor::DoctorArgs;
pub use info::InfoArgs;
pub use join::JoinArgs;
pub use license::LicenseCommand;
pub use logs::LogsArgs;
pub use notify::NotifyCommand;
pub use pair::PairArgs;
pub use restore::RestoreArgs;
pub use rewards::RewardsCommand;
pub use start::StartArgs;
pub use status::StatusArgs;
pub use stop::StopArgs;
pub use uninstall::UninstallArgs;
pub use update::UpdateArgs;
pub use uptime::UptimeArgs;
pub use workload::WorkloadCommand;

const EXAMPLES: &str = "\
Examples:
  nodesys join eip155:8453:0x5fbdb2315678afecb367f032d93f642f64180aa3 --rpc https://rpc.example.org
  nodesys pair request > request.json
  nodesys license show A1
  nodesys status
  nodesys rewards claim --keystore wallet.json
  nodesys audit --bundles ./bundles

Exit codes:
  0 done                     5 unhealthy
  1 failed                   6 lease conflict
  2 usage                    7 network: a chain, backend or folder cannot be read
  3 not found, not running   8 the audit found a difference
  4 authorisation needed: pair the node

Data goes to standard output, messages to standard error. Every question can be answered by a flag.";

/// Nodes, licenses and rewards, for operators, users and auditors.
#[derive(Debug, Parser)]
#[command(name = "nodesys", version, after_help = EXAMPLES, subcommand_required = true)]
#[command(arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    /// Settings of all commands.
    #[command(flatten)]
    pub settings: Settings,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Take a network's settings from its file, by the hash on chain. Safe to re-run: takes what has changed.
    Join(JoinArgs),
    /// Start this node: its cluster and the manager in it. Safe to re-run: resumes, repairs, or does nothing.
    Start(StartArgs),
    /// Stop the manager and the workloads; their data stays.
    Stop(StopArgs),
    /// Let a wallet authorise this node, without the wallet's key on the node.
    ///
    /// Without a verb: prints a link and a code. Open the link anywhere, sign in with the wallet, type the
    /// code, compare the words on both screens, and sign; this command waits and goes on by itself. With
    /// -o json each step is a line. The verbs `request`, `sign` and `finish` do the same by two files, for a
    /// wallet without a network.
    Pair(PairArgs),
    /// The right to run a license, read from the chain alone.
    #[command(subcommand)]
    License(LicenseCommand),
    /// The workloads of this node: add, list, inspect, pause, remove.
    #[command(subcommand)]
    Workload(WorkloadCommand),
    /// The health of the cluster, the manager, the node and the chain.
    Status(StatusArgs),
    /// Update nodesys and its manager to a newer release, once it is this node's turn.
    Update(UpdateArgs),
    /// Facts of this node: keys, cluster, images, workloads.
    Info(InfoArgs),
    /// The manager's log.
    Logs(LogsArgs),
    /// A license's minutes of one day.
    Uptime(UptimeArgs),
    /// An account's rewards: earned, proven, claimed.
    #[command(subcommand)]
    Rewards(RewardsCommand),
    /// Notifications by webhook when this node or one of its workloads is down.
    #[command(subcommand)]
    Notify(NotifyCommand),
    /// Recompute every posted day from its published files and the chain.
    Audit(AuditArgs),
    /// Check everything that a node needs, and name a fix for each problem.
    Doctor(DoctorArgs),
    /// Back up this node's settings and workloads, without its key.
    Backup(BackupArgs),
    /// Restore a node from a backup on this machine, and revoke the old node's key.
    Restore(RestoreArgs),
    /// Bundles: everything that a node is installed from, in one signed file.
    #[command(subcommand)]
    Bundle(BundleCommand),
    /// Remove everything that start made.
    Uninstall(UninstallArgs),
    /// Read and change the settings file.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// This program's version and build.
    Version,
    /// Print a completion script for your shell.
    ///
    /// For bash: nodesys completion bash > ~/.local/share/bash-completion/completions/nodesys
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

impl Cli {
    /// The arguments of this process; ends it where they are not a command line.
    pub fn of_arguments() -> Self {
        let matches = help::fold_global_options(Self::command()).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// Runs a command.
pub(crate) async fn run(cli: Cli) -> anyhow::Result<Exit> {
    match &cli.command {
        Command::Completion { shell } => return completion::run(&mut Cli::command(), *shell),
        Command::Version => return version::run(&cli.settings),
        Command::Config(command) => {
            if let Some(exit) = config::run_on_file(&cli.settings, command)? {
                return Ok(exit);
            }
        }
        _ => {}
    }
    let setup = Setup::read(cli.settings)?;
    match &cli.command {
        Command::Join(args) => join::run(&setup, args).await,
        Command::Pair(args) => pair::run(&setup, args).await,
        Command::License(command) => license::run(&setup, command).await,
        Command::Start(args) => start::run(&setup, args).await,
        Command::Stop(args) => stop::run(&setup, args).await,
        Command::Info(args) => info::run(&setup, args).await,
        Command::Logs(args) => logs::run(&setup, args).await,
        Command::Uninstall(args) => uninstall::run(&setup, args).await,
        Command::Workload(command) => workload::run(&setup, command).await,
        Command::Update(args) => update::run(&setup, args).await,
        Command::Status(args) => status::run(&setup, args).await,
        Command::Uptime(args) => uptime::run(&setup, args).await,
        Command::Rewards(command) => rewards::run(&setup, command).await,
        Command::Notify(command) => notify::run(&setup, command).await,
        Command::Audit(args) => audit::run(&setup, args).await,
        Command::Doctor(args) => doctor::run(&setup, args).await,
        Command::Backup(args) => backup::run(&setup, args),
        Command::Restore(args) => restore::run(&setup, args).await,
        Command::Bundle(command) => bundle::run(&setup, command).await,
        Command::Config(command) => config::run(&setup, command),
        // Done above, before the settings file is read.
        Command::Version | Command::Completion { .. } => Ok(Exit::Done),
    }
}

#[cfg(test)]
mod tests;

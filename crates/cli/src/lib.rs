//! The command line of operators, users and auditors.
//!
//! One command runs and ends. Keys are read from files, never from flags; what is read from a
//! backend is checked against the chain before anything is signed or sent; data goes to standard
//! output, words to standard error, and the exit code says what kind of end it was ([`exit`]).

pub mod ask;
pub mod audit;
pub mod backup;
pub mod bundle;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod config_cmd;
pub mod doctor;
pub mod exit;
pub mod license;
pub mod node_key;
pub mod notify;
pub mod output;
pub mod pair;
pub mod rewards;
pub mod setup;
pub mod status;
pub mod update;
pub mod uptime;
mod version;
pub mod watch;
pub mod workload;

use std::process::ExitCode;

use clap::CommandFactory as _;
use nodesys_service::logs;

use crate::cli::{Cli, Command};
use crate::exit::Exit;
use crate::output::say;
use crate::setup::Setup;

/// Runs a command to its end.
pub fn main(cli: Cli) -> ExitCode {
    logs::to_stderr("warn");
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(format!("nodesys: the runtime does not start: {error}"));
            return Exit::Failure.into();
        }
    };
    match runtime.block_on(run(cli)) {
        Ok(exit) => exit.into(),
        Err(error) => {
            say(format!("nodesys: {error:#}"));
            Exit::of(&error).into()
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<Exit> {
    match &cli.command {
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "nodesys", &mut script);
            output::data(String::from_utf8(script)?.trim_end())?;
            return Ok(Exit::Done);
        }
        Command::Version => return version::run(&cli.settings),
        Command::Config(command) => {
            if let Some(exit) = config_cmd::run_on_file(&cli.settings, command)? {
                return Ok(exit);
            }
        }
        _ => {}
    }
    let setup = Setup::read(cli.settings)?;
    match &cli.command {
        Command::Pair(command) => pair::run(&setup, command).await,
        Command::License(command) => license::run(&setup, command).await,
        Command::Start(args) => cluster::start(&setup, args).await,
        Command::Stop(args) => cluster::stop(&setup, args).await,
        Command::Info(args) => cluster::info(&setup, args).await,
        Command::Logs(args) => cluster::logs(&setup, args).await,
        Command::Uninstall(args) => cluster::uninstall(&setup, args).await,
        Command::Workload(command) => workload::run(&setup, command).await,
        Command::Update(args) => update::run(&setup, args).await,
        Command::Status(args) => status::run(&setup, args).await,
        Command::Uptime(args) => uptime::run(&setup, args).await,
        Command::Rewards(command) => rewards::run(&setup, command).await,
        Command::Notify(command) => notify::run(&setup, command).await,
        Command::Audit(args) => audit::run(&setup, args).await,
        Command::Doctor(args) => doctor::run(&setup, args).await,
        Command::Backup(args) => backup::backup(&setup, args),
        Command::Restore(args) => backup::restore(&setup, args).await,
        Command::Bundle(command) => bundle::run(&setup, command).await,
        Command::Config(command) => config_cmd::run(&setup, command),
        // Done above, before the settings file is read.
        Command::Version | Command::Completion { .. } => Ok(Exit::Done),
    }
}

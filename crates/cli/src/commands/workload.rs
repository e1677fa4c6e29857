//! `workload`: the workloads of this node.

use clap::Subcommand;

use crate::exit::Exit;
use crate::setup::Setup;
pub use add::AddArgs;
pub use logs::LogsArgs;
pub use remove::RemoveArgs;
pub use report::WorkloadArgs;

mod add;
mod describe;
mod list;
mod logs;
mod pause;
mod remove;
mod report;
mod restart;
mod resume;
mod status;

/// Verbs of `workload`.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  nodesys workload add acme/render
  nodesys workload list
  nodesys workload logs render --follow
  nodesys workload remove render")]
pub enum WorkloadCommand {
    /// Run a project's workload on this node, under a license.
    ///
    /// Finds the project in the registry and pins it, checks the license on chain over this machine's
    /// own RPC, shows what the workload may do, and asks. Again it changes nothing, or asks for what a
    /// newer release wants more.
    #[command(after_help = "\
Examples:
  nodesys workload add acme/render                  # the one license that the operator may run
  nodesys workload add acme/render --license 7
  nodesys workload add acme/render --license 7 --yes -o json
  nodesys workload add acme/render --release-url https://releases.example.org/acme")]
    Add(AddArgs),
    /// The workloads of this node: version, lease, health.
    #[command(after_help = "\
Examples:
  nodesys workload list
  nodesys workload list -o json")]
    List,
    /// How one workload is; ends with 5 when it is not well.
    #[command(after_help = "\
Examples:
  nodesys workload status render
  nodesys workload status acme/render -o json")]
    Status(WorkloadArgs),
    /// What a workload writes.
    #[command(after_help = "\
Examples:
  nodesys workload logs render
  nodesys workload logs render --follow --lines 10
  nodesys workload logs render --previous          # of the run before, after a crash")]
    Logs(LogsArgs),
    /// What a workload may do, and what the cluster has of it: pods, volumes, quota, events.
    #[command(after_help = "\
Examples:
  nodesys workload describe render
  nodesys workload describe render -o json")]
    Describe(WorkloadArgs),
    /// End a workload's pods; new ones start at once.
    #[command(after_help = "\
Example:
  nodesys workload restart render")]
    Restart(WorkloadArgs),
    /// Take a workload off this node, with its volumes and all that is in them.
    #[command(after_help = "\
Examples:
  nodesys workload remove render
  nodesys workload remove render --yes

The lease ends by itself ten and a half minutes after the last heartbeat that carried it.")]
    Remove(RemoveArgs),
    /// Stop a workload until `workload resume`; its volumes stay, and it earns nothing.
    #[command(after_help = "\
Example:
  nodesys workload pause render")]
    Pause(WorkloadArgs),
    /// Let a paused workload run again.
    #[command(after_help = "\
Example:
  nodesys workload resume render")]
    Resume(WorkloadArgs),
}

/// Runs a verb.
pub async fn run(setup: &Setup, command: &WorkloadCommand) -> anyhow::Result<Exit> {
    match command {
        WorkloadCommand::Add(args) => add::run(setup, args).await,
        WorkloadCommand::List => list::run(setup).await,
        WorkloadCommand::Status(args) => status::run(setup, args).await,
        WorkloadCommand::Logs(args) => logs::run(setup, args).await,
        WorkloadCommand::Describe(args) => describe::run(setup, args).await,
        WorkloadCommand::Restart(args) => restart::run(setup, args).await,
        WorkloadCommand::Remove(args) => remove::run(setup, args).await,
        WorkloadCommand::Pause(args) => pause::run(setup, args).await,
        WorkloadCommand::Resume(args) => resume::run(setup, args).await,
    }
}

//! `workload`: the workloads of this node.

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

use clap::Subcommand;

use crate::exit::Exit;
use crate::setup::Setup;
pub use add::AddArgs;
pub use logs::LogsArgs;
pub use remove::RemoveArgs;
pub use report::WorkloadArgs;

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
    /// own RPC, shows the workload's resources and network access, and asks. Safe to re-run: does nothing, or
    /// asks for the additional resources of a newer release.
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
    /// The health of one workload; exits with 5 if it is not well.
    #[command(after_help = "\
Examples:
  nodesys workload status render
  nodesys workload status acme/render -o json")]
    Status(WorkloadArgs),
    /// A workload's log.
    #[command(after_help = "\
Examples:
  nodesys workload logs render
  nodesys workload logs render --follow --lines 10
  nodesys workload logs render --previous          # of the previous run, after a crash")]
    Logs(LogsArgs),
    /// A workload's grant, and its objects in the cluster: pods, volumes, quota, events.
    #[command(after_help = "\
Examples:
  nodesys workload describe render
  nodesys workload describe render -o json")]
    Describe(WorkloadArgs),
    /// Restart a workload's pods.
    #[command(after_help = "\
Example:
  nodesys workload restart render")]
    Restart(WorkloadArgs),
    /// Remove a workload from this node, with its volumes and their data.
    #[command(after_help = "\
Examples:
  nodesys workload remove render
  nodesys workload remove render --yes

The lease ends ten and a half minutes after the last heartbeat that carried it.")]
    Remove(RemoveArgs),
    /// Stop a workload until `workload resume`; its volumes stay, and it earns nothing.
    #[command(after_help = "\
Example:
  nodesys workload pause render")]
    Pause(WorkloadArgs),
    /// Resume a paused workload.
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

//! `workload remove`: removes a workload with its volumes.

use super::report::report_change;
use crate::exit::Exit;
use crate::node::workloads::WorkloadsFile;
use crate::prompt::confirm;
use crate::setup::Setup;
use crate::workload::change::remove_workload;
use crate::workload::name::WorkloadRef;

/// Options of `workload remove`.
#[derive(Debug, clap::Args)]
pub struct RemoveArgs {
    /// The workload, as `workload list` names it.
    #[arg(value_name = "WORKLOAD")]
    pub workload: WorkloadRef,
    /// Do not ask for confirmation.
    #[arg(long)]
    pub yes: bool,
}

/// Runs the verb.
pub(crate) async fn run(setup: &Setup, args: &RemoveArgs) -> anyhow::Result<Exit> {
    let file = WorkloadsFile::read(setup.home()?)?;
    let entry = args.workload.find(&file)?.clone();
    let volumes = match entry.grant.persistent_volumes {
        0 => String::new(),
        count => format!(" with its {count} volumes and all that is in them"),
    };
    confirm(&format!("Remove {} from this node{volumes}?", entry.label()), args.yes)?;
    remove_workload(setup, &args.workload, &entry).await?;
    report_change(setup, entry.label(), "removed", "")
}

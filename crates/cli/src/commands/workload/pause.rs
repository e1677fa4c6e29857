//! `workload pause`: stops a workload until it is resumed.

use super::report::{WorkloadArgs, report_change};
use crate::exit::Exit;
use crate::setup::Setup;
use crate::workload::change::pause_workload;

/// Runs the verb.
pub(crate) async fn run(setup: &Setup, args: &WorkloadArgs) -> anyhow::Result<Exit> {
    let label = pause_workload(setup, &args.workload).await?;
    report_change(setup, label, "paused", ": it earns nothing until nodesys workload resume")
}

//! `workload restart`: ends a workload's pods, so that new ones start.

use super::report::{WorkloadArgs, report_change};
use crate::exit::Exit;
use crate::setup::Setup;
use crate::workload::change::restart_workload;

/// Runs the verb.
pub(crate) async fn run(setup: &Setup, args: &WorkloadArgs) -> anyhow::Result<Exit> {
    let label = restart_workload(setup, &args.workload).await?;
    report_change(setup, label, "restarted", "")
}

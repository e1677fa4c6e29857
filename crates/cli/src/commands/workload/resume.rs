//! `workload resume`: lets a paused workload run again.

use super::report::{WorkloadArgs, report_change};
use crate::exit::Exit;
use crate::setup::Setup;
use crate::workload::change::resume_workload;

/// Runs the verb.
pub(crate) async fn run(setup: &Setup, args: &WorkloadArgs) -> anyhow::Result<Exit> {
    let label = resume_workload(setup, &args.workload).await?;
    report_change(setup, label, "resumed", "")
}

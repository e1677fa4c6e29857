//! `workload status`: one workload, and an exit code that says whether it is well.

use std::fmt;

use serde::Serialize;

use super::report::WorkloadArgs;
use crate::exit::Exit;
use crate::node::workloads::WorkloadsFile;
use crate::output::{self, clean, clean_words};
use crate::setup::Setup;
use crate::workload::health::{WorkloadView, ask_manager, own_node};
use crate::workload::live::lease_of;

/// Runs the verb.
pub(crate) async fn run(setup: &Setup, args: &WorkloadArgs) -> anyhow::Result<Exit> {
    let file = WorkloadsFile::read(setup.home()?)?;
    let entry = args.workload.find(&file)?;
    let managed = ask_manager(setup).await;
    let line = WorkloadView::of(entry, lease_of(setup, entry, own_node(setup)).await, &managed);
    output::print(setup.format(), &StatusView(&line))?;
    Ok(if line.problems.is_empty() { Exit::Done } else { Exit::Unhealthy })
}

#[derive(Serialize)]
#[serde(transparent)]
struct StatusView<'a>(&'a WorkloadView);

impl fmt::Display for StatusView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.0;
        writeln!(f, "workload     {}", line.workload)?;
        writeln!(f, "license      {}/{}", line.collection, line.token_id)?;
        writeln!(f, "lease        {}", line.lease)?;
        writeln!(f, "version      {}", line.version())?;
        write!(f, "health       {}", line.health())?;
        if let Some(manager) = &line.manager {
            if let Some(secs) = manager.heard_secs_ago {
                write!(f, ", heard {secs} s ago")?;
            }
            if let Some(work) = &manager.work {
                write!(f, "\nwork         {work}")?;
            }
            if let Some(detail) = &manager.detail {
                write!(f, "\nit says      {}", clean(detail))?;
            }
            if let Some(result) = &manager.last_result {
                write!(f, "\nlast minute  {result}")?;
            }
            if let Some(release) = &manager.release {
                if let Some(waits) = &release.waits {
                    write!(f, "\nwaits for    {}", clean_words(waits))?;
                }
                for (version, why) in &release.quarantined {
                    write!(f, "\nquarantined  version {version}: {}", clean_words(why))?;
                }
                if let Some(read) = &release.chain_read {
                    write!(f, "\nchain read   {read}")?;
                }
            }
        }
        for problem in &line.problems {
            write!(f, "\nproblem      {problem}")?;
        }
        Ok(())
    }
}

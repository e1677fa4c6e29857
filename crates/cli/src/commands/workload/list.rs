//! `workload list`: the workloads of this node.

use std::fmt;

use serde::Serialize;

use crate::exit::Exit;
use crate::node::workloads::WorkloadsFile;
use crate::output::{self, table};
use crate::setup::Setup;
use crate::workload::health::{WorkloadView, ask_manager, own_node};
use crate::workload::live::lease_of;

/// Runs the verb.
pub(crate) async fn run(setup: &Setup) -> anyhow::Result<Exit> {
    let file = WorkloadsFile::read(setup.home()?)?;
    let managed = match file.workloads.is_empty() {
        true => Ok(Vec::new()),
        false => ask_manager(setup).await,
    };
    let node = own_node(setup);
    let mut lines = Vec::with_capacity(file.workloads.len());
    for entry in &file.workloads {
        lines.push(WorkloadView::of(entry, lease_of(setup, entry, node).await, &managed));
    }
    output::print(setup.format(), &WorkloadList(lines))?;
    Ok(Exit::Done)
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct WorkloadList(Vec<WorkloadView>);

impl fmt::Display for WorkloadList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no workloads: nodesys workload add PROJECT/WORKLOAD adds one");
        }
        let mut table = table(&["workload", "license", "version", "lease", "health", "problem"]);
        for line in &self.0 {
            table.add_row([
                line.workload.clone(),
                format!("{}/{}", line.collection, line.token_id),
                line.version(),
                line.lease.to_string(),
                line.health().to_owned(),
                line.problems.first().cloned().unwrap_or_default(),
            ]);
        }
        write!(f, "{table}")
    }
}

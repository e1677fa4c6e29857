//! The sandbox of a workload: namespace, quota, limits, network policy, and the manager's rights in it.
//! The operator's command line makes it, and the manager cannot change it.

use std::path::Path;

use nodesys_render::sandbox::Sandbox;

use crate::cluster::apply::{Change, apply};
use crate::cluster::namespace::wait_gone;
use crate::node::cluster_file::{ClusterFile, Made};
use crate::node::workloads::WorkloadEntry;

/// Makes it as it should be; it is recorded before, so that `uninstall` removes it.
pub(crate) async fn apply_sandbox(
    client: &kube::Client,
    home: &Path,
    file: &mut ClusterFile,
    entry: &WorkloadEntry,
) -> anyhow::Result<Vec<Change>> {
    let namespace = entry.namespace();
    wait_gone(client, &namespace).await?;
    file.will_make(home, Made::Namespace { name: namespace, adopted: false })?;
    let sandbox = Sandbox {
        project: entry.project,
        workload: &entry.name,
        grant: &entry.grant,
        local_ranges: &file.local_ranges,
    };
    let mut changes = Vec::new();
    for object in sandbox.objects() {
        changes.push(apply(client, &object).await?);
    }
    Ok(changes)
}

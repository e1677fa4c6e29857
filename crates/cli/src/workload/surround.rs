//! What surrounds a workload: namespace, quota, limits, network policy, and the manager's rights in it.
//! The operator's command line makes it, and the manager cannot change it.

use std::path::Path;

use nodesys_render::sandbox::Sandbox;

use super::WorkloadEntry;
use crate::cluster::apply::{Change, apply};
use crate::cluster::file::{ClusterFile, Made};
use crate::cluster::gone;

/// Makes it as it should be; it is written down before, so that `uninstall` takes it back.
pub(crate) async fn surround(
    client: &kube::Client,
    home: &Path,
    file: &mut ClusterFile,
    entry: &WorkloadEntry,
) -> anyhow::Result<Vec<Change>> {
    let namespace = entry.namespace();
    gone(client, &namespace).await?;
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

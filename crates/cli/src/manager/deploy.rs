//! Applying the manager's objects, and waiting for it.

use nodesys_failpoint::reach;
use nodesys_render::Object;

use crate::cluster::apply::{Applied, Change, apply};
use crate::manager::inputs::ManagerInputs;
use crate::manager::readiness::wait_ready;
use crate::node::cluster_file::ClusterFile;
use crate::progress::Progress;
use crate::setup::Setup;

/// Applies the manager's objects by this node's settings and workloads as they are now. A manager
/// whose configuration changed starts anew by itself.
pub async fn apply_manager(
    setup: &Setup,
    client: &kube::Client,
    file: &ClusterFile,
) -> anyhow::Result<Vec<Change>> {
    let objects = ManagerInputs::read(setup).await?.objects(file)?;
    let mut changes = Vec::with_capacity(objects.len());
    for object in &objects {
        changes.push(apply(client, object).await?);
    }
    Ok(changes)
}

/// Applies the objects and waits until the manager is ready; the changes that this made.
pub(crate) async fn deploy(
    client: &kube::Client,
    objects: &[Object],
    wait_secs: u64,
    progress: &Progress,
) -> anyhow::Result<Vec<Change>> {
    let mut changes = Vec::new();
    for object in objects {
        progress.doing(format!("applying {object}"));
        let change = apply(client, object).await?;
        if change.done != Applied::Same {
            progress.done(&change.object, &change.done);
            changes.push(change);
        }
    }
    if changes.is_empty() {
        progress.done("objects", "all are as they should be");
    }
    reach("manager:applied");
    progress.doing("waiting for the manager");
    wait_ready(client, progress, wait_secs).await?;
    reach("manager:ready");
    Ok(changes)
}

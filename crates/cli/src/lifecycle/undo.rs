//! Removing what `cluster.json` lists, newest first, and nothing else.

use std::path::Path;

use crate::cluster::connect::client_of;
use crate::cluster::driver_of;
use crate::cluster::namespace::remove_namespace;
use crate::node::cluster_file::{ClusterFile, Made};
use crate::node::workloads::WorkloadsFile;
use crate::progress::Progress;

/// How much is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// What a failed first start made: what was there before it stays, and so do downloads.
    FailedCreate,
    /// All of it.
    Everything,
}

/// Removes it; returns what was removed. What is gone already is skipped.
pub(crate) async fn undo(
    home: &Path,
    file: &ClusterFile,
    scope: Scope,
    progress: &Progress,
) -> anyhow::Result<Vec<String>> {
    let mut removed = Vec::new();
    // A cluster of our own goes as a whole, whether it still answers or not.
    let driver = driver_of(file.driver);
    if !driver.owns_cluster() {
        let mut names: Vec<String> = Vec::new();
        if scope == Scope::Everything {
            names.extend(WorkloadsFile::read(home)?.workloads.iter().map(|it| it.namespace()));
        }
        names.extend(file.made.iter().rev().filter_map(|made| match made {
            Made::Namespace { adopted: true, .. } if scope == Scope::FailedCreate => None,
            Made::Namespace { name, .. } => Some(name.clone()),
            _ => None,
        }));
        if !names.is_empty() {
            let client = client_of(&file.kubeconfig, file.context.as_deref()).await?;
            for name in names {
                progress.doing(format!("removing the namespace {name}"));
                if remove_namespace(&client, &name).await? {
                    progress.done("removed", format!("namespace {name}"));
                    removed.push(format!("namespace {name}"));
                }
            }
        }
    }
    for made in file.made.iter().rev() {
        if scope == Scope::FailedCreate && matches!(made, Made::Cache { .. }) {
            continue;
        }
        progress.doing(format!("removing {made}"));
        let there = driver.remove(made, progress)?;
        if there {
            progress.done("removed", made);
            removed.push(made.to_string());
        }
    }
    Ok(removed)
}

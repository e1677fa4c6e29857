//! Taking back what `cluster.json` says was made, newest first, and nothing else.

use std::path::Path;

use super::connect::client_of;
use super::file::{ClusterFile, Driver, Made};
use super::steps::Steps;
use super::{k3d, k3s, remove};
use crate::workload::WorkloadsFile;

/// How much is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// What a create made that failed: what was there before it stays, and what can be gone on from.
    FailedCreate,
    /// All of it.
    Everything,
}

/// Takes it back; what was removed. What is gone already is passed over.
pub(super) async fn undo(
    home: &Path,
    file: &ClusterFile,
    scope: Scope,
    steps: &Steps,
) -> anyhow::Result<Vec<String>> {
    let mut removed = Vec::new();
    // A cluster of our own goes as a whole, whether it still answers or not.
    if file.driver == Driver::Existing {
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
                steps.doing(format!("removing the namespace {name}"));
                if remove::namespace(&client, &name).await? {
                    steps.done("removed", format!("namespace {name}"));
                    removed.push(format!("namespace {name}"));
                }
            }
        }
    }
    for made in file.made.iter().rev() {
        if scope == Scope::FailedCreate && matches!(made, Made::Cache { .. }) {
            continue;
        }
        steps.doing(format!("removing {made}"));
        let there = match made {
            Made::Container => k3d::remove()?,
            made => k3s::take_back(made, steps)?,
        };
        if there {
            steps.done("removed", made);
            removed.push(made.to_string());
        }
    }
    Ok(removed)
}

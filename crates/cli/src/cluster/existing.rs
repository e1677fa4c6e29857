//! The driver `existing`: a cluster that is there already, by its kubeconfig. It is neither installed nor
//! stopped nor removed here; the manager and the workloads in it are.

use std::path::{Path, PathBuf};

use anyhow::bail;
use async_trait::async_trait;

use crate::cluster::driver::{Contact, Driver, InstallRequest};
use crate::cluster::finding::Finding;
use crate::node::cluster_file::{ClusterFile, Made};
use crate::progress::Progress;

/// The driver.
pub(crate) struct Existing;

#[async_trait(?Send)]
impl Driver for Existing {
    fn kubeconfig(&self, _: &Path) -> Option<PathBuf> {
        None
    }

    fn owns_cluster(&self) -> bool {
        false
    }

    fn subject(&self) -> &'static str {
        "the cluster"
    }

    async fn check(&self, _: &ClusterFile, _: &[Contact]) -> anyhow::Result<Vec<Finding>> {
        Ok(Vec::new())
    }

    async fn install(
        &self,
        _: &Path,
        _: &mut ClusterFile,
        _: &InstallRequest<'_>,
        _: &Progress,
    ) -> anyhow::Result<()> {
        Ok(())
    }

    fn is_running(&self) -> bool {
        true
    }

    fn stop(&self, _: &Progress) -> anyhow::Result<bool> {
        Ok(false)
    }

    fn remove(&self, made: &Made, _: &Progress) -> anyhow::Result<bool> {
        match made {
            // Namespaces are removed through the cluster's API.
            Made::Namespace { .. } => Ok(false),
            other => bail!("{other} is not this driver's: cluster.json was changed by somebody"),
        }
    }
}

//! A driver: one way for a node to have its cluster.

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::cluster::finding::Finding;
use crate::node::cluster_file::{ClusterFile, Made};
use crate::progress::Progress;

/// A server that the node talks to, and its name for people.
pub(crate) type Contact = (&'static str, reqwest::Url);

/// The input of an installation besides `cluster.json`.
pub(crate) struct InstallRequest<'a> {
    /// Tarballs of images to load into the node, the manager's among them.
    pub(crate) archives: &'a [PathBuf],
    /// How long the cluster may take to become ready.
    pub(crate) wait_secs: u64,
}

/// One way for a node to have its cluster.
#[async_trait(?Send)]
pub(crate) trait Driver {
    /// The kubeconfig of the cluster that this driver makes; `None` where the operator gives one.
    fn kubeconfig(&self, home: &Path) -> Option<PathBuf>;

    /// Whether this driver makes the cluster and removes it as a whole.
    fn owns_cluster(&self) -> bool;

    /// Whether the cluster's default route is this machine's.
    fn shares_host_network(&self) -> bool {
        false
    }

    /// The subject of [`Driver::check`], for people.
    fn subject(&self) -> &'static str;

    /// Checks that an installation is possible. Changes nothing.
    async fn check(&self, file: &ClusterFile, contacts: &[Contact])
    -> anyhow::Result<Vec<Finding>>;

    /// Checks an installation that is there. Changes nothing.
    async fn diagnose(
        &self,
        file: &ClusterFile,
        contacts: &[Contact],
    ) -> anyhow::Result<Vec<Finding>> {
        self.check(file, contacts).await
    }

    /// Installs and starts the cluster, or resumes that; its API answers and its node is ready after it.
    async fn install(
        &self,
        home: &Path,
        file: &mut ClusterFile,
        request: &InstallRequest<'_>,
        progress: &Progress,
    ) -> anyhow::Result<()>;

    /// Whether the cluster runs, as far as this machine knows.
    fn is_running(&self) -> bool;

    /// Stops the cluster and keeps its data; whether it ran.
    fn stop(&self, progress: &Progress) -> anyhow::Result<bool>;

    /// Removes one thing that `cluster.json` lists; whether it was there.
    fn remove(&self, made: &Made, progress: &Progress) -> anyhow::Result<bool>;
}

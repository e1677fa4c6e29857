//! Uninstalling: removes what `cluster.json` lists, newest first, and nothing else.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::exit::Exit;
use crate::lifecycle::undo::{Scope, undo};
use crate::node::authorization::AUTHORIZATION_JSON;
use crate::node::cluster_file::{CLUSTER_JSON, ClusterFile, Phase};
use crate::node::lock::{Lock, lock};
use crate::node::workloads::WORKLOADS_JSON;
use crate::progress::Progress;
use crate::setup::Setup;

/// An uninstallation that is possible; nothing is removed yet.
pub(crate) struct Uninstallation {
    home: PathBuf,
    file: Option<ClusterFile>,
    /// Files of the node's identity that go too.
    keys: Vec<PathBuf>,
    _lock: Lock,
}

impl Uninstallation {
    /// An error that ends with 3 where there is nothing to remove.
    pub(crate) fn of(setup: &Setup, keep_keys: bool) -> anyhow::Result<Self> {
        let home = setup.home()?.to_owned();
        let lock = lock(&home)?;
        let file = ClusterFile::read(&home)?;
        let keys =
            [setup.node_key_file()?, home.join(AUTHORIZATION_JSON), home.join(WORKLOADS_JSON)];
        let keys: Vec<_> = keys.into_iter().filter(|path| !keep_keys && path.exists()).collect();
        if file.is_none() && keys.is_empty() {
            let words = "there is nothing to uninstall: this node has no cluster";
            return Err(Exit::NotFound.because(words));
        }
        Ok(Self { home, file, keys, _lock: lock })
    }

    /// Whether the node key goes too.
    pub(crate) fn removes_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Removes everything; returns what was removed now.
    pub(crate) async fn run(self) -> anyhow::Result<Vec<String>> {
        let mut removed = Vec::new();
        if let Some(mut file) = self.file {
            let progress = Progress::new();
            file.phase = Phase::Leaving;
            file.write(&self.home)?;
            removed.extend(undo(&self.home, &file, Scope::Everything, &progress).await?);
            std::fs::remove_file(self.home.join(CLUSTER_JSON))
                .context("cluster.json cannot be removed")?;
        }
        for path in self.keys {
            std::fs::remove_file(&path)
                .with_context(|| format!("{} cannot be removed", path.display()))?;
            removed.push(path.display().to_string());
        }
        Ok(removed)
    }
}

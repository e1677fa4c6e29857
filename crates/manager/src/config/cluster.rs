//! The part of the configuration that only a manager in a cluster has.

use std::path::{Path, PathBuf};

use alloy_primitives::Address;
use anyhow::{Context as _, ensure};
use nodesys_chain::RpcUrl;
use nodesys_core::ids::Name;
use nodesys_service::secret;
use reqwest::Url;
use serde::Deserialize;

use nodesys_core::cidr::Cidr;
use nodesys_render::Grant;

/// `cluster` in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClusterEntry {
    rpc_file: PathBuf,
    kubeconfig: Option<PathBuf>,
    manager_url: Option<String>,
    #[serde(default)]
    local_ranges: Vec<String>,
}

/// A workload's entry in a cluster.
#[derive(Clone, Deserialize)]
pub(super) struct PlacementEntry {
    project: Option<Address>,
    grant: Option<Grant>,
    #[serde(default)]
    release_urls: Vec<Url>,
}

/// The cluster that a manager runs workloads in.
pub struct ClusterSettings {
    /// The kubeconfig; `None` inside the cluster.
    pub kubeconfig: Option<PathBuf>,
    /// The chain's RPCs: one, or several that must agree.
    pub rpcs: Vec<RpcUrl>,
    /// The manager's URL for pods; `None` for the manager's service.
    pub manager_url: Option<String>,
    /// This manager among those of the cluster.
    pub identity: String,
    /// Public address ranges of the node's own networks.
    pub local_ranges: Vec<Cidr>,
    /// Each workload's rights, in the order of the workloads.
    pub placements: Vec<Placement>,
}

/// A workload's rights in the cluster.
#[derive(Debug, Clone)]
pub struct Placement {
    /// The project, by its distributor's address, as pinned at `nodesys workload add`.
    pub project: Address,
    /// The operator's grant.
    pub grant: Grant,
    /// The project's own servers of releases, before the backend.
    pub release_urls: Vec<Url>,
}

impl ClusterEntry {
    pub(super) fn settings(
        self,
        placements: Vec<(Name, PlacementEntry)>,
        folder: &Path,
    ) -> anyhow::Result<ClusterSettings> {
        let path = folder.join(self.rpc_file);
        let text = secret::read(&path)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let rpcs: Vec<RpcUrl> = lines
            .map(str::parse)
            .collect::<Result<_, _>>()
            .with_context(|| format!("{} does not hold", path.display()))?;
        ensure!(
            !rpcs.is_empty(),
            "{} holds no RPC URL: write one, or several that must agree, one a line",
            path.display()
        );
        let placements = placements
            .into_iter()
            .map(|(name, entry)| {
                let missing = |what: &str| {
                    format!("workload {name} has no {what}: add it with nodesys workload add")
                };
                Ok(Placement {
                    project: entry.project.with_context(|| missing("project"))?,
                    grant: entry.grant.with_context(|| missing("grant"))?,
                    release_urls: entry.release_urls,
                })
            })
            .collect::<anyhow::Result<_>>()?;
        let local_ranges = self.local_ranges.iter().map(|range| range.parse());
        Ok(ClusterSettings {
            kubeconfig: self.kubeconfig.map(|path| folder.join(path)),
            rpcs,
            manager_url: self.manager_url,
            identity: identity(),
            local_ranges: local_ranges.collect::<Result<_, _>>().context("local_ranges")?,
            placements,
        })
    }
}

/// The pod's name, and the process outside one: different for every manager of a cluster.
fn identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}", host.trim(), std::process::id())
}

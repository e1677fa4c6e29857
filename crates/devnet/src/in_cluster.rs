//! A node in an existing Kubernetes cluster: its operator's commands, from `nodesys start` on.
//!
//! Pods follow the stepped clock like processes: the manager gets its address from the settings in
//! the node's home, a workload from its release. The clock stops while a command runs, so that the
//! cluster's real time takes none of the story's. A cluster holds one node.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nodesys_clock::Clock;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::deploy::LicenseRef;
use crate::network::Network;
use crate::programs::{Output, run, words};

/// Real time for the pods of a paused workload to end.
const END_PATIENCE_MILLIS: u64 = 120_000;

/// The cluster and its images.
#[derive(Debug, Clone)]
pub struct ClusterParts {
    /// The administrator's kubeconfig.
    pub kubeconfig: PathBuf,
    /// The manager's image, by digest; the cluster has it.
    pub manager_image: String,
}

/// A node in a cluster.
#[derive(Debug)]
pub(crate) struct InCluster {
    network: Network,
    home: PathBuf,
    parts: ClusterParts,
    workloads: Vec<Placed>,
    started: bool,
}

#[derive(Debug)]
struct Placed {
    name: &'static str,
    token: u64,
    /// Whether the manager should know of it.
    runs: bool,
}

impl InCluster {
    /// Nothing is in the cluster yet.
    pub(crate) fn new(
        network: &Network,
        home: &Path,
        licenses: &[LicenseRef],
        parts: ClusterParts,
    ) -> Self {
        let placed = |license: &LicenseRef| Placed {
            name: network.deployed.workloads[license.workload].name,
            token: license.token,
            runs: false,
        };
        Self {
            network: network.clone(),
            home: home.to_owned(),
            parts,
            workloads: licenses.iter().map(placed).collect(),
            started: false,
        }
    }

    /// `nodesys start`; the first time also `workload add` for each license.
    pub(crate) async fn start(&mut self) -> anyhow::Result<()> {
        if self.started {
            self.nodesys(&["start"]).await?;
            return Ok(());
        }
        self.add_volume().await?;
        let kubeconfig = self.parts.kubeconfig.to_string_lossy().into_owned();
        let first = ["start", "--driver", "existing", "--kubeconfig", &kubeconfig];
        let image = ["--manager-image", &self.parts.manager_image];
        self.nodesys(&[&first[..], &image].concat()).await?;
        for at in 0..self.workloads.len() {
            let Placed { name, token, .. } = self.workloads[at];
            let label = format!("{}/{name}", self.network.deployed.project);
            let token = token.to_string();
            self.nodesys(&["workload", "add", &label, "--license", &token, "--yes"]).await?;
            self.workloads[at].runs = true;
        }
        self.started = true;
        Ok(())
    }

    /// Ends a workload's pods, as its operator.
    pub(crate) async fn pause(&mut self, workload: usize) -> anyhow::Result<()> {
        let name = self.workloads[workload].name;
        self.nodesys(&["workload", "pause", name]).await?;
        self.workloads[workload].runs = false;
        let described: Value =
            self.said(&["workload", "describe", name, "-o", "json"]).await?.json()?;
        let namespace = described["namespace"].as_str().context("a workload has a namespace")?;
        // A pod that is ending still follows the clock.
        let clock = Clock::system();
        let began = clock.monotonic_millis();
        loop {
            let pods = ["--namespace", namespace, "get", "pods", "--output", "name"];
            if self.kubectl(&pods).await?.ok()?.trim().is_empty() {
                return Ok(());
            }
            ensure!(
                clock.monotonic_millis() - began < END_PATIENCE_MILLIS,
                "the pods of {name} do not end within {} s",
                END_PATIENCE_MILLIS / 1000
            );
            clock.sleeper().sleep(Duration::from_millis(500)).await;
        }
    }

    /// Starts a paused workload again.
    pub(crate) async fn resume(&mut self, workload: usize) -> anyhow::Result<()> {
        self.nodesys(&["workload", "resume", self.workloads[workload].name]).await?;
        self.workloads[workload].runs = true;
        Ok(())
    }

    /// Stops the manager: the workloads' pods keep running, without heartbeats.
    pub(crate) async fn stop(&self) -> anyhow::Result<()> {
        self.nodesys(&["stop"]).await.map(drop)
    }

    /// Whether the manager has heard of every workload's health.
    pub(crate) async fn is_up(&self) -> anyhow::Result<bool> {
        let path = "/api/v1/namespaces/nodesys/services/nodesys-manager:health/proxy/v1/status";
        let said = self.kubectl(&["get", "--raw", path]).await?;
        let status = said.json::<Value>().unwrap_or_default();
        let healthy = |name: &str| {
            let all = status["workloads"].as_array().into_iter().flatten();
            all.into_iter().any(|one| one["name"] == name && one["status"] == "healthy")
        };
        Ok(self.workloads.iter().filter(|one| one.runs).all(|one| healthy(one.name)))
    }

    /// A volume for the manager's claim: the test cluster has no provisioner.
    async fn add_volume(&self) -> anyhow::Result<()> {
        let path = self.home.join("volume");
        std::fs::create_dir_all(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777))?;
        let manifest = json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": { "name": "manager" },
            "spec": {
                "capacity": { "storage": "1Gi" }, "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain", "hostPath": { "path": path },
            },
        });
        let file = self.home.join("volume.json");
        std::fs::write(&file, manifest.to_string())?;
        self.kubectl(&["apply", "--filename", &file.to_string_lossy()]).await?.ok()?;
        Ok(())
    }

    async fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(&self.parts.kubeconfig).args(arguments);
        run(command).await
    }

    /// A command of the operator's, before the reader's eyes.
    async fn nodesys(&self, arguments: &[&str]) -> anyhow::Result<String> {
        eprintln!("   $ nodesys {}", arguments.join(" "));
        let said = self.said(arguments).await?.ok()?;
        for line in said.lines() {
            eprintln!("   {line}");
        }
        Ok(said)
    }

    async fn said(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let command = self.network.nodesys(&self.home, arguments);
        let told = words(&command);
        run(command).await.with_context(|| told)
    }
}

//! A node: a home folder with its key, and its programs, as processes or as a cluster's pods.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use alloy::primitives::Address;
use anyhow::Context as _;
use nodesys_clock::DEVELOPMENT_CHAIN_ID;
use nodesys_core::api::NodeView;
use serde_json::json;

use crate::deploy::{Deployed, LicenseRef};
use crate::in_cluster::{ClusterParts, InCluster};
use crate::people::Person;
use crate::processes::Processes;
use crate::programs::{Programs, run};

/// A node and its programs.
#[derive(Debug)]
pub struct Node {
    /// For people.
    pub name: String,
    /// Its home folder.
    pub home: PathBuf,
    /// Its key's address, known once it is paired.
    pub node_key: Address,
    /// Its licenses, in the order of its workloads.
    pub licenses: Vec<LicenseRef>,
    runs: Runs,
}

/// The form of a node's programs.
#[derive(Debug)]
enum Runs {
    Processes(Processes),
    Cluster(InCluster),
}

/// A node's view of its network.
#[derive(Debug, Clone)]
pub struct Network {
    /// Our programs.
    pub programs: Programs,
    /// The deployed contracts.
    pub deployed: Deployed,
    /// The receipt key.
    pub receipt_key: Address,
    /// The backend's URL.
    pub backend: String,
    /// The master's URL, once it has run: workloads fetch tasks from it.
    pub master: Option<String>,
    /// The chain's RPC.
    pub rpc: String,
    /// The stepped clock; `None` in real time.
    pub clock: Option<SocketAddr>,
}

impl Node {
    /// Pairs a new node with an operator's wallet, by the offline exchange, and configures it. It
    /// runs as processes, or in a cluster of its own.
    pub async fn pair(
        network: &Network,
        home: &Path,
        name: &str,
        operator: &Person,
        licenses: &[LicenseRef],
        cluster: Option<ClusterParts>,
    ) -> anyhow::Result<Self> {
        let view = network.pair(home, operator).await?;
        let runs = match cluster {
            None => Runs::Processes(Processes::new(network, home, name, licenses)?),
            Some(parts) => Runs::Cluster(InCluster::new(network, home, licenses, parts)),
        };
        Ok(Self {
            name: name.to_owned(),
            home: home.to_owned(),
            node_key: view.authorization.node_key,
            licenses: licenses.to_vec(),
            runs,
        })
    }

    /// Starts the manager, then every workload.
    pub async fn start(&mut self, network: &Network) -> anyhow::Result<()> {
        match &mut self.runs {
            Runs::Processes(processes) => processes.start(network).await,
            Runs::Cluster(cluster) => cluster.start().await,
        }
        .with_context(|| format!("{} does not start", self.name))
    }

    /// Starts one workload, which posts its health to the manager.
    pub async fn start_workload(
        &mut self,
        network: &Network,
        workload: usize,
    ) -> anyhow::Result<()> {
        match &mut self.runs {
            Runs::Processes(processes) => processes.start_workload(network, workload).await,
            Runs::Cluster(cluster) => cluster.resume(workload).await,
        }
    }

    /// Kills one workload; in a cluster, which would restart it, the operator pauses it.
    pub async fn kill_workload(&mut self, workload: usize) -> anyhow::Result<()> {
        match &mut self.runs {
            Runs::Processes(processes) => processes.kill_workload(workload).await,
            Runs::Cluster(cluster) => cluster.pause(workload).await,
        }
    }

    /// Kills everything at once, like a power cut; in a cluster the operator stops the manager.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        match &mut self.runs {
            Runs::Processes(processes) => processes.kill().await,
            Runs::Cluster(cluster) => cluster.stop().await,
        }
    }

    /// Stops everything in order. Pods end with their cluster.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        match &mut self.runs {
            Runs::Processes(processes) => processes.stop().await,
            Runs::Cluster(_) => Ok(()),
        }
    }

    /// Whether every workload that should run has posted that it is healthy. The clock waits for
    /// processes by itself.
    pub async fn is_up(&self) -> anyhow::Result<bool> {
        match &self.runs {
            Runs::Processes(_) => Ok(true),
            Runs::Cluster(cluster) => cluster.is_up().await,
        }
    }

    /// Whether it runs in a cluster.
    pub const fn is_in_cluster(&self) -> bool {
        matches!(self.runs, Runs::Cluster(_))
    }

    /// Its manager's URL, once that has run.
    pub fn manager_url(&self) -> Option<String> {
        match &self.runs {
            Runs::Processes(processes) => processes.manager_url(),
            Runs::Cluster(_) => None,
        }
    }

    /// The flags with which `nodesys status` finds the manager.
    pub fn status_arguments(&self) -> anyhow::Result<Vec<String>> {
        Ok(match &self.runs {
            Runs::Processes(processes) => {
                let url = processes.manager_url();
                let url = url.with_context(|| format!("{} has no manager yet", self.name))?;
                vec!["status".to_owned(), "--manager".to_owned(), url]
            }
            Runs::Cluster(_) => vec!["status".to_owned()],
        })
    }
}

impl Network {
    /// A home folder whose node key an operator's wallet has authorised, by the offline exchange.
    pub async fn pair(&self, home: &Path, operator: &Person) -> anyhow::Result<NodeView> {
        std::fs::create_dir_all(home)?;
        write_cli_config(self, home)?;
        let request = home.join("request.json");
        let signed = home.join("signed.json");
        let said = run(self.nodesys(home, &["pair", "request"])).await?.ok()?;
        std::fs::write(&request, said)?;
        let mut sign = self.nodesys(home, &["pair", "sign"]);
        sign.arg(&request).arg("--keystore").arg(&operator.keystore);
        sign.arg("--password-file").arg(&operator.password_file);
        let said = run(sign).await?.ok().context("nodesys pair sign")?;
        std::fs::write(&signed, said)?;
        let mut finish = self.nodesys(home, &["pair", "finish", "--output", "json"]);
        finish.arg(&signed);
        run(finish).await?.json().context("nodesys pair finish")
    }

    /// `--clock ADDR`, or nothing in real time.
    pub(crate) fn clock_flag(&self) -> Vec<String> {
        self.clock.map_or_else(Vec::new, |addr| vec!["--clock".to_owned(), addr.to_string()])
    }

    /// A `nodesys` command of somebody whose home is `home`.
    pub fn nodesys(&self, home: &Path, arguments: &[&str]) -> tokio::process::Command {
        let mut command = self.programs.command("nodesys");
        command.arg("--home").arg(home).args(arguments);
        command
    }
}

/// The settings that `nodesys` finds in a home.
pub(crate) fn write_cli_config(network: &Network, home: &Path) -> anyhow::Result<()> {
    let mut config = json!({
        "backend": network.backend,
        "rpc": network.rpc,
        "chain_id": DEVELOPMENT_CHAIN_ID,
        "registry": network.deployed.registry,
        "project": network.deployed.project,
    });
    if let Some(clock) = network.clock {
        config["clock"] = json!(clock);
    }
    std::fs::write(home.join("config.json"), serde_json::to_vec_pretty(&config)?)
        .with_context(|| format!("cannot write the settings in {}", home.display()))
}

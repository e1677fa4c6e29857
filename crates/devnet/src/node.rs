//! A node: a home folder with its key, and its programs, as processes or as a cluster's pods.

use std::path::{Path, PathBuf};

use alloy::primitives::Address;
use anyhow::Context as _;

use crate::deploy::LicenseRef;
use crate::in_cluster::{ClusterParts, InCluster};
use crate::network::Network;
use crate::people::Person;
use crate::processes::Processes;

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

//! A node: a home folder with its key, and its programs, as processes or as a cluster's pods.

use std::path::{Path, PathBuf};

use alloy::primitives::{Address, B256, keccak256};
use anyhow::Context as _;
use nodesys_core::signature::SigningKey;

use crate::deploy::LicenseRef;
use crate::in_cluster::{ClusterParts, InCluster};
use crate::network::Network;
use crate::people::{Person, write_secret};
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

/// The secret of a node's key. It follows from the node's name, because the second of the minute at which a
/// node sends follows from its key: with a new key, each run of a story would be another one. The text is
/// chosen so that the first three nodes send after the 35th second: a workload that is killed as a minute
/// begins is down for its manager 30 seconds later, and so misses that very minute.
fn secret(name: &str) -> B256 {
    keccak256(format!("devnet key 29 of {name}"))
}

/// Puts a node's key into its home, where pairing finds it.
fn write_key(home: &Path, name: &str) -> anyhow::Result<()> {
    let key = SigningKey::from_bytes(&secret(name).0).context("a node's key")?;
    std::fs::create_dir_all(home)?;
    write_secret(&home.join("node.key"), &key.to_hex())
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
        write_key(home, name)?;
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

#[cfg(test)]
mod tests {
    use alloy::primitives::U256;

    use super::*;

    #[test]
    fn the_storys_nodes_send_when_a_killed_workload_is_down_already() {
        for name in ["node 1", "node 2", "node 3"] {
            let key = SigningKey::from_bytes(&secret(name).0).unwrap();
            // As the manager has it.
            let hash = U256::from_be_bytes(keccak256(key.address()).0);
            let second: u64 = (hash % U256::from(60)).to();
            assert!((36..58).contains(&second), "{name} sends at second {second}");
        }
    }
}

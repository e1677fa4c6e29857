//! A node as processes of its own: a manager, and a sample workload for each license.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nodesys_clock::DEVELOPMENT_CHAIN_ID;
use serde_json::json;

use crate::deploy::LicenseRef;
use crate::network::Network;
use crate::people::write_secret;
use crate::process::{Process, free_addr};

/// The processes of a node, running or not.
#[derive(Debug)]
pub(crate) struct Processes {
    /// Of the node, for people.
    name: String,
    home: PathBuf,
    licenses: Vec<LicenseRef>,
    manager: Option<Process>,
    manager_addr: Option<SocketAddr>,
    workloads: Vec<Option<Process>>,
    starts: u32,
}

impl Processes {
    /// Writes their configuration; none runs yet.
    pub(crate) fn new(
        network: &Network,
        home: &Path,
        name: &str,
        licenses: &[LicenseRef],
    ) -> anyhow::Result<Self> {
        let mut all = Self {
            name: name.to_owned(),
            home: home.to_owned(),
            licenses: licenses.to_vec(),
            manager: None,
            manager_addr: None,
            workloads: Vec::new(),
            starts: 0,
        };
        all.workloads.resize_with(licenses.len(), || None);
        all.configure(network)?;
        Ok(all)
    }

    fn configure(&self, network: &Network) -> anyhow::Result<()> {
        let mut workloads = Vec::new();
        for license in &self.licenses {
            let workload = &network.deployed.workloads[license.workload];
            let token_file = format!("{}.token", workload.name);
            write_secret(
                &self.home.join(&token_file),
                &format!(
                    "{:064x}",
                    alloy::primitives::U256::from_be_bytes(rand::random::<[u8; 32]>())
                ),
            )?;
            workloads.push(json!({
                "name": workload.name,
                "collection": workload.collection,
                "token_id": license.token.to_string(),
                "token_file": token_file,
            }));
        }
        let config = json!({
            "chain_id": DEVELOPMENT_CHAIN_ID.to_string(),
            "registry": network.deployed.registry,
            "backend": network.backend,
            "receipt_key": network.receipt_key,
            "node_key_file": "node.key",
            "state_dir": "state",
            "workloads": workloads,
        });
        let path = self.home.join("manager.json");
        std::fs::write(&path, serde_json::to_vec_pretty(&config)?)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Starts the manager, then every workload.
    pub(crate) async fn start(&mut self, network: &Network) -> anyhow::Result<()> {
        self.start_manager(network).await?;
        for workload in 0..self.licenses.len() {
            self.start_workload(network, workload).await?;
        }
        Ok(())
    }

    /// Starts the manager alone, on a free port, or on its former one.
    async fn start_manager(&mut self, network: &Network) -> anyhow::Result<()> {
        let ready = self.ready_file("manager");
        let listen = self.manager_addr.map_or_else(free_addr, Ok)?.to_string();
        let mut command = network.programs.command("nodesys-manager");
        command.arg("--config").arg(self.home.join("manager.json"));
        command.args(["--listen", &listen, "--backend", &network.backend]);
        command.args(network.clock_flag()).arg("--ready-file").arg(&ready);
        let name = format!("manager of {}", self.name);
        let mut process = Process::spawn(&name, command, &self.home.join("manager.log"))?;
        self.manager_addr = Some(process.ready(&ready).await?.addr);
        self.manager = Some(process);
        Ok(())
    }

    /// Starts one workload, which posts its health to the manager.
    pub(crate) async fn start_workload(
        &mut self,
        network: &Network,
        workload: usize,
    ) -> anyhow::Result<()> {
        let manager = self.manager_addr.context("the manager has never run")?;
        let name = network.deployed.workloads[self.licenses[workload].workload].name;
        let ready = self.ready_file(name);
        let mut command = network.programs.command("nodesys-sample-workload");
        command.args(["--manager", &format!("http://{manager}"), "--token-file"]);
        command.arg(self.home.join(format!("{name}.token")));
        if let Some(master) = &network.master {
            // Asked seldom: an idle queue should cost a run of a whole day next to nothing.
            command.args(["--master", master, "--idle-secs", "600"]);
        }
        command.args(network.clock_flag()).arg("--ready-file").arg(&ready);
        let title = format!("workload {name} of {}", self.name);
        let log = self.home.join(format!("{name}.log"));
        let mut process = Process::spawn(&title, command, &log)?;
        process.ready(&ready).await?;
        self.workloads[workload] = Some(process);
        Ok(())
    }

    /// Kills one workload.
    pub(crate) async fn kill_workload(&mut self, workload: usize) -> anyhow::Result<()> {
        match self.workloads[workload].take() {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }

    /// Kills the manager alone.
    async fn kill_manager(&mut self) -> anyhow::Result<()> {
        match self.manager.take() {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }

    /// Kills everything at once, like a power cut.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        self.kill_manager().await?;
        for workload in 0..self.workloads.len() {
            self.kill_workload(workload).await?;
        }
        Ok(())
    }

    /// Stops everything in order.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        for process in self.workloads.iter_mut().filter_map(Option::take) {
            process.stop().await?;
        }
        if let Some(process) = self.manager.take() {
            process.stop().await?;
        }
        Ok(())
    }

    /// The manager's URL, once it has run.
    pub(crate) fn manager_url(&self) -> Option<String> {
        self.manager_addr.map(|addr| format!("http://{addr}"))
    }

    fn ready_file(&mut self, what: &str) -> PathBuf {
        self.starts += 1;
        self.home.join(format!("{what}.{}.ready", self.starts))
    }
}

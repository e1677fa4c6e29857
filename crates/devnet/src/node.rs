//! A node: a home folder with its key, a manager, and a sample workload for each license.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use alloy::primitives::Address;
use anyhow::Context as _;
use nodesys_clock::DEVELOPMENT_CHAIN_ID;
use nodesys_core::api::NodeView;
use serde_json::json;

use crate::deploy::{Deployed, LicenseRef};
use crate::people::{Person, write_secret};
use crate::process::{Process, free_addr};
use crate::programs::{Programs, run};

/// A node and what runs on it.
#[derive(Debug)]
pub struct Node {
    /// For people.
    pub name: String,
    /// Its home folder.
    pub home: PathBuf,
    /// Its key's address, known once it is paired.
    pub node_key: Address,
    /// What it runs, in the order of its workloads.
    pub licenses: Vec<LicenseRef>,
    manager: Option<Process>,
    manager_addr: Option<SocketAddr>,
    workloads: Vec<Option<Process>>,
    starts: u32,
}

/// Where a node finds its network.
#[derive(Debug, Clone)]
pub struct Network {
    /// Our programs.
    pub programs: Programs,
    /// What stands on chain.
    pub deployed: Deployed,
    /// Who signs receipts.
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
    /// Pairs a new node with an operator's wallet, by the offline exchange, and configures it.
    pub async fn pair(
        network: &Network,
        home: &Path,
        name: &str,
        operator: &Person,
        licenses: &[LicenseRef],
    ) -> anyhow::Result<Self> {
        let view = network.pair(home, operator).await?;
        let mut node = Self {
            name: name.to_owned(),
            home: home.to_owned(),
            node_key: view.authorization.node_key,
            licenses: licenses.to_vec(),
            manager: None,
            manager_addr: None,
            workloads: Vec::new(),
            starts: 0,
        };
        node.workloads.resize_with(licenses.len(), || None);
        node.configure(network)?;
        Ok(node)
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
    pub async fn start(&mut self, network: &Network) -> anyhow::Result<()> {
        self.start_manager(network).await?;
        for workload in 0..self.licenses.len() {
            self.start_workload(network, workload).await?;
        }
        Ok(())
    }

    /// Starts the manager alone, on a free port, or again on the one it had.
    pub async fn start_manager(&mut self, network: &Network) -> anyhow::Result<()> {
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
    pub async fn start_workload(
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
    pub async fn kill_workload(&mut self, workload: usize) -> anyhow::Result<()> {
        match self.workloads[workload].take() {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }

    /// Kills the manager alone.
    pub async fn kill_manager(&mut self) -> anyhow::Result<()> {
        match self.manager.take() {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }

    /// Kills everything at once, as a power cut does.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.kill_manager().await?;
        for workload in 0..self.workloads.len() {
            self.kill_workload(workload).await?;
        }
        Ok(())
    }

    /// Stops everything in order.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        for process in self.workloads.iter_mut().filter_map(Option::take) {
            process.stop().await?;
        }
        if let Some(process) = self.manager.take() {
            process.stop().await?;
        }
        Ok(())
    }

    /// The manager's URL, once it has run.
    pub fn manager_url(&self) -> Option<String> {
        self.manager_addr.map(|addr| format!("http://{addr}"))
    }

    fn ready_file(&mut self, what: &str) -> PathBuf {
        self.starts += 1;
        self.home.join(format!("{what}.{}.ready", self.starts))
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

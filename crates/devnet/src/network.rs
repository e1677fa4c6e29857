//! How those who run something find each other: addresses, contracts, the clock.

use std::net::SocketAddr;
use std::path::Path;

use alloy::primitives::Address;
use anyhow::Context as _;
use nodesys_clock::DEVELOPMENT_CHAIN_ID;
use nodesys_core::api::NodeView;
use serde_json::json;

use crate::deploy::Deployed;
use crate::people::Person;
use crate::programs::{Programs, run};

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

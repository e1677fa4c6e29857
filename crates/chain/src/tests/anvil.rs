//! A real anvil of a test's own, on a free port, stopped when dropped.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use alloy::primitives::U256;
use alloy::providers::Provider as _;
use nodesys_core::signature::SigningKey;

use crate::{Provider, RpcUrl};

/// The first of anvil's funded accounts ("test test test ... junk").
const FUNDED: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

pub(crate) struct Anvil {
    child: Child,
    pub(crate) url: RpcUrl,
}

impl Anvil {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let mut child = Command::new(binary())
            .args(["--port", "0", "--slots-in-an-epoch", "1", "--no-request-size-limit"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("anvil starts");
        let stdout = child.stdout.take().expect("its output is piped");
        let mut lines = BufReader::new(stdout).lines();
        let address = lines
            .find_map(|line| Some(line.ok()?.strip_prefix("Listening on ")?.to_owned()))
            .expect("anvil says where it listens");
        // A pipe that nobody reads would stop anvil once it is full.
        std::thread::spawn(move || lines.for_each(drop));
        let url = format!("http://{address}").parse().expect("an address makes a URL");
        Self { child, url }
    }

    pub(crate) async fn provider(&self) -> Provider {
        Provider::connect_with_key(&self.url, Some(31_337), &funded()).await.expect("it answers")
    }

    /// Mines one block with this timestamp.
    pub(crate) async fn mine_at(&self, provider: &Provider, secs: u64) {
        let _: serde_json::Value = provider
            .rpc()
            .raw_request("evm_setNextBlockTimestamp".into(), [U256::from(secs)])
            .await
            .expect("anvil sets the time");
        self.mine(provider).await;
    }

    pub(crate) async fn mine(&self, provider: &Provider) {
        let _: serde_json::Value =
            provider.rpc().raw_request("evm_mine".into(), ()).await.expect("anvil mines");
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn funded() -> SigningKey {
    SigningKey::from_hex(FUNDED).expect("a known key")
}

fn binary() -> PathBuf {
    let installed = "../../node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil";
    let path = std::env::var_os("NODESYS_ANVIL")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(installed), PathBuf::from);
    assert!(path.exists(), "no anvil at {}: run npm ci, or set NODESYS_ANVIL", path.display());
    path
}

//! A real anvil of a test's own, on a free port, stopped when dropped.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use alloy::providers::Provider as _;
use nodesys_chain::{Provider, RpcUrl};
use nodesys_core::signature::SigningKey;
use serde::Serialize;
use serde_json::Value;

use crate::program::project;

/// The development chain.
pub const CHAIN_ID: u64 = 31_337;
/// The first of anvil's funded accounts ("test test test ... junk").
const FUNDED: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// A running anvil.
pub struct Anvil {
    child: Child,
    /// Where it listens.
    pub addr: SocketAddr,
    /// Its RPC.
    pub url: RpcUrl,
}

impl Anvil {
    /// Starts it; the newest two blocks are not final.
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(binary())
            .args(["--port", "0", "--slots-in-an-epoch", "1", "--no-request-size-limit"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let addr = lines.find_map(|line| Some(line.ok()?.strip_prefix("Listening on ")?.parse()));
        // A pipe that nobody reads would stop anvil once it is full.
        std::thread::spawn(move || lines.for_each(drop));
        let addr: SocketAddr = addr.expect("anvil says where it listens").unwrap();
        Self { child, addr, url: format!("http://{addr}").parse().unwrap() }
    }

    /// A connection of the account with money.
    pub async fn provider(&self) -> Provider {
        Provider::connect_with_key(&self.url, Some(CHAIN_ID), &funded()).await.unwrap()
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The key of the account with money.
pub fn funded() -> SigningKey {
    SigningKey::from_hex(FUNDED).unwrap()
}

/// One of anvil's own requests.
pub async fn ask<P: Serialize + Clone + std::fmt::Debug + Send + Sync + Unpin>(
    provider: &Provider,
    method: &'static str,
    params: P,
) {
    let _: Value = provider.rpc().raw_request(method.into(), params).await.unwrap();
}

/// Mines one block.
pub async fn mine(provider: &Provider) {
    ask(provider, "evm_mine", ()).await;
}

/// Mines one block with this timestamp.
pub async fn mine_at(provider: &Provider, secs: u64) {
    ask(provider, "evm_setNextBlockTimestamp", [secs]).await;
    mine(provider).await;
}

fn binary() -> PathBuf {
    let installed = || project().join("node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil");
    let path = std::env::var_os("NODESYS_ANVIL").map_or_else(installed, PathBuf::from);
    assert!(path.exists(), "no anvil at {}: run npm ci, or set NODESYS_ANVIL", path.display());
    path
}

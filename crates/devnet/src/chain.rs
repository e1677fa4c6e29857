//! The development chain: a real anvil whose time the stepped clock moves, a block a minute.
//!
//! Between two minutes each block is a second later than the previous one, whatever the real time,
//! so every run is the same.

use std::path::Path;

use alloy::eips::BlockNumberOrTag;
use alloy::primitives::{Address, Bytes, U256};
use alloy::providers::Provider as _;
use anyhow::Context as _;
use nodesys_chain::{Provider, RpcUrl};
use nodesys_clock::DEVELOPMENT_CHAIN_ID;
use nodesys_core::time::Timestamp;
use serde::Serialize;
use tokio::process::Command;

use crate::process::Process;

/// A saved state of the chain.
#[derive(Debug)]
pub struct Snapshot(U256);

/// A running anvil.
#[derive(Debug)]
pub struct Chain {
    process: Process,
    /// Its RPC.
    pub url: RpcUrl,
    /// A connection without a key.
    pub reader: Provider,
}

impl Chain {
    /// Starts it with a first block at `start`; the newest `2 * slots_in_epoch` blocks are not final.
    pub async fn start(dir: &Path, start: Timestamp, slots_in_epoch: u64) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let program = std::env::var_os("NODESYS_ANVIL").context(
            "NODESYS_ANVIL is not set: run scripts/setup, and take it from target/tools/env",
        )?;
        let mut command = Command::new(program);
        command
            .args(["--host", "127.0.0.1", "--port", "0"])
            .args(["--slots-in-an-epoch", &slots_in_epoch.to_string()])
            .args(["--chain-id", &DEVELOPMENT_CHAIN_ID.to_string()])
            .args(["--timestamp", &start.secs().to_string()])
            .arg("--no-request-size-limit");
        let log = dir.join("log");
        let mut process = Process::spawn("anvil", command, &log)?;
        let addr = process
            .wait_for("it listened", || {
                let text = std::fs::read_to_string(&log).ok()?;
                let line = text.lines().find_map(|line| line.strip_prefix("Listening on "))?;
                line.parse::<std::net::SocketAddr>().ok()
            })
            .await?;
        let url: RpcUrl = format!("http://{addr}").parse()?;
        let reader = Provider::connect(&url, Some(DEVELOPMENT_CHAIN_ID)).await?;
        let chain = Self { process, url, reader };
        chain.request("anvil_setBlockTimestampInterval", [1_u64]).await?;
        Ok(chain)
    }

    /// Mines a block each second from now on, in real time.
    pub async fn follow_real_time(&self) -> anyhow::Result<()> {
        self.request::<[u64; 0]>("anvil_removeBlockTimestampInterval", []).await?;
        self.request("evm_setIntervalMining", [1_u64]).await
    }

    /// Mines the block of a whole minute.
    pub async fn step(&self, now: Timestamp) -> anyhow::Result<()> {
        if self.reader.latest_block().await?.secs < now.secs() {
            self.request("evm_setNextBlockTimestamp", [now.secs()]).await?;
        }
        self.mine().await
    }

    /// Mines one block, a second later.
    pub async fn mine(&self) -> anyhow::Result<()> {
        self.request::<[u64; 0]>("evm_mine", []).await
    }

    /// Mines until the current newest block is final.
    pub async fn make_final(&self) -> anyhow::Result<()> {
        let newest = self.reader.latest_block().await?;
        while self.finalized().await? < newest.number {
            self.mine().await?;
        }
        Ok(())
    }

    async fn finalized(&self) -> anyhow::Result<u64> {
        let block = self.reader.block(BlockNumberOrTag::Finalized).await?;
        Ok(block.map_or(0, |block| block.number))
    }

    /// Puts runtime code at its address on other chains.
    pub async fn set_code(&self, address: Address, code: &Bytes) -> anyhow::Result<()> {
        self.request("anvil_setCode", (address, code)).await
    }

    /// The gas a transaction used.
    pub async fn gas_used(&self, transaction: alloy::primitives::B256) -> anyhow::Result<u64> {
        let receipt = self.reader.rpc().get_transaction_receipt(transaction).await?;
        Ok(receipt.with_context(|| format!("no receipt of {transaction}"))?.gas_used)
    }

    /// Saves the chain's current state, to be restored once.
    pub async fn snapshot(&self) -> anyhow::Result<Snapshot> {
        let kept = self.reader.rpc().raw_request("evm_snapshot".into(), ()).await;
        Ok(Snapshot(kept.context("anvil refuses evm_snapshot")?))
    }

    /// Restores the saved state, time included. Reconnect before sending: a connection remembers
    /// blocks that no longer exist.
    pub async fn revert(&self, to: Snapshot) -> anyhow::Result<()> {
        let done: bool = self
            .reader
            .rpc()
            .raw_request("evm_revert".into(), [to.0])
            .await
            .context("anvil refuses evm_revert")?;
        anyhow::ensure!(done, "anvil has no such snapshot");
        Ok(())
    }

    /// One of anvil's own requests.
    pub async fn request<P: Serialize + Clone + std::fmt::Debug + Send + Sync + Unpin>(
        &self,
        method: &'static str,
        params: P,
    ) -> anyhow::Result<()> {
        let answer: Result<serde_json::Value, _> =
            self.reader.rpc().raw_request(method.into(), params).await;
        answer.map(drop).with_context(|| format!("anvil refuses {method}"))
    }

    /// The process, for faults.
    pub const fn process(&self) -> &Process {
        &self.process
    }

    /// Stops it.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.process.stop().await.map(drop)
    }
}

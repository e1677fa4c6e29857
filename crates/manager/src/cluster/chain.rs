//! Releases and receipt keys on chain, read over the node's own RPCs.

use alloy::eips::BlockNumberOrTag;
use nodesys_chain::project::{KeyValidity, receipt_key_validity};
use nodesys_chain::release::{WorkloadReleases, releases_of};
use nodesys_chain::{ChainError, Provider, RpcUrl};
use nodesys_core::Address;
use nodesys_core::ids::Name;

/// Reads the registry over one RPC, or over several that must agree.
pub struct ChainReader {
    rpcs: Vec<RpcUrl>,
    connected: Option<Provider>,
    chain_id: u64,
    registry: Address,
}

impl ChainReader {
    /// Reads over these RPCs; connects at the first read.
    pub const fn new(rpcs: Vec<RpcUrl>, chain_id: u64, registry: Address) -> Self {
        Self { rpcs, connected: None, chain_id, registry }
    }

    /// A workload's releases on chain; an error if the RPCs do not answer or disagree: nothing
    /// changes until they do.
    pub async fn read(
        &mut self,
        project: Address,
        workload: &Name,
    ) -> Result<WorkloadReleases, ChainError> {
        let provider = self.fresh().await?;
        releases_of(&provider, self.registry, project, workload, BlockNumberOrTag::Latest).await
    }

    /// When a receipt key counts for a project, or, without one, for the network.
    pub async fn receipt_key(
        &mut self,
        project: Option<Address>,
        key: Address,
    ) -> Result<KeyValidity, ChainError> {
        let provider = self.fresh().await?;
        receipt_key_validity(&provider, self.registry, project, key).await
    }

    async fn fresh(&mut self) -> Result<Provider, ChainError> {
        let provider = match &self.connected {
            Some(provider) => provider.clone(),
            None => {
                let provider = Provider::connect_all(&self.rpcs, Some(self.chain_id)).await?;
                self.connected.insert(provider).clone()
            }
        };
        provider.require_fresh().await?;
        Ok(provider)
    }
}

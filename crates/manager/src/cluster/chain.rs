//! The chain's word on releases, over the node's own RPCs.

use alloy::eips::BlockNumberOrTag;
use nodesys_contracts::release::{WorkloadReleases, releases_of};
use nodesys_contracts::{ChainError, Provider, RpcUrl};
use nodesys_core::Address;
use nodesys_core::ids::Name;

/// Reads the registry over one RPC, or over two that must agree.
pub struct ChainReader {
    rpcs: Vec<RpcUrl>,
    connected: Vec<Option<Provider>>,
    chain_id: u64,
    registry: Address,
}

impl ChainReader {
    /// Over these RPCs; connected when first asked.
    pub fn new(rpcs: Vec<RpcUrl>, chain_id: u64, registry: Address) -> Self {
        let connected = vec![None; rpcs.len()];
        Self { rpcs, connected, chain_id, registry }
    }

    /// What the chain says of a workload; an error where an RPC does not answer, or where two
    /// answer differently.
    pub async fn read(
        &mut self,
        project: Address,
        workload: &Name,
    ) -> anyhow::Result<WorkloadReleases> {
        let mut first: Option<WorkloadReleases> = None;
        for i in 0..self.rpcs.len() {
            let found = self.read_one(i, project, workload).await?;
            match &first {
                None => first = Some(found),
                Some(before) if same_word(before, &found) => {}
                Some(_) => anyhow::bail!(
                    "the RPCs {} and {} do not agree on the releases of {workload}: nothing is \
                     changed until they do",
                    self.rpcs[0],
                    self.rpcs[i]
                ),
            }
        }
        first.ok_or_else(|| anyhow::anyhow!("no RPC is configured"))
    }

    async fn read_one(
        &mut self,
        i: usize,
        project: Address,
        workload: &Name,
    ) -> Result<WorkloadReleases, ChainError> {
        let provider = match &self.connected[i] {
            Some(provider) => provider.clone(),
            None => {
                let provider = Provider::connect(&self.rpcs[i], Some(self.chain_id)).await?;
                self.connected[i] = Some(provider.clone());
                provider
            }
        };
        releases_of(&provider, self.registry, project, workload, BlockNumberOrTag::Latest).await
    }
}

/// What a node acts on is the same in both; they may be a few blocks apart otherwise.
fn same_word(a: &WorkloadReleases, b: &WorkloadReleases) -> bool {
    a.runnable == b.runnable && a.tombstone == b.tombstone
}

//! Blocks: which one is final, and which is the first of a moment.

use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::primitives::B256;
use alloy::providers::Provider as _;
use alloy::transports::RpcError;
use nodesys_core::bundle::Snapshot;

use crate::error::ChainError;
use crate::provider::Provider;

/// A block, as far as we need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockRef {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Its timestamp, seconds since 1970.
    pub secs: u64,
}

impl From<BlockRef> for Snapshot {
    fn from(block: BlockRef) -> Self {
        Self { block_number: block.number, block_hash: block.hash, block_secs: block.secs }
    }
}

impl Provider {
    /// A block by number or tag; `None` where the chain has none.
    pub async fn block(&self, at: BlockNumberOrTag) -> Result<Option<BlockRef>, ChainError> {
        let block = self
            .rpc()
            .get_block(BlockId::Number(at))
            .await
            .map_err(|error| self.error(&format!("reading block {at}"), error))?;
        Ok(block.map(|block| BlockRef {
            number: block.header.number,
            hash: block.header.hash,
            secs: block.header.timestamp,
        }))
    }

    /// The newest block.
    pub async fn latest_block(&self) -> Result<BlockRef, ChainError> {
        self.existing_block(BlockNumberOrTag::Latest).await
    }

    /// The newest final block: what the `finalized` tag says, or, on a chain without that tag,
    /// the block `fallback_depth` below the newest.
    pub async fn finalized_block(&self, fallback_depth: u64) -> Result<BlockRef, ChainError> {
        let tagged = self.rpc().get_block(BlockId::finalized()).await;
        match tagged {
            Ok(Some(block)) => {
                return Ok(BlockRef {
                    number: block.header.number,
                    hash: block.header.hash,
                    secs: block.header.timestamp,
                });
            }
            // No such tag, or nothing final yet by it.
            Ok(None) | Err(RpcError::ErrorResp(_)) => {}
            Err(error) => return Err(self.error("reading the finalized block", error)),
        }
        let latest = self.latest_block().await?;
        let number = latest.number.saturating_sub(fallback_depth);
        self.existing_block(BlockNumberOrTag::Number(number)).await
    }

    /// The first block whose timestamp is at or past `secs`, or `None` while none of the final
    /// blocks is: later blocks may still be replaced.
    pub async fn first_block_at_or_after(
        &self,
        secs: u64,
        fallback_depth: u64,
    ) -> Result<Option<BlockRef>, ChainError> {
        let mut found = self.finalized_block(fallback_depth).await?;
        if found.secs < secs {
            return Ok(None);
        }
        // Timestamps never fall from block to block. `found` is late enough, `low - 1` is not.
        let mut low = 0;
        while low < found.number {
            let middle = low + (found.number - low) / 2;
            let block = self.existing_block(BlockNumberOrTag::Number(middle)).await?;
            if block.secs >= secs {
                found = block;
            } else {
                low = middle + 1;
            }
        }
        Ok(Some(found))
    }

    /// A block that should exist.
    pub(crate) async fn existing_block(
        &self,
        at: BlockNumberOrTag,
    ) -> Result<BlockRef, ChainError> {
        self.block(at).await?.ok_or_else(|| ChainError::Rpc {
            what: format!("reading block {at}"),
            problem: "there is no such block".to_owned(),
        })
    }
}

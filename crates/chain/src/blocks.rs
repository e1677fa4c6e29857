//! Blocks: which one is final, and which is the first of a moment.
//!
//! # Examples
//!
//! ```no_run
//! use nodesys_chain::{ChainError, Provider};
//! use nodesys_core::time::UtcDay;
//!
//! async fn example(provider: &Provider, day: UtcDay) -> Result<(), ChainError> {
//!     provider.require_fresh().await?;
//!     // The block at which a day's holders are read.
//!     match provider.first_block_at_or_after(day.end().secs(), 64).await? {
//!         Some(block) => println!("block {} at {} s", block.number, block.secs),
//!         None => println!("no final block is past the end of {day} yet"),
//!     }
//!     Ok(())
//! }
//! ```

use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::primitives::B256;
use alloy::providers::Provider as _;
use alloy::transports::RpcError;
use futures::future::join_all;
use nodesys_core::bundle::Snapshot;

use crate::error::ChainError;
use crate::provider::Provider;
use crate::sources::{Source, reached};

/// How far RPCs may be apart, in seconds of block time, where what happens now is decided.
pub const MOST_LAG_SECS: u64 = 600;

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
    ///
    /// # Errors
    ///
    /// Those of a read ([`ChainError`]).
    pub async fn block(&self, at: BlockNumberOrTag) -> Result<Option<BlockRef>, ChainError> {
        let what = format!("reading block {at}");
        self.agreed(&what, |source| block_of(source, at)).await
    }

    /// The newest block; with several RPCs the newest that a majority of them has reached.
    ///
    /// # Errors
    ///
    /// Those of a read ([`ChainError`]); of several RPCs a majority must answer.
    pub async fn latest_block(&self) -> Result<BlockRef, ChainError> {
        if self.sources() == 1 {
            return self.existing_block(BlockNumberOrTag::Latest).await;
        }
        let number = reached(self.all(), |source| async move {
            let newest = source.rpc.get_block_number().await;
            newest.map_err(|error| {
                ChainError::from_transport(&source.url, "reading the newest block", error)
            })
        })
        .await?;
        self.not_behind(number)?;
        self.existing_block(BlockNumberOrTag::Number(number)).await
    }

    /// Succeeds where no RPC is far ahead of the block that they agree on: what happens now may be
    /// decided by it. A majority that lags would otherwise show old facts in good agreement.
    ///
    /// # Errors
    ///
    /// [`ChainError::Differ`] where one is more than [`MOST_LAG_SECS`] ahead, and those of
    /// [`Self::latest_block`].
    pub async fn require_fresh(&self) -> Result<(), ChainError> {
        if self.sources() == 1 {
            return Ok(());
        }
        let agreed = self.latest_block().await?;
        let newest = self.all().iter().map(|source| block_of(source, BlockNumberOrTag::Latest));
        let ahead = |block: BlockRef| block.secs > agreed.secs.saturating_add(MOST_LAG_SECS);
        let newest = join_all(newest).await;
        // An RPC that does not answer is ahead of nobody.
        if newest.into_iter().flatten().flatten().any(ahead) {
            let (what, rpcs) = ("reading the newest block".to_owned(), self.place());
            return Err(ChainError::Differ { what, rpcs });
        }
        Ok(())
    }

    /// The newest final block: what the `finalized` tag says, or, on a chain without that tag,
    /// the block `fallback_depth` below the newest. With several RPCs, the newest that a majority of
    /// them takes for final.
    ///
    /// # Errors
    ///
    /// Those of a read ([`ChainError`]).
    pub async fn finalized_block(&self, fallback_depth: u64) -> Result<BlockRef, ChainError> {
        let number = reached(self.all(), |source| finalized_of(source, fallback_depth)).await?;
        self.not_behind(number)?;
        self.existing_block(BlockNumberOrTag::Number(number)).await
    }

    /// The first block whose timestamp is at or past `secs`, or `None` while none of the final
    /// blocks is: later blocks may still be replaced.
    ///
    /// # Errors
    ///
    /// Those of a read ([`ChainError`]), of some thirty blocks: the search halves the chain.
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
        if at == BlockNumberOrTag::Latest && self.sources() > 1 {
            return Box::pin(self.latest_block()).await;
        }
        let found = self.block(at).await?.ok_or_else(|| ChainError::Rpc {
            what: format!("reading block {at}"),
            problem: "there is no such block".to_owned(),
        })?;
        if at == BlockNumberOrTag::Latest {
            self.not_behind(found.number)?;
        }
        Ok(found)
    }
}

async fn block_of(source: &Source, at: BlockNumberOrTag) -> Result<Option<BlockRef>, ChainError> {
    let block = source.rpc.get_block(BlockId::Number(at)).await.map_err(|error| {
        ChainError::from_transport(&source.url, &format!("reading block {at}"), error)
    })?;
    Ok(block.map(|block| BlockRef {
        number: block.header.number,
        hash: block.header.hash,
        secs: block.header.timestamp,
    }))
}

/// The number of the newest block that this RPC takes for final.
async fn finalized_of(source: &Source, fallback_depth: u64) -> Result<u64, ChainError> {
    let failed =
        |error| ChainError::from_transport(&source.url, "reading the finalized block", error);
    match source.rpc.get_block(BlockId::finalized()).await {
        Ok(Some(block)) => return Ok(block.header.number),
        // No such tag, or nothing final yet by it.
        Ok(None) | Err(RpcError::ErrorResp(_)) => {}
        Err(error) => return Err(failed(error)),
    }
    Ok(source.rpc.get_block_number().await.map_err(failed)?.saturating_sub(fallback_depth))
}

//! Whether a collection's licenses can be followed by its logs, as nodes and backends follow them: each
//! token by its own `Transfer`, from the first block that they read.
//!
//! Collections of OpenZeppelin, ERC-721A, Solmate, Solady and thirdweb log each mint, also in batches. One
//! that mints by [ERC-2309](https://eips.ethereum.org/EIPS/eip-2309) says a range of ids in one
//! `ConsecutiveTransfer`, which may be of any length: whoever reads it would have to keep as many licenses
//! as a stranger cares to name.
//!
//! # Examples
//!
//! ```no_run
//! use nodesys_chain::{ChainError, Provider, collection};
//! use nodesys_core::Address;
//!
//! async fn example(provider: &Provider, address: Address) -> Result<(), ChainError> {
//!     match collection::blocking_reason(provider, address, 19_000_000).await? {
//!         None => println!("its logs tell every license"),
//!         Some(reason) => println!("{reason}"),
//!     }
//!     Ok(())
//! }
//! ```

use std::fmt;

use alloy::eips::BlockId;
use alloy::primitives::{Address, U256};
use alloy::rpc::types::Filter;
use alloy::sol_types::SolEvent as _;

use crate::error::ChainError;
use crate::logs::events_matching;
use crate::provider::Provider;
use crate::standards::{IERC721, IERC2309};

/// Why a collection's logs do not tell its licenses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockingReason {
    /// It mints ranges of ids in one log.
    Consecutive {
        /// The first id of such a range.
        first: U256,
        /// The last one.
        last: U256,
        /// The block of that log.
        block_number: u64,
    },
    /// It was there before the first block that is read.
    Older {
        /// That block.
        first_block: u64,
    },
}

impl fmt::Display for BlockingReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Consecutive { first, last, block_number } => write!(
                f,
                "it minted {first} to {last} by one log of ERC-2309 in block {block_number}; a license \
                 counts from a Transfer of its own, so these would earn nothing"
            ),
            Self::Older { first_block } => write!(
                f,
                "it existed before block {first_block}, from which the network's programs read \
                 (--first-block); licenses of an earlier block would earn nothing"
            ),
        }
    }
}

/// Why a collection cannot be followed from `first_block` on, if there is a reason.
///
/// # Errors
///
/// Those of a read ([`ChainError`]). Where the RPCs have forgotten the state before `first_block`, the
/// collection's age cannot be told: a warning in the log.
pub async fn blocking_reason(
    provider: &Provider,
    collection: Address,
    first_block: u64,
) -> Result<Option<BlockingReason>, ChainError> {
    if let Some(before) = first_block.checked_sub(1) {
        match provider.code_at(collection, BlockId::number(before)).await {
            Ok(code) if code.is_empty() => {}
            Ok(_) => return Ok(Some(BlockingReason::Older { first_block })),
            // An ordinary node has forgotten the state of old blocks, and most networks have no other.
            Err(error @ ChainError::Rpc { .. }) => tracing::warn!(
                %error,
                first_block,
                "whether the collection is older than the first block cannot be told without an archive node"
            ),
            Err(error) => return Err(error),
        }
    }
    let newest = provider.latest_block().await?.number;
    let filter = Filter::new()
        .address(collection)
        .event_signature(IERC2309::ConsecutiveTransfer::SIGNATURE_HASH);
    let what = "reading mints of ranges";
    let found = events_matching::<IERC2309::ConsecutiveTransfer>(
        provider,
        what,
        &filter,
        first_block,
        newest,
    )
    .await?;
    Ok(found.first().map(|logged| BlockingReason::Consecutive {
        first: logged.event.fromTokenId,
        last: logged.event.toTokenId,
        block_number: logged.block_number,
    }))
}

/// The block of the log that mints a token, of those from `first_block` on. Without it the backend does
/// not know the license.
///
/// # Errors
///
/// Those of a read ([`ChainError`]).
pub async fn minted_in(
    provider: &Provider,
    collection: Address,
    token_id: U256,
    first_block: u64,
) -> Result<Option<u64>, ChainError> {
    let newest = provider.latest_block().await?.number;
    let filter = Filter::new()
        .address(collection)
        .event_signature(IERC721::Transfer::SIGNATURE_HASH)
        .topic1(Address::ZERO.into_word())
        .topic3(token_id);
    let what = "reading the license's mint";
    let found =
        events_matching::<IERC721::Transfer>(provider, what, &filter, first_block, newest).await?;
    Ok(found.last().map(|logged| logged.block_number))
}

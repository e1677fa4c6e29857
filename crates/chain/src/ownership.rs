//! Who may run a license, read on chain: many licenses at one block, few requests.
//!
//! The backend and the CLI each call this over their own RPC; the decision itself is
//! `nodesys_core::license::Ownership::right_of`. All answers of one call are of one block. A token
//! that does not exist has no holder; a collection without ERC-4907 has no rentals, one without
//! ERC-5643 no expiry; a chain without the delegate registry has no delegates; only a collection
//! without code is an error.
//!
//! # Examples
//!
//! ```no_run
//! use alloy::eips::BlockNumberOrTag;
//! use nodesys_chain::{ChainError, Provider, ownership};
//! use nodesys_core::Address;
//! use nodesys_core::license::LicenseId;
//!
//! async fn example(
//!     provider: &Provider,
//!     license: LicenseId,
//!     operator: Address,
//! ) -> Result<(), ChainError> {
//!     let ask = [(license, operator)];
//!     let found = ownership::rights_of(provider, &ask, BlockNumberOrTag::Latest).await?;
//!     let (_, right) = found.facts[0];
//!     println!("at block {}: {operator} may run {license}: {right}", found.block.number);
//!     Ok(())
//! }
//! ```

use std::collections::BTreeSet;

use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::primitives::{Address, Bytes, address};
use futures::future::try_join_all;
use nodesys_core::license::{LicenseId, OPERATE_RIGHTS, Ownership, Rental, Right};

use crate::blocks::BlockRef;
use crate::error::ChainError;
use crate::many::{Call, returned};
use crate::provider::Provider;
use crate::standards::{IDelegateRegistry, IERC721, IERC4907, IERC5643};

/// delegate.xyz's registry, version 2, at the same address on every chain that has it.
pub const DELEGATE_REGISTRY: Address = address!("00000000000000447e69651d841bD8D104Bed493");

/// Facts read at one block, in the order they were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtBlock<T> {
    /// The block.
    pub block: BlockRef,
    /// One fact for each question.
    pub facts: Vec<T>,
}

/// Holder and rental of each license at a block (`Latest`, or a number).
///
/// # Errors
///
/// [`ChainError::WrongChain`] where a license is of another chain than the provider,
/// [`ChainError::NoCode`] where a collection is no contract, and those of a read.
pub async fn ownership_of(
    provider: &Provider,
    licenses: &[LicenseId],
    at: BlockNumberOrTag,
) -> Result<AtBlock<Ownership>, ChainError> {
    let block = provider.existing_block(at).await?;
    let id = BlockId::hash(block.hash);
    check_collections(provider, licenses).await?;
    let calls: Vec<Call> = licenses
        .iter()
        .flat_map(|license| {
            let (to, token) = (license.collection, license.token_id);
            [
                Call::new(to, &IERC721::ownerOfCall { tokenId: token }),
                Call::new(to, &IERC4907::userOfCall { tokenId: token }),
                Call::new(to, &IERC4907::userExpiresCall { tokenId: token }),
            ]
        })
        .collect();
    let answers = provider.call_many("reading holders of licenses", &calls, id).await?;
    let facts = answers.chunks(3).map(|three| ownership(three, block.secs)).collect();
    Ok(AtBlock { block, facts })
}

/// The right of an operator to run a license, for each pair, with the facts it comes from.
///
/// # Errors
///
/// As [`ownership_of`].
pub async fn rights_of(
    provider: &Provider,
    asks: &[(LicenseId, Address)],
    at: BlockNumberOrTag,
) -> Result<AtBlock<(Ownership, Right)>, ChainError> {
    let licenses: Vec<LicenseId> = asks.iter().map(|(license, _)| *license).collect();
    let AtBlock { block, facts } = ownership_of(provider, &licenses, at).await?;
    // Only those who are neither holder nor renter need the registry's word.
    let unsure: Vec<(usize, Call)> = asks
        .iter()
        .zip(&facts)
        .enumerate()
        .filter_map(|(i, ((license, operator), ownership))| {
            let from = ownership.principal().filter(|from| from != operator)?;
            let call = IDelegateRegistry::checkDelegateForERC721Call {
                to: *operator,
                from,
                contract_: license.collection,
                tokenId: license.token_id,
                rights: OPERATE_RIGHTS,
            };
            Some((i, Call::new(DELEGATE_REGISTRY, &call)))
        })
        .collect();
    let (which, calls): (Vec<usize>, Vec<Call>) = unsure.into_iter().unzip();
    let id = BlockId::hash(block.hash);
    let answers = provider.call_many("reading delegations", &calls, id).await?;
    let mut delegated = vec![false; asks.len()];
    for (i, answer) in which.into_iter().zip(&answers) {
        delegated[i] = returned::<IDelegateRegistry::checkDelegateForERC721Call>(answer.as_ref())
            .unwrap_or(false);
    }
    let expired = expired(provider, &licenses, block).await?;
    let facts = asks
        .iter()
        .zip(facts)
        .zip(delegated.into_iter().zip(expired))
        .map(|(((_, operator), facts), (delegated, expired))| {
            // Expiry comes before every right.
            let right = facts.right_of(*operator, delegated);
            (facts, expired.map_or(right, |at_secs| Right::Expired { at_secs }))
        })
        .collect();
    Ok(AtBlock { block, facts })
}

/// When each license expired (ERC-5643), for those that have by the block's time.
async fn expired(
    provider: &Provider,
    licenses: &[LicenseId],
    block: BlockRef,
) -> Result<Vec<Option<u64>>, ChainError> {
    let calls: Vec<Call> = licenses
        .iter()
        .map(|license| {
            Call::new(license.collection, &IERC5643::expiresAtCall { tokenId: license.token_id })
        })
        .collect();
    let id = BlockId::hash(block.hash);
    let answers = provider.call_many("reading when licenses expire", &calls, id).await?;
    let at = |answer: &Option<Bytes>| returned::<IERC5643::expiresAtCall>(answer.as_ref());
    // Zero is never.
    Ok(answers.iter().map(|answer| at(answer).filter(|at| (1..=block.secs).contains(at))).collect())
}

/// Each collection is on the provider's chain and has code.
async fn check_collections(provider: &Provider, licenses: &[LicenseId]) -> Result<(), ChainError> {
    if let Some(other) = licenses.iter().find(|license| license.chain_id != provider.chain_id()) {
        return Err(ChainError::WrongChain {
            rpc: provider.url().clone(),
            expected: other.chain_id,
            found: provider.chain_id(),
        });
    }
    let collections: BTreeSet<Address> =
        licenses.iter().map(|license| license.collection).collect();
    let checks = collections
        .into_iter()
        .map(|collection| provider.require_code(collection, "a license collection"));
    try_join_all(checks).await.map(drop)
}

/// From the answers to `ownerOf`, `userOf`, `userExpires`.
fn ownership(answers: &[Option<Bytes>], block_secs: u64) -> Ownership {
    let answer = |i: usize| answers.get(i).and_then(Option::as_ref);
    let holder = returned::<IERC721::ownerOfCall>(answer(0)).filter(|holder| !holder.is_zero());
    let renter = returned::<IERC4907::userOfCall>(answer(1)).filter(|renter| !renter.is_zero());
    let until = returned::<IERC4907::userExpiresCall>(answer(2));
    let rental = match (renter, until) {
        (Some(renter), Some(until)) => {
            // Some collections rent "for ever" with the largest number.
            let until_secs = u64::try_from(until).unwrap_or(u64::MAX);
            (until_secs >= block_secs).then_some(Rental { renter, until_secs })
        }
        _ => None,
    };
    Ownership { holder, rental }
}

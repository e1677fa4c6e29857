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

use std::collections::BTreeMap;

use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::primitives::{Address, Bytes, U256, address};
use futures::StreamExt as _;
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

/// Rights read at one block, collection by collection: what one of them does to its callers is no
/// other's trouble.
#[derive(Debug)]
pub struct Rights {
    /// The block.
    pub block: BlockRef,
    /// One fact for each question; `None` where the collection could not be read.
    pub facts: Vec<Option<(Ownership, Right)>>,
    /// The collections that could not be read, and why.
    pub unread: BTreeMap<Address, ChainError>,
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
    let (states, unread) = states_of(provider, licenses, block).await?;
    let facts = states.into_iter().flatten().map(|state| state.ownership).collect();
    unread.into_values().next().map_or(Ok(AtBlock { block, facts }), Err)
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
    let Rights { block, facts, unread } = rights_each(provider, asks, at).await?;
    let facts = facts.into_iter().flatten().collect();
    unread.into_values().next().map_or(Ok(AtBlock { block, facts }), Err)
}

/// As [`rights_of`], for many collections of many owners: one that cannot be read is named, and the
/// others are answered.
///
/// # Errors
///
/// [`ChainError::WrongChain`] where a license is of another chain than the provider, and those of a read
/// where block or delegations cannot be read.
pub async fn rights_each(
    provider: &Provider,
    asks: &[(LicenseId, Address)],
    at: BlockNumberOrTag,
) -> Result<Rights, ChainError> {
    let block = provider.existing_block(at).await?;
    let licenses: Vec<LicenseId> = asks.iter().map(|(license, _)| *license).collect();
    let (states, unread) = states_of(provider, &licenses, block).await?;
    // Only those who are neither holder nor renter need the registry's word.
    let unsure: Vec<(usize, Call)> = asks
        .iter()
        .zip(&states)
        .enumerate()
        .filter_map(|(i, ((license, operator), state))| {
            let from = state.as_ref()?.ownership.principal().filter(|from| from != operator)?;
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
    let facts = asks
        .iter()
        .zip(states)
        .zip(delegated)
        .map(|(((_, operator), state), delegated)| {
            let State { ownership, expired } = state?;
            // Expiry comes before every right.
            let right = ownership.right_of(*operator, delegated);
            Some((ownership, expired.map_or(right, |at_secs| Right::Expired { at_secs })))
        })
        .collect();
    Ok(Rights { block, facts, unread })
}

/// A license's own state.
#[derive(Clone)]
struct State {
    ownership: Ownership,
    /// When it expired (ERC-5643), if it has by the block's time.
    expired: Option<u64>,
}

/// Collections that are read at a time.
const COLLECTIONS_AT_ONCE: usize = 4;

/// The state of each license, `None` in a collection that could not be read; and these.
async fn states_of(
    provider: &Provider,
    licenses: &[LicenseId],
    block: BlockRef,
) -> Result<(Vec<Option<State>>, BTreeMap<Address, ChainError>), ChainError> {
    if let Some(other) = licenses.iter().find(|license| license.chain_id != provider.chain_id()) {
        return Err(ChainError::WrongChain {
            rpc: provider.url().clone(),
            expected: other.chain_id,
            found: provider.chain_id(),
        });
    }
    let mut places: BTreeMap<Address, Vec<usize>> = BTreeMap::new();
    for (place, license) in licenses.iter().enumerate() {
        places.entry(license.collection).or_default().push(place);
    }
    let mut reading =
        futures::stream::iter(places.into_iter().map(|(collection, places)| async move {
            let tokens: Vec<U256> = places.iter().map(|place| licenses[*place].token_id).collect();
            let read = states_in(provider, collection, &tokens, block).await;
            (collection, places, read)
        }))
        .buffer_unordered(COLLECTIONS_AT_ONCE);
    let (mut states, mut unread) = (vec![None; licenses.len()], BTreeMap::new());
    while let Some((collection, places, read)) = reading.next().await {
        match read {
            Ok(read) => {
                for (place, state) in places.into_iter().zip(read) {
                    states[place] = Some(state);
                }
            }
            // The RPC's fault, and everybody's.
            Err(error @ ChainError::WrongChain { .. }) => return Err(error),
            Err(error) => drop(unread.insert(collection, error)),
        }
    }
    Ok((states, unread))
}

/// The states of some tokens of one collection.
async fn states_in(
    provider: &Provider,
    collection: Address,
    tokens: &[U256],
    block: BlockRef,
) -> Result<Vec<State>, ChainError> {
    provider.require_code(collection, "a license collection").await?;
    let owner_of = |token: &U256| Call::new(collection, &IERC721::ownerOfCall { tokenId: *token });
    let calls: Vec<Call> = tokens
        .iter()
        .flat_map(|token| {
            [
                owner_of(token),
                Call::new(collection, &IERC4907::userOfCall { tokenId: *token }),
                Call::new(collection, &IERC4907::userExpiresCall { tokenId: *token }),
                Call::new(collection, &IERC5643::expiresAtCall { tokenId: *token }),
            ]
        })
        .collect();
    let what = format!("reading licenses of {collection}");
    let id = BlockId::hash(block.hash);
    let mut answers = provider.call_many(&what, &calls, id).await?;
    // Within an aggregate a call that burned its gas looks like one that was refused.
    let refused: Vec<usize> =
        (0..tokens.len()).filter(|place| answers[place * 4].is_none()).collect();
    let calls: Vec<Call> = refused.iter().map(|place| owner_of(&tokens[*place])).collect();
    for (place, answer) in refused.iter().zip(provider.call_each(&what, &calls, id).await?) {
        answers[place * 4] = answer;
    }
    let state = |four: &[Option<Bytes>]| {
        let expires = returned::<IERC5643::expiresAtCall>(four.get(3).and_then(Option::as_ref));
        // Zero is never.
        let expired = expires.filter(|at| (1..=block.secs).contains(at));
        State { ownership: ownership(four, block.secs), expired }
    };
    Ok(answers.chunks(4).map(state).collect())
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

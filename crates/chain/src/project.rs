//! A project on chain: its name, its distributor's state, its license collections.
//!
//! A project is its distributor's address; a name is resolved in the registry once, at the edge. Amounts
//! are in wei of the project's token.
//!
//! # Examples
//!
//! ```no_run
//! use alloy::eips::BlockNumberOrTag;
//! use nodesys_chain::{ChainError, Provider, project};
//! use nodesys_core::Address;
//! use nodesys_core::ids::Name;
//!
//! async fn example(
//!     provider: &Provider,
//!     registry: Address,
//!     name: &Name,
//! ) -> Result<(), ChainError> {
//!     let Some(distributor) = project::by_name(provider, registry, name).await? else {
//!         println!("the registry knows no {name}");
//!         return Ok(());
//!     };
//!     let state = project::state_of(provider, distributor, BlockNumberOrTag::Latest).await?;
//!     println!("{} of {} wei are claimed, day {} is posted", state.paid, state.total, state.epoch);
//!     Ok(())
//! }
//! ```

use std::collections::BTreeSet;
use std::ops::Range;

use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::network::TransactionBuilder as _;
use alloy::primitives::{Address, B256, U256};
use alloy::rpc::types::{Filter, TransactionRequest};
use alloy::sol_types::{SolCall as _, SolEvent as _};
use nodesys_core::ids::{Amount, Name};
use nodesys_core::message::{RewardCommit, SignedCommit};

use crate::bindings::{ProjectRegistry, RewardDistributor};
use crate::blocks::BlockRef;
use crate::error::ChainError;
use crate::logs::{Logged, events_matching, events_of};
use crate::provider::Provider;
use crate::standards::IERC20;

pub use ProjectRegistry::ProjectRegistryEvents as RegistryEvent;
pub use RewardDistributor::RewardDistributorEvents as DistributorEvent;

/// A project as the registry knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its id: the address of its distributor.
    pub distributor: Address,
    /// Its unique name.
    pub name: Name,
    /// Who administers it.
    pub owner: Address,
}

/// A distributor's state at one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DistributorState {
    /// The block.
    pub block: BlockRef,
    /// Struct hash of the last commit, zero before the first.
    pub head: B256,
    /// The last commit's day; before the first, the day before the project's.
    pub epoch: u64,
    /// The last commit's total, in wei.
    pub total: Amount,
    /// The revision that the next commit carries.
    pub revision: u32,
    /// When the last commit becomes active, seconds since 1970.
    pub activates_at: u64,
    /// Most that the next commit may add, in wei.
    pub daily_quota: Amount,
    /// Sum of all claims, in wei.
    pub paid: Amount,
    /// What the distributor holds of its token, in wei.
    pub balance: U256,
    /// The reward signer, zero once disabled.
    pub signer: Address,
    /// The token rewards are paid in.
    pub token: Address,
}

/// The project of this name, or `None`.
///
/// # Errors
///
/// Those of a read ([`ChainError`]).
pub async fn by_name(
    provider: &Provider,
    registry: Address,
    name: &Name,
) -> Result<Option<Address>, ChainError> {
    let call = ProjectRegistry::projectByNameCall { name: name.to_string() };
    let project = provider.call(registry, &call, BlockId::latest()).await?;
    // A mapping of Solidity has no absence: zero stands for it.
    Ok((!project.is_zero()).then_some(project))
}

/// The collection of a project's workload, or `None` where none is listed now.
///
/// # Errors
///
/// Those of a read ([`ChainError`]).
pub async fn collection_of(
    provider: &Provider,
    registry: Address,
    project: Address,
    workload: &Name,
) -> Result<Option<Address>, ChainError> {
    let call = ProjectRegistry::collectionOfCall { project, workload: workload.to_string() };
    let collection = provider.call(registry, &call, BlockId::latest()).await?;
    Ok((!collection.is_zero()).then_some(collection))
}

/// What the registry knows of a project, or `None` where it knows none of this address.
///
/// # Errors
///
/// [`ChainError::OutOfRange`] where the registry's name is none to us, and those of a read.
pub async fn of(
    provider: &Provider,
    registry: Address,
    distributor: Address,
) -> Result<Option<Project>, ChainError> {
    let call = ProjectRegistry::projectOfCall { project: distributor };
    let found = provider.call(registry, &call, BlockId::latest()).await?;
    if found.owner.is_zero() {
        return Ok(None);
    }
    let name = found.name.parse().map_err(|_| out_of_range("a project's name", &found.name))?;
    Ok(Some(Project { distributor, name, owner: found.owner }))
}

/// The distributor's state at a block (`Latest`, or a number).
///
/// # Errors
///
/// [`ChainError::OutOfRange`] where the sum of claims is 2^128 wei or more, [`ChainError::Rpc`] where the
/// RPC has no such block or has forgotten its state, and those of a read.
pub async fn state_of(
    provider: &Provider,
    distributor: Address,
    at: BlockNumberOrTag,
) -> Result<DistributorState, ChainError> {
    let block = provider.existing_block(at).await?;
    // By its hash: all answers are of one block, even while the chain is reorganised.
    let id = BlockId::hash(block.hash);
    let (head, quota, paid, signer, token) = tokio::try_join!(
        provider.call(distributor, &RewardDistributor::headCall {}, id),
        provider.call(distributor, &RewardDistributor::dailyQuotaCall {}, id),
        provider.call(distributor, &RewardDistributor::paidCall {}, id),
        provider.call(distributor, &RewardDistributor::signerCall {}, id),
        provider.call(distributor, &RewardDistributor::tokenCall {}, id),
    )?;
    let balance = IERC20::balanceOfCall { account: distributor };
    let balance = provider.call(token, &balance, id).await?;
    Ok(DistributorState {
        block,
        head: head.commitHash,
        epoch: head.epoch,
        total: Amount::new(head.total),
        revision: head.revision,
        activates_at: head.activatesAt,
        daily_quota: Amount::new(quota),
        paid: Amount::from_u256(paid).ok_or_else(|| out_of_range("the sum of claims", paid))?,
        balance,
        signer,
        token,
    })
}

/// All events of a distributor in `from..=to`.
///
/// # Errors
///
/// Those of a read ([`ChainError`]).
pub async fn distributor_events(
    provider: &Provider,
    distributor: Address,
    from: u64,
    to: u64,
) -> Result<Vec<Logged<DistributorEvent>>, ChainError> {
    events_of(provider, distributor, from, to).await
}

/// All events of the registry in `from..=to`.
///
/// # Errors
///
/// Those of a read ([`ChainError`]).
pub async fn registry_events(
    provider: &Provider,
    registry: Address,
    from: u64,
    to: u64,
) -> Result<Vec<Logged<RegistryEvent>>, ChainError> {
    events_of(provider, registry, from, to).await
}

/// When a receipt key counts: seconds since 1970, each range without its end. At most two ranges, one
/// of the network's key and one of the project's own; none where the key never counts.
pub type KeyValidity = Vec<Range<u64>>;

/// When a receipt key counts for a project, or, without one, for the network. The rule is that of the
/// contract's `isReceiptKeyAt`: from its first own key on, only own keys count for a project.
///
/// # Errors
///
/// Those of a read ([`ChainError`]).
pub async fn receipt_key_validity(
    provider: &Provider,
    registry: Address,
    project: Option<Address>,
    key: Address,
) -> Result<KeyValidity, ChainError> {
    let network = Address::ZERO;
    let project = project.unwrap_or(network);
    let recorded = async |project| {
        let call = ProjectRegistry::receiptKeyOfCall { project, key };
        let found = provider.call(registry, &call, BlockId::latest()).await?;
        Ok::<_, ChainError>(found.validFrom..found.validUntil)
    };
    let own_from = ProjectRegistry::ownReceiptKeysFromCall { project };
    let (own_from, own, theirs) = tokio::try_join!(
        provider.call(registry, &own_from, BlockId::latest()),
        recorded(project),
        recorded(network),
    )?;
    let own_from = if own_from == 0 { u64::MAX } else { own_from };
    let theirs = theirs.start..theirs.end.min(own_from);
    let own = own.start.max(own_from)..own.end;
    Ok([theirs, own].into_iter().filter(|range| !range.is_empty()).collect())
}

/// The projects that recorded a receipt key as their own, by events from a block on.
///
/// # Errors
///
/// Those of a read ([`ChainError`]).
pub async fn projects_of_receipt_key(
    provider: &Provider,
    registry: Address,
    key: Address,
    from: u64,
) -> Result<BTreeSet<Address>, ChainError> {
    let latest = provider.latest_block().await?;
    let filter = Filter::new()
        .address(registry)
        .event_signature(ProjectRegistry::ReceiptKeySet::SIGNATURE_HASH)
        .topic2(key.into_word());
    let found: Vec<Logged<ProjectRegistry::ReceiptKeySet>> =
        events_matching(provider, "looking for a receipt key", &filter, from, latest.number)
            .await?;
    let projects = found.into_iter().map(|logged| logged.event.project);
    Ok(projects.filter(|project| !project.is_zero()).collect())
}

/// The terms that a project announced, by events from a block on, in their order.
///
/// # Errors
///
/// Those of a read ([`ChainError`]).
pub async fn announced_terms(
    provider: &Provider,
    registry: Address,
    project: Address,
    from: u64,
) -> Result<Vec<Logged<ProjectRegistry::TermsAnnounced>>, ChainError> {
    let latest = provider.latest_block().await?;
    let filter = Filter::new()
        .address(registry)
        .event_signature(ProjectRegistry::TermsAnnounced::SIGNATURE_HASH)
        .topic1(project.into_word());
    events_matching(provider, "looking for announced terms", &filter, from, latest.number).await
}

/// A commit as the contract takes it.
pub fn on_chain(commit: &RewardCommit) -> RewardDistributor::RewardCommit {
    RewardDistributor::RewardCommit {
        epoch: commit.epoch,
        revision: commit.revision,
        previous: commit.previous,
        root: commit.root,
        total: commit.total.to_u256(),
        dataHash: commit.data_hash,
    }
}

/// The transaction that posts a signed commit; anyone may send it.
pub fn post_request(distributor: Address, signed: &SignedCommit) -> TransactionRequest {
    let call = RewardDistributor::postCall {
        commit: on_chain(&signed.commit),
        signature: signed.signature.as_bytes().clone(),
    };
    TransactionRequest::default().with_to(distributor).with_input(call.abi_encode())
}

/// Where a commit was posted, searched from a block on; `None` while it is not.
///
/// # Errors
///
/// Those of a read ([`ChainError`]).
pub async fn posted_at(
    provider: &Provider,
    distributor: Address,
    commit_hash: B256,
    from: u64,
) -> Result<Option<Logged<RewardDistributor::Posted>>, ChainError> {
    let latest = provider.latest_block().await?;
    let filter = Filter::new()
        .address(distributor)
        .event_signature(RewardDistributor::Posted::SIGNATURE_HASH)
        .topic3(commit_hash);
    events_matching(provider, "looking for a posted commit", &filter, from, latest.number)
        .await
        // It may have been revoked and posted again: the last post is the one that counts.
        .map(|found| found.into_iter().next_back())
}

fn out_of_range(what: &str, value: impl std::fmt::Display) -> ChainError {
    ChainError::OutOfRange { what: what.to_owned(), value: value.to_string() }
}

//! Event logs by block range: license transfers and rentals for snapshots, and the typed events
//! of our contracts for whoever follows or audits them.
//!
//! Ranges are cut into pages; a page that a node refuses (too many results, too wide) is halved
//! until it is taken. Ask for final blocks only: nothing here undoes a log that a
//! reorganisation removes. An RPC that has pruned old logs answers with fewer of them and no error:
//! [`transfer_gaps`] shows it for licenses.
//!
//! # Examples
//!
//! ```
//! use nodesys_chain::logs::{LicenseLog, Logged, transfer_gaps};
//! use nodesys_core::holders::LicenseEvent;
//! use nodesys_core::{Address, B256, U256};
//!
//! let [collection, alice, bob, carol] = [0xcc, 0xa1, 0xb0, 0xca].map(Address::repeat_byte);
//! let token_id = U256::from(1);
//! let transfer = |block_number, from, to| Logged {
//!     block_number,
//!     log_index: 0,
//!     transaction: B256::ZERO,
//!     address: collection,
//!     event: LicenseLog {
//!         event: LicenseEvent::Transfer { collection, token_id, to },
//!         from: Some(from),
//!     },
//! };
//! let mint = transfer(5, Address::ZERO, alice);
//! assert!(transfer_gaps(&[mint.clone(), transfer(9, alice, bob)]).is_empty());
//! // Alice is not known to have sold it, and yet it comes from Carol.
//! let gaps = transfer_gaps(&[mint, transfer(9, carol, bob)]);
//! assert_eq!(gaps[&(collection, token_id)], 9);
//! ```

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, U256};
use alloy::providers::Provider as _;
use alloy::rpc::types::{Filter, Log};
use alloy::sol_types::{SolEvent, SolEventInterface};
use nodesys_core::holders::LicenseEvent;

use crate::error::ChainError;
use crate::ownership::DELEGATE_REGISTRY;
use crate::provider::Provider;
use crate::sources::Source;
use crate::standards::{IDelegateRegistry, IERC721, IERC4907};

/// An event and where it stands in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged<E> {
    /// The block.
    pub block_number: u64,
    /// Its place among the block's logs.
    pub log_index: u64,
    /// The transaction that made it.
    pub transaction: B256,
    /// The contract that made it.
    pub address: Address,
    /// What happened.
    pub event: E,
}

/// A license event, and whom a transfer takes the token from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LicenseLog {
    /// What happened.
    pub event: LicenseEvent,
    /// The former holder of a transfer, zero at a mint.
    pub from: Option<Address>,
}

impl<E> Logged<E> {
    fn map<T>(self, into: impl FnOnce(E) -> T) -> Logged<T> {
        let Self { block_number, log_index, transaction, address, event } = self;
        Logged { block_number, log_index, transaction, address, event: into(event) }
    }
}

/// `Transfer` and `UpdateUser` of the collections in `from..=to`, in chain order.
///
/// # Errors
///
/// Those of a read ([`ChainError`]). A range that is too wide is no error: it is halved.
pub async fn license_events(
    provider: &Provider,
    collections: &[Address],
    from: u64,
    to: u64,
) -> Result<Vec<Logged<LicenseEvent>>, ChainError> {
    let logs = license_logs(provider, collections, from, to).await?;
    let event = |logged: Logged<LicenseLog>| logged.map(|log| log.event);
    Ok(logs.into_iter().map(event).collect())
}

/// As [`license_events`], with what shows whether a token's logs are complete.
///
/// # Errors
///
/// As [`license_events`].
pub async fn license_logs(
    provider: &Provider,
    collections: &[Address],
    from: u64,
    to: u64,
) -> Result<Vec<Logged<LicenseLog>>, ChainError> {
    if collections.is_empty() {
        return Ok(Vec::new());
    }
    let filter =
        Filter::new().address(collections.to_vec()).event_signature(LICENSE_TOPICS.to_vec());
    let logs = pages(provider, "reading license events", &filter, from, to).await?;
    Ok(logs.iter().filter_map(|log| logged(log, license_log(log)?)).collect())
}

/// Tokens whose transfers do not follow one upon the other from a mint, each with the block in which it
/// shows: logs before it are missing. `logs` are all those of a collection, in chain order.
pub fn transfer_gaps(logs: &[Logged<LicenseLog>]) -> BTreeMap<(Address, U256), u64> {
    let mut holders: BTreeMap<(Address, U256), Address> = BTreeMap::new();
    let mut gaps = BTreeMap::new();
    for logged in logs {
        let LicenseEvent::Transfer { collection, token_id, to } = logged.event.event else {
            continue;
        };
        let token = (collection, token_id);
        let holder = holders.insert(token, to).unwrap_or_default();
        if logged.event.from.is_some_and(|from| from != holder) {
            gaps.entry(token).or_insert(logged.block_number);
        }
    }
    gaps
}

/// Whose right to run licenses of a collection may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Delegated {
    /// The delegate.
    pub to: Address,
    /// The collection.
    pub collection: Address,
}

/// Delegations of a token or of all tokens of the collections, made or taken back in `from..=to`.
/// One of everything an account has names no collection, and is not among them.
///
/// # Errors
///
/// Those of a read ([`ChainError`]).
pub async fn delegations(
    provider: &Provider,
    collections: &[Address],
    from: u64,
    to: u64,
) -> Result<Vec<Delegated>, ChainError> {
    if collections.is_empty() {
        return Ok(Vec::new());
    }
    let topics = vec![
        IDelegateRegistry::DelegateContract::SIGNATURE_HASH,
        IDelegateRegistry::DelegateERC721::SIGNATURE_HASH,
    ];
    let mut logs = Vec::new();
    for collections in collections.chunks(PER_FILTER) {
        let named: Vec<B256> = collections.iter().map(|named| named.into_word()).collect();
        let filter =
            Filter::new().address(DELEGATE_REGISTRY).event_signature(topics.clone()).topic3(named);
        logs.extend(pages(provider, "reading delegations", &filter, from, to).await?);
    }
    let delegated = |log: &Log| {
        // Both events index from, to and the contract.
        let [_, _, to, collection] = log.topics() else { return None };
        Some(Delegated { to: Address::from_word(*to), collection: Address::from_word(*collection) })
    };
    Ok(logs.iter().filter(|log| !log.removed).filter_map(delegated).collect())
}

/// Contracts that are named in one filter: the limit of several providers.
const PER_FILTER: usize = 500;

/// The logs of many contracts in `from..=to` with one of these first topics, in chain order: one filter
/// for all of them.
///
/// # Errors
///
/// Those of a read ([`ChainError`]).
pub async fn logs_of(
    provider: &Provider,
    contracts: &[Address],
    topics: &[B256],
    from: u64,
    to: u64,
) -> Result<Vec<Log>, ChainError> {
    let mut logs = Vec::new();
    for contracts in contracts.chunks(PER_FILTER) {
        let filter = Filter::new().address(contracts.to_vec()).event_signature(topics.to_vec());
        logs.extend(pages(provider, "reading events", &filter, from, to).await?);
    }
    logs.sort_by_key(|log| (log.block_number, log.log_index));
    Ok(logs)
}

/// First topics of the events that a license collection is followed by.
pub const LICENSE_TOPICS: [B256; 2] =
    [IERC721::Transfer::SIGNATURE_HASH, IERC4907::UpdateUser::SIGNATURE_HASH];

/// A log as an event of the bindings' event enum; `None` for one that it does not know.
pub fn event_of<E: SolEventInterface>(log: &Log) -> Option<Logged<E>> {
    logged(log, E::decode_raw_log(log.topics(), &log.data().data).ok()?)
}

/// A log as a license event; `None` for one of the same name and another shape.
pub fn license_event_of(log: &Log) -> Option<Logged<LicenseEvent>> {
    logged(log, license_log(log)?.event)
}

/// All events of one contract in `from..=to`, in chain order. `E` is the bindings' event enum;
/// logs that it does not know are left out.
///
/// # Errors
///
/// Those of a read ([`ChainError`]).
pub async fn events_of<E: SolEventInterface>(
    provider: &Provider,
    address: Address,
    from: u64,
    to: u64,
) -> Result<Vec<Logged<E>>, ChainError> {
    let filter = Filter::new().address(address);
    let what = format!("reading events of {address}");
    let logs = pages(provider, &what, &filter, from, to).await?;
    Ok(logs.iter().filter_map(event_of).collect())
}

/// The logs of one event that a filter takes, in chain order.
pub(crate) async fn events_matching<E: SolEvent>(
    provider: &Provider,
    what: &str,
    filter: &Filter,
    from: u64,
    to: u64,
) -> Result<Vec<Logged<E>>, ChainError> {
    let logs = pages(provider, what, filter, from, to).await?;
    let decode = |log: &Log| logged(log, E::decode_log(&log.inner).ok()?.data);
    Ok(logs.iter().filter_map(decode).collect())
}

/// `None` for a log of the same name and another shape, as ERC-20's `Transfer` is.
fn license_log(log: &Log) -> Option<LicenseLog> {
    let collection = log.address();
    if let Ok(event) = IERC721::Transfer::decode_log(&log.inner) {
        let IERC721::Transfer { from, to, tokenId } = event.data;
        let event = LicenseEvent::Transfer { collection, token_id: tokenId, to };
        return Some(LicenseLog { event, from: Some(from) });
    }
    let IERC4907::UpdateUser { tokenId, user, expires } =
        IERC4907::UpdateUser::decode_log(&log.inner).ok()?.data;
    let expires_secs = expires;
    let event = LicenseEvent::UpdateUser { collection, token_id: tokenId, user, expires_secs };
    Some(LicenseLog { event, from: None })
}

/// `None` for a log that is not in a block, or no longer.
fn logged<E>(log: &Log, event: E) -> Option<Logged<E>> {
    if log.removed {
        return None;
    }
    Some(Logged {
        block_number: log.block_number?,
        log_index: log.log_index?,
        transaction: log.transaction_hash?,
        address: log.address(),
        event,
    })
}

/// All logs of a range, as a majority of the RPCs has them.
async fn pages(
    provider: &Provider,
    what: &str,
    filter: &Filter,
    from: u64,
    to: u64,
) -> Result<Vec<Log>, ChainError> {
    provider.agreed(what, |source| pages_of(source, what, filter, from, to)).await
}

/// How often a page that was not answered in time is asked for again, by halves. Silence may mean
/// that it was too wide, and mostly means something else.
const SILENCES: u32 = 1;

async fn pages_of(
    source: &Source,
    what: &str,
    filter: &Filter,
    from: u64,
    to: u64,
) -> Result<Vec<Log>, ChainError> {
    let mut logs: Vec<Log> = Vec::new();
    let (mut start, mut silences) = (from, 0);
    while start <= to {
        let width = source.page.get();
        let end = start.saturating_add(width - 1).min(to);
        let page = filter.clone().from_block(start).to_block(end);
        let found = source.rpc.get_logs(&page).await;
        match found.map_err(|error| ChainError::from_transport(&source.url, what, error)) {
            Ok(found) => {
                logs.extend(found);
                // A page that ends early says nothing of a whole one.
                if end - start + 1 == width {
                    source.page.taken();
                }
                start = end.saturating_add(1);
            }
            // Nodes refuse wide pages in many words, and some by not answering in time.
            Err(error @ (ChainError::Rpc { .. } | ChainError::Unreachable { .. }))
                if end > start && silences < SILENCES =>
            {
                silences += u32::from(matches!(error, ChainError::Unreachable { .. }));
                source.page.refused(end - start + 1);
                tracing::debug!(what, start, width, "the node refused a page of logs: halved");
            }
            Err(error) => return Err(error),
        }
    }
    for log in &mut logs {
        // Said by some nodes and not by others, and never used.
        (log.block_timestamp, log.transaction_index) = (None, None);
    }
    // RPCs must answer alike to agree, and the order within a page is theirs.
    logs.sort_by_key(|log| (log.block_number, log.log_index));
    Ok(logs)
}

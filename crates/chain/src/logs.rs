//! Event logs by block range: license transfers and rentals for snapshots, and the typed events
//! of our contracts for whoever follows or audits them.
//!
//! Ranges are cut into pages; a page that a node refuses (too many results, too wide) is halved
//! until it is taken. Ask for final blocks only: nothing here undoes a log that a
//! reorganisation removes. An RPC that has pruned old logs answers with fewer of them and no error:
//! the fold of [`Holders`](nodesys_core::holders::Holders) shows it for licenses.

use alloy::primitives::{Address, B256};
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
    if collections.is_empty() {
        return Ok(Vec::new());
    }
    let filter =
        Filter::new().address(collections.to_vec()).event_signature(LICENSE_TOPICS.to_vec());
    let logs = pages(provider, "reading license events", &filter, from, to).await?;
    Ok(logs.iter().filter_map(license_event_of).collect())
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
    logged(log, license_event(log)?)
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
fn license_event(log: &Log) -> Option<LicenseEvent> {
    let collection = log.address();
    if let Ok(event) = IERC721::Transfer::decode_log(&log.inner) {
        let IERC721::Transfer { from, to, tokenId: token_id } = event.data;
        return Some(LicenseEvent::Transfer { collection, token_id, from, to });
    }
    let IERC4907::UpdateUser { tokenId: token_id, user, expires: expires_secs } =
        IERC4907::UpdateUser::decode_log(&log.inner).ok()?.data;
    Some(LicenseEvent::UpdateUser { collection, token_id, user, expires_secs })
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

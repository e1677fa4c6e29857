//! Reading a page of several sources: together, and one by one where that fails.

use std::collections::{BTreeMap, BTreeSet};

use alloy::rpc::types::Log;
use alloy::sol_types::SolEvent as _;
use nodesys_chain::bindings::{ProjectRegistry, RewardDistributor};
use nodesys_chain::logs::{self, Delegated, LICENSE_TOPICS};
use nodesys_chain::{ChainError, Provider};
use nodesys_core::text::line;
use nodesys_core::{Address, B256};

use super::turn::Turn;
use crate::db::mirror_source::Kind;

/// First topics of the events that are applied.
const TOPICS: [B256; 11] = [
    ProjectRegistry::ProjectCreated::SIGNATURE_HASH,
    ProjectRegistry::CollectionListed::SIGNATURE_HASH,
    ProjectRegistry::CollectionDelisted::SIGNATURE_HASH,
    RewardDistributor::Posted::SIGNATURE_HASH,
    RewardDistributor::HeadRewound::SIGNATURE_HASH,
    RewardDistributor::SignerDisabled::SIGNATURE_HASH,
    RewardDistributor::SignerSet::SIGNATURE_HASH,
    RewardDistributor::Revoked::SIGNATURE_HASH,
    RewardDistributor::Claimed::SIGNATURE_HASH,
    LICENSE_TOPICS[0],
    LICENSE_TOPICS[1],
];
/// Characters of a reason that are kept.
const REASON: usize = 500;

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Of all contracts that could be read, in chain order.
    pub(super) logs: Vec<Log>,
    pub(super) delegated: Vec<Delegated>,
    /// Delegations could not be read: anybody's may have changed.
    pub(super) delegated_unknown: bool,
    /// The contracts that could not be read, and why.
    pub(super) failed: BTreeMap<Address, String>,
}

/// Reads a page; fails where the RPC cannot be read at all.
pub(super) async fn read(
    chain: &Provider,
    turn: &Turn,
    collections: &[Address],
) -> Result<Reading, ChainError> {
    let mut reading = Reading::default();
    let followed = turn.sources.iter().filter(|source| source.kind != Kind::Delegates);
    let contracts: BTreeSet<Address> = followed.map(|source| source.address).collect();
    let mut parts = vec![contracts.into_iter().collect::<Vec<_>>()];
    while let Some(part) = parts.pop() {
        match logs::logs_of(chain, &part, &TOPICS, turn.from, turn.to).await {
            Ok(found) => reading.logs.extend(found),
            Err(error) => {
                let error = fault_of_a_source(chain, turn, error).await?;
                if let [only] = part[..] {
                    reading.failed.insert(only, reason(&error));
                } else {
                    let (one, other) = part.split_at(part.len() / 2);
                    parts.extend([one.to_vec(), other.to_vec()]);
                }
            }
        }
    }
    reading.logs.sort_by_key(|log| (log.block_number, log.log_index));
    if turn.sources.iter().any(|source| source.kind == Kind::Delegates) {
        match logs::delegations(chain, collections, turn.from, turn.to).await {
            Ok(found) => reading.delegated = found,
            // Anybody can flood the registry in another's name. It says only whose right to check at
            // once: so all are checked, and nobody's day waits.
            Err(error) => {
                let error = fault_of_a_source(chain, turn, error).await?;
                tracing::warn!(
                    reason = reason(&error),
                    "delegations cannot be read: all are checked"
                );
                reading.delegated_unknown = true;
            }
        }
    }
    Ok(reading)
}

/// The error of a source, where the RPC answers for a contract that has no logs: else the RPC is at fault,
/// and no source.
async fn fault_of_a_source(
    chain: &Provider,
    turn: &Turn,
    error: ChainError,
) -> Result<ChainError, ChainError> {
    if matches!(error, ChainError::WrongChain { .. }) {
        return Err(error);
    }
    match logs::logs_of(chain, &[Address::ZERO], &TOPICS, turn.from, turn.from).await {
        Ok(_) => Ok(error),
        Err(_) => Err(error),
    }
}

fn reason(error: &ChainError) -> String {
    line(&error.to_string()).chars().take(REASON).collect()
}

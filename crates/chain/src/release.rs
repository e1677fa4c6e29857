//! What a node may run, as the chain says it: announced releases and tombstones of a workload.
//!
//! One call reads everything a manager decides from, as of one block. A version is never zero and
//! stands for one release or one tombstone for good; what is vetoed never appears here.
//!
//! # Examples
//!
//! ```no_run
//! use alloy::eips::BlockNumberOrTag;
//! use nodesys_chain::{ChainError, Provider, release};
//! use nodesys_core::Address;
//! use nodesys_core::ids::Name;
//!
//! async fn example(
//!     provider: &Provider,
//!     registry: Address,
//!     project: Address,
//!     workload: &Name,
//! ) -> Result<(), ChainError> {
//!     let at = BlockNumberOrTag::Latest;
//!     let found = release::releases_of(provider, registry, project, workload, at).await?;
//!     match found.runnable {
//!         Some(it) => println!("version {} with hash {}", it.version, it.release_hash),
//!         None => println!("nothing of {workload} may be run"),
//!     }
//!     Ok(())
//! }
//! ```

use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::network::TransactionBuilder as _;
use alloy::primitives::{Address, B256};
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::SolCall as _;
use nodesys_core::ids::Name;

use crate::bindings::ProjectRegistry;
use crate::blocks::BlockRef;
use crate::error::ChainError;
use crate::logs::Logged;
use crate::project::RegistryEvent;
use crate::provider::Provider;

/// A release as announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnnouncedRelease {
    /// Its number.
    pub version: u64,
    /// keccak256 of the definition.
    pub release_hash: B256,
    /// When it was announced, seconds since 1970.
    pub announced_at: u64,
    /// From when on nodes may run it, seconds since 1970.
    pub runnable_at: u64,
}

/// A tombstone as announced: it covers every version up to its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnnouncedTombstone {
    /// Its number.
    pub version: u64,
    /// Whether volumes go too.
    pub removes_volumes: bool,
    /// When it was announced, seconds since 1970.
    pub announced_at: u64,
    /// From when on nodes obey it, seconds since 1970.
    pub effective_at: u64,
}

/// All that a node has to know of one workload, as of one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadReleases {
    /// The block.
    pub block: BlockRef,
    /// Who may announce now; `None` once disabled, or before a key was set.
    pub release_key: Option<Address>,
    /// Seconds between an announcement and its effect.
    pub release_delay_secs: u64,
    /// The newest release that may be run; above every tombstone in effect.
    pub runnable: Option<AnnouncedRelease>,
    /// The newest release, runnable or not yet.
    pub announced: Option<AnnouncedRelease>,
    /// The newest tombstone in effect.
    pub tombstone: Option<AnnouncedTombstone>,
    /// The newest tombstone, in effect or not yet.
    pub announced_tombstone: Option<AnnouncedTombstone>,
}

/// The releases and tombstones of a project's workload at a block (`Latest`, or a number).
///
/// # Errors
///
/// Those of a read ([`ChainError`]).
pub async fn releases_of(
    provider: &Provider,
    registry: Address,
    project: Address,
    workload: &Name,
    at: BlockNumberOrTag,
) -> Result<WorkloadReleases, ChainError> {
    let block = provider.existing_block(at).await?;
    let call = ProjectRegistry::releasesOfCall { project, workload: workload.to_string() };
    let found = provider.call(registry, &call, BlockId::hash(block.hash)).await?;
    Ok(WorkloadReleases {
        block,
        release_key: (!found.releaseKey.is_zero()).then_some(found.releaseKey),
        release_delay_secs: found.releaseDelay,
        runnable: release(&found.runnable),
        announced: release(&found.announced),
        tombstone: tombstone(&found.tombstone),
        announced_tombstone: tombstone(&found.announcedTombstone),
    })
}

/// The release announced under a version, and whether it was vetoed; `None` where none was.
///
/// # Errors
///
/// Those of a read ([`ChainError`]).
pub async fn release_at(
    provider: &Provider,
    registry: Address,
    project: Address,
    workload: &Name,
    version: u64,
) -> Result<Option<(AnnouncedRelease, bool)>, ChainError> {
    let workload = workload.to_string();
    let call = ProjectRegistry::releaseAtCall { project, workload, version };
    let found = provider.call(registry, &call, BlockId::latest()).await?;
    Ok(release(&found).map(|release| (release, found.vetoed)))
}

/// The tombstone announced under a version, and whether it was vetoed; `None` where none was.
///
/// # Errors
///
/// Those of a read ([`ChainError`]).
pub async fn tombstone_at(
    provider: &Provider,
    registry: Address,
    project: Address,
    workload: &Name,
    version: u64,
) -> Result<Option<(AnnouncedTombstone, bool)>, ChainError> {
    let workload = workload.to_string();
    let call = ProjectRegistry::tombstoneAtCall { project, workload, version };
    let found = provider.call(registry, &call, BlockId::latest()).await?;
    Ok(tombstone(&found).map(|tombstone| (tombstone, found.vetoed)))
}

/// The newest version announced for a workload, vetoed or not; 0 before the first.
///
/// # Errors
///
/// Those of a read ([`ChainError`]).
pub async fn newest_version(
    provider: &Provider,
    registry: Address,
    project: Address,
    workload: &Name,
) -> Result<u64, ChainError> {
    let call = ProjectRegistry::newestVersionCall { project, workload: workload.to_string() };
    provider.call(registry, &call, BlockId::latest()).await
}

/// The transaction that announces a release; the release key sends it.
pub fn announce_request(
    registry: Address,
    project: Address,
    workload: &Name,
    version: u64,
    release_hash: B256,
) -> TransactionRequest {
    let workload = workload.to_string();
    let call =
        ProjectRegistry::announceCall { project, workload, version, releaseHash: release_hash };
    TransactionRequest::default().with_to(registry).with_input(call.abi_encode())
}

/// The transaction that announces a tombstone; the release key sends it.
pub fn announce_tombstone_request(
    registry: Address,
    project: Address,
    workload: &Name,
    version: u64,
    removes_volumes: bool,
) -> TransactionRequest {
    let call = ProjectRegistry::announceTombstoneCall {
        project,
        workload: workload.to_string(),
        version,
        removesVolumes: removes_volumes,
    };
    TransactionRequest::default().with_to(registry).with_input(call.abi_encode())
}

/// What happened to a workload's releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseEvent {
    /// A release was announced.
    Announced {
        /// Its number.
        version: u64,
        /// keccak256 of the definition.
        release_hash: B256,
        /// From when on nodes may run it, seconds since 1970.
        runnable_at: u64,
    },
    /// A tombstone was announced.
    TombstoneAnnounced {
        /// Its number.
        version: u64,
        /// Whether volumes go too.
        removes_volumes: bool,
        /// From when on nodes obey it, seconds since 1970.
        effective_at: u64,
    },
    /// The release or tombstone of this version was vetoed.
    Vetoed {
        /// The version.
        version: u64,
        /// Owner or guardian.
        by: Address,
    },
}

/// A workload's part of the registry's events, in chain order.
pub fn release_events(
    events: &[Logged<RegistryEvent>],
    project: Address,
    workload: &Name,
) -> Vec<Logged<ReleaseEvent>> {
    let mine = |of: Address, named: &str| of == project && named == workload.as_str();
    events
        .iter()
        .filter_map(|logged| {
            let event = match &logged.event {
                RegistryEvent::ReleaseAnnounced(it) if mine(it.project, &it.workload) => {
                    ReleaseEvent::Announced {
                        version: it.version,
                        release_hash: it.releaseHash,
                        runnable_at: it.runnableAt,
                    }
                }
                RegistryEvent::TombstoneAnnounced(it) if mine(it.project, &it.workload) => {
                    ReleaseEvent::TombstoneAnnounced {
                        version: it.version,
                        removes_volumes: it.removesVolumes,
                        effective_at: it.effectiveAt,
                    }
                }
                RegistryEvent::Vetoed(it) if mine(it.project, &it.workload) => {
                    ReleaseEvent::Vetoed { version: it.version, by: it.caller }
                }
                _ => return None,
            };
            let Logged { block_number, log_index, transaction, address, .. } = *logged;
            Some(Logged { block_number, log_index, transaction, address, event })
        })
        .collect()
}

fn release(found: &ProjectRegistry::Release) -> Option<AnnouncedRelease> {
    (found.version != 0).then_some(AnnouncedRelease {
        version: found.version,
        release_hash: found.releaseHash,
        announced_at: found.announcedAt,
        runnable_at: found.runnableAt,
    })
}

fn tombstone(found: &ProjectRegistry::Tombstone) -> Option<AnnouncedTombstone> {
    (found.version != 0).then_some(AnnouncedTombstone {
        version: found.version,
        removes_volumes: found.removesVolumes,
        announced_at: found.announcedAt,
        effective_at: found.effectiveAt,
    })
}

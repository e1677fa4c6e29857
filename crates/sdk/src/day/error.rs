//! Why a day cannot be built.

use nodesys_chain::ChainError;
use nodesys_core::bundle::BundleError;
use nodesys_core::files::FileError;
use nodesys_core::ids::{Amount, LicenseIndex};
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_core::uptime::ClosedUptimeError;
use nodesys_core::{Address, U256};

use crate::bundles::StoreError;
use crate::client;

/// Why a day cannot be built (yet).
#[derive(Debug, thiserror::Error)]
pub enum DayError {
    /// The backend.
    #[error(transparent)]
    Backend(#[from] client::Error),
    /// The chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The bundles of earlier days.
    #[error("earlier bundles: {0}")]
    Store(#[from] StoreError),
    /// A file of the backend's.
    #[error("from the backend: {0}")]
    File(#[from] FileError),
    /// The backend's signed word.
    #[error("from the backend: {0}")]
    Closed(#[from] ClosedUptimeError),
    /// Points, terms or amounts.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// No project of this name.
    #[error("the registry {registry} knows no project {name}: check the name and the registry")]
    UnknownProject {
        /// The registry.
        registry: Address,
        /// The name or address asked for.
        name: String,
    },
    /// The snapshot block is not final yet.
    #[error(
        "no final block at or after the end of {day} ({ends}) yet, so holders are not settled: \
         try again in a few minutes"
    )]
    NotFinal {
        /// The day.
        day: UtcDay,
        /// Its end.
        ends: Timestamp,
    },
    /// The receipt key of the closed day is not the network's.
    #[error(
        "{day} is signed by the receipt key {key}, which the registry does not record as valid \
         then: do not trust this backend"
    )]
    ReceiptKey {
        /// The day.
        day: UtcDay,
        /// The key.
        key: Address,
    },
    /// The day file names a collection of which the registry does not tell that it was the project's then.
    #[error(
        "uptime.csv has license {license} of {collection}, which the registry does not tell to be listed by \
         the project on {day}"
    )]
    ForeignCollection {
        /// The license.
        license: LicenseIndex,
        /// Its collection.
        collection: Address,
        /// The day.
        day: UtcDay,
    },
    /// Logs and calls of the RPC disagree.
    #[error(
        "license {license} at block {block}: its logs say {folded}, a call says {called}. The RPC may lack \
         logs, or the collection contradicts itself: name a second RPC, and logs that both have decide"
    )]
    HoldersDisagree {
        /// The license.
        license: LicenseIndex,
        /// The block.
        block: u64,
        /// Holder and renter by logs.
        folded: String,
        /// Holder and renter by call.
        called: String,
    },
    /// Neither the state of the snapshot nor that of the newest block is to be had.
    #[error(
        "the RPC gives no state of block {snapshot} nor of the newest block {newest}, so the logs of licenses \
         cannot be held against anything; use another RPC, or an archive node"
    )]
    NoState {
        /// The snapshot block.
        snapshot: u64,
        /// The newest block.
        newest: u64,
    },
    /// The day's commit is on chain already.
    #[error("{day} is posted already: the distributor's head is {head}")]
    AlreadyPosted {
        /// The day.
        day: UtcDay,
        /// The head's day.
        head: UtcDay,
    },
    /// A bundle between the head and this day carries an old revision, or does not link.
    #[error(
        "the bundle of {day} does not continue the chain: {problem}; build it again before later \
         days"
    )]
    BrokenChain {
        /// The day whose bundle it is.
        day: UtcDay,
        /// What is wrong.
        problem: String,
    },
    /// The rule counts tasks, which only the owner's queue knows.
    #[error(
        "the project's rule counts tasks, so uptime alone does not give the points: build the day \
         with the points of the task queue"
    )]
    PointsNeeded,
    /// The distributor cannot pay it all.
    #[error(
        "{day} would owe {owed} wei in all, but the distributor {distributor} holds {balance} wei: \
         send it at least {missing} wei of its token"
    )]
    Underfunded {
        /// The day.
        day: UtcDay,
        /// The distributor.
        distributor: Address,
        /// The new total minus what is paid.
        owed: Amount,
        /// What it holds.
        balance: U256,
        /// What is missing.
        missing: U256,
    },
}

impl DayError {
    /// Whether the day may be had later without anything being changed by hand.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::NotFinal { .. } => true,
            Self::Backend(error) => error.is_passing() || error.code() == Some("day_open"),
            Self::Store(StoreError::Server(error)) => error.is_passing(),
            Self::Chain(error) => error.is_temporary(),
            _ => false,
        }
    }
}

//! A day, from what the backend and the chain say of it to a bundle that is ready to be signed.
//!
//! The backend gives uptime, signed by a receipt key that the registry must know; everything else
//! is read over the owner's own RPC. Nothing is signed or sent here. A bundle that leaves this
//! module follows the head of the chain (through commits not yet posted, where there are some),
//! stays within the daily quota and is covered by the distributor's balance.

use std::collections::BTreeSet;

use alloy::eips::BlockNumberOrTag;
use alloy::primitives::keccak256;
use nodesys_chain::logs::{LicenseLog, Logged, license_logs, transfer_gaps};
use nodesys_chain::ownership::ownership_of;
use nodesys_chain::project::{self, DistributorState};
use nodesys_chain::{BlockRef, ChainError, Provider};
use nodesys_core::bundle::{
    Before, Bundle, BundleError, DayBundle, DayInput, ProjectInfo, Terms, build_day,
};
use nodesys_core::files::{FileError, HolderRow, PointsRow, UptimeRow, parse_file};
use nodesys_core::holders::Holders;
use nodesys_core::ids::{Amount, LicenseIndex, Name};
use nodesys_core::license::{LicenseId, Ownership};
use nodesys_core::message::Domain;
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_core::uptime::{ClosedUptime, ClosedUptimeError};
use nodesys_core::{Address, B256, U256};

use crate::bundles::{Places, Reason, StoreError};
use crate::client::{self, Client};

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
    /// The day file names a collection that the project does not list.
    #[error("uptime.csv has license {license} of {collection}, which the project does not list")]
    ForeignCollection {
        /// The license.
        license: LicenseIndex,
        /// Its collection.
        collection: Address,
    },
    /// Logs and calls of the RPC disagree.
    #[error(
        "license {license} at block {block}: its logs say {folded}, a call says {called}; the RPC \
         contradicts itself, use another"
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
    /// The RPC's logs of a license are not all of them.
    #[error(
        "license {license}: the RPC's logs are not complete (block {block} takes it from somebody who \
         does not hold it by the logs before); use an RPC with the whole history, and check \
         --first-block"
    )]
    LogsIncomplete {
        /// The license.
        license: LicenseIndex,
        /// The block in which it shows.
        block: u64,
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

/// The project of this name, as bundles name it.
pub async fn find_project(
    provider: &Provider,
    registry: Address,
    name: &Name,
) -> Result<ProjectInfo, DayError> {
    provider.require_code(registry, "the ProjectRegistry").await?;
    let unknown = || DayError::UnknownProject { registry, name: name.to_string() };
    let distributor = project::by_name(provider, registry, name).await?.ok_or_else(unknown)?;
    provider.require_code(distributor, "the project's RewardDistributor").await?;
    Ok(ProjectInfo { chain_id: provider.chain_id(), registry, distributor, name: name.clone() })
}

/// The project of this distributor, as bundles name it.
pub async fn project_of(
    provider: &Provider,
    registry: Address,
    distributor: Address,
) -> Result<ProjectInfo, DayError> {
    provider.require_code(registry, "the ProjectRegistry").await?;
    let unknown = || DayError::UnknownProject { registry, name: distributor.to_string() };
    let found = project::of(provider, registry, distributor).await?.ok_or_else(unknown)?;
    Ok(ProjectInfo { chain_id: provider.chain_id(), registry, distributor, name: found.name })
}

/// All that it takes to build days.
#[derive(Debug, Clone)]
pub struct DayBuilder {
    /// The backend.
    pub backend: Client,
    /// The owner's own RPC.
    pub provider: Provider,
    /// Whose days.
    pub project: ProjectInfo,
    /// The project's decisions.
    pub terms: Terms,
    /// Where earlier days are.
    pub bundles: Places,
    /// Depth at which a block counts as final where the chain has no such tag.
    pub finality_depth: u64,
    /// First block that may hold a log of the project's collections.
    pub logs_from: u64,
}

/// A closed day's uptime, once its signature, path and key are found good.
#[derive(Debug, Clone)]
pub struct CheckedUptime {
    /// The backend's word.
    pub closed: ClosedUptime,
    /// The rows that it is for.
    pub rows: Vec<UptimeRow>,
}

impl DayBuilder {
    /// The day's bundle, with points by the project's rule.
    pub async fn build(&self, day: UtcDay) -> Result<DayBundle, DayError> {
        self.build_with_points(day, self.uptime(day).await?, None).await
    }

    /// The day's bundle from the uptime that [`Self::uptime`] gave; `points` are the owner's, for
    /// rules that uptime alone does not decide.
    pub async fn build_with_points(
        &self,
        day: UtcDay,
        uptime: CheckedUptime,
        points: Option<Vec<PointsRow>>,
    ) -> Result<DayBundle, DayError> {
        let state = self.state().await?;
        let before = self.before(day, &state).await?;
        let snapshot = self.snapshot(day).await?;
        let CheckedUptime { closed, rows } = uptime;
        let holders = self.holders(&rows, snapshot).await?;
        let points = points.or_else(|| self.terms.rule.points(&rows, closed.excused));
        let input = DayInput {
            project: self.project.clone(),
            day,
            revision: state.revision,
            daily_quota: state.daily_quota,
            terms: self.terms.clone(),
            snapshot: snapshot.into(),
            points: points.ok_or(DayError::PointsNeeded)?,
            closed,
            uptime: rows,
            holders,
            before,
        };
        let built = build_day(&input)?;
        self.check_funds(day, &built, &state)?;
        Ok(built)
    }

    /// The distributor as of the newest block.
    pub async fn state(&self) -> Result<DistributorState, DayError> {
        let at = BlockNumberOrTag::Latest;
        Ok(project::state_of(&self.provider, self.project.distributor, at).await?)
    }

    /// The first final block at or past the day's end.
    pub async fn snapshot(&self, day: UtcDay) -> Result<BlockRef, DayError> {
        self.provider
            .first_block_at_or_after(day.end().secs(), self.finality_depth)
            .await?
            .ok_or(DayError::NotFinal { day, ends: day.end() })
    }

    /// The closed day's uptime from the backend, believed only as far as it is signed for.
    pub async fn uptime(&self, day: UtcDay) -> Result<CheckedUptime, DayError> {
        let ProjectInfo { chain_id, registry, distributor, .. } = self.project;
        let closed = self.backend.closed_uptime(distributor, day).await?;
        closed.verify(&Domain::new(chain_id, registry), distributor, day)?;
        let key = closed.receipt_key;
        let validity = project::receipt_key_validity(&self.provider, registry, key).await?;
        // A day is signed after it has ended, by a key that was valid at its end or later.
        if validity.is_none_or(|(_, until)| until <= day.end().secs()) {
            return Err(DayError::ReceiptKey { day, key });
        }
        let bytes = self.backend.uptime(distributor, day).await?;
        let found = keccak256(&bytes);
        if found != closed.uptime_csv {
            let expected = closed.uptime_csv;
            return Err(BundleError::UptimeHash { found, expected }.into());
        }
        Ok(CheckedUptime { rows: parse_file(&bytes)?, closed })
    }

    /// Holder and renter of each license at a block: folded from logs. They are compared with what calls
    /// say of that block; where the node has forgotten its state, with what they say of the newest one, to
    /// which complete logs lead as well.
    ///
    /// # Errors
    /// [`DayError::HoldersDisagree`] and [`DayError::LogsIncomplete`] where the RPC's logs cannot be all of
    /// them, [`DayError::NoState`] where it has nothing to hold them against: nothing is to be signed by it.
    pub async fn holders(
        &self,
        rows: &[UptimeRow],
        at: BlockRef,
    ) -> Result<Vec<HolderRow>, DayError> {
        let collections: BTreeSet<Address> = rows.iter().map(|row| row.collection).collect();
        self.check_listed(rows, &collections).await?;
        let collections: Vec<Address> = collections.into_iter().collect();
        let newest = self.provider.latest_block().await?;
        let logs =
            license_logs(&self.provider, &collections, self.logs_from, newest.number).await?;
        let event = |logged: &Logged<LicenseLog>| logged.event.event;
        let holders: Holders =
            logs.iter().filter(|logged| logged.block_number <= at.number).map(event).collect();
        if !self.cross_check(rows, &holders, at).await? {
            let now: Holders = logs.iter().map(event).collect();
            if !self.cross_check(rows, &now, newest).await? {
                return Err(DayError::NoState { snapshot: at.number, newest: newest.number });
            }
            let gaps = transfer_gaps(&logs);
            let gap = rows
                .iter()
                .find_map(|row| Some((row.license, *gaps.get(&(row.collection, row.token_id))?)));
            if let Some((license, block)) = gap {
                return Err(DayError::LogsIncomplete { license, block });
            }
        }
        Ok(holders.rows(rows, at.secs))
    }

    async fn check_listed(
        &self,
        rows: &[UptimeRow],
        collections: &BTreeSet<Address>,
    ) -> Result<(), DayError> {
        let ProjectInfo { registry, distributor, .. } = self.project;
        for &collection in collections {
            let listed =
                project::project_of_collection(&self.provider, registry, collection).await?;
            let foreign = rows.iter().find(|row| row.collection == collection);
            if let (false, Some(row)) = (listed == Some(distributor), foreign) {
                return Err(DayError::ForeignCollection { license: row.license, collection });
            }
        }
        Ok(())
    }

    /// Whether calls say the same of that block; `false` where the node has forgotten its state.
    async fn cross_check(
        &self,
        rows: &[UptimeRow],
        holders: &Holders,
        at: BlockRef,
    ) -> Result<bool, DayError> {
        let chain_id = self.project.chain_id;
        let license = |row: &UptimeRow| LicenseId {
            chain_id,
            collection: row.collection,
            token_id: row.token_id,
        };
        let licenses: Vec<LicenseId> = rows.iter().map(license).collect();
        let number = BlockNumberOrTag::Number(at.number);
        let called = match ownership_of(&self.provider, &licenses, number).await {
            Ok(called) => called,
            // An ordinary node has forgotten the state of old blocks.
            Err(error @ ChainError::Rpc { .. }) => {
                let block = at.number;
                tracing::debug!(%error, block, "holders are not cross-checked by calls");
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        for (row, called) in rows.iter().zip(called.facts) {
            let folded = holders.at(row.collection, row.token_id, at.secs);
            if folded != called {
                return Err(DayError::HoldersDisagree {
                    license: row.license,
                    block: at.number,
                    folded: words(&folded),
                    called: words(&called),
                });
            }
        }
        Ok(true)
    }

    /// What the day builds on: the chain's head, or the bundles between the head and the day.
    async fn before(&self, day: UtcDay, state: &DistributorState) -> Result<Before, DayError> {
        let head = UtcDay::from_epoch(state.epoch).unwrap_or(UtcDay(u32::MAX));
        if day <= head {
            return Err(DayError::AlreadyPosted { day, head });
        }
        if day == head.next() && state.head == B256::ZERO {
            return Ok(Before::default());
        }
        let project = self.project.distributor;
        let mut newest: Option<Before> = None;
        let mut expected: Option<B256> = None;
        let mut current = day.previous().unwrap_or(head);
        loop {
            if current == head && state.head == B256::ZERO {
                link(current.next(), expected, B256::ZERO)?;
                break;
            }
            if current == head {
                link(current, expected, state.head)?;
                expected = Some(state.head);
            }
            let (bundle, after) = self.earlier(project, current, expected).await?;
            expected = Some(bundle.previous);
            newest.get_or_insert(after);
            if current == head {
                break;
            }
            if bundle.revision != state.revision {
                let (old, now) = (bundle.revision, state.revision);
                let problem = format!("it is of revision {old}, the distributor's is now {now}");
                return Err(DayError::BrokenChain { day: current, problem });
            }
            // The loop ends at the head at the latest, which is a day before this one.
            current = current.previous().unwrap_or(head);
        }
        Ok(newest.unwrap_or_default())
    }

    /// An earlier day's bundle; where the chain or a later day names its commit, the bundle of that one.
    async fn earlier(
        &self,
        project: Address,
        day: UtcDay,
        expected: Option<B256>,
    ) -> Result<(Bundle, Before), DayError> {
        match (self.bundles.after(project, day, expected).await, expected) {
            (Err(StoreError::Missing { passed_over, .. }), Some(expected))
                if passed_over.iter().any(|one| one.reason == Reason::Altered) =>
            {
                let words: Vec<String> = passed_over.iter().map(ToString::to_string).collect();
                let problem = format!(
                    "no place has the bundle that leads to commit {expected} ({})",
                    words.join("; ")
                );
                Err(DayError::BrokenChain { day, problem })
            }
            (found, _) => Ok(found?),
        }
    }

    fn check_funds(
        &self,
        day: UtcDay,
        built: &DayBundle,
        state: &DistributorState,
    ) -> Result<(), DayError> {
        let owed = built.commit.total.checked_sub(state.paid).unwrap_or_default();
        match owed.to_u256().checked_sub(state.balance) {
            Some(missing) if !missing.is_zero() => Err(DayError::Underfunded {
                day,
                distributor: self.project.distributor,
                owed,
                balance: state.balance,
                missing,
            }),
            _ => Ok(()),
        }
    }
}

/// `expected` is the commit that the day after names as its previous one, `found` the chain's.
fn link(day: UtcDay, expected: Option<B256>, found: B256) -> Result<(), DayError> {
    match expected {
        Some(expected) if expected != found => {
            let problem = format!("the day after continues commit {expected}, the chain {found}");
            Err(DayError::BrokenChain { day, problem })
        }
        _ => Ok(()),
    }
}

fn words(owned: &Ownership) -> String {
    match (owned.holder, owned.rental) {
        (None, _) => "no holder".to_owned(),
        (Some(holder), None) => format!("holder {holder}"),
        (Some(holder), Some(rental)) => format!("holder {holder}, renter {}", rental.renter),
    }
}

//! A day, from what the backend and the chain say of it to a bundle that is ready to be signed.
//!
//! The backend gives uptime, signed by a receipt key that the registry must know; everything else
//! is read over the owner's own RPC. Nothing is signed or sent here. A bundle that leaves this
//! module follows the head of the chain (through commits not yet posted, where there are some),
//! stays within the daily quota and is covered by the distributor's balance.

use std::collections::{BTreeMap, BTreeSet};

use alloy::eips::BlockNumberOrTag;
use alloy::primitives::keccak256;
use nodesys_chain::listing::{last_listing, listings_of};
use nodesys_chain::logs::license_events;
use nodesys_chain::ownership::ownership_of;
use nodesys_chain::project::{self, DistributorState};
use nodesys_chain::{BlockRef, ChainError, Provider};
use nodesys_core::bundle::{
    Bundle, BundleError, DayBundle, DayInput, Format, PreviousDay, ProjectInfo, Terms, build_day,
};
use nodesys_core::files::{PointsRow, UptimeRow, parse_file};
use nodesys_core::holders::{DayHolders, Holders};
use nodesys_core::ids::Name;
use nodesys_core::license::{LicenseId, Ownership};
use nodesys_core::listing::{IsListed, is_listed};
use nodesys_core::message::Domain;
use nodesys_core::time::UtcDay;
use nodesys_core::uptime::ClosedUptime;
use nodesys_core::{Address, B256};

use crate::bundles::{Places, Reason, StoreError};
use crate::client::Client;

mod error;

pub use error::DayError;

/// The project of this name, as bundles name it.
///
/// # Errors
///
/// [`DayError::UnknownProject`] where the registry has no such name, [`DayError::Chain`] where the chain
/// cannot be read, or registry or distributor are no contracts.
pub async fn find_project(
    provider: &Provider,
    registry: Address,
    name: &Name,
) -> Result<ProjectInfo, DayError> {
    // Else a wrong address would read as a project that does not exist.
    provider.require_code(registry, "the ProjectRegistry").await?;
    let unknown = || DayError::UnknownProject { registry, name: name.to_string() };
    let distributor = project::by_name(provider, registry, name).await?.ok_or_else(unknown)?;
    provider.require_code(distributor, "the project's RewardDistributor").await?;
    Ok(ProjectInfo { chain_id: provider.chain_id(), registry, distributor, name: name.clone() })
}

/// The project of this distributor, as bundles name it.
///
/// # Errors
///
/// As [`find_project`].
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
///
/// # Examples
///
/// ```no_run
/// use nodesys_chain::Provider;
/// use nodesys_core::bundle::{ProjectInfo, Terms};
/// use nodesys_sdk::bundles::BundleSource;
/// use nodesys_sdk::client::Client;
/// use nodesys_sdk::day::DayBuilder;
///
/// async fn example(
///     provider: Provider,
///     project: ProjectInfo,
///     terms: Terms,
/// ) -> Result<(), Box<dyn std::error::Error>> {
///     let builder = DayBuilder {
///         backend: Client::new("https://backend.example.org")?,
///         provider,
///         project,
///         terms,
///         bundles: BundleSource::parse("./bundles")?.into(),
///         finality_depth: 64,
///         logs_from: 0,
///         second_opinion: false,
///     };
///     let day = builder.build("2026-01-31".parse()?).await?;
///     println!("{} wei to {} accounts", day.bundle.totals.allocated, day.rewards.len());
///     Ok(())
/// }
/// ```
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
    /// Whether a day is held against another computation ([`compare`](crate::commit::compare)) before it
    /// is signed. Without it, and with one RPC, logs that contradict the chain's state end the build:
    /// they may not be all of them.
    pub second_opinion: bool,
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
    ///
    /// # Errors
    ///
    /// Those of [`Self::uptime`] and [`Self::build_with_points`].
    pub async fn build(&self, day: UtcDay) -> Result<DayBundle, DayError> {
        self.build_with_points(day, self.uptime(day).await?, None).await
    }

    /// The day's bundle from the uptime that [`Self::uptime`] gave; `points` are the owner's, for
    /// rules that uptime alone does not decide.
    ///
    /// # Errors
    ///
    /// [`DayError::NotFinal`] where the day's end is not final yet, [`DayError::AlreadyPosted`] and
    /// [`DayError::BrokenChain`] where the day does not follow the chain's head, [`DayError::Store`] where an
    /// earlier day is not to be had, [`DayError::PointsNeeded`] without points that only the owner knows,
    /// [`DayError::Bundle`] where points or terms are wrong, [`DayError::Underfunded`] where the distributor
    /// could not pay, and those of [`Self::holders`].
    pub async fn build_with_points(
        &self,
        day: UtcDay,
        uptime: CheckedUptime,
        points: Option<Vec<PointsRow>>,
    ) -> Result<DayBundle, DayError> {
        // What is cheap, and mostly tells that it is too early, comes before the logs of all licenses.
        let state = self.state().await?;
        let before = self.before(day, &state).await?;
        let snapshot = self.snapshot(day).await?;
        let CheckedUptime { closed, rows } = uptime;
        let holders = self.holders(day, &rows, snapshot).await?;
        let points = points.or_else(|| self.terms.rule.points(&rows, closed.excused));
        let input = DayInput {
            project: self.project.clone(),
            day,
            format: Format::NEWEST,
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
    ///
    /// # Errors
    ///
    /// [`DayError::Chain`] where the chain cannot be read.
    pub async fn state(&self) -> Result<DistributorState, DayError> {
        let at = BlockNumberOrTag::Latest;
        Ok(project::state_of(&self.provider, self.project.distributor, at).await?)
    }

    /// The first final block at or past the day's end.
    ///
    /// # Errors
    ///
    /// [`DayError::NotFinal`] while there is none, [`DayError::Chain`] where the chain cannot be read.
    pub async fn snapshot(&self, day: UtcDay) -> Result<BlockRef, DayError> {
        self.provider
            .first_block_at_or_after(day.end().secs(), self.finality_depth)
            .await?
            .ok_or(DayError::NotFinal { day, ends: day.end() })
    }

    /// The closed day's uptime from the backend, believed only as far as it is signed for.
    ///
    /// # Errors
    ///
    /// [`DayError::Backend`] where the backend cannot be asked or the day is open (code `day_open`),
    /// [`DayError::Closed`] where its word does not hold, [`DayError::ReceiptKey`] where the registry does not
    /// know the key, [`DayError::Bundle`] where the file is not the signed one, [`DayError::File`] where its
    /// rows cannot be read.
    pub async fn uptime(&self, day: UtcDay) -> Result<CheckedUptime, DayError> {
        let ProjectInfo { chain_id, registry, distributor, .. } = self.project;
        let closed = self.backend.closed_uptime(distributor, day).await?;
        closed.verify(&Domain::new(chain_id, registry), distributor, day)?;
        let key = closed.receipt_key;
        let own = Some(distributor);
        let valid = project::receipt_key_validity(&self.provider, registry, own, key).await?;
        let now = self.provider.latest_block().await?.secs;
        // Signed at some moment between the day's end and now.
        if !valid.iter().any(|range| range.start <= now && day.end().secs() < range.end) {
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

    /// Holder and renter of each license at a block, folded from logs: they are the public facts, and
    /// decide. A license whose logs contradict themselves, or that has none, is not counted.
    ///
    /// The fold is held against what calls say of that block or, where the node has forgotten its state, of
    /// the newest one. Where they differ, logs may be missing: two RPCs that have the same ones vouch for
    /// them, or [`Self::second_opinion`] does, and the difference is a warning in the log.
    ///
    /// # Errors
    ///
    /// [`DayError::HoldersDisagree`] where nobody vouches for logs that the state contradicts,
    /// [`DayError::NoState`] where nobody does and there is no state to hold them against.
    /// [`DayError::ForeignCollection`] where a license is of a collection that was not the project's on the
    /// day, [`DayError::Chain`] where the chain cannot be read.
    pub async fn holders(
        &self,
        day: UtcDay,
        rows: &[UptimeRow],
        at: BlockRef,
    ) -> Result<DayHolders, DayError> {
        let collections: BTreeSet<Address> = rows.iter().map(|row| row.collection).collect();
        self.check_listed(day, rows, &collections).await?;
        let collections: Vec<Address> = collections.into_iter().collect();
        let newest = self.provider.latest_block().await?;
        // Beyond the snapshot too: what came later is held against the newest state below.
        let logs =
            license_events(&self.provider, &collections, self.logs_from, newest.number).await?;
        let up_to_snapshot = logs.iter().filter(|logged| logged.block_number <= at.number);
        let holders: Holders = up_to_snapshot.map(|logged| logged.event).collect();
        let checked = match self.cross_check(rows, &holders, at).await? {
            StateCheck::Forgotten => {
                let now: Holders = logs.iter().map(|logged| logged.event).collect();
                self.cross_check(rows, &now, newest).await?
            }
            checked => checked,
        };
        let doubt = match checked {
            StateCheck::Agrees => None,
            StateCheck::Forgotten => {
                Some(DayError::NoState { snapshot: at.number, newest: newest.number })
            }
            StateCheck::Differs(error) => Some(error),
        };
        match doubt {
            Some(error) if self.provider.sources() < 2 && !self.second_opinion => {
                return Err(error);
            }
            Some(error) => tracing::warn!(%error, "logs decide who holds licenses"),
            None => {}
        }
        let day = holders.of_day(rows, at.secs, Format::NEWEST);
        let (count, first) = (day.uncounted.len(), day.uncounted.first());
        if let Some(first) = first {
            let (license, reason) = (first.license.0, first.reason);
            tracing::warn!(count, license, %reason, "licenses are not counted, this one first");
        }
        Ok(day)
    }

    /// A day before a collection's last listing is looked for in the registry's logs.
    async fn check_listed(
        &self,
        day: UtcDay,
        rows: &[UptimeRow],
        collections: &BTreeSet<Address>,
    ) -> Result<(), DayError> {
        let ProjectInfo { registry, distributor, .. } = self.project;
        let mut last = BTreeMap::new();
        for &collection in collections {
            last.insert(collection, last_listing(&self.provider, registry, collection).await?);
        }
        // The registry's state tells of the days since a collection's last listing.
        let logged = match last.values().flatten().any(|last| day < last.days.from) {
            false => Vec::new(),
            true => {
                let newest = self.provider.latest_block().await?.number;
                let (from, provider) = (self.logs_from, &self.provider);
                let events = project::registry_events(provider, registry, from, newest).await?;
                listings_of(&events, distributor)?
            }
        };
        for (&collection, last) in &last {
            let listed = is_listed(distributor, collection, day, last.as_ref(), &logged);
            let row = rows.iter().find(|row| row.collection == collection);
            if let (IsListed::No | IsListed::CannotTell, Some(row)) = (listed, row) {
                return Err(DayError::ForeignCollection { license: row.license, collection, day });
            }
        }
        Ok(())
    }

    /// Whether calls say the same of that block.
    async fn cross_check(
        &self,
        rows: &[UptimeRow],
        holders: &Holders,
        at: BlockRef,
    ) -> Result<StateCheck, DayError> {
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
                return Ok(StateCheck::Forgotten);
            }
            Err(error) => return Err(error.into()),
        };
        for (row, called) in rows.iter().zip(called.facts) {
            let folded = match holders.counted_at(row.collection, row.token_id, at.secs) {
                Ok(folded) if folded == called => continue,
                // Nobody holds it either way.
                Err(_) if called.holder.is_none() => continue,
                Ok(folded) => words(&folded),
                Err(reason) => reason.to_string(),
            };
            return Ok(StateCheck::Differs(DayError::HoldersDisagree {
                license: row.license,
                block: at.number,
                folded,
                called: words(&called),
            }));
        }
        Ok(StateCheck::Agrees)
    }

    /// What the day builds on: the chain's head, or the bundles between the head and the day.
    async fn before(&self, day: UtcDay, state: &DistributorState) -> Result<PreviousDay, DayError> {
        let head = UtcDay::from_epoch(state.epoch).unwrap_or(UtcDay(u32::MAX));
        if day <= head {
            return Err(DayError::AlreadyPosted { day, head });
        }
        if day == head.next() && state.head == B256::ZERO {
            return Ok(PreviousDay::default());
        }
        let project = self.project.distributor;
        let mut newest: Option<PreviousDay> = None;
        let mut expected: Option<B256> = None;
        let mut current = day.previous().unwrap_or(head);
        loop {
            // Nothing is posted yet: the head is then the day before the first.
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
            // It rises when commits are revoked or the signer changes: what was signed before is void.
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
    ) -> Result<(Bundle, PreviousDay), DayError> {
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
        // Amounts are cumulative, so what was claimed already is in the total too.
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

/// Holders by logs, held against the state of one block.
#[derive(Debug)]
enum StateCheck {
    Agrees,
    /// The node has no state of that block any more.
    Forgotten,
    /// Calls say something else; of the first such license.
    Differs(DayError),
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

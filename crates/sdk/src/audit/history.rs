//! What the chain says of a project as far as all its days share it, and whether its logs can be
//! complete.
//!
//! An RPC that has pruned old logs, or lags, answers with fewer of them and no error. So an absence in
//! the logs is no fact by itself: counts, links and sums in the contract's state must say the same
//! ([`History::gaps`]), and each token's transfers must follow one upon the other from its mint.

use std::collections::{BTreeMap, BTreeSet};

use alloy::eips::BlockNumberOrTag;
use nodesys_chain::listing::listings_of;
use nodesys_chain::logs::{Logged, license_events};
use nodesys_chain::project::{
    DistributorEvent, DistributorState, RegistryEvent, distributor_events, registry_events,
    state_of,
};
use nodesys_chain::{BlockRef, Provider};
use nodesys_core::bundle::ProjectInfo;
use nodesys_core::holders::{Holders, LicenseEvent};
use nodesys_core::ids::Amount;
use nodesys_core::listing::Listing;
use nodesys_core::time::UtcDay;
use nodesys_core::{Address, B256, U256};

use super::day::Fact;
use super::error::AuditError;
use super::posted::{PostedCommit, standing};
use crate::day::{DayError, project_of};

/// Which days, and how far to trust the newest blocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuditRange {
    /// First day; the project's first where absent.
    pub from: Option<UtcDay>,
    /// Last day; the newest posted where absent.
    pub to: Option<UtcDay>,
    /// Depth at which a block counts as final where the chain has no such tag.
    pub finality_depth: u64,
    /// First block that may hold a log of the registry.
    pub logs_from: u64,
}

impl AuditRange {
    pub(super) fn holds(&self, day: UtcDay) -> bool {
        self.from.is_none_or(|from| from <= day) && self.to.is_none_or(|to| day <= to)
    }

    pub(super) fn in_words(&self) -> String {
        let word = |day: Option<UtcDay>| day.map_or("...".to_owned(), |day| day.to_string());
        match (self.from, self.to) {
            (None, None) => "yet".to_owned(),
            (from, to) => format!("from {} to {}", word(from), word(to)),
        }
    }
}

/// The logs and the newest state of a project.
#[derive(Debug)]
pub struct History {
    /// The project.
    pub project: ProjectInfo,
    /// The newest block, at which the state is.
    pub newest: BlockRef,
    /// The distributor then.
    pub state: DistributorState,
    /// Why the logs cannot be complete; empty when state and logs agree.
    pub gaps: Vec<String>,
    pub(super) listings: Vec<Listing>,
    pub(super) events: Vec<Logged<DistributorEvent>>,
    pub(super) license_logs: Vec<Logged<LicenseEvent>>,
    first_quota: Option<Amount>,
    at_newest: Holders,
}

impl History {
    /// Reads it up to the newest block.
    ///
    /// # Errors
    ///
    /// [`AuditError::Chain`] where the chain cannot be read, [`AuditError::Project`] where the registry does
    /// not know the distributor. Logs that cannot be all of them are no error: see [`Self::gaps`].
    pub async fn read(
        provider: &Provider,
        registry: Address,
        distributor: Address,
        range: AuditRange,
    ) -> Result<Self, AuditError> {
        let project =
            project_of(provider, registry, distributor).await.map_err(|error| match error {
                DayError::Chain(error) => AuditError::Chain(error),
                other => AuditError::Project(other),
            })?;
        // State and logs up to one block, or what comes in between would look like a gap.
        let newest = provider.latest_block().await?;
        let state =
            state_of(provider, distributor, BlockNumberOrTag::Number(newest.number)).await?;
        let (from, to) = (range.logs_from, newest.number);
        let of_registry = registry_events(provider, registry, from, to).await?;
        let events = distributor_events(provider, distributor, from, to).await?;
        let listings = listings_of(&of_registry, distributor)?;
        let addresses: BTreeSet<Address> = listings.iter().map(|one| one.collection).collect();
        let addresses: Vec<Address> = addresses.into_iter().collect();
        let license_logs = license_events(provider, &addresses, from, to).await?;
        let created = of_registry.iter().find_map(|logged| match &logged.event {
            RegistryEvent::ProjectCreated(created) if created.project == distributor => {
                Some(created)
            }
            _ => None,
        });
        let first_quota = created.map(|created| Amount::new(created.dailyQuota));
        Ok(Self {
            gaps: gaps(first_quota, &events, &state),
            at_newest: license_logs.iter().map(|logged| logged.event).collect(),
            project,
            newest,
            state,
            listings,
            events,
            license_logs,
            first_quota,
        })
    }

    /// The commits that stand, in the order of their days.
    pub fn posted(&self) -> Vec<PostedCommit> {
        standing(&self.events)
    }

    /// The days whose commits were revoked.
    pub fn revoked_days(&self) -> Vec<UtcDay> {
        let day = |logged: &Logged<DistributorEvent>| match &logged.event {
            DistributorEvent::Revoked(revoked) => UtcDay::from_epoch(revoked.epoch),
            _ => None,
        };
        self.events.iter().filter_map(day).collect()
    }

    /// How many claims there were.
    pub fn claims(&self) -> u64 {
        let claims = self.events.iter();
        claims.filter(|one| matches!(one.event, DistributorEvent::Claimed(_))).count() as u64
    }

    /// Why logs alone prove nothing here, if so.
    pub(super) fn doubt(&self) -> Option<String> {
        (!self.gaps.is_empty()).then(|| self.gaps.join("; "))
    }

    /// The quotas in force for a day from the snapshot block up to the post.
    pub(super) fn quotas(&self, epoch: u64, snapshot: u64, posted: u64) -> Fact<Vec<Amount>> {
        if let Some(doubt) = self.doubt() {
            return Err(doubt);
        }
        let Some(first) = self.first_quota else { return Ok(Vec::new()) };
        let mut quota = Quota::new(first);
        let mut in_force = vec![first];
        for logged in self.events.iter().filter(|logged| logged.block_number <= posted) {
            if !quota.apply(&logged.event) {
                continue;
            }
            // One quota was in force at the snapshot; any later one may be the one that was built with.
            if logged.block_number <= snapshot {
                in_force.clear();
            }
            in_force.push(quota.of(epoch));
        }
        Ok(in_force)
    }

    /// Holders and renters by all logs up to the newest block.
    pub(super) const fn holders_now(&self) -> &Holders {
        &self.at_newest
    }
}

/// What the commit of a day may add, as the contract's `quotaOf` has it: a lowered quota is that of the
/// days which had not begun when it was lowered.
#[derive(Debug, Clone, Copy)]
struct Quota {
    daily: Amount,
    from: u64,
    before: Amount,
}

impl Quota {
    const fn new(first: Amount) -> Self {
        Self { daily: first, from: 0, before: first }
    }

    /// Whether the event changed it.
    fn apply(&mut self, event: &DistributorEvent) -> bool {
        match event {
            DistributorEvent::QuotaLowered(lowered) => {
                // Lowered twice on one day, the days before keep the quota from before both.
                if lowered.fromDay != self.from {
                    (self.before, self.from) = (self.daily, lowered.fromDay);
                }
                self.daily = Amount::new(lowered.newQuota);
            }
            DistributorEvent::QuotaRaised(raised) => self.daily = Amount::new(raised.newQuota),
            _ => return false,
        }
        true
    }

    const fn of(&self, epoch: u64) -> Amount {
        if epoch < self.from { self.before } else { self.daily }
    }
}

/// Where logs and state contradict each other: the logs are not all of them.
fn gaps(
    first_quota: Option<Amount>,
    events: &[Logged<DistributorEvent>],
    state: &DistributorState,
) -> Vec<String> {
    let Some(first_quota) = first_quota else {
        return vec![
            "the RPC has no log of the project's creation: old logs are missing".to_owned(),
        ];
    };
    let mut gaps = commit_gaps(events, state);
    let mut quota = Quota::new(first_quota);
    for logged in events {
        quota.apply(&logged.event);
    }
    let quota = quota.of(state.epoch.saturating_add(1));
    if quota != state.daily_quota {
        gaps.push(format!(
            "by the logs the daily quota is {quota}, the chain says {}",
            state.daily_quota
        ));
    }
    gaps
}

/// What [`History::gaps`] has as far as a distributor's own logs show it: commits that do not link up to
/// its head, revisions that are not counted, claims that do not add up to what it has paid.
pub fn commit_gaps(events: &[Logged<DistributorEvent>], state: &DistributorState) -> Vec<String> {
    let mut gaps = Vec::new();
    let posts = standing(events);
    let by_hash: BTreeMap<B256, &PostedCommit> =
        posts.iter().map(|post| (post.commit_hash, post)).collect();
    let (mut at, mut reached) = (state.head, 0);
    // Bounded by their number: logs that are made up could lead round in a circle.
    while !at.is_zero() && reached <= posts.len() {
        let Some(post) = by_hash.get(&at) else {
            gaps.push(format!("the chain's commit {at} has no Posted log at the RPC"));
            break;
        };
        (at, reached) = (post.commit.previous, reached + 1);
    }
    if at.is_zero() && reached != posts.len() {
        let more = posts.len() - reached;
        gaps.push(format!("{more} logged commits do not lead to the chain's head"));
    }
    let revision = |event: &DistributorEvent| match event {
        DistributorEvent::SignerDisabled(one) => Some(one.revision),
        DistributorEvent::SignerSet(one) => Some(one.revision),
        DistributorEvent::HeadRewound(one) => Some(one.revision),
        _ => None,
    };
    let revisions: BTreeSet<u32> = events.iter().filter_map(|one| revision(&one.event)).collect();
    if revisions.len() != state.revision as usize {
        gaps.push(format!(
            "the logs tell of {} revisions, the chain of {}",
            revisions.len(),
            state.revision
        ));
    }
    let mut paid = U256::ZERO;
    for logged in events {
        if let DistributorEvent::Claimed(claimed) = &logged.event {
            // Logs that an RPC makes up must not end the audit.
            paid = paid.saturating_add(claimed.amount);
        }
    }
    if paid != state.paid.to_u256() {
        gaps.push(format!("the logged claims are {paid} wei, the chain says {}", state.paid));
    }
    gaps
}

#[cfg(test)]
mod tests {
    use nodesys_chain::bindings::RewardDistributor::{QuotaLowered, QuotaRaised};

    use super::*;

    #[test]
    fn a_lowered_quota_is_that_of_the_days_to_come() {
        let lowered = |to, from_day| {
            DistributorEvent::QuotaLowered(QuotaLowered {
                previousQuota: 0,
                newQuota: to,
                fromDay: from_day,
            })
        };
        let raised =
            |to| DistributorEvent::QuotaRaised(QuotaRaised { previousQuota: 0, newQuota: to });
        let mut quota = Quota::new(Amount::new(100));
        let mut after = |event: DistributorEvent| {
            assert!(quota.apply(&event));
            [9, 10, 11].map(|day| quota.of(day).get())
        };
        assert_eq!(after(lowered(50, 10)), [100, 50, 50]);
        assert_eq!(after(lowered(40, 10)), [100, 40, 40]);
        assert_eq!(after(raised(60)), [100, 60, 60]);
        assert_eq!(after(lowered(30, 11)), [60, 60, 30]);
    }
}

//! The watcher: follows posts as they come, recomputes each from its published bundle, and says so
//! while there is still time to revoke.
//!
//! A post becomes claimable after the distributor's delay. Whoever watches has that long: a bundle
//! that does not lead to the posted commit is a difference at once, one that cannot be fetched is
//! one after half the delay. With a guardian's key, [`stop`] takes the commit and all upon it back
//! and disables the signer.

use std::collections::{BTreeMap, BTreeSet};

use alloy::eips::BlockNumberOrTag;
use alloy::network::TransactionBuilder as _;
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::SolCall as _;
use nodesys_contracts::bindings::RewardDistributor;
use nodesys_contracts::logs::Logged;
use nodesys_contracts::project::{DistributorEvent, distributor_events, state_of};
use nodesys_contracts::{ChainError, Provider};
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_core::{Address, B256};
use serde::Serialize;

use crate::audit::{AuditError, AuditRange, Finding, audit_project};
use crate::bundles::{BundleSource, COMMIT_JSON, FILES};

/// What is watched.
#[derive(Debug, Clone)]
pub struct Watcher {
    /// The watcher's own RPC.
    pub provider: Provider,
    /// `ProjectRegistry`.
    pub registry: Address,
    /// The project's `RewardDistributor`.
    pub distributor: Address,
    /// Where bundles are published.
    pub source: BundleSource,
    /// Depth at which a block counts as final where the chain has no such tag.
    pub finality_depth: u64,
    /// First block that may hold a log of the registry.
    pub logs_from: u64,
    /// Commits that were found to hold.
    checked: BTreeSet<B256>,
}

/// A post that does not hold, or whose bundle cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alarm {
    /// The project.
    pub project: Address,
    /// Whose day it claims to be.
    pub day: UtcDay,
    /// Its struct hash.
    pub commit_hash: B256,
    /// The transaction that posted it.
    pub transaction: B256,
    /// When it becomes claimable, seconds since 1970.
    pub activates_at_secs: u64,
    /// What does not hold; of a bundle that cannot be had, why.
    pub problems: Vec<String>,
}

/// What a look at the chain found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Days that were found to hold now.
    pub held: Vec<UtcDay>,
    /// Days whose bundle is not there yet, and until when (seconds since 1970) it is waited for.
    pub waiting: Vec<(UtcDay, u64)>,
    /// The oldest post that does not hold: whatever stands upon it does not either.
    pub alarm: Option<Alarm>,
}

/// A commit as its `Posted` event has it.
#[derive(Debug, Clone)]
struct Posted {
    commit: RewardDistributor::RewardCommit,
    hash: B256,
    activates_at: u64,
    block: u64,
    transaction: B256,
}

impl Watcher {
    /// Nothing checked yet.
    pub const fn new(
        provider: Provider,
        registry: Address,
        distributor: Address,
        source: BundleSource,
        finality_depth: u64,
        logs_from: u64,
    ) -> Self {
        let checked = BTreeSet::new();
        Self { provider, registry, distributor, source, finality_depth, logs_from, checked }
    }

    /// Looks at every post that is not known to hold, oldest first. An error is of the chain or the
    /// network, and worth another try.
    pub async fn look(&mut self) -> Result<Seen, AuditError> {
        let newest = self.provider.latest_block().await?;
        let mut seen = Seen::default();
        let posts = standing(&self.events(newest.number).await?);
        for post in posts {
            if self.checked.contains(&post.hash) {
                continue;
            }
            // A day beyond the calendar was posted by no honest signer, nor can it be audited.
            let day = UtcDay::from_epoch(post.commit.epoch).unwrap_or(UtcDay(u32::MAX));
            let posted = self.provider.block(BlockNumberOrTag::Number(post.block)).await?;
            let posted_secs = posted.map_or(newest.secs, |block| block.secs);
            let wait_until = posted_secs + post.activates_at.saturating_sub(posted_secs) / 2;
            let problems = match self.missing(day).await? {
                Some(_) if newest.secs < wait_until => {
                    seen.waiting.push((day, wait_until));
                    continue;
                }
                Some(problem) => vec![problem],
                None => self.problems(day).await?,
            };
            if problems.is_empty() {
                self.checked.insert(post.hash);
                seen.held.push(day);
                continue;
            }
            seen.alarm = Some(Alarm {
                project: self.distributor,
                day,
                commit_hash: post.hash,
                transaction: post.transaction,
                activates_at_secs: post.activates_at,
                problems,
            });
            return Ok(seen);
        }
        Ok(seen)
    }

    /// Why a day cannot be audited yet, if it cannot.
    async fn missing(&self, day: UtcDay) -> Result<Option<String>, AuditError> {
        let (secs, depth) = (day.end().secs(), self.finality_depth);
        if self.provider.first_block_at_or_after(secs, depth).await?.is_none() {
            let problem = format!("no final block at or after {}", Timestamp::from_secs(secs));
            return Ok(Some(problem));
        }
        for file in FILES.into_iter().filter(|file| *file != COMMIT_JSON) {
            match self.source.file(self.distributor, day, file).await {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(Some(format!("{} has no {file}", self.source.place()))),
                Err(error) => return Ok(Some(format!("{file} cannot be fetched: {error}"))),
            }
        }
        Ok(None)
    }

    async fn problems(&self, day: UtcDay) -> Result<Vec<String>, AuditError> {
        let range = AuditRange {
            from: Some(day),
            to: Some(day),
            finality_depth: self.finality_depth,
            logs_from: self.logs_from,
        };
        let (registry, distributor) = (self.registry, self.distributor);
        let report =
            audit_project(&self.provider, registry, distributor, &self.source, range).await?;
        Ok(report.findings.iter().map(Finding::to_string).collect())
    }

    async fn events(&self, to: u64) -> Result<Vec<Logged<DistributorEvent>>, ChainError> {
        distributor_events(&self.provider, self.distributor, self.logs_from, to).await
    }
}

/// The posts that are not revoked, in the order of their days.
fn standing(events: &[Logged<DistributorEvent>]) -> Vec<Posted> {
    let mut posts: Vec<Posted> = Vec::new();
    for logged in events {
        match &logged.event {
            DistributorEvent::Posted(posted) => posts.push(Posted {
                commit: RewardDistributor::RewardCommit {
                    epoch: posted.epoch,
                    revision: posted.revision,
                    previous: posted.previous,
                    root: posted.root,
                    total: posted.total,
                    dataHash: posted.dataHash,
                },
                hash: posted.commitHash,
                activates_at: posted.activatesAt,
                block: logged.block_number,
                transaction: logged.transaction,
            }),
            DistributorEvent::Revoked(revoked) => {
                posts.retain(|post| post.hash != revoked.commitHash);
            }
            _ => {}
        }
    }
    posts
}

/// What a guardian did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Stopped {
    /// The transaction that revoked the commit and all upon it; `None` where it was revoked before.
    pub revoked: Option<B256>,
    /// The transaction that disabled the signer; `None` where it was disabled before.
    pub disabled: Option<B256>,
}

/// Takes a commit and all upon it back, then disables the signer. `guardian` is a connection with
/// the guardian's (or owner's) key. Doing it again changes nothing.
pub async fn stop(
    guardian: &Provider,
    distributor: Address,
    commit_hash: B256,
    logs_from: u64,
) -> Result<Stopped, ChainError> {
    let newest = guardian.latest_block().await?;
    let events = distributor_events(guardian, distributor, logs_from, newest.number).await?;
    let mut stopped = Stopped::default();
    if let Some(call) = revocation(&standing(&events), commit_hash) {
        let request = transaction(distributor, call.abi_encode());
        let receipt = guardian.send("revoking a commit", request).await?;
        stopped.revoked = Some(receipt.transaction_hash);
    }
    if !state_of(guardian, distributor, BlockNumberOrTag::Latest).await?.signer.is_zero() {
        let call = RewardDistributor::disableSignerCall {};
        let request = transaction(distributor, call.abi_encode());
        let receipt = guardian.send("disabling the signer", request).await?;
        stopped.disabled = Some(receipt.transaction_hash);
    }
    Ok(stopped)
}

/// The call that revokes from the newest commit down to this one; `None` when it does not stand.
fn revocation(posts: &[Posted], commit_hash: B256) -> Option<RewardDistributor::revokeCall> {
    let by_hash: BTreeMap<B256, &Posted> = posts.iter().map(|post| (post.hash, post)).collect();
    let bad = by_hash.get(&commit_hash)?;
    let mut down = Vec::new();
    let mut current: &Posted = posts.last()?;
    loop {
        down.push(current.commit.clone());
        if current.hash == commit_hash {
            break;
        }
        current = by_hash.get(&current.commit.previous).copied()?;
    }
    let nothing = || RewardDistributor::RewardCommit {
        epoch: 0,
        revision: 0,
        previous: B256::ZERO,
        root: B256::ZERO,
        total: alloy::primitives::U256::ZERO,
        dataHash: B256::ZERO,
    };
    let below = by_hash.get(&bad.commit.previous);
    // Below the first commit there is nothing; the contract then takes any.
    let new_head = below.map_or_else(nothing, |post| post.commit.clone());
    Some(RewardDistributor::revokeCall { down, newHead: new_head })
}

fn transaction(to: Address, data: Vec<u8>) -> TransactionRequest {
    TransactionRequest::default().with_to(to).with_input(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::U256;

    fn post(number: u8, previous: u8) -> Posted {
        let hash = |byte: u8| if byte == 0 { B256::ZERO } else { B256::repeat_byte(byte) };
        Posted {
            commit: RewardDistributor::RewardCommit {
                epoch: number.into(),
                revision: 0,
                previous: hash(previous),
                root: hash(number),
                total: U256::from(number),
                dataHash: B256::ZERO,
            },
            hash: hash(number),
            activates_at: 0,
            block: number.into(),
            transaction: B256::ZERO,
        }
    }

    #[test]
    fn a_revocation_goes_from_the_head_down() {
        let posts = [post(1, 0), post(2, 1), post(3, 2)];
        let epochs = |bad: u8| {
            let call = revocation(&posts, B256::repeat_byte(bad))?;
            let down: Vec<u64> = call.down.iter().map(|commit| commit.epoch).collect();
            Some((down, call.newHead.epoch))
        };
        assert_eq!(epochs(3), Some((vec![3], 2)));
        assert_eq!(epochs(2), Some((vec![3, 2], 1)));
        assert_eq!(epochs(1), Some((vec![3, 2, 1], 0)));
        assert_eq!(epochs(9), None);
    }
}

//! The watch: follows posts as they come and says of each whether it holds, while there is time to act.
//!
//! A post becomes claimable after the distributor's delay, and whoever watches has that long. What is
//! found here is acted on by [`crate::guardian`]; nothing is sent from this module.
//!
//! Where the RPCs do not agree, or none of them can be relied on, every post that any one of them shows
//! is *cannot tell*: one RPC alone can thereby bring about a pause, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use alloy::eips::BlockNumberOrTag;
use nodesys_contracts::control::{Control, control_of};
use nodesys_contracts::project::{DistributorState, distributor_events, state_of};
use nodesys_contracts::{ChainError, Provider};
use nodesys_core::bundle::{Before, ProjectInfo};
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_core::{Address, B256};
use serde::Serialize;

use crate::audit::day::PostedCommit;
use crate::audit::{AuditError, AuditRange, Auditor, History, Judged, Verdict, standing};
use crate::bundles::Places;

/// How long a post that cannot be told, and is active already, is left before it is looked at again.
const AGAIN_SECS: u64 = 3_600;

/// A post that stands on chain, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Post {
    /// The project.
    pub project: Address,
    /// Whose day it claims to be.
    pub day: UtcDay,
    /// Its struct hash.
    pub commit_hash: B256,
    /// The transaction that posted it; absent where no RPC has its log.
    pub transaction: Option<B256>,
    /// When it was posted, seconds since 1970.
    pub posted_at_secs: u64,
    /// When its delay is over, seconds since 1970.
    pub activates_at_secs: u64,
    /// The verdict.
    pub verdict: Verdict,
    /// What is proven not to hold.
    pub findings: Vec<String>,
    /// What cannot be told, with the places or RPCs to blame.
    pub doubts: Vec<String>,
}

impl Post {
    /// The middle of its delay: a doubt that is older pulls the brake.
    pub const fn half_delay(&self) -> u64 {
        self.posted_at_secs + self.delay() / 2
    }

    /// From post to activation, in seconds.
    pub const fn delay(&self) -> u64 {
        self.activates_at_secs.saturating_sub(self.posted_at_secs)
    }
}

/// What one look found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Look {
    /// The time that counts: the newest block's or the clock's, whichever is later. A chain that stands
    /// still, or an RPC that lags, must not hold the brake back.
    pub now_secs: u64,
    /// The newest block that the RPCs agree on.
    pub block: Option<u64>,
    /// How far that block is behind the clock, in seconds.
    pub lag_secs: Option<u64>,
    /// Whether two RPCs or more vouch for the facts: without that, nothing is proven.
    pub vouched: bool,
    /// Posts that were not known to hold before, oldest first; those that hold now among them.
    pub posts: Vec<Post>,
    /// The brakes, as far as they could be read.
    #[serde(skip)]
    pub control: Option<Control>,
    /// Places and RPCs that failed, whatever others gave.
    pub problems: Vec<String>,
}

/// Looks at one project.
#[derive(Debug)]
pub struct Watch {
    provider: Provider,
    project: ProjectInfo,
    places: Places,
    range: AuditRange,
    /// Commits that were found to hold.
    settled: BTreeSet<B256>,
    /// Head and revision at which everything was settled: while they stay, there is nothing to do.
    quiet_at: Option<(B256, u32)>,
    /// What the last commit that was judged leads to, for the day after.
    after: Option<(B256, Before)>,
    /// Active posts that cannot be told, and when they are looked at again.
    later: BTreeMap<B256, (u64, Post)>,
}

impl Watch {
    /// A watch over these RPCs and places. `settled` are the commits that an earlier run found to hold.
    pub fn new(
        provider: Provider,
        project: ProjectInfo,
        places: Places,
        range: AuditRange,
        settled: BTreeSet<B256>,
    ) -> Self {
        let range = AuditRange { from: None, to: None, ..range };
        Self {
            provider,
            project,
            places,
            range,
            settled,
            quiet_at: None,
            after: None,
            later: BTreeMap::new(),
        }
    }

    /// The commits that were found to hold.
    pub const fn settled(&self) -> &BTreeSet<B256> {
        &self.settled
    }

    /// Looks at every post that is not known to hold, oldest first. It never fails: what cannot be read
    /// is in the answer.
    pub async fn look(&mut self, clock: Timestamp) -> Look {
        let mut look = Look { now_secs: clock.secs(), ..Look::default() };
        match self.agreed(clock, &mut look).await {
            Ok(()) => {}
            Err(error) => {
                look.problems.push(error.to_string());
                (look.vouched, look.block, look.lag_secs) = (false, None, None);
                self.alone(&error, &mut look).await;
            }
        }
        look
    }

    /// A look by facts that the RPCs agree on.
    async fn agreed(&mut self, clock: Timestamp, look: &mut Look) -> Result<(), AuditError> {
        let (registry, distributor) = (self.project.registry, self.project.distributor);
        let control = control_of(&self.provider, registry, distributor).await?;
        look.vouched = self.provider.sources() > 1;
        look.now_secs = look.now_secs.max(control.block.secs);
        look.block = Some(control.block.number);
        look.lag_secs = Some(clock.secs().saturating_sub(control.block.secs));
        look.control = Some(control);
        let at = BlockNumberOrTag::Number(control.block.number);
        let state = state_of(&self.provider, distributor, at).await?;
        if self.quiet_at == Some((state.head, state.revision)) {
            return Ok(());
        }
        let history = History::read(&self.provider, registry, distributor, self.range).await?;
        let posted = history.posted();
        self.judge(&history, &posted, look).await;
        if !history.gaps.is_empty() {
            look.problems.extend(history.gaps.iter().cloned());
            self.add_head(&history.state, &posted, &history.gaps, look);
        }
        let all_settled = history.gaps.is_empty()
            && posted.iter().all(|post| self.settled.contains(&post.commit_hash));
        self.quiet_at = all_settled.then_some((history.state.head, history.state.revision));
        Ok(())
    }

    async fn judge(&mut self, history: &History, posted: &[PostedCommit], look: &mut Look) {
        let provider = self.provider.clone();
        let mut auditor = Auditor::new(&provider, history, &self.places, self.range.finality_depth);
        let mut passed_over = BTreeSet::new();
        for commit in posted {
            let hash = commit.commit_hash;
            if self.settled.contains(&hash) {
                continue;
            }
            if let Some((at, post)) = self.later.get(&hash)
                && look.now_secs < *at
            {
                look.posts.push(post.clone());
                continue;
            }
            let before = match self.after.take() {
                Some((known, before)) if known == commit.commit.previous => Ok(before),
                _ => auditor.before(commit).await,
            };
            let judged = auditor.judge(commit, before.as_ref().map_err(Clone::clone)).await;
            passed_over.extend(judged.passed_over.iter().map(ToString::to_string));
            self.after = judged.after.clone().map(|after| (hash, after));
            let posted_at = self.posted_at(commit, look).await;
            let post = self.post(commit, posted_at, &judged);
            match judged.report.verdict {
                Verdict::Holds => {
                    self.settled.insert(hash);
                    self.later.remove(&hash);
                }
                _ if judged.report.active => {
                    self.later.insert(hash, (look.now_secs + AGAIN_SECS, post.clone()));
                }
                _ => {}
            }
            look.posts.push(post);
        }
        look.problems.extend(passed_over);
    }

    /// When a commit was posted; by its delay where no block says so.
    async fn posted_at(&self, commit: &PostedCommit, look: &Look) -> u64 {
        let number = BlockNumberOrTag::Number(commit.block_number);
        match self.provider.block(number).await {
            Ok(Some(block)) => block.secs,
            _ => by_delay(commit.activates_at, look.control.as_ref()),
        }
    }

    fn post(&self, commit: &PostedCommit, posted_at_secs: u64, judged: &Judged) -> Post {
        Post {
            project: self.project.distributor,
            day: commit.day,
            commit_hash: commit.commit_hash,
            transaction: Some(commit.transaction),
            posted_at_secs,
            activates_at_secs: commit.activates_at,
            verdict: judged.report.verdict,
            findings: judged.findings.iter().map(ToString::to_string).collect(),
            doubts: judged.doubts.iter().map(ToString::to_string).collect(),
        }
    }

    /// The chain's head where no log of it is known: it stands all the same.
    fn add_head(
        &self,
        state: &DistributorState,
        known: &[PostedCommit],
        reasons: &[String],
        look: &mut Look,
    ) {
        let there = |hash: B256| {
            self.settled.contains(&hash)
                || known.iter().any(|post| post.commit_hash == hash)
                || look.posts.iter().any(|post| post.commit_hash == hash)
        };
        if state.head.is_zero() || there(state.head) {
            return;
        }
        look.posts.push(Post {
            project: self.project.distributor,
            day: UtcDay::from_epoch(state.epoch).unwrap_or(UtcDay(u32::MAX)),
            commit_hash: state.head,
            transaction: None,
            posted_at_secs: by_delay(state.activates_at, look.control.as_ref()),
            activates_at_secs: state.activates_at,
            verdict: Verdict::CannotTell,
            findings: Vec::new(),
            doubts: reasons.to_vec(),
        });
    }

    /// Whatever any RPC shows by itself. Nothing of it is vouched for, so nothing of it is judged.
    async fn alone(&self, error: &AuditError, look: &mut Look) {
        let reason = error.to_string();
        for provider in self.provider.each() {
            if let Err(error) = self.one_alone(&provider, &reason, look).await {
                look.problems.push(error.to_string());
            }
        }
        look.posts.sort_by_key(|post| (post.posted_at_secs, post.day));
        look.problems.sort_unstable();
        look.problems.dedup();
    }

    async fn one_alone(
        &self,
        provider: &Provider,
        reason: &str,
        look: &mut Look,
    ) -> Result<(), ChainError> {
        let (registry, distributor) = (self.project.registry, self.project.distributor);
        let control = control_of(provider, registry, distributor).await?;
        look.now_secs = look.now_secs.max(control.block.secs);
        // Of two that differ, the one that is further on.
        if look.control.is_none_or(|known| known.block.number < control.block.number) {
            look.control = Some(control);
        }
        let at = BlockNumberOrTag::Number(control.block.number);
        let state = state_of(provider, distributor, at).await?;
        let (from, to) = (self.range.logs_from, control.block.number);
        let events = distributor_events(provider, distributor, from, to).await;
        let reasons = [reason.to_owned()];
        let posted = events.as_ref().map(|events| standing(events)).unwrap_or_default();
        for commit in &posted {
            let there = |post: &Post| post.commit_hash == commit.commit_hash;
            if self.settled.contains(&commit.commit_hash) || look.posts.iter().any(there) {
                continue;
            }
            look.posts.push(Post {
                project: distributor,
                day: commit.day,
                commit_hash: commit.commit_hash,
                transaction: Some(commit.transaction),
                posted_at_secs: by_delay(commit.activates_at, Some(&control)),
                activates_at_secs: commit.activates_at,
                verdict: Verdict::CannotTell,
                findings: Vec::new(),
                doubts: reasons.to_vec(),
            });
        }
        self.add_head(&state, &posted, &reasons, look);
        events.map(drop)
    }
}

/// When a commit was posted, by when it becomes active.
fn by_delay(activates_at: u64, control: Option<&Control>) -> u64 {
    activates_at.saturating_sub(control.map_or(0, |control| control.delay_secs))
}

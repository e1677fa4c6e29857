//! The watch: follows posts as they come and says of each whether it holds, while there is time to act.
//!
//! A post becomes claimable after the distributor's delay, and whoever watches has that long. What is
//! found here is acted on by [`crate::guardian`]; nothing is sent from this module.
//!
//! Each RPC is audited by itself, over the same places, and their verdicts are put together by
//! `combine`: what a majority says holds, holds; what two of them prove wrong, does not. One RPC that
//! is pruned, behind, silent or lying says *cannot tell* of itself and vetoes nothing; two that
//! contradict each other make a doubt. One RPC alone can thereby bring about a pause, and nothing else.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use alloy::eips::BlockNumberOrTag;
use nodesys_chain::control::{Control, control_of};
use nodesys_chain::project::state_of;
use nodesys_chain::{Provider, majority};
use nodesys_core::bundle::{PreviousDay, ProjectInfo};
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_core::{Address, B256};
use serde::Serialize;

use crate::audit::{AuditError, AuditRange, Auditor, History, PostedCommit, Verdict};
use crate::bundles::Places;

/// How long a verdict that can wait is left before it is asked for again: of an active post that cannot be
/// told, and of one that holds by fewer RPCs than a majority.
const AGAIN_SECS: u64 = 3_600;
/// Days whose amounts are kept for the day after: some for each RPC.
const KEPT_DAYS: usize = 4;

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
    /// Whether enough RPCs stand behind the verdict: a majority that it holds, two or more that it does
    /// not.
    pub vouched: bool,
    /// What is proven not to hold.
    pub findings: Vec<String>,
    /// What cannot be told, with the places or RPCs to blame.
    pub doubts: Vec<String>,
}

impl Post {
    /// The middle of its delay: a doubt that is older pulls the brake.
    pub const fn half_delay(&self) -> u64 {
        // Early enough to pause, late enough for an RPC or a mirror to come back.
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
    /// The newest block of the RPC that is relied on.
    pub block: Option<u64>,
    /// How far that block is behind the clock, in seconds.
    pub lag_secs: Option<u64>,
    /// How many RPCs showed a whole history.
    pub whole: usize,
    /// Posts that were not known to hold before, oldest first; those that hold now among them.
    pub posts: Vec<Post>,
    /// The brakes, by the RPC that is relied on: one with a whole history, and of those the furthest on.
    #[serde(skip)]
    pub control: Option<Control>,
    /// Places and RPCs that failed, whatever others gave.
    pub problems: Vec<String>,
}

/// What one RPC says of a post.
#[derive(Debug, Clone)]
struct Word {
    post: Post,
    active: bool,
}

/// What one RPC says.
#[derive(Debug)]
struct SourceLook {
    control: Control,
    whole: bool,
    words: Vec<Word>,
}

/// Looks at one project.
///
/// # Examples
///
/// ```no_run
/// use std::collections::BTreeSet;
///
/// use nodesys_chain::Provider;
/// use nodesys_core::bundle::ProjectInfo;
/// use nodesys_core::time::Timestamp;
/// use nodesys_sdk::audit::AuditRange;
/// use nodesys_sdk::bundles::Places;
/// use nodesys_sdk::watch::Watch;
///
/// async fn example(rpcs: &Provider, project: ProjectInfo, places: Places, now: Timestamp) {
///     let range = AuditRange { finality_depth: 64, ..AuditRange::default() };
///     let mut watch = Watch::new(rpcs, project, places, range, BTreeSet::new());
///     for post in watch.look(now).await.posts {
///         println!("{}: {}, vouched for: {}", post.day, post.verdict, post.vouched);
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Watch {
    sources: Vec<Provider>,
    project: ProjectInfo,
    places: Places,
    range: AuditRange,
    /// Commits that a majority found to hold.
    settled: BTreeSet<B256>,
    /// Of each RPC, head and revision at which all was settled: while they stay, there is nothing to do.
    quiet_at: Vec<Option<(B256, u32)>>,
    /// What commits lead to, for the day after: the same by whichever RPC, since their bytes are.
    after: VecDeque<(B256, PreviousDay)>,
    /// Posts that can wait, and when they are looked at again.
    later: BTreeMap<B256, (u64, Post)>,
}

impl Watch {
    /// A watch over these RPCs and places. `settled` are the commits that an earlier run found to hold.
    pub fn new(
        provider: &Provider,
        project: ProjectInfo,
        places: Places,
        range: AuditRange,
        settled: BTreeSet<B256>,
    ) -> Self {
        let sources = provider.each();
        Self {
            quiet_at: vec![None; sources.len()],
            sources,
            project,
            places,
            // All days: an old post that does not hold must be found too.
            range: AuditRange { from: None, to: None, ..range },
            settled,
            after: VecDeque::new(),
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
        self.later.retain(|_, (at, _)| *at > clock.secs());
        // A place that did not answer at the last look may be back.
        self.places = self.places.fresh();
        // A set, since each RPC meets the same places.
        let mut problems = BTreeSet::new();
        let mut seen: Vec<SourceLook> = Vec::new();
        for i in 0..self.sources.len() {
            match self.one(i, &mut problems).await {
                Ok(one) => seen.push(one),
                Err(error) => {
                    problems.insert(format!("RPC {}: {error}", self.sources[i].url()));
                }
            }
        }
        look.whole = seen.iter().filter(|one| one.whole).count();
        // A whole history comes before a newer one with gaps.
        let relied_on = seen.iter().max_by_key(|one| (one.whole, one.control.block.number));
        look.control = relied_on.map(|one| one.control);
        if let Some(control) = look.control {
            look.now_secs = look.now_secs.max(control.block.secs);
            look.block = Some(control.block.number);
            look.lag_secs = Some(clock.secs().saturating_sub(control.block.secs));
        }
        let mut words: BTreeMap<B256, Vec<Word>> = BTreeMap::new();
        for word in seen.into_iter().flat_map(|one| one.words) {
            words.entry(word.post.commit_hash).or_default().push(word);
        }
        for (hash, words) in words {
            let active = words.iter().all(|word| word.active);
            let posts: Vec<Post> = words.into_iter().map(|word| word.post).collect();
            let Some(post) = combine(&posts, self.sources.len()) else { continue };
            match (post.verdict, post.vouched) {
                (Verdict::Holds, true) => {
                    self.settled.insert(hash);
                }
                (Verdict::Holds, false) => {
                    self.later.insert(hash, (look.now_secs + AGAIN_SECS, post.clone()));
                }
                _ if active => {
                    self.later.insert(hash, (look.now_secs + AGAIN_SECS, post.clone()));
                }
                _ => {}
            }
            look.posts.push(post);
        }
        let known: BTreeSet<B256> = look.posts.iter().map(|post| post.commit_hash).collect();
        let waiting = self.later.iter().filter(|(hash, _)| !known.contains(*hash));
        look.posts.extend(waiting.map(|(_, (_, post))| post.clone()));
        look.posts.sort_by_key(|post| (post.day, post.posted_at_secs));
        look.problems = problems.into_iter().collect();
        look
    }

    /// One RPC's word on every post that it shows and that is not settled.
    async fn one(
        &mut self,
        i: usize,
        problems: &mut BTreeSet<String>,
    ) -> Result<SourceLook, AuditError> {
        let provider = self.sources[i].clone();
        let (registry, distributor) = (self.project.registry, self.project.distributor);
        let control = control_of(&provider, registry, distributor).await?;
        let mut one = SourceLook { control, whole: true, words: Vec::new() };
        let at = BlockNumberOrTag::Number(control.block.number);
        let state = state_of(&provider, distributor, at).await?;
        if self.quiet_at[i] == Some((state.head, state.revision)) {
            return Ok(one);
        }
        let history = History::read(&provider, registry, distributor, self.range).await?;
        let posted = history.posted();
        one.whole = history.gaps.is_empty();
        problems.extend(history.gaps.iter().map(|gap| format!("RPC {}: {gap}", provider.url())));
        let mut auditor =
            Auditor::new(&provider, &history, &self.places, self.range.finality_depth);
        for commit in &posted {
            let hash = commit.commit_hash;
            if self.settled.contains(&hash) || self.later.contains_key(&hash) {
                continue;
            }
            let known = self.after.iter().find(|(known, _)| *known == commit.commit.previous);
            let before = match known {
                Some((_, before)) => Ok(before.clone()),
                None => auditor.before(commit).await,
            };
            let judged = auditor.judge(commit, before.as_ref().map_err(Clone::clone)).await;
            problems.extend(judged.passed_over.iter().map(ToString::to_string));
            if let Some(after) = judged.after.clone()
                && !self.after.iter().any(|(known, _)| *known == hash)
            {
                self.after.push_back((hash, after));
                if self.after.len() > KEPT_DAYS {
                    self.after.pop_front();
                }
            }
            let block = provider.block(BlockNumberOrTag::Number(commit.block_number)).await;
            let posted_at = match block {
                Ok(Some(block)) => block.secs,
                // An RPC that has pruned the block still has the log, which says when it activates.
                _ => commit.activates_at.saturating_sub(control.delay_secs),
            };
            let mut post = self.unjudged(commit, posted_at);
            post.verdict = judged.report.verdict;
            post.findings = judged.findings.iter().map(ToString::to_string).collect();
            post.doubts = judged.doubts.iter().map(ToString::to_string).collect();
            one.words.push(Word { post, active: judged.report.active });
        }
        let head = history.state.head;
        let shown = |hash: B256| {
            self.settled.contains(&hash) || posted.iter().any(|post| post.commit_hash == hash)
        };
        if !head.is_zero() && !shown(head) {
            // It stands all the same, though no log of it is to be had.
            let activates_at_secs = history.state.activates_at;
            let post = Post {
                project: distributor,
                day: UtcDay::from_epoch(history.state.epoch).unwrap_or(UtcDay(u32::MAX)),
                commit_hash: head,
                transaction: None,
                posted_at_secs: activates_at_secs.saturating_sub(control.delay_secs),
                activates_at_secs,
                verdict: Verdict::CannotTell,
                vouched: false,
                findings: Vec::new(),
                doubts: history.gaps.clone(),
            };
            one.words.push(Word { post, active: activates_at_secs <= control.block.secs });
        }
        let all_settled =
            one.whole && posted.iter().all(|post| self.settled.contains(&post.commit_hash));
        self.quiet_at[i] = all_settled.then_some((head, history.state.revision));
        Ok(one)
    }

    fn unjudged(&self, commit: &PostedCommit, posted_at_secs: u64) -> Post {
        Post {
            project: self.project.distributor,
            day: commit.day,
            commit_hash: commit.commit_hash,
            transaction: Some(commit.transaction),
            posted_at_secs,
            activates_at_secs: commit.activates_at,
            verdict: Verdict::CannotTell,
            vouched: false,
            findings: Vec::new(),
            doubts: Vec::new(),
        }
    }
}

/// One verdict from those of the RPCs that show a post; `sources` is how many there are in all.
///
/// | RPCs that say | verdict |
/// |---|---|
/// | it holds: a majority | holds |
/// | it does not hold: a majority, and two at least | does not hold |
/// | some the one and some the other | cannot tell |
/// | it does not hold: fewer | does not hold, not vouched for: it arms the brake only |
/// | it holds: fewer, the others cannot tell | holds, not vouched for: it is asked again |
/// | none of them can tell | cannot tell |
fn combine(posts: &[Post], sources: usize) -> Option<Post> {
    let of = |verdict: Verdict| posts.iter().filter(move |post| post.verdict == verdict);
    let (holds, wrong) = (of(Verdict::Holds).count(), of(Verdict::DoesNotHold).count());
    let needed = majority(sources);
    let (verdict, vouched) = match (holds, wrong) {
        (holds, _) if holds >= needed => (Verdict::Holds, true),
        // Never one alone, even where it is the only one: it could have honest commits revoked.
        (_, wrong) if wrong >= needed.max(2) => (Verdict::DoesNotHold, true),
        (1.., 1..) => (Verdict::CannotTell, false),
        (0, 1..) => (Verdict::DoesNotHold, false),
        (1.., 0) => (Verdict::Holds, false),
        (0, 0) => (Verdict::CannotTell, false),
    };
    // Of those that say so, the first speaks; where they contradict each other, all do.
    let mut post = of(verdict).next().or(posts.first())?.clone();
    (post.verdict, post.vouched) = (verdict, vouched);
    if verdict == Verdict::CannotTell {
        let said = posts.iter().flat_map(|post| post.doubts.iter().chain(&post.findings));
        let mut said: Vec<String> = said.cloned().collect();
        said.sort_unstable();
        said.dedup();
        if holds > 0 {
            said.insert(0, "the RPCs contradict each other: by one of them it holds".to_owned());
        }
        (post.findings, post.doubts) = (Vec::new(), said);
    }
    Some(post)
}

#[cfg(test)]
mod tests;

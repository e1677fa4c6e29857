//! What a guardian's (or owner's) key does about posts that do not hold or cannot be told.
//!
//! [`decide`] is pure: from what a look found, and the brakes as they are, it gives the steps that are
//! due. It remembers nothing, so a step that failed is due again, and one that was taken is not.
//!
//! | a post that is pending and | steps |
//! |---|---|
//! | does not hold, two RPCs vouching for it | disable the signer, then revoke |
//! | cannot be told, or does not hold by one RPC alone: at half its delay | pause |
//! | the same, once no pause is to be had, or the pause is about to end: in the last third of the delay | disable the signer, then revoke |
//!
//! Each step is sent by itself, and none waits for another: one that fails is told and tried again.

use std::fmt;
use std::time::Duration;

use alloy::network::TransactionBuilder as _;
use alloy::primitives::U256;
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::SolCall as _;
use nodesys_chain::bindings::RewardDistributor;
use nodesys_chain::project::{distributor_events, on_chain};
use nodesys_chain::urgent::LastFee;
use nodesys_chain::{ChainError, Provider};
use nodesys_core::{Address, B256};
use serde::Serialize;

use crate::audit::{PostedCommit, Verdict, standing};
use crate::watch::{Look, Post};

/// A step of the guardian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Stop posts and activations for ten days; it ends by itself.
    Pause,
    /// Let the reward signer sign nothing more.
    DisableSigner,
    /// Take back this commit and all upon it.
    Revoke {
        /// The lowest commit taken back.
        commit_hash: B256,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pause => f.write_str("pause"),
            Self::DisableSigner => f.write_str("disable the signer"),
            Self::Revoke { commit_hash } => write!(f, "revoke {commit_hash} and all upon it"),
        }
    }
}

/// The steps that are due now. `is_owner`: the key is the owner's, who may pause again and again.
///
/// # Examples
///
/// ```
/// use nodesys_chain::BlockRef;
/// use nodesys_chain::control::Control;
/// use nodesys_core::{Address, B256};
/// use nodesys_sdk::audit::Verdict;
/// use nodesys_sdk::guardian::{Step, decide};
/// use nodesys_sdk::watch::{Look, Post};
///
/// let (posted, delay) = (1_767_225_600, 86_400);
/// let look = |verdict, now_secs| Look {
///     now_secs,
///     posts: vec![Post {
///         project: Address::repeat_byte(2),
///         day: "2025-12-31".parse().expect("a day"),
///         commit_hash: B256::repeat_byte(7),
///         transaction: None,
///         posted_at_secs: posted,
///         activates_at_secs: posted + delay,
///         verdict,
///         vouched: true,
///         findings: vec![],
///         doubts: vec![],
///     }],
///     control: Some(Control {
///         block: BlockRef { number: 9, hash: B256::ZERO, secs: now_secs },
///         signer: Address::repeat_byte(3),
///         guardian: Address::repeat_byte(4),
///         owner: Address::repeat_byte(1),
///         pause_spent: false,
///         paused_from: 0,
///         paused_until: 0,
///         delay_secs: delay,
///     }),
///     ..Look::default()
/// };
/// let revoke = Step::Revoke { commit_hash: B256::repeat_byte(7) };
/// let proven = look(Verdict::DoesNotHold, posted);
/// assert_eq!(decide(&proven, false), [Step::DisableSigner, revoke], "at once");
/// assert_eq!(decide(&look(Verdict::CannotTell, posted), false), [], "there is time");
/// assert_eq!(decide(&look(Verdict::CannotTell, posted + delay / 2), false), [Step::Pause]);
/// ```
pub fn decide(look: &Look, is_owner: bool) -> Vec<Step> {
    let Some(control) = look.control else { return Vec::new() };
    // What is urgent goes by the later of chain and clock; what can still be taken back by the chain
    // alone, since a clock that is ahead must not give a post up.
    let (now, chain) = (look.now_secs, control.block.secs);
    let (active_until, paused) = (control.active_until(chain), control.is_paused(chain));
    let pending = |post: &&Post| post.activates_at_secs > active_until;
    let proven = |post: &&Post| post.vouched && post.verdict == Verdict::DoesNotHold;
    let disable = (!control.signer.is_zero()).then_some(Step::DisableSigner);

    // Disabling comes before revoking: a signer that is left could post again, faster than we revoke.
    if look.posts.iter().any(|post| proven(&post)) {
        // What is active already cannot be taken back, but nothing more is signed.
        let lowest = look.posts.iter().filter(pending).find(proven);
        let revoke = lowest.map(|post| Step::Revoke { commit_hash: post.commit_hash });
        return disable.into_iter().chain(revoke).collect();
    }
    let doubtful = |post: &&Post| post.verdict != Verdict::Holds && now >= post.half_delay();
    let mut steps = Vec::new();
    for post in look.posts.iter().filter(pending).filter(doubtful) {
        let claimable_at = match paused {
            true => post.activates_at_secs.max(control.paused_until),
            false => post.activates_at_secs,
        };
        // A third of the delay leaves time for fees to be raised and for RPCs to come back.
        let about_to_end = now + post.delay() / 3 >= claimable_at;
        let can_pause = is_owner || !control.pause_spent;
        if can_pause && (!paused || about_to_end) {
            return vec![Step::Pause];
        }
        if about_to_end && steps.is_empty() {
            steps.extend(disable);
            steps.push(Step::Revoke { commit_hash: post.commit_hash });
        }
    }
    steps
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// The step.
    #[serde(flatten)]
    pub step: Step,
    /// The transaction that did it.
    pub transaction: Option<B256>,
    /// Why it could not be done; it is tried again at the next look.
    pub problem: Option<String>,
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.transaction, &self.problem) {
            (Some(transaction), _) => write!(f, "{}: done by {transaction}", self.step),
            (None, Some(problem)) => write!(f, "{}: NOT DONE, {problem}", self.step),
            (None, None) => write!(f, "{}: was done before", self.step),
        }
    }
}

/// A connection with the guardian's or owner's key.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// use nodesys_chain::{ChainError, Provider, RpcUrl};
/// use nodesys_core::Address;
/// use nodesys_core::signature::SigningKey;
/// use nodesys_sdk::guardian::Guardian;
/// use nodesys_sdk::watch::Look;
///
/// async fn example(
///     rpcs: &[RpcUrl],
///     key: &SigningKey,
///     distributor: Address,
///     look: &Look,
/// ) -> Result<(), ChainError> {
///     let provider = Provider::connect_all_with_key(rpcs, None, key).await?;
///     let mut guardian = Guardian::new(provider, distributor, 0, Duration::from_secs(30));
///     for taken in guardian.act(look).await {
///         println!("{taken}");
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Guardian {
    provider: Provider,
    distributor: Address,
    logs_from: u64,
    wait: Duration,
    /// The fee of the last transaction, which one that still waits has to be surpassed by.
    pub last_fee: LastFee,
}

impl Guardian {
    /// `provider` holds the key; `wait` is how long each try of a transaction may take to be mined.
    pub fn new(provider: Provider, distributor: Address, logs_from: u64, wait: Duration) -> Self {
        Self { provider, distributor, logs_from, wait, last_fee: LastFee::default() }
    }

    /// Whose key it is.
    pub fn account(&self) -> Address {
        self.provider.sender().unwrap_or_default()
    }

    /// Takes the steps that are due, each by itself.
    pub async fn act(&mut self, look: &Look) -> Vec<Taken> {
        let is_owner = look.control.is_some_and(|control| control.owner == self.account());
        let mut taken = Vec::new();
        for step in decide(look, is_owner) {
            let done = self.take(step).await;
            let (transaction, problem) = match done {
                Ok(transaction) => (transaction, None),
                Err(error) => (None, Some(error.to_string())),
            };
            taken.push(Taken { step, transaction, problem });
        }
        taken
    }

    async fn take(&mut self, step: Step) -> Result<Option<B256>, ChainError> {
        let data = match step {
            Step::Pause => RewardDistributor::pauseCall {}.abi_encode(),
            Step::DisableSigner => RewardDistributor::disableSignerCall {}.abi_encode(),
            Step::Revoke { commit_hash } => return self.revoke(commit_hash).await,
        };
        self.send(step, data).await
    }

    async fn send(&mut self, step: Step, data: Vec<u8>) -> Result<Option<B256>, ChainError> {
        let request = TransactionRequest::default().with_to(self.distributor).with_input(data);
        let what = format!("to {step}");
        let sent = self.provider.send_until_mined(&what, request, self.wait, &mut self.last_fee);
        match sent.await {
            Ok(receipt) => Ok(Some(receipt.transaction_hash)),
            Err(ChainError::Reverted { reason, .. })
                // Somebody else was faster, which is as good.
                if reason.is::<RewardDistributor::SignerIsDisabled>() =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Revokes down to a commit, by the posts as each RPC shows them, the furthest on first: a post may have
    /// come in since the look, and the contract takes only what begins at its head.
    async fn revoke(&mut self, commit_hash: B256) -> Result<Option<B256>, ChainError> {
        let (mut shown, mut problem) = (Vec::new(), None);
        for provider in self.provider.each() {
            match self.standing(&provider).await {
                Ok(posts) => shown.push(posts),
                Err(error) => problem = Some(error),
            }
        }
        shown.sort_by_key(|(block, _)| std::cmp::Reverse(*block));
        let calls = shown.iter().filter_map(|(_, posts)| revocation(posts, commit_hash));
        let mut calls: Vec<Vec<u8>> = calls.map(|call| call.abi_encode()).collect();
        // RPCs that show the same posts make the same call, which needs no second try.
        calls.dedup();
        for data in calls {
            match self.send(Step::Revoke { commit_hash }, data).await {
                // It does not begin at the head; what another RPC shows may.
                Err(error @ ChainError::Reverted { .. }) => problem = Some(error),
                done => return done,
            }
        }
        // No RPC shows it any more, or each that does was refused.
        problem.map_or(Ok(None), Err)
    }

    async fn standing(&self, provider: &Provider) -> Result<(u64, Vec<PostedCommit>), ChainError> {
        let newest = provider.latest_block().await?.number;
        let events = distributor_events(provider, self.distributor, self.logs_from, newest).await?;
        Ok((newest, standing(&events)))
    }
}

/// The call that revokes from the newest commit down to this one; `None` when it does not stand.
fn revocation(posts: &[PostedCommit], commit_hash: B256) -> Option<RewardDistributor::revokeCall> {
    let by_hash = |hash: B256| posts.iter().find(|post| post.commit_hash == hash);
    let bad = by_hash(commit_hash)?;
    let mut down = Vec::new();
    let mut current = posts.last()?;
    loop {
        down.push(on_chain(&current.commit));
        if current.commit_hash == commit_hash {
            break;
        }
        current = by_hash(current.commit.previous)?;
    }
    // Below the first commit there is nothing; the contract then takes any.
    let new_head = match by_hash(bad.commit.previous) {
        Some(below) => on_chain(&below.commit),
        None => RewardDistributor::RewardCommit {
            epoch: 0,
            revision: 0,
            previous: B256::ZERO,
            root: B256::ZERO,
            total: U256::ZERO,
            dataHash: B256::ZERO,
        },
    };
    Some(RewardDistributor::revokeCall { down, newHead: new_head })
}

#[cfg(test)]
mod tests;

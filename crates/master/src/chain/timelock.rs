//! `project signer|queue|pending|execute|cancel|now`: decisions of a project's owner or guardian.
//!
//! An action that raises risk waits behind the timelock: it is queued, listed by `pending`, and
//! executed or cancelled by the listed hash. An action that lowers risk takes effect at once (`now`).
//! Each command reads the chain first and changes nothing where the action is done already.

mod view;

use alloy::eips::BlockId;
use alloy::primitives::Bytes;
use alloy::rpc::types::TransactionRequest;
use anyhow::Context as _;
use clap::{ArgGroup, Args};
use nodesys_chain::bindings::RewardDistributor::{
    delayCall, disableSignerCall, guardianCall, guardianPauseSpentCall, isPausedCall,
    lowerQuotaCall, pauseCall, quotaOfCall, raiseDelayCall, raiseTimelockCall,
    renewGuardianPauseCall, signerCall, timelockCall,
};
use nodesys_chain::timelock::{
    Action, Stage, Waiting, cancel_request, execute_request, queue_request, waiting, waiting_call,
};
use nodesys_core::address::address;
use nodesys_core::ids::Amount;
use nodesys_core::{Address, B256};

use super::project::find;
use super::tx::{SendArgs, TxSender, TxView, call_request};
use crate::config::Settings;
use view::{ActionView, Outcome, PendingCall, PendingView, words};

/// An action that waits for the timelock.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("action").required(true).args(
    ["signer", "guardian", "quota", "delay", "timelock", "withdraw"]
))]
pub struct QueueArgs {
    /// Appoint this reward signer, in place of the present one if there is one.
    #[arg(long, value_name = "ADDRESS")]
    #[arg(value_parser = address)]
    signer: Option<Address>,
    /// Appoint this guardian; the zero address for none.
    #[arg(long, value_name = "ADDRESS")]
    #[arg(value_parser = address)]
    guardian: Option<Address>,
    /// Raise the daily quota to this amount.
    #[arg(long, value_name = "WEI")]
    quota: Option<Amount>,
    /// Lower the delay of commits to this time.
    #[arg(long, value_name = "SECS")]
    delay: Option<u64>,
    /// Lower the timelock to this time.
    #[arg(long, value_name = "SECS")]
    timelock: Option<u64>,
    /// Withdraw this amount of the tokens that are owed to nobody.
    #[arg(long, value_name = "WEI", requires = "to")]
    withdraw: Option<Amount>,
    /// Receiver of the withdrawal.
    #[arg(long, value_name = "ADDRESS", requires = "withdraw")]
    #[arg(value_parser = address)]
    to: Option<Address>,
    #[command(flatten)]
    pub(crate) send: SendArgs,
}

/// A queued call.
#[derive(Debug, Args)]
pub struct QueuedArgs {
    /// Hash of the call, as `project pending` lists it.
    #[arg(value_name = "HASH")]
    hash: B256,
    #[command(flatten)]
    pub(crate) send: SendArgs,
}

/// A change of the reward signer.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").required(true).args(["set", "disable"]))]
pub struct SignerArgs {
    /// Appoint this reward signer. The first run queues it; a run after the timelock completes it.
    #[arg(long, value_name = "ADDRESS")]
    #[arg(value_parser = address)]
    set: Option<Address>,
    /// Disable the reward signer at once, as owner or guardian; posted commits are not affected.
    #[arg(long)]
    disable: bool,
    #[command(flatten)]
    pub(crate) send: SendArgs,
}

/// An action that lowers risk.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("step").required(true).args(
    ["quota", "delay", "timelock", "pause", "renew_guardian_pause"]
))]
pub struct NowArgs {
    /// Lower the daily quota of the days that have not begun to this amount.
    #[arg(long, value_name = "WEI")]
    quota: Option<Amount>,
    /// Raise the delay of commits to this time.
    #[arg(long, value_name = "SECS")]
    delay: Option<u64>,
    /// Raise the timelock to this time.
    #[arg(long, value_name = "SECS")]
    timelock: Option<u64>,
    /// Pause posts and activations for ten days; no effect on a running pause. For the owner, and
    /// once for the guardian.
    #[arg(long)]
    pause: bool,
    /// Allow the guardian another pause.
    #[arg(long)]
    renew_guardian_pause: bool,
    #[command(flatten)]
    pub(crate) send: SendArgs,
}

/// A project under administration.
struct ProjectAdmin<'a> {
    sender: &'a TxSender,
    project: Address,
    /// First block to search for queued calls.
    first_block: u64,
}

impl<'a> ProjectAdmin<'a> {
    async fn of(settings: &Settings, sender: &'a TxSender) -> anyhow::Result<Self> {
        let project = find(settings, &sender.provider).await?.address;
        Ok(Self { sender, project, first_block: settings.first_block.unwrap_or(0) })
    }

    async fn waiting(&self, call: &Bytes) -> anyhow::Result<Option<(Waiting, Stage)>> {
        let provider = &self.sender.provider;
        let at = provider.latest_block().await?;
        let waiting = waiting_call(provider, self.project, call, at).await?;
        Ok(waiting.map(|one| {
            let stage = one.stage(at.secs);
            (one, stage)
        }))
    }

    fn done_before(&self, action: String) -> ActionView {
        ActionView::new(self.project, Outcome::Already, TxView::not_needed(action))
    }

    async fn send(
        &self,
        action: String,
        outcome: Outcome,
        request: TransactionRequest,
    ) -> anyhow::Result<ActionView> {
        let transaction = self.sender.send(&action, &format!("to {action}"), request).await?;
        Ok(ActionView::new(self.project, outcome, TxView { action, transaction }))
    }

    async fn queue(&self, action: Action) -> anyhow::Result<ActionView> {
        let call = action.call();
        let view = match self.waiting(&call).await? {
            Some((_, Stage::Waits | Stage::Ready)) => self.done_before(action.to_string()),
            Some((_, Stage::Lapsed)) | None => {
                let request = queue_request(self.project, call.clone());
                self.send(action.to_string(), Outcome::Queued, request).await?
            }
        };
        Ok(view.with_window(self.waiting(&call).await?.map(|(waiting, _)| waiting)))
    }

    async fn execute(&self, one: &Waiting) -> anyhow::Result<ActionView> {
        let request = execute_request(self.project, one.call.clone());
        let view = self.send(words(one), Outcome::Done, request).await?;
        Ok(view.with_hash(one.call_hash))
    }

    async fn cancel(&self, one: &Waiting) -> anyhow::Result<ActionView> {
        let request = cancel_request(self.project, one.call.clone());
        let view = self.send(words(one), Outcome::Cancelled, request).await?;
        Ok(view.with_hash(one.call_hash))
    }

    /// The waiting call with this hash.
    async fn by_hash(&self, hash: B256) -> anyhow::Result<Waiting> {
        let provider = &self.sender.provider;
        let at = provider.latest_block().await?;
        let all = waiting(provider, self.project, self.first_block, at).await?;
        all.into_iter().find(|one| one.call_hash == hash).with_context(|| {
            format!(
                "no call waits under {hash}: it was not queued, was executed, or was cancelled; \
                 `project pending` lists the waiting calls"
            )
        })
    }
}

/// Queues an action, unless it is queued already.
pub(crate) async fn queue(
    settings: &Settings,
    tx: &TxSender,
    args: &QueueArgs,
) -> anyhow::Result<ActionView> {
    let action = match (args.withdraw, args.to) {
        (Some(amount), Some(recipient)) => {
            Action::WithdrawUnallocated { recipient, amount: amount.to_u256() }
        }
        _ => [
            args.signer.map(Action::SetSigner),
            args.guardian.map(Action::SetGuardian),
            args.quota.map(Action::RaiseQuota),
            args.delay.map(Action::LowerDelay),
            args.timelock.map(Action::LowerTimelock),
        ]
        .into_iter()
        .flatten()
        .next()
        // clap requires one.
        .context("no action is given")?,
    };
    ProjectAdmin::of(settings, tx).await?.queue(action).await
}

/// Executes a queued call.
pub(crate) async fn execute(
    settings: &Settings,
    tx: &TxSender,
    args: &QueuedArgs,
) -> anyhow::Result<ActionView> {
    let admin = ProjectAdmin::of(settings, tx).await?;
    admin.execute(&admin.by_hash(args.hash).await?).await
}

/// Cancels a queued call.
pub(crate) async fn cancel(
    settings: &Settings,
    tx: &TxSender,
    args: &QueuedArgs,
) -> anyhow::Result<ActionView> {
    let admin = ProjectAdmin::of(settings, tx).await?;
    admin.cancel(&admin.by_hash(args.hash).await?).await
}

/// Replaces or disables the reward signer.
pub(crate) async fn signer(
    settings: &Settings,
    tx: &TxSender,
    args: &SignerArgs,
) -> anyhow::Result<ActionView> {
    let admin = ProjectAdmin::of(settings, tx).await?;
    let current = admin.sender.read(admin.project, signerCall {}).await?;
    let Some(new) = args.set else {
        let action = "disable the reward signer".to_owned();
        if current.is_zero() {
            return Ok(admin.done_before(action));
        }
        let request = call_request(admin.project, &disableSignerCall {});
        return admin.send(action, Outcome::Done, request).await;
    };
    let action = Action::SetSigner(new);
    if current == new {
        return Ok(admin.done_before(action.to_string()));
    }
    match admin.waiting(&action.call()).await? {
        Some((one, Stage::Ready)) => admin.execute(&one).await,
        _ => admin.queue(action).await,
    }
}

/// Takes an action that lowers risk.
pub(crate) async fn now(
    settings: &Settings,
    tx: &TxSender,
    args: &NowArgs,
) -> anyhow::Result<ActionView> {
    let admin = ProjectAdmin::of(settings, tx).await?;
    let (sender, project) = (&admin.sender, admin.project);
    let (action, done, request) = if let Some(quota) = args.quota {
        let last = quotaOfCall { day: u64::MAX };
        let done = sender.read(project, last).await? == quota.get();
        let request = call_request(project, &lowerQuotaCall { newQuota: quota.get() });
        (format!("lower the daily quota to {quota}"), done, request)
    } else if let Some(secs) = args.delay {
        let done = sender.read(project, delayCall {}).await? == secs;
        let request = call_request(project, &raiseDelayCall { newDelay: secs });
        (format!("raise the delay to {secs} s"), done, request)
    } else if let Some(secs) = args.timelock {
        let done = sender.read(project, timelockCall {}).await? == secs;
        let request = call_request(project, &raiseTimelockCall { newTimelock: secs });
        (format!("raise the timelock to {secs} s"), done, request)
    } else if args.pause {
        let done = sender.read(project, isPausedCall {}).await?;
        ("pause for ten days".to_owned(), done, call_request(project, &pauseCall {}))
    } else {
        let done = !sender.read(project, guardianPauseSpentCall {}).await?;
        let request = call_request(project, &renewGuardianPauseCall {});
        ("allow the guardian another pause".to_owned(), done, request)
    };
    match done {
        true => Ok(admin.done_before(action)),
        false => admin.send(action, Outcome::Done, request).await,
    }
}

/// Lists the waiting calls.
pub(crate) async fn pending(settings: &Settings) -> anyhow::Result<PendingView> {
    let provider = settings.provider().await?;
    let project = find(settings, &provider).await?;
    let at = provider.latest_block().await?;
    let (id, from) = (BlockId::hash(at.hash), settings.first_block.unwrap_or(0));
    let all = waiting(&provider, project.address, from, at).await?;
    Ok(PendingView {
        project: project.address,
        name: project.name,
        owner: project.owner,
        guardian: provider.call(project.address, &guardianCall {}, id).await?,
        timelock_secs: provider.call(project.address, &timelockCall {}, id).await?,
        now: at.secs,
        waiting: all.iter().map(|one| PendingCall::of(one, at.secs)).collect(),
    })
}

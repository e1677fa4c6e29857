//! `project signer|queue|pending|execute|cancel|now`: what a project's owner, or its guardian, decides
//! on chain.
//!
//! What raises risk waits: it is queued, shown by `pending`, and executed or cancelled by the hash that
//! is shown. What lowers risk happens at once (`now`). Each command finds what is done already, and a
//! Safe or a hardware wallet takes `--calldata` in place of a key here.

use std::fmt;

use alloy::eips::BlockId;
use alloy::network::TransactionBuilder as _;
use alloy::primitives::Bytes;
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::SolCall;
use anyhow::Context as _;
use clap::{ArgGroup, Args};
use nodesys_contracts::bindings::RewardDistributor::{
    dailyQuotaCall, delayCall, disableSignerCall, guardianCall, guardianPauseSpentCall,
    isPausedCall, lowerQuotaCall, pauseCall, raiseDelayCall, raiseTimelockCall,
    renewGuardianPauseCall, signerCall, timelockCall,
};
use nodesys_contracts::timelock::{
    Action, Stage, Waiting, cancel_request, execute_request, queue_request, waiting, waiting_call,
};
use nodesys_contracts::{ChainError, Provider};
use nodesys_core::ids::{Amount, Name};
use nodesys_core::time::Timestamp;
use nodesys_core::{Address, B256};
use serde::Serialize;

use crate::cli::{Format, Sender};
use crate::config::Settings;
use crate::project::find;

/// How a transaction is made.
#[derive(Debug, Args)]
pub struct Send {
    /// Print the transaction for a Safe or another wallet; send nothing, and need no key.
    #[arg(long)]
    pub calldata: bool,
    /// Who sends it, and pays the gas.
    #[command(flatten)]
    pub sender: Sender,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
}

/// An action that waits.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("action").required(true).args(
    ["signer", "guardian", "quota", "delay", "timelock", "withdraw"]
))]
pub struct Queue {
    /// Replace the reward signer, or appoint one.
    #[arg(long, value_name = "ADDRESS")]
    signer: Option<Address>,
    /// Replace the guardian; the zero address for none.
    #[arg(long, value_name = "ADDRESS")]
    guardian: Option<Address>,
    /// Raise the daily quota to this.
    #[arg(long, value_name = "WEI")]
    quota: Option<Amount>,
    /// Lower the delay of commits to this.
    #[arg(long, value_name = "SECS")]
    delay: Option<u64>,
    /// Lower the timelock to this.
    #[arg(long, value_name = "SECS")]
    timelock: Option<u64>,
    /// Take this much of what is owed to nobody.
    #[arg(long, value_name = "WEI", requires = "to")]
    withdraw: Option<Amount>,
    /// Who gets what is withdrawn.
    #[arg(long, value_name = "ADDRESS", requires = "withdraw")]
    to: Option<Address>,
    #[command(flatten)]
    pub(crate) send: Send,
}

/// A queued call.
#[derive(Debug, Args)]
pub struct Queued {
    /// Its hash, as `project pending` shows it.
    #[arg(value_name = "HASH")]
    hash: B256,
    #[command(flatten)]
    pub(crate) send: Send,
}

/// What is done about the reward signer.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").required(true).args(["set", "disable"]))]
pub struct Signer {
    /// Replace it: queued at first, done by the same command once the wait is over.
    #[arg(long, value_name = "ADDRESS")]
    set: Option<Address>,
    /// Disable it at once. Owner or guardian; posted commits are not touched.
    #[arg(long)]
    disable: bool,
    #[command(flatten)]
    pub(crate) send: Send,
}

/// What lowers risk, and happens at once.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("step").required(true).args(
    ["quota", "delay", "timelock", "pause", "renew_guardian_pause"]
))]
pub struct Now {
    /// Lower the daily quota to this.
    #[arg(long, value_name = "WEI")]
    quota: Option<Amount>,
    /// Raise the delay of commits to this.
    #[arg(long, value_name = "SECS")]
    delay: Option<u64>,
    /// Raise the timelock to this.
    #[arg(long, value_name = "SECS")]
    timelock: Option<u64>,
    /// Stop posts and activations for ten days; a pause that runs is left as it is. Owner, or once
    /// the guardian.
    #[arg(long)]
    pause: bool,
    /// Give the guardian another pause.
    #[arg(long)]
    renew_guardian_pause: bool,
    #[command(flatten)]
    pub(crate) send: Send,
}

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Queued,
    Done,
    Cancelled,
    /// It was so already; nothing was sent.
    Already,
    /// Printed for another wallet; nothing was sent.
    Calldata,
}

/// A decision, printed.
#[derive(Debug, Serialize)]
pub(crate) struct Decided {
    project: Address,
    what: String,
    outcome: Outcome,
    call_hash: Option<B256>,
    ready_at: Option<u64>,
    expires_at: Option<u64>,
    transaction: Option<B256>,
    to: Option<Address>,
    data: Option<Bytes>,
}

impl fmt::Display for Decided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "project      {}", self.project)?;
        write!(f, "what         {}", self.what)?;
        if let Some(hash) = self.call_hash {
            write!(f, "\nhash         {hash}")?;
        }
        if let (Some(ready), Some(expires)) = (self.ready_at, self.expires_at) {
            let (ready, expires) = (Timestamp::from_secs(ready), Timestamp::from_secs(expires));
            write!(f, "\nmay be done  from {ready} until {expires}")?;
        }
        if let (Some(to), Some(data)) = (self.to, &self.data) {
            write!(f, "\nto           {to}\nvalue        0\ndata         {data}")?;
        }
        match (self.outcome, self.transaction) {
            (_, Some(transaction)) => write!(f, "\ntransaction  {transaction}"),
            (Outcome::Calldata, None) => f.write_str("\ntransaction  none: yours to send"),
            (_, None) => f.write_str("\ntransaction  none: it is so already"),
        }
    }
}

/// A project and how to reach it.
struct Desk<'a> {
    settings: &'a Settings,
    provider: Provider,
    project: Address,
    calldata: bool,
}

impl<'a> Desk<'a> {
    async fn open(settings: &'a Settings, send: &Send) -> anyhow::Result<Self> {
        let provider = match send.calldata {
            true => settings.provider().await?,
            false => settings.provider_with_key(&settings.sender_key(&send.sender)?).await?,
        };
        let (project, ..) = find(settings, &provider).await?;
        Ok(Self { settings, provider, project, calldata: send.calldata })
    }

    async fn read<C: SolCall>(&self, call: C) -> Result<C::Return, ChainError> {
        self.provider.call(self.project, &call, BlockId::latest()).await
    }

    async fn waiting(&self, call: &Bytes) -> anyhow::Result<Option<Waiting>> {
        let at = self.provider.latest_block().await?;
        Ok(waiting_call(&self.provider, self.project, call, at).await?)
    }

    fn decided(&self, what: String, outcome: Outcome) -> Decided {
        Decided {
            project: self.project,
            what,
            outcome,
            call_hash: None,
            ready_at: None,
            expires_at: None,
            transaction: None,
            to: None,
            data: None,
        }
    }

    /// Sends a transaction, or prints it.
    async fn send(
        &self,
        what: String,
        outcome: Outcome,
        request: TransactionRequest,
    ) -> anyhow::Result<Decided> {
        if self.calldata {
            let data = request.input.input().cloned().unwrap_or_default();
            let decided = self.decided(what, Outcome::Calldata);
            return Ok(Decided { to: Some(self.project), data: Some(data), ..decided });
        }
        let receipt = self.provider.send(&format!("to {what}"), request).await?;
        let transaction = Some(receipt.transaction_hash);
        Ok(Decided { transaction, ..self.decided(what, outcome) })
    }

    async fn queue(&self, action: Action) -> anyhow::Result<Decided> {
        let call = action.call();
        let at = self.provider.latest_block().await?;
        let standing = waiting_call(&self.provider, self.project, &call, at).await?;
        let decided = match standing.filter(|one| one.stage(at.secs) != Stage::Lapsed) {
            Some(_) => self.decided(action.to_string(), Outcome::Already),
            None => {
                let request = queue_request(self.project, call.clone());
                self.send(action.to_string(), Outcome::Queued, request).await?
            }
        };
        Ok(decided.with(self.waiting(&call).await?))
    }

    async fn execute(&self, one: Waiting) -> anyhow::Result<Decided> {
        let request = execute_request(self.project, one.call.clone());
        let decided = self.send(words(&one), Outcome::Done, request).await?;
        Ok(Decided { call_hash: Some(one.call_hash), ..decided })
    }

    /// The waiting call with this hash.
    async fn by_hash(&self, hash: B256) -> anyhow::Result<Waiting> {
        let at = self.provider.latest_block().await?;
        let from = self.settings.first_block.unwrap_or(0);
        let all = waiting(&self.provider, self.project, from, at).await?;
        all.into_iter().find(|one| one.call_hash == hash).with_context(|| {
            format!(
                "nothing waits under {hash}: it was not queued, was executed, or was cancelled; \
                 `project pending` lists what waits"
            )
        })
    }
}

impl Decided {
    fn with(self, waiting: Option<Waiting>) -> Self {
        match waiting {
            None => self,
            Some(one) => Self {
                call_hash: Some(one.call_hash),
                ready_at: Some(one.ready_at),
                expires_at: Some(one.expires_at),
                ..self
            },
        }
    }
}

fn words(one: &Waiting) -> String {
    match one.action {
        Some(action) => action.to_string(),
        None => format!("make the call {}", one.call),
    }
}

/// Queues an action; finding it queued already is success.
pub(crate) async fn queue(settings: &Settings, queue: &Queue) -> anyhow::Result<Decided> {
    let action = match (queue.withdraw, queue.to) {
        (Some(amount), Some(recipient)) => {
            Action::WithdrawUnallocated { recipient, amount: amount.to_u256() }
        }
        _ => [
            queue.signer.map(Action::SetSigner),
            queue.guardian.map(Action::SetGuardian),
            queue.quota.map(Action::RaiseQuota),
            queue.delay.map(Action::LowerDelay),
            queue.timelock.map(Action::LowerTimelock),
        ]
        .into_iter()
        .flatten()
        .next()
        // clap requires one.
        .context("say what is to be queued")?,
    };
    Desk::open(settings, &queue.send).await?.queue(action).await
}

/// Makes a queued call.
pub(crate) async fn execute(settings: &Settings, queued: &Queued) -> anyhow::Result<Decided> {
    let desk = Desk::open(settings, &queued.send).await?;
    let one = desk.by_hash(queued.hash).await?;
    desk.execute(one).await
}

/// Cancels a queued call.
pub(crate) async fn cancel(settings: &Settings, queued: &Queued) -> anyhow::Result<Decided> {
    let desk = Desk::open(settings, &queued.send).await?;
    let one = desk.by_hash(queued.hash).await?;
    let request = cancel_request(desk.project, one.call.clone());
    let decided = desk.send(words(&one), Outcome::Cancelled, request).await?;
    Ok(Decided { call_hash: Some(one.call_hash), ..decided })
}

/// Replaces or disables the reward signer.
pub(crate) async fn signer(settings: &Settings, signer: &Signer) -> anyhow::Result<Decided> {
    let desk = Desk::open(settings, &signer.send).await?;
    let current = desk.read(signerCall {}).await?;
    let Some(wanted) = signer.set else {
        let what = "disable the reward signer".to_owned();
        if current.is_zero() {
            return Ok(desk.decided(what, Outcome::Already));
        }
        return desk.send(what, Outcome::Done, at_once(desk.project, &disableSignerCall {})).await;
    };
    let action = Action::SetSigner(wanted);
    if current == wanted {
        return Ok(desk.decided(action.to_string(), Outcome::Already));
    }
    let at = desk.provider.latest_block().await?;
    match waiting_call(&desk.provider, desk.project, &action.call(), at).await? {
        Some(one) if one.stage(at.secs) == Stage::Ready => desk.execute(one).await,
        _ => desk.queue(action).await,
    }
}

/// Does at once what lowers risk.
pub(crate) async fn now(settings: &Settings, now: &Now) -> anyhow::Result<Decided> {
    let desk = Desk::open(settings, &now.send).await?;
    let project = desk.project;
    let (what, already, request) = if let Some(quota) = now.quota {
        let already = desk.read(dailyQuotaCall {}).await? == quota.get();
        let request = at_once(project, &lowerQuotaCall { newQuota: quota.get() });
        (format!("lower the daily quota to {quota}"), already, request)
    } else if let Some(secs) = now.delay {
        let already = desk.read(delayCall {}).await? == secs;
        let request = at_once(project, &raiseDelayCall { newDelay: secs });
        (format!("raise the delay to {secs} s"), already, request)
    } else if let Some(secs) = now.timelock {
        let already = desk.read(timelockCall {}).await? == secs;
        let request = at_once(project, &raiseTimelockCall { newTimelock: secs });
        (format!("raise the timelock to {secs} s"), already, request)
    } else if now.pause {
        let already = desk.read(isPausedCall {}).await?;
        ("pause for ten days".to_owned(), already, at_once(project, &pauseCall {}))
    } else {
        let already = !desk.read(guardianPauseSpentCall {}).await?;
        let request = at_once(project, &renewGuardianPauseCall {});
        ("give the guardian another pause".to_owned(), already, request)
    };
    match already {
        true => Ok(desk.decided(what, Outcome::Already)),
        false => desk.send(what, Outcome::Done, request).await,
    }
}

fn at_once<C: SolCall>(project: Address, call: &C) -> TransactionRequest {
    TransactionRequest::default().with_to(project).with_input(call.abi_encode())
}

/// What waits in a project.
#[derive(Debug, Serialize)]
pub(crate) struct Pending {
    project: Address,
    name: Name,
    owner: Address,
    guardian: Address,
    timelock_secs: u64,
    /// The chain's time, by which stages are told.
    now: u64,
    waiting: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    hash: B256,
    what: String,
    stage: &'static str,
    ready_at: u64,
    expires_at: u64,
    call: Bytes,
}

/// Reads what waits.
pub(crate) async fn pending(settings: &Settings) -> anyhow::Result<Pending> {
    let provider = settings.provider().await?;
    let (project, name, owner) = find(settings, &provider).await?;
    let at = provider.latest_block().await?;
    let (id, from) = (BlockId::hash(at.hash), settings.first_block.unwrap_or(0));
    let all = waiting(&provider, project, from, at).await?;
    let line = |one: &Waiting| Line {
        hash: one.call_hash,
        what: words(one),
        stage: match one.stage(at.secs) {
            Stage::Waits => "waits",
            Stage::Ready => "ready",
            Stage::Lapsed => "lapsed",
        },
        ready_at: one.ready_at,
        expires_at: one.expires_at,
        call: one.call.clone(),
    };
    Ok(Pending {
        project,
        name,
        owner,
        guardian: provider.call(project, &guardianCall {}, id).await?,
        timelock_secs: provider.call(project, &timelockCall {}, id).await?,
        now: at.secs,
        waiting: all.iter().map(line).collect(),
    })
}

impl fmt::Display for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "project      {} ({})", self.project, self.name)?;
        writeln!(f, "owner        {}", self.owner)?;
        writeln!(f, "guardian     {}", self.guardian)?;
        writeln!(f, "timelock     {} s", self.timelock_secs)?;
        write!(f, "chain time   {}", Timestamp::from_secs(self.now))?;
        if self.waiting.is_empty() {
            return f.write_str("\nnothing waits");
        }
        for one in &self.waiting {
            let ready = Timestamp::from_secs(one.ready_at);
            let expires = Timestamp::from_secs(one.expires_at);
            write!(f, "\n\n{}\n  {}\n  ", one.hash, one.what)?;
            match one.stage {
                "waits" => write!(f, "waits: may be executed from {ready} until {expires}")?,
                "ready" => write!(f, "ready: may be executed until {expires}")?,
                _ => write!(f, "lapsed at {expires}: queue it again")?,
            }
        }
        Ok(())
    }
}

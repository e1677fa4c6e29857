//! Output of the timelock commands: `Display` for people, serde for programs.

use std::fmt;

use alloy::primitives::Bytes;
use nodesys_chain::timelock::{Stage, Waiting};
use nodesys_core::ids::Name;
use nodesys_core::time::Timestamp;
use nodesys_core::{Address, B256};
use serde::Serialize;

use crate::chain::tx::TxView;

/// Result of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Queued,
    Done,
    Cancelled,
    /// Done before; nothing was sent.
    Already,
}

/// An action, and its progress.
#[derive(Debug, Serialize)]
pub(crate) struct ActionView {
    project: Address,
    outcome: Outcome,
    call_hash: Option<B256>,
    ready_at: Option<u64>,
    expires_at: Option<u64>,
    #[serde(flatten)]
    transaction: TxView,
}

impl fmt::Display for ActionView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "project      {}", self.project)?;
        write!(f, "action       {}", self.transaction.action)?;
        if let Some(hash) = self.call_hash {
            write!(f, "\nhash         {hash}")?;
        }
        if let (Some(ready), Some(expires)) = (self.ready_at, self.expires_at) {
            let (ready, expires) = (Timestamp::from_secs(ready), Timestamp::from_secs(expires));
            write!(f, "\nexecution    from {ready} until {expires}")?;
        }
        self.transaction.fmt_transaction(f)
    }
}

impl ActionView {
    pub(super) const fn new(project: Address, outcome: Outcome, transaction: TxView) -> Self {
        let (call_hash, ready_at, expires_at) = (None, None, None);
        Self { project, outcome, call_hash, ready_at, expires_at, transaction }
    }

    /// With the hash of the call.
    pub(super) fn with_hash(self, call_hash: B256) -> Self {
        Self { call_hash: Some(call_hash), ..self }
    }

    /// With the execution window of the waiting call, where there is one.
    pub(super) fn with_window(self, waiting: Option<Waiting>) -> Self {
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

/// A waiting call's effect in words.
pub(super) fn words(one: &Waiting) -> String {
    match one.action {
        Some(action) => action.to_string(),
        None => format!("make the call {}", one.call),
    }
}

/// The waiting calls of a project.
#[derive(Debug, Serialize)]
pub(crate) struct PendingView {
    pub(super) project: Address,
    pub(super) name: Name,
    pub(super) owner: Address,
    pub(super) guardian: Address,
    pub(super) timelock_secs: u64,
    /// The chain's time, which decides the stage of a call.
    pub(super) now: u64,
    pub(super) waiting: Vec<PendingCall>,
}

#[derive(Debug, Serialize)]
pub(super) struct PendingCall {
    hash: B256,
    /// What the call does, in words.
    #[serde(rename = "what")]
    action: String,
    stage: &'static str,
    ready_at: u64,
    expires_at: u64,
    call: Bytes,
}

impl PendingCall {
    /// The call, with its stage at a time of the chain.
    pub(super) fn of(one: &Waiting, now_secs: u64) -> Self {
        Self {
            hash: one.call_hash,
            action: words(one),
            stage: match one.stage(now_secs) {
                Stage::Waits => "waits",
                Stage::Ready => "ready",
                Stage::Lapsed => "lapsed",
            },
            ready_at: one.ready_at,
            expires_at: one.expires_at,
            call: one.call.clone(),
        }
    }
}

impl fmt::Display for PendingView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "project      {} ({})", self.project, self.name)?;
        writeln!(f, "owner        {}", self.owner)?;
        writeln!(f, "guardian     {}", self.guardian)?;
        writeln!(f, "timelock     {} s", self.timelock_secs)?;
        write!(f, "chain time   {}", Timestamp::from_secs(self.now))?;
        if self.waiting.is_empty() {
            return f.write_str("\nno call waits");
        }
        for one in &self.waiting {
            let ready = Timestamp::from_secs(one.ready_at);
            let expires = Timestamp::from_secs(one.expires_at);
            write!(f, "\n\n{}\n  {}\n  ", one.hash, one.action)?;
            match one.stage {
                "waits" => write!(f, "waits: may be executed from {ready} until {expires}")?,
                "ready" => write!(f, "ready: may be executed until {expires}")?,
                _ => write!(f, "lapsed at {expires}: queue it again")?,
            }
        }
        Ok(())
    }
}

//! The loop: once a minute a heartbeat with every held lease, then leases for the rest.
//!
//! It wakes at the node's own second of the minute by the server's time. All the work of a wake,
//! requests included, is done before it sleeps again, and nothing in it waits on the clock: a
//! failure is retried at once or dropped. Files are written here directly, a few milliseconds a
//! minute, because a number must be on disk before it is sent.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256};
use anyhow::{bail, ensure};
use nodesys_chain::RpcUrl;
use nodesys_clock::{Clock, Sleeper};
use nodesys_core::api::{LineResult, Receipt};
use nodesys_core::message::{Heartbeat, Signed};
use nodesys_core::time::{Minute, Timestamp};
use nodesys_sdk::client::{Client, Error};
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::http::Shared;
use crate::plan::{self, Challenge, Failure, HeldLease, Retry, ServerTime, Tries, UpdatingMinutes};
use crate::receipts::{self, KeptReceipt, Receipts};
use crate::state::State;
use crate::view::{LastReceipt, Lease};

mod leases;
mod receipt_key;

use receipt_key::ReceiptKeys;

/// The time limit of one request: several fit into the rest of a minute.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Least time between two wakes, whatever the server's time is.
const LEAST_SLEEP_MILLIS: u64 = 1000;

pub(crate) struct Minutes {
    settings: Settings,
    shared: Arc<Shared>,
    clock: Clock,
    client: Client,
    state: State,
    receipts: Receipts,
    node_key: Address,
    offset_secs: u64,
    /// The licenses' hashes, in the order of the configuration, as are the leases.
    licenses: Vec<B256>,
    leases: Vec<Lease>,
    /// Whether the last requests for leases got no answer.
    unasked: bool,
    updating: Vec<UpdatingMinutes>,
    receipt_keys: ReceiptKeys,
    time: ServerTime,
    challenge: Option<Challenge>,
    done: Option<Minute>,
    accepted: u64,
    /// The last problem logged at `warn`; repeats are logged at `debug`.
    told: Option<String>,
}

/// A heartbeat ready to send, and the workload of each line.
struct Outgoing {
    signed: Signed<Heartbeat>,
    lines: Vec<usize>,
}

/// The outcome of a minute.
enum Outcome {
    Accepted,
    /// The minute has not begun by the server's time: it is planned again.
    Early,
}

impl Minutes {
    /// Without `rpcs` the receipt key is the pinned one, or the backend's word.
    pub(crate) fn open(
        settings: Settings,
        rpcs: Vec<RpcUrl>,
        shared: Arc<Shared>,
    ) -> anyhow::Result<Self> {
        let clock = shared.clock.clone();
        let (now, now_millis) = (clock.now(), clock.monotonic_millis());
        let licenses: Vec<B256> =
            shared.board.workloads().iter().map(|workload| workload.license.hash()).collect();
        let node_key = settings.node_key.address();
        Ok(Self {
            client: Client::new(&settings.backend)?.with_timeout(REQUEST_TIMEOUT),
            state: State::open(&settings.state_dir, now.millis())?,
            receipts: Receipts::open(&settings.state_dir)?,
            node_key,
            offset_secs: plan::offset_secs(node_key),
            leases: vec![Lease::None; licenses.len()],
            updating: vec![UpdatingMinutes::default(); licenses.len()],
            licenses,
            unasked: false,
            receipt_keys: ReceiptKeys::new(settings.domain, settings.receipt_key, rpcs),
            // The node's own clock, until the server has spoken.
            time: ServerTime::new(now, now_millis),
            challenge: None,
            done: None,
            accepted: 0,
            told: None,
            settings,
            shared,
            clock,
        })
    }

    /// Runs until `stop`, never leaving a request half done.
    pub(crate) async fn run(mut self, mut sleeper: Sleeper, stop: CancellationToken) {
        if let Err(error) = self.begin().await {
            self.trouble(&error);
        }
        self.ask_for_leases().await;
        let mut least_millis = 0;
        while !stop.is_cancelled() {
            let now = self.server_now();
            let (minute, at) = plan::next_send(now, self.done, self.offset_secs);
            let wake = self.clock.now().plus_millis(at.millis_since(now).max(least_millis));
            least_millis = LEAST_SLEEP_MILLIS;
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleeper.sleep_until(wake) => {}
            }
            if self.unasked {
                // First, so that the first heartbeat that is answered carries them.
                self.ask_for_leases().await;
            }
            // A delayed loop sends for the current minute, not for the missed one.
            self.minute(minute.max(self.server_now().minute())).await;
            self.ask_for_leases().await;
        }
        tracing::info!(accepted = self.accepted, "the heartbeat loop has ended");
    }

    fn server_now(&self) -> Timestamp {
        self.time.now(self.clock.monotonic_millis())
    }

    async fn minute(&mut self, minute: Minute) {
        match self.send(minute).await {
            Ok(Outcome::Accepted) => {
                if self.told.take().is_some() {
                    tracing::info!(minute = minute.0, "heartbeats are accepted again");
                }
            }
            Ok(Outcome::Early) => {}
            Err(error) => {
                self.done = Some(minute);
                self.trouble(&error);
            }
        }
    }

    /// Sends a minute's heartbeat, trying each remedy once, all within this wake.
    async fn send(&mut self, mut minute: Minute) -> anyhow::Result<Outcome> {
        self.begin().await?;
        let mut tries = Tries::default();
        let challenge = match plan::usable_challenge(self.challenge, minute) {
            Some(challenge) => challenge,
            None => match self.agree_on(&mut minute).await? {
                Some(challenge) => challenge,
                None => return Ok(Outcome::Early),
            },
        };
        let mut outgoing = self.sign(minute, challenge)?;
        let mut repeated = false;
        loop {
            let error = match self.client.heartbeat(&outgoing.signed).await {
                Ok(receipt) => {
                    self.done = Some(minute);
                    self.accept(outgoing, receipt, repeated).await?;
                    return Ok(Outcome::Accepted);
                }
                Err(error) => error,
            };
            tracing::debug!(minute = minute.0, %error, "no receipt");
            repeated = false;
            match tries.after(failure(&error)) {
                Retry::SameBytes => repeated = true,
                Retry::NewSession => match self.agree_on(&mut minute).await? {
                    Some(challenge) => outgoing = self.sign(minute, challenge)?,
                    None => return Ok(Outcome::Early),
                },
                Retry::NewSeq => {
                    self.state.skip_seq(self.clock.now().millis());
                    outgoing = self.sign(minute, outgoing.signed.message.challenge)?;
                }
                Retry::GiveUp => return Err(with_advice(error)),
            }
        }
    }

    /// Checks once that the backend is on this node's chain and registry, and hears its receipt key.
    async fn begin(&mut self) -> anyhow::Result<()> {
        if self.receipt_keys.is_unknown() {
            let network = self.client.network().await?;
            let (ours, theirs) = (self.settings.domain, (network.chain_id, network.registry));
            ensure!(
                (ours.chain_id(), ours.verifying_contract()) == theirs,
                "the backend is for chain {} and registry {}, this node for chain {} and registry \
                 {}: set backend, chain_id and registry of one network",
                network.chain_id,
                network.registry,
                ours.chain_id(),
                ours.verifying_contract(),
            );
            let receipt_key = self.receipt_keys.heard(network.receipt_key);
            self.shared.view.update(|shown| shown.receipt_key = Some(receipt_key));
        }
        if self.challenge.is_none() {
            self.new_session().await?;
        }
        Ok(())
    }

    async fn new_session(&mut self) -> anyhow::Result<()> {
        let mut session = self.client.session(self.node_key).await;
        if session.as_ref().is_err_and(Error::is_passing) {
            session = self.client.session(self.node_key).await;
        }
        let session = session.map_err(with_advice)?;
        let said = Timestamp::from_millis(session.server_time_millis);
        self.time = ServerTime::new(said, self.clock.monotonic_millis());
        self.challenge = Some(Challenge { value: session.challenge, minute: said.minute() });
        Ok(())
    }

    /// A new session, and with it the server's minute; `None` when it is still before `minute`.
    async fn agree_on(&mut self, minute: &mut Minute) -> anyhow::Result<Option<B256>> {
        self.new_session().await?;
        let current = self.server_now().minute();
        if current < *minute {
            return Ok(None);
        }
        *minute = current;
        Ok(self.challenge.map(|challenge| challenge.value))
    }

    fn sign(&mut self, minute: Minute, challenge: B256) -> anyhow::Result<Outgoing> {
        let now_millis = self.clock.monotonic_millis();
        let (mut lines, mut held) = (Vec::new(), Vec::new());
        for (i, (lease, license)) in self.leases.iter().zip(&self.licenses).enumerate() {
            if let Lease::Held(fence) = *lease {
                lines.push(i);
                let (release, updating) = self.shared.board.release(i);
                let status = self.shared.board.status(i, now_millis);
                let status = self.updating[i].said(status, updating, release, minute);
                held.push(HeldLease { license: *license, fence, status, release });
            }
        }
        let seq = self.state.next_seq()?;
        let message = plan::heartbeat(self.node_key, minute, seq, challenge, &held);
        let signed = Signed::new(message, &self.settings.domain, &self.settings.node_key);
        Ok(Outgoing { signed, lines })
    }

    /// Accepts a receipt that verifies; any other changes nothing.
    async fn accept(
        &mut self,
        outgoing: Outgoing,
        receipt: Receipt,
        repeated: bool,
    ) -> anyhow::Result<()> {
        let Outgoing { signed: heartbeat, lines } = outgoing;
        let projects = self.shared.view.projects();
        let checked = match self.receipt_keys.of(&receipt, projects).await {
            Ok(key) => receipts::check(&receipt, &heartbeat.message, &self.settings.domain, key)
                .map(|()| key)
                .map_err(anyhow::Error::from),
            Err(error) => Err(error),
        };
        let key = match checked {
            Ok(key) => key,
            Err(error) => {
                // It may have been rotated: ask again before the next minute.
                self.receipt_keys.doubt();
                bail!(
                    "the backend's receipt does not hold, so the minute does not count: {error:#}"
                );
            }
        };
        self.shared.view.update(|shown| shown.receipt_key = Some(key));
        let (batch, minute) = (&receipt.batch.message, heartbeat.message.minute);
        let server_time = Timestamp::from_millis(batch.server_time_millis);
        self.time = self.time.heard(server_time, self.clock.monotonic_millis(), repeated);
        self.challenge = Some(Challenge { value: receipt.accepted.next_challenge, minute });
        self.accepted += 1;
        let count = self.accepted;
        self.shared.view.update(|shown| {
            shown.last_receipt = Some(LastReceipt { minute, server_time, count });
        });
        for (&workload, &result) in lines.iter().zip(&receipt.results) {
            if result == LineResult::LeaseLost {
                tracing::warn!(license = %self.shared.board.workloads()[workload].license,
                    "lease lost: standing by");
                self.set_lease(workload, Lease::None, None);
            }
            self.shared.view.update(|shown| shown.leases[workload].last_result = Some(result));
        }
        tracing::debug!(minute = minute.0, credited = receipt.accepted.credited, "accepted");
        self.receipts.keep(&KeptReceipt { heartbeat, receipt })
    }

    /// Logs a problem once, shows it always in the status.
    fn trouble(&mut self, error: &anyhow::Error) {
        let text = format!("{error:#}");
        if self.told.as_ref() == Some(&text) {
            tracing::debug!(error = text, "no receipt for the minute");
        } else {
            tracing::warn!(error = text, "no receipt for the minute");
            self.told = Some(text.clone());
        }
        let at = self.server_now();
        self.shared.view.update(|shown| shown.last_error = Some((at, text)));
    }
}

fn failure(error: &Error) -> Failure {
    match error.code() {
        Some("stale_challenge") => Failure::StaleChallenge,
        Some("wrong_minute") => Failure::WrongMinute,
        Some("seq_stale") => Failure::SeqStale,
        _ if error.is_passing() => Failure::Passing,
        _ => Failure::Refused,
    }
}

/// Adds the operator's next step.
fn with_advice(error: Error) -> anyhow::Error {
    let advice = match error.code() {
        Some("unknown_node") => "authorise the node: nodesys pair request",
        Some("authorization_expired") => "authorise the node again: nodesys pair request",
        Some("authorization_revoked") => "the operator has ended the node's authorisation",
        Some("not_entitled") => "nodesys license show says who may run the license, and why",
        _ => return error.into(),
    };
    anyhow::anyhow!("{error}; {advice}")
}

//! Honest nodes in an open loop: a heartbeat is due at its time, whether earlier ones were answered or not.
//!
//! The nodes come from several networks, as farms do; on one machine these are addresses of the loopback.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::future::join_all;
use futures::stream::{self, StreamExt as _};
use nodesys_clock::{Clock, DEVELOPMENT_CHAIN_ID};
use nodesys_core::api::{Receipt, Session, SessionRequest};
use nodesys_core::ids::Seq;
use nodesys_core::message::{Domain, Heartbeat, Signed};
use nodesys_core::{Address, B256};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::seed::Node;

/// Networks of the honest nodes.
const NETWORKS: u8 = 16;
/// Time for an answer: later it is worth nothing.
const ANSWER: Duration = Duration::from_secs(5);
/// How often what is due is sent.
const STEP: Duration = Duration::from_millis(10);
/// Nodes that send at once where the capacity is measured.
const AT_ONCE: usize = 64;
/// Heartbeats of a node that are taken within three minutes, with some room for those that come late.
const TAKEN: f64 = 14.0 / 180.0;

/// Clients of this machine in so many networks, `127.0.GROUP.1` and so on.
pub(crate) fn clients(group: u8, networks: u8) -> anyhow::Result<Vec<reqwest::Client>> {
    let client = |number| {
        let from = IpAddr::from(Ipv4Addr::new(127, 0, group, number));
        reqwest::Client::builder().local_address(from).timeout(ANSWER).build()
    };
    (1..=networks).map(client).collect::<Result<_, _>>().context("an HTTP client")
}

/// The nodes between their heartbeats.
pub(crate) struct Honest {
    base: String,
    domain: Domain,
    clock: Clock,
    idle: Mutex<VecDeque<Sending>>,
}

struct Sending {
    node: Node,
    client: reqwest::Client,
    seq: u64,
    challenge: Option<B256>,
}

/// What came of an open loop.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Told {
    pub(crate) due: u32,
    /// Answered in time by a receipt that credits every lease.
    pub(crate) good: u32,
}

impl Honest {
    /// Each node sends its first heartbeat, so that its row is read once.
    pub(crate) async fn start(
        base: &str,
        registry: Address,
        nodes: Vec<Node>,
    ) -> anyhow::Result<Arc<Self>> {
        let clients = clients(1, NETWORKS)?;
        let count = nodes.len();
        let idle = nodes.into_iter().zip(clients.iter().cycle()).map(|(node, client)| Sending {
            node,
            client: client.clone(),
            seq: 0,
            challenge: None,
        });
        let honest = Arc::new(Self {
            base: base.to_owned(),
            domain: Domain::new(DEVELOPMENT_CHAIN_ID, registry),
            clock: Clock::system(),
            idle: Mutex::new(idle.collect()),
        });
        let good = honest.first(count).await;
        // On a busy machine a few come too late for their minute.
        ensure!(
            u64::from(good) * 10 >= u64::try_from(count)? * 9,
            "{good} of {count} first heartbeats were credited"
        );
        Ok(honest)
    }

    /// The rate at which these nodes can send for ever.
    pub(crate) fn most_per_second(&self) -> f64 {
        f64::from(u32::try_from(self.idle().len()).unwrap_or(u32::MAX)) * TAKEN
    }

    /// Heartbeats a second that the backend answers when each is sent as soon as one before is answered.
    pub(crate) async fn capacity(&self, time: Duration) -> anyhow::Result<f64> {
        let begun = self.clock.monotonic_millis();
        let elapsed = || self.clock.monotonic_millis().saturating_sub(begun);
        let one_after_the_other = async || {
            let mut good = 0;
            while u128::from(elapsed()) < time.as_millis()
                && let Some(mut sending) = self.next()
            {
                good += u32::from(self.send(&mut sending).await);
                self.idle().push_back(sending);
            }
            good
        };
        let good: u32 = join_all((0..AT_ONCE).map(|_| one_after_the_other())).await.iter().sum();
        ensure!(good > 0, "no heartbeat was credited");
        Ok(f64::from(good) * 1000.0 / f64::from(u32::try_from(elapsed())?))
    }

    /// Every node's first heartbeat; returns how many were credited.
    async fn first(&self, nodes: usize) -> u32 {
        stream::iter(0..nodes)
            .map(|_| async {
                let Some(mut sending) = self.next() else { return 0 };
                let good = self.send(&mut sending).await;
                self.idle().push_back(sending);
                u32::from(good)
            })
            .buffer_unordered(AT_ONCE)
            .fold(0, |sum, good| async move { sum + good })
            .await
    }

    /// Sends at this rate for some time, and waits for the last answers.
    pub(crate) async fn open_loop(self: &Arc<Self>, per_second: f64, time: Duration) -> Told {
        let good = Arc::new(AtomicU32::new(0));
        let mut sent = tokio::task::JoinSet::new();
        let mut sleeper = self.clock.sleeper();
        let begun = self.clock.monotonic_millis();
        let mut told = Told::default();
        loop {
            let elapsed = self.clock.monotonic_millis().saturating_sub(begun);
            let elapsed = Duration::from_millis(elapsed).min(time);
            while f64::from(told.due) < per_second * elapsed.as_secs_f64() {
                told.due += 1;
                // Where every node waits for an answer, this heartbeat is lost.
                let Some(mut sending) = self.next() else { continue };
                let (honest, good) = (self.clone(), good.clone());
                sent.spawn(async move {
                    if honest.send(&mut sending).await {
                        good.fetch_add(1, Ordering::Relaxed);
                    }
                    honest.idle().push_back(sending);
                });
            }
            if elapsed == time {
                break;
            }
            sleeper.sleep(STEP).await;
        }
        while sent.join_next().await.is_some() {}
        told.good = good.load(Ordering::Relaxed);
        told
    }

    /// Whether a receipt came in time that credits every lease.
    async fn send(&self, sending: &mut Sending) -> bool {
        let answered = tokio::time::timeout(ANSWER, self.ask(sending)).await;
        sending.challenge = answered.ok().flatten();
        sending.challenge.is_some()
    }

    /// The next challenge, if all was credited.
    async fn ask(&self, sending: &mut Sending) -> Option<B256> {
        let node_key = sending.node.key.address();
        let challenge = match sending.challenge {
            Some(challenge) => challenge,
            None => {
                let request = SessionRequest { node_key };
                self.post::<Session>(sending, "/v1/sessions", &request).await?.challenge
            }
        };
        sending.seq += 1;
        let heartbeat = Heartbeat {
            node_key,
            minute: self.clock.now().minute(),
            seq: Seq::checked_new(sending.seq)?,
            challenge,
            leases: sending.node.leases.clone(),
        };
        let signed = Signed::new(heartbeat, &self.domain, &sending.node.key);
        let receipt: Receipt = self.post(sending, "/v1/heartbeats", &signed).await?;
        let all = (1 << sending.node.leases.len()) - 1;
        (receipt.accepted.credited == all).then_some(receipt.accepted.next_challenge)
    }

    async fn post<T: DeserializeOwned>(
        &self,
        sending: &Sending,
        route: &str,
        body: &impl Serialize,
    ) -> Option<T> {
        let request = sending.client.post(format!("{}{route}", self.base)).json(body);
        let answer = request.send().await.ok()?.error_for_status().ok()?;
        answer.json().await.ok()
    }

    fn next(&self) -> Option<Sending> {
        self.idle().pop_front()
    }

    /// Every change under the lock is whole.
    fn idle(&self) -> std::sync::MutexGuard<'_, VecDeque<Sending>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

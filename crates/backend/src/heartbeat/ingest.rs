//! What the request path knows without asking the database: nodes, leases, recent answers.
//!
//! Each is a cache in front of a row. A miss or a mismatch reads the row before anybody is
//! refused; a lease that ended is taken out by whoever ends it, and by the minute's follow-up for
//! what other replicas ended.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use hmac::{Hmac, KeyInit, Mac};
use nodesys_clock::Clock;
use nodesys_core::api::{LineResult, Receipt};
use nodesys_core::ids::{Fence, LicenseIndex, Seq};
use nodesys_core::message::Heartbeat;
use nodesys_core::time::{Minute, Timestamp};
use nodesys_core::{Address, B256};
use sha2::Sha256;
use sqlx::{PgConnection, PgPool};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::fold::{self, DayFold};
use super::leases::{LeaseCache, LeaseEntry};
use super::{CHALLENGE_MINUTES, Line, Pending, earned};
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::{lease, node};

/// Accepted heartbeats of one node in three minutes before it is slowed.
const MOST_RECENT: usize = 16;
/// How long an answer is repeated.
const REMEMBER_MILLIS: u64 = 180_000;

/// A node as the request path knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeEntry {
    pub(crate) idx: u32,
    pub(crate) operator: Address,
    pub(crate) not_after_secs: u64,
    pub(crate) revoked: bool,
}

impl NodeEntry {
    /// Refuses an authorisation that is over.
    pub(crate) fn check_authorised(&self, now: Timestamp) -> ApiResult<()> {
        if self.revoked {
            return Err(ApiError::authorization_revoked(
                "the operator revoked this node; authorise it again with `nodesys pair`",
            ));
        }
        if now.secs() > self.not_after_secs {
            let until = Timestamp::from_secs(self.not_after_secs);
            return Err(ApiError::authorization_expired(format!(
                "the authorisation ended at {until}; renew it with `nodesys pair`"
            )));
        }
        Ok(())
    }
}

/// Whether a heartbeat was seen before.
pub(super) enum Remembered {
    New,
    Answered(Box<Receipt>),
}

struct Recent {
    seq: Seq,
    hash: B256,
    at: Timestamp,
    receipt: Option<Box<Receipt>>,
}

/// The request path's state.
pub(crate) struct Ingest {
    challenge_secret: Zeroizing<[u8; 32]>,
    nodes: RwLock<HashMap<Address, NodeEntry>>,
    leases: RwLock<LeaseCache>,
    recent: Mutex<HashMap<Address, Vec<Recent>>>,
    fold: Mutex<DayFold>,
    pub(crate) queue: mpsc::Sender<Pending>,
    pub(super) receiver: Mutex<Option<mpsc::Receiver<Pending>>>,
}

impl Ingest {
    /// Loads leases and replays the open days' batches.
    pub(crate) async fn start(
        pool: &PgPool,
        clock: &Clock,
        challenge_secret: [u8; 32],
        queue: usize,
    ) -> anyhow::Result<Self> {
        let (queue, receiver) = mpsc::channel(queue);
        let ingest = Self {
            challenge_secret: Zeroizing::new(challenge_secret),
            nodes: RwLock::default(),
            leases: RwLock::default(),
            recent: Mutex::default(),
            fold: Mutex::default(),
            queue,
            receiver: Mutex::new(Some(receiver)),
        };
        let mut conn = pool.acquire().await?;
        // The number first: what ends from here on is learned later, if it was read as active.
        let seq = lease::newest_end(&mut conn).await?;
        let leases = lease::all_active(&mut conn).await?;
        *write(&ingest.leases) = LeaseCache::new(seq, leases);
        fold::follow(&ingest.fold, &mut conn, None, clock.now().day()).await?;
        Ok(ingest)
    }

    /// Challenge of a node for a minute: `HMAC-SHA256(secret, nodeKey || minute)`.
    pub(crate) fn challenge(&self, node_key: Address, minute: Minute) -> B256 {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.challenge_secret.as_ref())
            .expect("HMAC takes a secret of any length");
        mac.update(node_key.as_slice());
        mac.update(&minute.0.to_be_bytes());
        B256::from_slice(&mac.finalize().into_bytes())
    }

    /// Which of the last minutes a challenge was made in.
    pub(super) fn challenge_minute(
        &self,
        node_key: Address,
        challenge: B256,
        current: Minute,
    ) -> Option<Minute> {
        (0..CHALLENGE_MINUTES)
            .map(|back| Minute(current.0.saturating_sub(back)))
            .find(|minute| self.challenge(node_key, *minute) == challenge)
    }

    /// The node, from memory or its row.
    pub(crate) async fn node(&self, app: &App, node_key: Address) -> ApiResult<NodeEntry> {
        if let Some(entry) = read(&self.nodes).get(&node_key) {
            return Ok(*entry);
        }
        let mut conn = app.pool.acquire().await?;
        let entry = node::entry(&mut conn, node_key).await?.ok_or_else(|| {
            ApiError::unknown_node(format!(
                "no authorisation is stored for node {node_key}: run `nodesys pair` first"
            ))
        })?;
        write(&self.nodes).insert(node_key, entry);
        Ok(entry)
    }

    /// The node, while its authorisation holds. Nobody is refused from memory: another replica may
    /// have taken a new authorisation.
    pub(crate) async fn authorised_node(
        &self,
        app: &App,
        node_key: Address,
        now: Timestamp,
    ) -> ApiResult<NodeEntry> {
        let known = self.node(app, node_key).await?;
        if known.check_authorised(now).is_ok() {
            return Ok(known);
        }
        self.forget_node(node_key);
        let stored = self.node(app, node_key).await?;
        stored.check_authorised(now)?;
        Ok(stored)
    }

    /// Takes out what may have changed, so that the next request reads the row.
    pub(crate) fn forget_node(&self, node_key: Address) {
        write(&self.nodes).remove(&node_key);
    }

    /// Puts a granted lease into memory.
    pub(crate) fn lease_granted(&self, license_hash: B256, entry: LeaseEntry) {
        write(&self.leases).granted(license_hash, entry);
    }

    /// Takes an ended lease out, and every older one of the license.
    pub(crate) fn lease_ended(&self, license: LicenseIndex, fence: Fence) {
        write(&self.leases).ended(license, fence);
    }

    /// Takes in every end of a lease that another replica has numbered.
    pub(crate) async fn learn_ends(&self, conn: &mut PgConnection) -> anyhow::Result<()> {
        let known = read(&self.leases).seq();
        let ends = lease::after(conn, known).await?;
        write(&self.leases).learn(&ends);
        Ok(())
    }

    /// Judges lines again by the ends known now; gives back the number they are judged by.
    pub(super) fn judge_again(&self, batch: &mut [Pending]) -> i64 {
        read(&self.leases).judge_again(batch)
    }

    /// What the fold says; quick reads only.
    pub(crate) fn with_fold<T>(&self, look: impl FnOnce(&DayFold) -> T) -> T {
        look(&fold::lock(&self.fold))
    }

    pub(super) fn with_fold_mut<T>(&self, change: impl FnOnce(&mut DayFold) -> T) -> T {
        change(&mut fold::lock(&self.fold))
    }

    /// Takes in what other writers have committed.
    pub(crate) async fn follow(
        &self,
        conn: &mut PgConnection,
        own: Option<i32>,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        fold::follow(&self.fold, conn, own, now.day()).await
    }

    /// Judges each line: does the node hold this lease with this fence?
    pub(super) async fn judge(&self, app: &App, heartbeat: &Heartbeat) -> ApiResult<Vec<Line>> {
        let mut lines = Vec::with_capacity(heartbeat.leases.len());
        for status in &heartbeat.leases {
            let fits = |entry: &LeaseEntry| {
                entry.node_key == heartbeat.node_key && entry.fence == status.fence
            };
            let known = read(&self.leases).get(status.license).filter(fits);
            let held = match known {
                Some(entry) => Some(entry),
                None => self.read_lease(app, status.license).await?.filter(fits),
            };
            lines.push(match held {
                Some(entry) => {
                    let earns = heartbeat.minute >= entry.earns_from;
                    Line { held: Some(entry.license), result: earned(status.status, earns) }
                }
                None => Line { held: None, result: LineResult::LeaseLost },
            });
        }
        Ok(lines)
    }

    async fn read_lease(&self, app: &App, license: B256) -> ApiResult<Option<LeaseEntry>> {
        let mut conn = app.pool.acquire().await?;
        let found = lease::active_by_hash(&mut conn, license).await?;
        if let Some(entry) = found {
            self.lease_granted(license, entry);
        }
        Ok(found)
    }

    /// Whether the same heartbeat was answered in the last three minutes.
    pub(super) fn remembered(
        &self,
        heartbeat: &Heartbeat,
        hash: B256,
        now: Timestamp,
    ) -> ApiResult<Remembered> {
        let mut recent = self.lock_recent();
        let Some(list) = recent.get_mut(&heartbeat.node_key) else { return Ok(Remembered::New) };
        list.retain(|known| now.millis_since(known.at) <= REMEMBER_MILLIS);
        if let Some(known) = list.iter().find(|known| known.seq == heartbeat.seq) {
            return match &known.receipt {
                _ if known.hash != hash => Err(ApiError::seq_stale(format!(
                    "sequence number {} was used for another heartbeat",
                    heartbeat.seq
                ))),
                Some(receipt) => Ok(Remembered::Answered(receipt.clone())),
                None => Err(ApiError::busy("the same heartbeat is being stored")),
            };
        }
        if let Some(newer) = list.iter().find(|known| known.seq > heartbeat.seq) {
            return Err(ApiError::seq_stale(format!(
                "sequence number {} is below {}, which was taken",
                heartbeat.seq, newer.seq
            )));
        }
        if list.len() >= MOST_RECENT {
            return Err(ApiError::rate_limited("one heartbeat a minute is enough"));
        }
        Ok(Remembered::New)
    }

    /// Marks a heartbeat as being stored. Two of the same at once: one is sent away.
    pub(super) fn begin(
        &self,
        node_key: Address,
        seq: Seq,
        hash: B256,
        now: Timestamp,
    ) -> ApiResult<InFlight<'_>> {
        let mut recent = self.lock_recent();
        let list = recent.entry(node_key).or_default();
        if list.iter().any(|known| known.seq == seq) {
            return Err(ApiError::busy("the same heartbeat is being stored"));
        }
        list.push(Recent { seq, hash, at: now, receipt: None });
        Ok(InFlight { ingest: self, node_key, seq })
    }

    fn lock_recent(&self) -> MutexGuard<'_, HashMap<Address, Vec<Recent>>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A heartbeat between its checks and its answer. Dropped without an answer (refused, or the
/// client hung up) it is forgotten, so that the node may send the same bytes again.
pub(super) struct InFlight<'a> {
    ingest: &'a Ingest,
    node_key: Address,
    seq: Seq,
}

impl InFlight<'_> {
    /// Keeps the answer for repeats.
    pub(super) fn answered(self, receipt: &Receipt) {
        let mut recent = self.ingest.lock_recent();
        let list = recent.get_mut(&self.node_key).into_iter().flatten();
        for known in list.filter(|known| known.seq == self.seq) {
            known.receipt = Some(Box::new(receipt.clone()));
        }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if let Some(list) = self.ingest.lock_recent().get_mut(&self.node_key) {
            list.retain(|known| known.seq != self.seq || known.receipt.is_some());
        }
    }
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

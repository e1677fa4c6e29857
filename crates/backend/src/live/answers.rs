//! Recent answers: a repeated heartbeat gets the same receipt.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nodesys_core::api::Receipt;
use nodesys_core::ids::Seq;
use nodesys_core::message::Heartbeat;
use nodesys_core::time::Timestamp;
use nodesys_core::{Address, B256};

use crate::error::{ApiError, ApiResult};

/// Accepted heartbeats of one node in three minutes before it is rate-limited.
const MOST_RECENT: usize = 16;
/// Time for which an answer is kept.
const REMEMBER_MILLIS: u64 = 180_000;

/// Whether a heartbeat was seen before.
pub(crate) enum Remembered {
    New,
    Answered(Box<Receipt>),
}

struct Recent {
    seq: Seq,
    hash: B256,
    at: Timestamp,
    receipt: Option<Box<Receipt>>,
}

/// Recent heartbeats by node.
#[derive(Default)]
pub(crate) struct Answers {
    recent: Mutex<HashMap<Address, Vec<Recent>>>,
}

impl Answers {
    /// Looks the heartbeat up among the answers of the last three minutes.
    pub(crate) fn remembered(
        &self,
        heartbeat: &Heartbeat,
        hash: B256,
        now: Timestamp,
    ) -> ApiResult<Remembered> {
        let mut recent = self.lock();
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

    /// Marks a heartbeat as being stored. Of two equal ones at once, one is refused.
    pub(crate) fn begin(
        &self,
        node_key: Address,
        seq: Seq,
        hash: B256,
        now: Timestamp,
    ) -> ApiResult<InFlight<'_>> {
        let mut recent = self.lock();
        let list = recent.entry(node_key).or_default();
        if list.iter().any(|known| known.seq == seq) {
            return Err(ApiError::busy("the same heartbeat is being stored"));
        }
        list.push(Recent { seq, hash, at: now, receipt: None });
        Ok(InFlight { answers: self, node_key, seq })
    }

    /// Drops answers that are kept no longer, of nodes that are silent now too.
    pub(crate) fn forget_old(&self, now: Timestamp) {
        self.lock().retain(|_, list| {
            list.retain(|known| {
                known.receipt.is_none() || now.millis_since(known.at) <= REMEMBER_MILLIS
            });
            !list.is_empty()
        });
    }

    /// Drops the answers that were given. What is being stored goes on.
    pub(crate) fn forget_all(&self) {
        for list in self.lock().values_mut() {
            list.retain(|known| known.receipt.is_none());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Address, Vec<Recent>>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A heartbeat between its checks and its answer. If it is dropped without an answer (refused, or
/// the client hung up) its entry is removed, so that the node may send the same bytes again.
pub(crate) struct InFlight<'a> {
    answers: &'a Answers,
    node_key: Address,
    seq: Seq,
}

impl InFlight<'_> {
    /// Keeps the answer for repeats.
    pub(crate) fn answered(self, receipt: &Receipt) {
        let mut recent = self.answers.lock();
        let list = recent.get_mut(&self.node_key).into_iter().flatten();
        for known in list.filter(|known| known.seq == self.seq) {
            known.receipt = Some(Box::new(receipt.clone()));
        }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if let Some(list) = self.answers.lock().get_mut(&self.node_key) {
            list.retain(|known| known.seq != self.seq || known.receipt.is_some());
        }
    }
}

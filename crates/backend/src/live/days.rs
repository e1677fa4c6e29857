//! Computed days: an upload's day is computed once, for the upload's answer, its commit and all
//! requests for its rewards.
//!
//! The key covers every input of the computation, so a kept day never becomes wrong; the least
//! recently used one is evicted. A request for a day being computed waits for it.

use std::collections::VecDeque;
use std::mem::size_of;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nodesys_core::B256;
use nodesys_core::bundle::DayBundle;
use nodesys_core::files::RewardRow;
use nodesys_core::ids::Amount;
use nodesys_core::tree::Leaf;

use super::turns::Turns;

/// Most bytes kept: a day of a million licenses. A larger one is not kept.
const MOST_BYTES: usize = 512 * 1024 * 1024;

/// Computed days by the hash of their inputs.
pub(crate) struct Days {
    kept: Mutex<Kept>,
    /// One computation of a key at a time.
    turns: Turns<B256>,
}

impl Default for Days {
    fn default() -> Self {
        Self::with_capacity(MOST_BYTES)
    }
}

impl Days {
    /// Keeps at most this many bytes.
    pub(crate) fn with_capacity(most_bytes: usize) -> Self {
        let kept = Kept { most_bytes, bytes: 0, days: VecDeque::new() };
        Self { kept: Mutex::new(kept), turns: Turns::default() }
    }

    /// The day of a key, computed if it is not kept. Errors are not kept.
    pub(crate) async fn get_or_compute<E>(
        &self,
        key: B256,
        compute: impl Future<Output = Result<DayBundle, E>>,
    ) -> Result<Arc<DayBundle>, E> {
        let _turn = self.turns.wait(key).await;
        if let Some(day) = lock(&self.kept).get(key) {
            return Ok(day);
        }
        metrics::counter!("nodesys_uploads_computed_total").increment(1);
        let day = Arc::new(compute.await?);
        lock(&self.kept).insert(key, &day);
        Ok(day)
    }

    /// Bytes kept now.
    #[cfg(test)]
    pub(crate) fn kept_bytes(&self) -> usize {
        lock(&self.kept).bytes
    }
}

struct Kept {
    most_bytes: usize,
    bytes: usize,
    /// The most recently used last.
    days: VecDeque<(B256, Arc<DayBundle>)>,
}

impl Kept {
    fn get(&mut self, key: B256) -> Option<Arc<DayBundle>> {
        let place = self.days.iter().position(|(known, _)| *known == key)?;
        let used = self.days.remove(place)?;
        let day = used.1.clone();
        self.days.push_back(used);
        Some(day)
    }

    fn insert(&mut self, key: B256, day: &Arc<DayBundle>) {
        if bytes(day) > self.most_bytes {
            return;
        }
        self.bytes += bytes(day);
        self.days.push_back((key, day.clone()));
        while self.bytes > self.most_bytes
            && let Some((_, unused)) = self.days.pop_front()
        {
            self.bytes -= bytes(&unused);
        }
    }
}

/// The memory a day takes.
fn bytes(day: &DayBundle) -> usize {
    let files: usize = day.files.values().map(Vec::len).sum();
    // An account has a row, a leaf and two hashes of the tree.
    let account = size_of::<RewardRow>() + size_of::<Leaf>() + 2 * size_of::<B256>();
    files + day.rewards.len() * account + day.shares.len() * 4 * size_of::<Amount>()
}

/// No code under these locks can panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

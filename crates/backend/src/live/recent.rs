//! Facts of the chain that are used again for a moment, so that many requests cost one read.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nodesys_clock::Clock;
use nodesys_core::time::Timestamp;

/// How long a fact is used, by the program's clock and in real time: a stepped clock may stand.
const FRESH_MILLIS: u64 = 2_000;

/// The last known fact of each key. The keys are ours: projects, or nothing.
pub(crate) struct Recent<K, V> {
    real: Clock,
    known: Mutex<HashMap<K, Kept<V>>>,
    /// One read at a time.
    turn: tokio::sync::Mutex<()>,
}

struct Kept<V> {
    at: Timestamp,
    real_millis: u64,
    value: V,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { real: Clock::system(), known: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }
}

impl<K: Hash + Eq + Copy, V: Clone> Recent<K, V> {
    /// The fact, if it is fresh.
    pub(crate) fn fresh(&self, key: K, now: Timestamp) -> Option<V> {
        let known = self.lock();
        let kept = known.get(&key)?;
        let real = self.real.monotonic_millis().saturating_sub(kept.real_millis);
        let age = now.millis_since(kept.at).max(kept.at.millis_since(now));
        (age <= FRESH_MILLIS && real <= FRESH_MILLIS).then(|| kept.value.clone())
    }

    /// The fact, fresh or not.
    pub(crate) fn last(&self, key: K) -> Option<V> {
        self.lock().get(&key).map(|kept| kept.value.clone())
    }

    /// Keeps a fact that was just read.
    pub(crate) fn keep(&self, key: K, value: V, now: Timestamp) {
        let kept = Kept { at: now, real_millis: self.real.monotonic_millis(), value };
        self.lock().insert(key, kept);
    }

    /// The fact, read unless it is fresh.
    pub(crate) async fn get_or_read<E>(
        &self,
        key: K,
        now: Timestamp,
        read: impl Future<Output = Result<V, E>>,
    ) -> Result<V, E> {
        let _turn = self.turn.lock().await;
        if let Some(value) = self.fresh(key, now) {
            return Ok(value);
        }
        let value = read.await?;
        self.keep(key, value.clone(), now);
        Ok(value)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Kept<V>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

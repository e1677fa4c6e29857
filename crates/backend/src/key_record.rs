//! The registry's record of our receipt key: when nodes and auditors believe what it signs.
//!
//! It is read at the start, which refuses a key that does not count now, and each minute. A replica whose key counts no
//! more takes no heartbeats, records no liveness and closes no day: those with the present key do. An RPC that fails
//! takes nothing away, nor does one answer that no second one repeats.

use std::sync::{Mutex, MutexGuard, PoisonError};

use nodesys_chain::project::{KeyValidity, receipt_key_validity};
use nodesys_chain::{ChainError, Provider};
use nodesys_core::Address;
use nodesys_core::time::{Timestamp, UtcDay};

use crate::error::{ApiError, ApiResult};

/// What is known of the record.
pub(crate) struct KeyRecord {
    /// The project whose own key it is; none for the network's.
    project: Option<Address>,
    known: Mutex<Known>,
}

struct Known {
    valid: KeyValidity,
    /// The last answer, which counts once it is repeated.
    last: KeyValidity,
}

impl KeyRecord {
    pub(crate) fn new(project: Option<Address>, valid: KeyValidity) -> Self {
        Self { project, known: Mutex::new(Known { last: valid.clone(), valid }) }
    }

    /// Reads the key's record in the registry anew.
    pub(crate) async fn read(
        &self,
        chain: &Provider,
        registry: Address,
        key: Address,
    ) -> Result<(), ChainError> {
        let answer = receipt_key_validity(chain, registry, self.project, key).await?;
        // Another chain's word is no answer, and may look like one.
        chain.recheck_chain().await?;
        self.answered(answer);
        Ok(())
    }

    fn answered(&self, answer: KeyValidity) {
        let mut known = self.known();
        if known.last == answer && known.valid != answer {
            tracing::warn!(?answer, "the registry's record of our receipt key has changed");
            known.valid.clone_from(&answer);
        }
        known.last = answer;
    }

    /// Whether what the key signs now is believed, as far as is known. A key that was just recorded may count from
    /// a block on whose time is ahead of ours.
    pub(crate) fn counts(&self, now: Timestamp) -> ApiResult<()> {
        if self.ends().is_some_and(|end| now.secs() < end) {
            return Ok(());
        }
        Err(ApiError::busy(
            "this replica's receipt key counts no more by the registry, so nobody would believe its receipts: it takes \
             nothing until it is started with the present key, another replica does",
        ))
    }

    /// Whether auditors believe a day that the key closes now. A close is final, so the last answer decides.
    pub(crate) fn closes(&self, day: UtcDay, now: Timestamp) -> bool {
        let ends = day.end().secs();
        self.known().last.iter().any(|range| range.start <= now.secs() && ends < range.end)
    }

    /// When it ends, in seconds since 1970; none where the key never counts.
    pub(crate) fn ends(&self) -> Option<u64> {
        self.known().valid.iter().map(|range| range.end).max()
    }

    /// Every change under the lock is whole.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(end: u64) -> KeyValidity {
        std::iter::once(100..end).collect()
    }

    #[test]
    fn an_end_is_believed_when_it_is_told_twice() {
        let record = KeyRecord::new(None, ranges(u64::MAX));
        let counts = |secs| record.counts(Timestamp::from_secs(secs)).is_ok();
        record.answered(ranges(200));
        record.answered(ranges(u64::MAX));
        record.answered(ranges(200));
        assert!(counts(300));
        record.answered(ranges(200));
        assert!(counts(199) && !counts(200));
        // The same for an answer that knows of no record, and for one that takes it back.
        record.answered(Vec::new());
        assert!(counts(199));
        record.answered(Vec::new());
        assert!(!counts(199));
        record.answered(ranges(400));
        record.answered(ranges(400));
        assert!(counts(399));
    }

    #[test]
    fn a_day_is_closed_by_a_key_that_counts_past_its_end() {
        let day = UtcDay(20_000);
        let closes = |range: std::ops::Range<u64>, now: u64| {
            let record = KeyRecord::new(None, std::iter::once(range).collect());
            record.closes(day, Timestamp::from_secs(now))
        };
        let (noon, end) = (day.start().secs() + 43_200, day.end().secs());
        let now = end + 300;
        // Recorded at noon or after midnight, and not ended.
        assert!(closes(noon..u64::MAX, now) && closes(now..u64::MAX, now));
        assert!(!closes(now + 1..u64::MAX, now));
        // Ended at noon, or with the day: not. A second later: it signed while it counted, by all that is known.
        assert!(!closes(0..noon, now) && !closes(0..end, now));
        assert!(closes(0..end + 1, now));
    }
}

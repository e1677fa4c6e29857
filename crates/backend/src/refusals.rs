//! Refused requests in the log: a line for the first of a kind, a count for the others in that
//! minute.
//!
//! A full queue, a lost database or a silent chain refuses every request. A line for each would
//! bury the line with the cause.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::periodic::Periodic;

/// Interval between logged counts.
pub(crate) const PERIOD: Duration = Duration::from_secs(60);

/// Requests refused since the last report, by problem code.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<BTreeMap<&'static str, u64>>);

impl Refusals {
    /// Counts one refusal, and logs it when it is the first of its code.
    pub(crate) fn note(&self, code: &'static str, why: &str) {
        let count = {
            let mut counts = self.lock();
            let count = counts.entry(code).or_default();
            *count += 1;
            *count
        };
        if count == 1 {
            tracing::warn!(code, why, "a request was refused; others like it are only counted");
        }
    }

    /// Ends the count.
    fn take(&self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each minute: logs the number of refused requests, if there was more than one.
pub(crate) struct Report {
    refusals: Arc<Refusals>,
}

impl Report {
    pub(crate) const fn new(refusals: Arc<Refusals>) -> Self {
        Self { refusals }
    }
}

impl Periodic for Report {
    const NAME: &'static str = "refusals";

    async fn tick(&mut self) -> anyhow::Result<()> {
        for (code, requests) in self.refusals.take() {
            if requests > 1 {
                tracing::warn!(code, requests, "requests were refused within a minute");
            }
        }
        Ok(())
    }
}

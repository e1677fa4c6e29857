//! The loop of the service: commits each day as it closes.
//!
//! Once a minute [`Commits::tick`] reads the chain, the bundle folder and the backend, and does the
//! missing steps; it needs no state in memory. A failing tick is logged once, however long it keeps
//! failing.

use std::collections::BTreeSet;

use anyhow::Context as _;
use nodesys_clock::{Clock, Sleeper};
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_sdk::day::DayError;
use tokio_util::sync::CancellationToken;

use super::owner::{CommittedDay, Owner};

/// Commits days as they close.
pub(crate) struct Commits {
    owner: Owner,
    clock: Clock,
    /// Time between the end of a day and its commit, for an owner who looks first.
    review_millis: u64,
    /// Days whose commit the backend is known to have, so that it is not asked each minute.
    submitted: BTreeSet<(UtcDay, u32)>,
}

impl Commits {
    /// The loop's initial state.
    pub(crate) const fn new(owner: Owner, clock: Clock, review_minutes: u64) -> Self {
        let review_millis = review_minutes.saturating_mul(60_000);
        Self { owner, clock, review_millis, submitted: BTreeSet::new() }
    }

    /// Runs until `stop` is cancelled.
    pub(crate) async fn run(mut self, mut sleeper: Sleeper, stop: CancellationToken) {
        let mut failing = false;
        while !stop.is_cancelled() {
            match self.tick().await {
                Ok(committed) => {
                    metrics::gauge!("nodesys_master_committing").set(1.0);
                    metrics::counter!("nodesys_master_commits_total")
                        .increment(committed.len() as u64);
                    for done in &committed {
                        tracing::info!(day = %done.day, commit = %done.commit_hash,
                            total = %done.total, "committed");
                    }
                    if failing {
                        tracing::info!("committing works again");
                    }
                    failing = false;
                }
                Err(error) => {
                    metrics::gauge!("nodesys_master_committing").set(0.0);
                    metrics::counter!("nodesys_master_commit_failures_total").increment(1);
                    if !failing {
                        tracing::warn!(
                            error = format!("{error:#}"),
                            "committing failed; trying again each minute"
                        );
                    }
                    failing = true;
                }
            }
            let wake = sleeper.clock().now().minute().next().start();
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleeper.sleep_until(wake) => {}
            }
        }
    }

    /// Commits every day that is closed and final, in order; returns the new commits.
    async fn tick(&mut self) -> anyhow::Result<Vec<CommittedDay>> {
        let mut committed = Vec::new();
        let state = self.owner.builder.state().await?;
        let head = UtcDay::from_epoch(state.epoch).context("the head's epoch is out of range")?;
        self.submitted.retain(|(day, _)| *day > head);
        let mut day = head.next();
        let due = if self.clock.now() >= self.due(day) { day.0 } else { 0 };
        metrics::gauge!("nodesys_master_day_posted").set(f64::from(head.0));
        metrics::gauge!("nodesys_master_day_due").set(f64::from(due));
        while self.clock.now() >= self.due(day) {
            match self.owner.valid_commit(day).await? {
                Some(signed) => {
                    // Signed before, perhaps in a run that ended before it could submit it.
                    let key = (day, signed.commit.revision);
                    if !self.submitted.contains(&key) {
                        self.owner.submit(day, &signed, true).await?;
                        self.submitted.insert(key);
                    }
                }
                None => {
                    if !self.is_ready(day).await? {
                        break;
                    }
                    let done = self.owner.commit(day, None).await;
                    let done = done.with_context(|| format!("day {day}"))?;
                    self.submitted.insert((day, done.revision));
                    committed.push(done);
                }
            }
            day = day.next();
        }
        Ok(committed)
    }

    fn due(&self, day: UtcDay) -> Timestamp {
        day.end().plus_millis(self.review_millis)
    }

    /// Whether the backend has closed the day and its snapshot block is final.
    async fn is_ready(&self, day: UtcDay) -> anyhow::Result<bool> {
        if self.owner.builder.backend.day(day).await?.closed.is_none() {
            return Ok(false);
        }
        match self.owner.builder.snapshot(day).await {
            Err(DayError::NotFinal { .. }) => Ok(false),
            other => Ok(other.map(|_| true)?),
        }
    }
}

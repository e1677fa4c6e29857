//! What metrics say beyond what happens in this process: facts of the database and the chain, the record of our
//! receipt key among them, read each minute, and what is read at each scrape.

use std::time::Duration;

use nodesys_core::Address;
use nodesys_core::time::Timestamp;

use crate::periodic::Periodic;
use crate::state::{App, AppState};
use crate::{db, preflight};

/// Interval between reads of the database.
pub(crate) const PERIOD: Duration = Duration::from_secs(60);
/// Interval between reads of the chain.
const CHAIN_MILLIS: u64 = 10 * 60_000;

/// Each minute: sets the gauges that every replica knows, whichever did the work.
pub(crate) struct Measure {
    app: AppState,
    poster: Option<Address>,
    chain_read: Option<Timestamp>,
    /// Whether it was told that our receipt key counts no more.
    key_is_over: bool,
}

impl Measure {
    pub(crate) const fn new(app: AppState, poster: Option<Address>) -> Self {
        Self { app, poster, chain_read: None, key_is_over: false }
    }

    /// An RPC that fails leaves what is known as it is; the mirror says that the chain is lost.
    async fn of_key(&mut self) {
        let record = &self.app.key_record;
        if let Err(error) = self.app.read_key_record().await {
            tracing::debug!(%error, "the record of the receipt key");
        }
        metrics::gauge!("nodesys_receipt_key_expires_seconds")
            .set(number(record.ends().unwrap_or_default()));
        let refused = record.counts(self.app.clock.now()).err();
        if let Some(words) = refused.as_ref().filter(|_| !self.key_is_over) {
            tracing::error!(key = %self.app.receipt_key.address(), "{words}");
        }
        self.key_is_over = refused.is_some();
    }

    async fn of_chain(&self) {
        if let Some(poster) = self.poster {
            preflight::poster(&self.app.chain, poster).await;
        }
    }
}

impl Periodic for Measure {
    const NAME: &'static str = "measure";

    async fn tick(&mut self) -> anyhow::Result<()> {
        // Samples of histograms wait for it where nobody scrapes.
        self.app.metrics.run_upkeep();
        let now = self.app.clock.now();
        self.of_key().await;
        let facts = db::facts(&mut *self.app.pool.acquire().await?, now).await?;
        if let Some(day) = facts.newest_closed_day {
            metrics::gauge!("nodesys_day_closed").set(number(day));
        }
        metrics::gauge!("nodesys_day_backlog").set(number(facts.days_waiting));
        metrics::gauge!("nodesys_leases_active").set(number(facts.leases_active));
        metrics::gauge!("nodesys_outbox_waiting").set(number(facts.outbox_waiting));
        let oldest = facts.outbox_oldest.map_or(0, |at| now.millis_since(at));
        metrics::gauge!("nodesys_outbox_oldest_seconds").set(seconds(oldest));
        if self.chain_read.is_none_or(|at| now.millis_since(at) >= CHAIN_MILLIS) {
            self.of_chain().await;
            self.chain_read = Some(now);
        }
        Ok(())
    }
}

/// What is read at each scrape.
pub(crate) fn at_scrape(app: &App) {
    let queue = &app.live.queue;
    let waiting = queue.max_capacity().saturating_sub(queue.capacity());
    metrics::gauge!("nodesys_heartbeats_waiting").set(number(waiting as u64));
    let (all, idle) = (u64::from(app.pool.size()), app.pool.num_idle() as u64);
    let used = all.saturating_sub(idle);
    metrics::gauge!("nodesys_database_connections", "state" => "idle").set(number(idle));
    metrics::gauge!("nodesys_database_connections", "state" => "used").set(number(used));
    let lost = app.health.lost_since().map_or(0, |since| app.clock.now().millis_since(since));
    metrics::gauge!("nodesys_mirror_lost_seconds").set(seconds(lost));
}

fn seconds(millis: u64) -> f64 {
    Duration::from_millis(millis).as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; counts, blocks and times fit")]
const fn number(value: u64) -> f64 {
    value as f64
}

//! Twice a minute, at one replica: finds outages that began or ended and nodes that are new, then sends due messages.
//!
//! An outage and its messages are stored in one transaction, once. A message is retried until it is
//! delivered, at growing intervals; if the process dies between the answer and our record of it,
//! the same message is sent again with the same id.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use nodesys_clock::Clock;
use nodesys_core::time::doubled;
use sqlx::Connection as _;

use super::facts;
use super::send::{Refused, send};
use super::watch::changes;
use crate::db;
use crate::db::lock::Lock;
use crate::db::notify::Message;
use crate::liveness::{DOWN_MILLIS, Liveness};
use crate::periodic::Periodic;
use crate::state::AppState;
use crate::witness;

/// Interval of the checks.
pub(crate) const PERIOD: Duration = Duration::from_secs(30);
/// Most messages in one tick, and how many of them at once.
const BATCH: i64 = 512;
const AT_ONCE: usize = 64;
/// Time after which a tick begins no further message: what is due next comes first in the next tick.
const SENDING: Duration = Duration::from_secs(20);
/// Tries before a message is given up: about four hours.
const MOST_ATTEMPTS: u32 = 12;
const FIRST_RETRY_MILLIS: u64 = 30_000;
const LONGEST_RETRY_MILLIS: u64 = 3_600_000;

/// Finds outages and sends messages.
pub(crate) struct Notify {
    app: AppState,
}

impl Notify {
    pub(crate) const fn new(app: AppState) -> Self {
        Self { app }
    }
}

impl Periodic for Notify {
    const NAME: &'static str = "notify";

    async fn tick(&mut self) -> anyhow::Result<()> {
        witness::vouch(&self.app).await?;
        if let Err(error) = self.app.reference.may_decide(&self.app.clock) {
            anyhow::bail!("nothing is decided: {error}");
        }
        let mut conn = self.app.pool.acquire().await?;
        let mut lock = conn.begin().await?;
        if !db::lock::take_in_transaction(&mut lock, Lock::Notify).await? {
            return Ok(());
        }
        self.watch().await?;
        self.deliver().await?;
        lock.commit().await?;
        Ok(())
    }
}

impl Notify {
    async fn watch(&self) -> anyhow::Result<()> {
        let app = &self.app;
        let now = app.clock.now();
        let mut tx = app.pool.begin().await?;
        facts::announce(app, &mut tx, now).await?;
        app.live.fold.follow(&mut tx, None, now).await?;
        let nodes = facts::nodes(app, &mut tx).await?;
        let open = db::outage::open(&mut tx).await?;
        if nodes.is_empty() && open.is_empty() {
            tx.commit().await?;
            return Ok(());
        }
        let down_before = Liveness::until(&mut tx, now).await?.earlier(now, DOWN_MILLIS);
        let changes = changes(&nodes, &open, down_before);
        for change in &changes {
            facts::write(&mut tx, app.domain.chain_id(), change, now).await?;
        }
        tx.commit().await?;
        for change in &changes {
            tracing::info!(?change, "an outage");
        }
        Ok(())
    }

    async fn deliver(&self) -> anyhow::Result<()> {
        let app = &self.app;
        let due = {
            let mut conn = app.pool.acquire().await?;
            db::notify::due(&mut conn, app.clock.now(), BATCH).await?
        };
        // In real time: receivers are no programs of ours.
        let real = Clock::system();
        let begun = real.monotonic_millis();
        let in_time = &|| u128::from(real.monotonic_millis() - begun) < SENDING.as_millis();
        let sent = stream::iter(due).map(|(message, attempts)| async move {
            if !in_time() {
                return Ok(());
            }
            let answer = send(app, &message).await;
            record(app, &message, attempts, &answer).await
        });
        let outcomes: Vec<anyhow::Result<()>> = sent.buffer_unordered(AT_ONCE).collect().await;
        outcomes.into_iter().collect()
    }
}

/// Records the outcome of a try.
pub(super) async fn record(
    app: &AppState,
    message: &Message,
    attempts: u32,
    answer: &Result<(), Refused>,
) -> anyhow::Result<()> {
    let now = app.clock.now();
    let mut conn = app.pool.acquire().await?;
    match answer {
        Ok(()) => {
            metrics::counter!("nodesys_notify_delivered_total").increment(1);
            db::notify::delivered(&mut conn, message.id, now).await
        }
        Err(refused) => {
            metrics::counter!("nodesys_notify_refused_total").increment(1);
            let next = (!refused.gone && attempts + 1 < MOST_ATTEMPTS)
                .then(|| now.plus_millis(retry_millis(attempts)));
            tracing::info!(
                id = message.webhook_id(),
                why = refused.why,
                given_up = next.is_none(),
                "a message was not taken"
            );
            db::notify::refused(&mut conn, message.id, &refused.why, next, now).await
        }
    }
}

/// The delay after this many failures.
fn retry_millis(attempts: u32) -> u64 {
    doubled(FIRST_RETRY_MILLIS, attempts, LONGEST_RETRY_MILLIS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waits_double_up_to_an_hour() {
        let waits: Vec<u64> = (0..9).map(|attempts| retry_millis(attempts) / 1000).collect();
        assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!(retry_millis(u32::MAX), LONGEST_RETRY_MILLIS);
    }
}

//! Background work: an idempotent `tick` without input, run each period and whenever woken. A failing tick
//! is retried; each reason is logged once, however long it keeps failing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use nodesys_clock::Clock;
use tokio::sync::Notify;

use crate::lifecycle::Lifecycle;

/// Reasons that are logged of one failure that goes on: texts with a number in them differ each time.
const REASONS: usize = 8;

/// Periodic work.
pub(crate) trait Periodic: Send + 'static {
    /// For logs and metrics.
    const NAME: &'static str;

    /// Does all work due now.
    fn tick(&mut self) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// Starts the loop. It ends when the lifecycle stops.
pub(crate) fn spawn<P: Periodic>(
    lifecycle: &Lifecycle,
    clock: &Clock,
    period: Duration,
    wake: Arc<Notify>,
    mut work: P,
) {
    metrics::counter!("nodesys_task_failures_total", "task" => P::NAME).absolute(0);
    let mut sleeper = clock.sleeper();
    let stop = lifecycle.stop.clone();
    lifecycle.spawn(P::NAME, async move {
        // Each reason is logged once, until the work succeeds.
        let mut failing: BTreeSet<String> = BTreeSet::new();
        while !stop.is_cancelled() {
            match work.tick().await {
                Ok(()) => {
                    if !failing.is_empty() {
                        tracing::info!(task = P::NAME, "works again");
                    }
                    failing.clear();
                }
                Err(error) => {
                    metrics::counter!("nodesys_task_failures_total", "task" => P::NAME)
                        .increment(1);
                    let error = format!("{error:#}");
                    if failing.len() < REASONS && failing.insert(error.clone()) {
                        tracing::warn!(task = P::NAME, error, "failed; trying again each period");
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = wake.notified() => {}
                () = sleeper.sleep(period) => {}
            }
        }
    });
}

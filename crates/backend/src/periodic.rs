//! Background work: an idempotent `tick` without input, run each period and whenever woken. A
//! failing tick is logged once, however long it keeps failing, and retried.

use std::sync::Arc;
use std::time::Duration;

use nodesys_clock::Clock;
use tokio::sync::Notify;

use crate::lifecycle::Lifecycle;

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
    let mut sleeper = clock.sleeper();
    let stop = lifecycle.stop.clone();
    lifecycle.spawn(P::NAME, async move {
        let mut failing = false;
        while !stop.is_cancelled() {
            match work.tick().await {
                Ok(()) => {
                    if failing {
                        tracing::info!(task = P::NAME, "works again");
                    }
                    failing = false;
                }
                Err(error) => {
                    metrics::counter!("task_failures_total", "task" => P::NAME).increment(1);
                    if !failing {
                        tracing::warn!(
                            task = P::NAME,
                            error = format!("{error:#}"),
                            "failed; trying again each period"
                        );
                    }
                    failing = true;
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

//! The state that the task routes share, and the loop that ends overdue leases.

use std::sync::Arc;

use nodesys_clock::{Clock, Sleeper};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::gate::Gate;
use super::queue::Queue;
use super::slots::Slots;

/// Shared state of the task routes.
pub(crate) struct Tasks {
    pub(crate) queue: Queue,
    pub(crate) gate: Gate,
    pub(crate) clock: Clock,
    /// Wakes the expiry early, when a workload finds nothing to do.
    pub(crate) idle: Arc<Notify>,
    /// Limits the requests under way.
    pub(crate) slots: Slots,
}

/// Ends overdue leases each minute, and at once when a workload finds nothing to do.
pub(crate) async fn expire(tasks: Arc<Tasks>, mut sleeper: Sleeper, stop: CancellationToken) {
    let mut failing = false;
    while !stop.is_cancelled() {
        match tasks.queue.expire(sleeper.clock().now()).await {
            Ok(ended) => {
                if ended.leases > 0 {
                    tracing::info!(
                        leases = ended.leases,
                        dead = ended.dead,
                        "leases of tasks ended"
                    );
                }
                failing = false;
            }
            Err(error) => {
                if !failing {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "overdue leases of tasks are not ended; trying again each minute"
                    );
                }
                failing = true;
            }
        }
        let wake = sleeper.clock().now().minute().next().start();
        tokio::select! {
            () = stop.cancelled() => {}
            () = tasks.idle.notified() => {}
            () = sleeper.sleep_until(wake) => {}
        }
    }
}

//! Tasks: the project's queue, from which workloads lease work and to which they report results.
//!
//! A workload shows a ticket that its node signed ([`gate`]); what it leases and reports is written
//! to Postgres ([`queue`]) and answered only once that is committed. What stays true, with any
//! number of masters on one database: a task is leased to one license once at a time; a license
//! answers a task at most once; an accepted result counts for one day, and a day's counts do not
//! change once they were used.

mod add;
mod gate;
mod http;
pub mod queue;
mod result;
pub(crate) mod show;

use std::sync::Arc;

use nodesys_clock::{Clock, Sleeper};
use nodesys_core::B256;
use nodesys_core::files::{PointsRow, UptimeRow};
use nodesys_core::license::LicenseId;
use nodesys_core::time::UtcDay;
use nodesys_sdk::day::{CheckedUptime, DayBuilder};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use add::{Added, add};
pub(crate) use gate::Gate;
pub(crate) use http::{SLOTS, routes};
pub use queue::Queue;
pub use result::{Given, Taken, take};

/// What the task routes share.
pub(crate) struct Tasks {
    pub(crate) queue: Queue,
    pub(crate) gate: Gate,
    pub(crate) clock: Clock,
    /// Wakes the expiry early, when a workload finds nothing to do.
    pub(crate) idle: Arc<Notify>,
    /// How many requests may be under way.
    pub(crate) slots: tokio::sync::Semaphore,
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

/// The day's points by a rule that counts tasks: the day's counts are closed, then read.
pub async fn day_points(
    queue: &Queue,
    builder: &DayBuilder,
    day: UtcDay,
) -> anyhow::Result<Vec<PointsRow>> {
    // Whatever the clock here says, a day that the backend has closed is over.
    let CheckedUptime { closed, rows } = builder.uptime(day).await?;
    let mut counts = queue.close_day(day).await?;
    let chain_id = builder.project.chain_id;
    let rule = &builder.terms.rule;
    let points = rows
        .iter()
        .map(|row| {
            let tasks = counts.remove(&license_hash(chain_id, row)).unwrap_or(0);
            let points = rule
                .points_with_tasks(row, closed.excused, tasks)
                .ok_or_else(|| anyhow::anyhow!("the rule's points leave the range"))?;
            Ok(PointsRow { license: row.license, points })
        })
        .collect::<anyhow::Result<_>>()?;
    for (license, tasks) in counts {
        tracing::warn!(%license, tasks, %day,
            "results of a license without uptime that day: the backend never counted a lease of it");
    }
    Ok(points)
}

fn license_hash(chain_id: u64, row: &UptimeRow) -> B256 {
    LicenseId { chain_id, collection: row.collection, token_id: row.token_id }.hash()
}

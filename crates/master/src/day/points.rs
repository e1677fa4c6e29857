//! The points of a day by a rule that counts tasks.

use anyhow::Context as _;
use nodesys_core::B256;
use nodesys_core::files::{PointsRow, UptimeRow};
use nodesys_core::license::LicenseId;
use nodesys_core::time::UtcDay;
use nodesys_sdk::day::{CheckedUptime, DayBuilder};

use crate::task::Queue;

/// The task counts from which a day's points are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskCounts {
    /// The counts so far, for a preview: nothing is changed, and they may still rise.
    SoFar,
    /// The counts of a commit: closed for good, so that later results count for later days.
    Closed,
}

/// Computes the points of a day from its uptime and the accepted results in the queue.
pub(super) async fn task_points(
    queue: &Queue,
    builder: &DayBuilder,
    day: UtcDay,
    uptime: &CheckedUptime,
    counts: TaskCounts,
) -> anyhow::Result<Vec<PointsRow>> {
    let CheckedUptime { closed, rows } = uptime;
    // A day whose closed uptime the backend has signed is over, whatever the clock here says.
    let mut counts = match counts {
        TaskCounts::SoFar => queue.counts(day).await?,
        TaskCounts::Closed => queue.close_day(day).await?,
    };
    let (chain_id, rule) = (builder.project.chain_id, &builder.terms.rule);
    let points = rows
        .iter()
        .map(|row| {
            let tasks = counts.remove(&license_hash(chain_id, row)).unwrap_or(0);
            let points = rule
                .points_with_tasks(row, closed.excused, tasks)
                .context("the rule's points are out of range")?;
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

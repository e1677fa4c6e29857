//! Counts each closed day's minutes, for the routes that show many days.

use anyhow::Context as _;
use nodesys_core::api::MinuteCounts;
use nodesys_core::bitmap::DayBitmap;
use nodesys_core::files::{UptimeRow, parse_file};
use nodesys_core::time::{MINUTES_PER_DAY, UtcDay};

use crate::db;
use crate::db::uptime_count::Counts;
use crate::periodic::Periodic;
use crate::state::{App, AppState};

/// Days whose counts are kept; the files stay.
pub(super) const KEPT_DAYS: u32 = 400;
/// Days counted in a run: after a migration there are many.
const DAYS_A_RUN: usize = 10;

/// Each minute: counts closed days, the newest first.
pub(crate) struct Count {
    app: AppState,
}

impl Count {
    pub(crate) const fn new(app: AppState) -> Self {
        Self { app }
    }
}

impl Periodic for Count {
    const NAME: &'static str = "count";

    async fn tick(&mut self) -> anyhow::Result<()> {
        let first = UtcDay(self.app.clock.now().day().0.saturating_sub(KEPT_DAYS));
        let mut conn = self.app.pool.acquire().await?;
        db::uptime_count::forget(&mut conn, first).await?;
        drop(conn);
        for _ in 0..DAYS_A_RUN {
            let mut conn = self.app.pool.acquire().await?;
            let Some(day) = db::uptime_count::next_uncounted(&mut conn, first).await? else {
                break;
            };
            drop(conn);
            count(&self.app, day)
                .await
                .with_context(|| format!("counting the minutes of {day}"))?;
        }
        Ok(())
    }
}

async fn count(app: &App, day: UtcDay) -> anyhow::Result<()> {
    let mut conn = app.pool.acquire().await?;
    let closed = db::day::closed(&mut conn, day).await?.context("the day is open again")?;
    let mut counts = Counts::default();
    for project in db::day::projects(&mut conn, day).await? {
        let csv = db::day::uptime_csv(&mut conn, project, day).await?.unwrap_or_default();
        // It may have millions of rows.
        let adding = tokio::task::spawn_blocking(move || add(counts, &csv, &closed.excused));
        counts = adding.await.context("adding a project's rows")??;
    }
    db::uptime_count::insert(&mut conn, day, &counts).await
}

/// Adds a file's rows.
fn add(mut counts: Counts, csv: &[u8], excused: &DayBitmap) -> anyhow::Result<Counts> {
    for row in parse_file::<UptimeRow>(csv)? {
        let due = DayBitmap::from_minute_on(MINUTES_PER_DAY.saturating_sub(row.expected));
        let excused = (*excused & due & !row.bitmap).count();
        let (minutes, expected) = (row.minutes, row.expected);
        counts.set(row.license, MinuteCounts { minutes, expected, excused })?;
    }
    Ok(counts)
}

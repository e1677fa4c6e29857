//! Each minute's record that this process is alive, and its follow-up of other replicas.

use nodesys_core::time::{Timestamp, UtcDay};
use sqlx::PgConnection;

use crate::periodic::Periodic;
use crate::state::AppState;
use crate::{db, liveness, witness};

/// Each minute: records that this writer is alive, follows other replicas' changes, forgets old answers, opens
/// the week ahead.
///
/// If a record is missed (the database was away, the process stopped) the next one begins a new
/// row: the gap is the backend's downtime, and ends no lease.
pub(crate) struct Alive {
    app: AppState,
    /// The writer whose batches enter the fold without being read.
    pub(super) writer: i32,
    /// The current row, last confirmed at `lived`.
    life: i32,
    lived: Timestamp,
    since: Timestamp,
}

/// Days that are open at any time, today included.
const DAYS_AHEAD: i32 = 8;

impl Alive {
    /// Registers this start of the backend as a writer, and runs the first tick.
    pub(super) async fn start(app: AppState) -> anyhow::Result<Self> {
        witness::vouch(&app).await?;
        app.reference.may_count(&app.clock).map_err(|_| {
            anyhow::anyhow!(
                "our clock is out of line with Postgres, the other replicas and the chain: set it right, \
                 then start again"
            )
        })?;
        let now = app.clock.now();
        let writer = db::writer::register(&mut *app.pool.acquire().await?, now).await?;
        app.reference.is_ours(writer);
        let mut alive = Self { app, writer, life: writer, lived: now, since: now };
        alive.tick().await?;
        Ok(alive)
    }

    async fn live_anew(&mut self, conn: &mut PgConnection, now: Timestamp) -> anyhow::Result<()> {
        self.life = db::writer::register(conn, now).await?;
        self.app.reference.is_ours(self.life);
        Ok(())
    }
}

impl Periodic for Alive {
    const NAME: &'static str = "alive";

    async fn tick(&mut self) -> anyhow::Result<()> {
        witness::vouch(&self.app).await?;
        if self.app.may_count().is_err() {
            // No record: the minutes are excused, unless another replica lives.
            return Ok(());
        }
        let mut conn = self.app.pool.acquire().await?;
        let now = self.app.clock.now();
        // Today's is there for a week, but at a first start and after a time without a backend.
        if !db::day::unopened(&mut conn, now.day(), 1).await?.is_empty() {
            db::day::open_missing(&mut conn, now.day()).await?;
            db::day::open(&mut conn, now.day()).await?;
        }
        if now.millis_since(self.lived) > liveness::LATE_MILLIS {
            self.live_anew(&mut conn, now).await?;
        }
        if !db::writer::record_alive(&mut conn, self.life, now).await? {
            // A database that lost its tail.
            self.live_anew(&mut conn, now).await?;
            db::writer::record_alive(&mut conn, self.life, now).await?;
        }
        self.lived = now;
        self.app.live.fold.follow(&mut conn, Some(self.writer), now).await?;
        // A minute's overlap, since other replicas' clocks differ from ours.
        let since = Timestamp::from_millis(self.since.millis().saturating_sub(60_000));
        if !db::lease_mark::is_here(&mut conn, self.app.live.leases.known()).await? {
            tracing::error!("the database has lost changes of leases: the memory is read anew");
            self.app.live.read_anew(&mut conn, now).await?;
        }
        self.app.live.leases.learn_ends(&mut conn).await?;
        for node_key in db::node::changed_since(&mut conn, since).await? {
            self.app.live.nodes.forget(node_key);
        }
        self.since = now;
        self.app.live.answers.forget_old(now);
        open_ahead(&mut conn, now.day()).await;
        Ok(())
    }
}

/// Opens the week ahead. What cannot be opened now is tried again each minute; without tomorrow's day
/// heartbeats would end at midnight.
async fn open_ahead(conn: &mut PgConnection, today: UtcDay) {
    let opening = async {
        for day in db::day::unopened(conn, today, DAYS_AHEAD).await? {
            db::day::open(conn, day).await?;
        }
        anyhow::Ok(())
    };
    let opened = opening.await;
    if let Err(error) = &opened {
        tracing::warn!(error = format!("{error:#}"), "a day ahead cannot be opened yet");
    }
    let tomorrow = db::day::unopened(conn, today.next(), 1).await;
    let tomorrow_is_open = tomorrow.is_ok_and(|missing| missing.is_empty());
    metrics::gauge!("nodesys_day_tomorrow_open").set(if tomorrow_is_open { 1.0 } else { 0.0 });
    if !tomorrow_is_open {
        tracing::error!(
            "tomorrow's partition of heartbeat_batch is missing: heartbeats end at midnight, unless what \
             holds a lock on the table ends before"
        );
    }
}

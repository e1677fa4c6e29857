//! Each minute's record that this process is alive, and its follow-up of other replicas.

use nodesys_core::time::Timestamp;

use crate::periodic::Periodic;
use crate::state::AppState;
use crate::{db, liveness};

/// Each minute: records that this writer is alive, opens today and tomorrow, follows other
/// replicas' changes.
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

impl Alive {
    /// Registers this start of the backend as a writer, and runs the first tick.
    pub(super) async fn start(app: AppState) -> anyhow::Result<Self> {
        let now = app.clock.now();
        let writer = db::writer::register(&mut *app.pool.acquire().await?, now).await?;
        let mut alive = Self { app, writer, life: writer, lived: now, since: now };
        alive.tick().await?;
        Ok(alive)
    }
}

impl Periodic for Alive {
    const NAME: &'static str = "alive";

    async fn tick(&mut self) -> anyhow::Result<()> {
        let now = self.app.clock.now();
        let mut conn = self.app.pool.acquire().await?;
        db::day::open_missing(&mut conn, now.day()).await?;
        for day in [now.day(), now.day().next()] {
            db::day::open(&mut conn, day).await?;
        }
        if now.millis_since(self.lived) > liveness::LATE_MILLIS {
            self.life = db::writer::register(&mut conn, now).await?;
        }
        db::writer::record_alive(&mut conn, self.life, now).await?;
        self.lived = now;
        self.app.live.fold.follow(&mut conn, Some(self.writer), now).await?;
        // A minute's overlap, since other replicas' clocks differ from ours.
        let since = Timestamp::from_millis(self.since.millis().saturating_sub(60_000));
        self.app.live.leases.learn_ends(&mut conn).await?;
        for node_key in db::node::changed_since(&mut conn, since).await? {
            self.app.live.nodes.forget(node_key);
        }
        self.since = now;
        Ok(())
    }
}

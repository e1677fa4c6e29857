//! The minute's record that this process lives, and what it takes in from others.

use nodesys_core::time::Timestamp;

use crate::periodic::Periodic;
use crate::state::AppState;
use crate::{db, liveness};

/// Each minute: records that this writer lives, opens today and tomorrow, takes in what other
/// replicas have done.
///
/// Where the record could not be kept (the database was away, the process stood still) the next
/// one begins a row of its own: the gap is the backend's downtime, and no lease ends by it.
pub(crate) struct Alive {
    app: AppState,
    /// Whose batches are in the fold without being read.
    pub(super) writer: i32,
    /// The row that holds this stretch of life, last confirmed at `lived`.
    life: i32,
    lived: Timestamp,
    since: Timestamp,
}

impl Alive {
    /// Registers this start of the backend as a writer, and does what is to be done each minute.
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

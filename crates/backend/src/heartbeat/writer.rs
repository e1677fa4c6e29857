//! The group commit: queued heartbeats are stored together, signed once, then answered.
//!
//! While one batch is being written the next one gathers, so the batch size follows the load; under
//! load there is also a short pause to gather. Batches are cut at minute borders. A batch is one
//! INSERT that holds its day open (`FOR KEY SHARE`); a closed day accepts none. State in memory
//! changes only after the commit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nodesys_clock::Clock;
use nodesys_core::api::LineResult;
use nodesys_core::message::Status;
use nodesys_core::time::Minute;
use sqlx::PgConnection;
use tokio::sync::{Notify, mpsc};

use super::alive::Alive;
use super::seal::Sealed;
use crate::db::batch::Outdated;
use crate::db::evidence::{self, Entry};
use crate::error::ApiError;
use crate::lifecycle::Lifecycle;
use crate::live::pending::Pending;
use crate::state::AppState;
use crate::{db, liveness, periodic};

/// Most heartbeats in one batch.
const BATCH: usize = 2048;
/// After a batch larger than this the next one gathers for a moment, in real time: a batch costs
/// Postgres the same whatever its size, and a node sends once a minute.
const CROWD: usize = 8;
const GATHER: Duration = Duration::from_millis(10);

/// Starts the group commit and the minute's liveness record.
pub(crate) async fn spawn_writer(lifecycle: &Lifecycle, app: AppState) -> anyhow::Result<()> {
    let clock = app.clock.clone();
    let alive = spawn_group_commit(lifecycle, app).await?;
    periodic::spawn(lifecycle, &clock, liveness::PERIOD, Arc::new(Notify::new()), alive);
    Ok(())
}

/// Registers this start of the backend as a writer, opens the days and starts the group commit;
/// returns the job to run each minute.
pub(crate) async fn spawn_group_commit(
    lifecycle: &Lifecycle,
    app: AppState,
) -> anyhow::Result<Alive> {
    let alive = Alive::start(app.clone()).await?;
    let receiver = app.live.take_receiver()?;
    let served = lifecycle.served.clone();
    let writer = Writer { app, writer: alive.writer, wseq: 0 };
    lifecycle.spawn("heartbeat writer", async move {
        tokio::select! {
            () = writer.run(receiver) => {}
            // No client waits for an answer any more.
            () = served.cancelled() => {}
        }
    });
    Ok(alive)
}

struct Writer {
    app: AppState,
    writer: i32,
    wseq: i64,
}

impl Writer {
    async fn run(mut self, mut receiver: mpsc::Receiver<Pending>) {
        let mut waiting = Vec::with_capacity(BATCH);
        let mut real_time = Clock::system().sleeper();
        let mut crowded = false;
        while receiver.recv_many(&mut waiting, BATCH).await > 0 {
            if crowded {
                real_time.sleep(GATHER).await;
                while waiting.len() < BATCH
                    && let Ok(pending) = receiver.try_recv()
                {
                    waiting.push(pending);
                }
            }
            crowded = waiting.len() > CROWD;
            let mut by_minute: BTreeMap<Minute, Vec<Pending>> = BTreeMap::new();
            for pending in waiting.drain(..) {
                by_minute.entry(pending.signed.message.minute).or_default().push(pending);
            }
            for (minute, batch) in by_minute {
                self.store(minute, batch).await;
            }
        }
    }

    async fn store(&mut self, minute: Minute, mut batch: Vec<Pending>) {
        nodesys_failpoint::reach("batch:before");
        let stored = self.commit(minute, &mut batch).await;
        nodesys_failpoint::reach("batch:after");
        let refusal: fn() -> ApiError = match stored {
            Ok(Some(sealed)) => {
                self.app.live.fold.add(&sealed.added());
                metrics::counter!("nodesys_heartbeat_batches_total").increment(1);
                metrics::counter!("nodesys_heartbeats_accepted_total")
                    .increment(batch.len() as u64);
                for (pending, receipt) in batch.into_iter().zip(sealed.receipts) {
                    // The client has hung up; the minute is credited all the same.
                    let _ = pending.reply.send(Ok(receipt));
                }
                return;
            }
            Ok(None) => || ApiError::day_closed("the heartbeat's day takes no more minutes"),
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    n = batch.len(),
                    "a batch was not stored"
                );
                || ApiError::busy("the database did not confirm the heartbeat: send it again")
            }
        };
        for pending in batch {
            let _ = pending.reply.send(Err(refusal()));
        }
    }

    /// Stores a batch as judged now; `None` when the day is closed.
    ///
    /// If a lease has ended since the judgement, the database refuses the batch; it is then judged
    /// again while no further end can come.
    async fn commit(
        &mut self,
        minute: Minute,
        batch: &mut [Pending],
    ) -> anyhow::Result<Option<Sealed>> {
        let sealed = self.seal(minute, batch);
        let evidence = body(batch);
        match self.insert(&mut *self.app.pool.acquire().await?, &sealed, &evidence).await {
            Ok(stored) => return Ok(stored.then_some(sealed)),
            Err(error) => match db::batch::outdated(&error) {
                Some(Outdated::NewerEnd) => {}
                Some(Outdated::OtherDatabase) => self.start_anew().await?,
                None => return Err(error.into()),
            },
        }
        metrics::counter!("nodesys_heartbeat_batches_judged_again_total").increment(1);
        let app = self.app.clone();
        let mut tx = app.pool.begin().await?;
        db::lease_end::hold(&mut tx).await?;
        app.live.leases.learn_ends(&mut tx).await?;
        let sealed = self.seal(minute, batch);
        let stored = self.insert(&mut tx, &sealed, &body(batch)).await?;
        tx.commit().await?;
        Ok(stored.then_some(sealed))
    }

    /// The database is not the one that the memory was read from: a failover or a restore lost its
    /// tail. Reads the memory anew, under a new number of this writer.
    async fn start_anew(&mut self) -> anyhow::Result<()> {
        tracing::error!(
            "the database has lost what was acknowledged: a failover to an asynchronous standby, or a \
             restore. The memory is read anew"
        );
        metrics::counter!("nodesys_memory_read_anew_total").increment(1);
        let now = self.app.clock.now();
        let mut conn = self.app.pool.acquire().await?;
        self.app.live.read_anew(&mut conn, now).await?;
        self.writer = db::writer::register(&mut conn, now).await?;
        self.wseq = 0;
        Ok(())
    }

    fn seal(&mut self, minute: Minute, batch: &mut [Pending]) -> Sealed {
        // The mark first: what it covers is known to the judgement.
        let known = self.app.live.leases.known();
        let lease_seq = self.app.live.leases.judge_again(batch);
        self.bound_updating(minute, batch);
        // A number is never used twice, even when it is not known whether its batch was stored.
        self.wseq += 1;
        Sealed::new(&self.app, minute, batch, (lease_seq, known), self.app.clock.now())
    }

    /// Applies the bound on minutes credited while updating.
    fn bound_updating(&self, minute: Minute, batch: &mut [Pending]) {
        for pending in batch {
            for (line, status) in pending.lines.iter_mut().zip(&pending.signed.message.leases) {
                if let (Status::Updating, Some(license)) = (status.status, line.held)
                    && !self
                        .app
                        .live
                        .fold
                        .read(|fold| fold.may_update(license, minute.day(), status.release))
                {
                    line.result = LineResult::UpdatingTooLong;
                }
            }
        }
    }

    async fn insert(
        &self,
        conn: &mut PgConnection,
        sealed: &Sealed,
        body: &[u8],
    ) -> Result<bool, sqlx::Error> {
        db::batch::insert(conn, &sealed.row(self.writer, self.wseq, body)).await
    }
}

/// The evidence of a batch. Lines prove nothing for a node that has no right to any license.
fn body(batch: &[Pending]) -> Vec<u8> {
    let entry = |pending: &Pending| {
        if !pending.entitled && pending.lines.iter().all(|line| line.held.is_none()) {
            return Entry::heard(pending.node_idx, pending.hash);
        }
        let held = pending.lines.iter().map(|line| line.held);
        Entry::new(pending.node_idx, &pending.signed, pending.challenge_minute, held)
    };
    evidence::encode(&batch.iter().map(entry).collect::<Vec<_>>())
}

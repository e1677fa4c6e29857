//! The group commit: heartbeats that wait together are stored together, signed once, then answered.
//!
//! While one batch is on its way to the disk the next one gathers, so the batch size follows the
//! load by itself; under load it is also given a moment to gather. Batches are cut at minute borders. A batch is one INSERT that holds its day open
//! (`FOR KEY SHARE`); a closed day takes nothing. State in memory changes only after the commit.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::Context;
use nodesys_clock::Clock;
use nodesys_core::api::{LineResult, Receipt};
use nodesys_core::merkle::MerkleTree;
use nodesys_core::message::{Accepted, Message, ReceiptBatch, Signed, Status};
use nodesys_core::time::{Minute, Timestamp};
use roaring::RoaringBitmap;
use sqlx::PgConnection;
use tokio::sync::{Notify, mpsc};

use super::fold::Added;
use super::{Pending, evidence, fit};
use crate::app::{App, AppState};
use crate::error::ApiError;
use crate::lifecycle::Lifecycle;
use crate::periodic::{self, Periodic};
use crate::{lease, node, sql, uptime};

/// Most heartbeats in one batch.
const BATCH: usize = 2048;
/// After a batch of more than this the next one is given a moment, in real time, to gather: a batch
/// costs Postgres the same whatever its size, and a node sends once a minute.
const CROWD: usize = 8;
const GATHER: Duration = Duration::from_millis(10);

/// Starts the group commit and the minute's liveness record.
pub(crate) async fn spawn_writer(lifecycle: &Lifecycle, app: AppState) -> anyhow::Result<()> {
    let clock = app.clock.clone();
    let alive = spawn_group_commit(lifecycle, app).await?;
    periodic::spawn(lifecycle, &clock, Duration::from_secs(60), Arc::new(Notify::new()), alive);
    Ok(())
}

/// Registers this start of the backend as a writer, opens the days and starts the group commit;
/// gives back what is to be done each minute.
pub(crate) async fn spawn_group_commit(
    lifecycle: &Lifecycle,
    app: AppState,
) -> anyhow::Result<Alive> {
    let now = app.clock.now();
    let writer = register(&mut *app.pool.acquire().await?, now).await?;
    let mut alive = Alive { app: app.clone(), writer, life: writer, lived: now, since: now };
    alive.tick().await?;

    let receiver = app.ingest.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
    let receiver = receiver.context("the writer was started twice")?;
    let served = lifecycle.served.clone();
    let writer = Writer { app, writer, wseq: 0 };
    lifecycle.spawn("heartbeat writer", async move {
        tokio::select! {
            () = writer.run(receiver) => {}
            // Nobody waits for an answer any more.
            () = served.cancelled() => {}
        }
    });
    Ok(alive)
}

/// A row of `writer` that begins now.
async fn register(conn: &mut PgConnection, now: Timestamp) -> anyhow::Result<i32> {
    let writer = sqlx::query_scalar!(
        r#"insert into writer (started_at, alive_at) values ($1, $1) returning writer"#,
        sql::signed(now.millis())? as _
    )
    .fetch_one(conn)
    .await?;
    Ok(writer)
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
                self.app.ingest.with_fold_mut(|fold| fold.add(&sealed.added()));
                metrics::counter!("heartbeat_batches_total").increment(1);
                metrics::counter!("heartbeats_accepted_total").increment(batch.len() as u64);
                for (pending, receipt) in batch.into_iter().zip(sealed.receipts) {
                    // Who no longer waits has hung up; the minute is credited all the same.
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

    /// Stores a batch as it is judged now; `None` when the day is closed.
    ///
    /// When a lease has ended that the judgement does not know of, the database refuses the batch;
    /// then it is judged again while no further end can come.
    async fn commit(
        &mut self,
        minute: Minute,
        batch: &mut [Pending],
    ) -> anyhow::Result<Option<Sealed>> {
        let sealed = self.seal(minute, batch);
        let body = evidence::encode(batch);
        match self.insert(&mut *self.app.pool.acquire().await?, &sealed, &body).await {
            Ok(stored) => return Ok(stored.then_some(sealed)),
            Err(error) if lease::is_unknown_end(&error) => {}
            Err(error) => return Err(error.into()),
        }
        metrics::counter!("heartbeat_batches_judged_again_total").increment(1);
        let app = self.app.clone();
        let mut tx = app.pool.begin().await?;
        lease::hold(&mut tx).await?;
        app.ingest.learn_ends(&mut tx).await?;
        let sealed = self.seal(minute, batch);
        let stored = self.insert(&mut tx, &sealed, &evidence::encode(batch)).await?;
        tx.commit().await?;
        Ok(stored.then_some(sealed))
    }

    fn seal(&mut self, minute: Minute, batch: &mut [Pending]) -> Sealed {
        let lease_seq = self.app.ingest.judge_again(batch);
        self.bound_updating(minute, batch);
        // A number is never used twice, even when it is not known whether its batch was stored.
        self.wseq += 1;
        Sealed::new(&self.app, minute, batch, lease_seq, self.app.clock.now())
    }

    /// Applies the bound on minutes credited while updating.
    fn bound_updating(&self, minute: Minute, batch: &mut [Pending]) {
        for pending in batch {
            for (line, status) in pending.lines.iter_mut().zip(&pending.signed.message.leases) {
                if let (Status::Updating, Some(license)) = (status.status, line.held)
                    && !self
                        .app
                        .ingest
                        .with_fold(|fold| fold.may_update(license, minute.day(), status.release))
                {
                    line.result = LineResult::UpdatingTooLong;
                }
            }
        }
    }

    /// One statement; false when the day is closed.
    async fn insert(
        &self,
        conn: &mut PgConnection,
        sealed: &Sealed,
        body: &[u8],
    ) -> Result<bool, sqlx::Error> {
        let number = |error: std::num::TryFromIntError| sqlx::Error::Encode(error.into());
        let batch = &sealed.batch;
        let done = sqlx::query!(
            r#"with open_day as (
                   select day from day where day = $1 and closed_at is null for key share
               )
               insert into heartbeat_batch
                   (day, writer, wseq, minute, n, licenses, carried, unfit, body, server_time, root,
                    signature, lease_seq)
               select day, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13 from open_day"#,
            i32::try_from(sealed.minute.day().0).map_err(number)?,
            self.writer,
            self.wseq,
            i16::try_from(sealed.minute.of_day()).map_err(number)?,
            i32::try_from(sealed.receipts.len()).map_err(number)?,
            stored_bitmap(&sealed.licenses),
            (!sealed.carried.is_empty()).then(|| stored_bitmap(&sealed.carried)),
            (!sealed.unfit.is_empty()).then(|| stored_bitmap(&sealed.unfit)),
            body,
            i64::try_from(batch.message.server_time_millis).map_err(number)? as _,
            batch.message.root.as_slice() as _,
            batch.signature.as_bytes().as_slice(),
            sealed.lease_seq
        )
        .execute(conn)
        .await?;
        Ok(done.rows_affected() == 1)
    }
}

/// A batch with its receipts made, not yet stored.
struct Sealed {
    minute: Minute,
    batch: Signed<ReceiptBatch>,
    receipts: Vec<Receipt>,
    licenses: RoaringBitmap,
    carried: RoaringBitmap,
    unfit: RoaringBitmap,
    nodes: Vec<u32>,
    updating: Vec<(u32, u64)>,
    /// Number of the newest end of a lease that the lines are judged by.
    lease_seq: i64,
}

impl Sealed {
    fn new(app: &App, minute: Minute, batch: &[Pending], lease_seq: i64, now: Timestamp) -> Self {
        let mut licenses = RoaringBitmap::new();
        let (mut carried, mut unfit) = (RoaringBitmap::new(), RoaringBitmap::new());
        let mut updating = Vec::new();
        for pending in batch {
            for (line, status) in pending.lines.iter().zip(&pending.signed.message.leases) {
                match (line.held, line.result) {
                    (Some(license), LineResult::Credited) => {
                        licenses.insert(license.0);
                        if status.status == Status::Updating {
                            updating.push((license.0, status.release));
                        }
                    }
                    (Some(license), _) => {
                        let set = if fit(status.status) { &mut carried } else { &mut unfit };
                        set.insert(license.0);
                    }
                    (None, _) => {}
                }
            }
        }
        carried -= &licenses;
        unfit -= &licenses;
        unfit -= &carried;

        let accepted: Vec<Accepted> = batch.iter().map(|p| accepted(app, p, now)).collect();
        let tree = MerkleTree::from_leaf_hashes(accepted.iter().map(Message::struct_hash));
        let message = ReceiptBatch { minute, server_time_millis: now.millis(), root: tree.root() };
        let batch_signed = Signed::new(message, &app.domain, &app.receipt_key);
        let receipts = accepted
            .into_iter()
            .zip(batch)
            .enumerate()
            .map(|(i, (accepted, pending))| Receipt {
                batch: batch_signed.clone(),
                accepted,
                path: tree.path(i).expect("there is a leaf for each heartbeat"),
                results: pending.lines.iter().map(|line| line.result).collect(),
            })
            .collect();
        let nodes = batch.iter().map(|pending| pending.node_idx).collect();
        let batch = batch_signed;
        Self { minute, batch, receipts, licenses, carried, unfit, nodes, updating, lease_seq }
    }

    fn added(&self) -> Added<'_> {
        Added {
            day: self.minute.day(),
            minute_of_day: self.minute.of_day(),
            licenses: &self.licenses,
            carried: &self.carried,
            unfit: &self.unfit,
            nodes: &self.nodes,
            server_time: Timestamp::from_millis(self.batch.message.server_time_millis),
            updating: &self.updating,
        }
    }
}

fn accepted(app: &App, pending: &Pending, now: Timestamp) -> Accepted {
    let heartbeat = &pending.signed.message;
    let credited = pending
        .lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.result == LineResult::Credited)
        .fold(0u64, |bits, (i, _)| bits | 1 << i);
    Accepted {
        node_key: heartbeat.node_key,
        seq: heartbeat.seq,
        heartbeat_hash: heartbeat.struct_hash(),
        credited,
        next_challenge: app.ingest.challenge(heartbeat.node_key, now.minute()),
    }
}

fn stored_bitmap(bitmap: &RoaringBitmap) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(bitmap.serialized_size());
    bitmap.serialize_into(&mut bytes).expect("writing to a Vec cannot fail");
    bytes
}

/// Each minute: records that this writer lives, opens today and tomorrow, takes in what other
/// replicas have done.
///
/// Where the record could not be kept (the database was away, the process stood still) the next
/// one begins a row of its own: the gap is the backend's downtime, and no lease ends by it.
pub(crate) struct Alive {
    app: AppState,
    /// Whose batches are in the fold without being read.
    writer: i32,
    /// The row that holds this stretch of life, last confirmed at `lived`.
    life: i32,
    lived: Timestamp,
    since: Timestamp,
}

impl Periodic for Alive {
    const NAME: &'static str = "alive";

    async fn tick(&mut self) -> anyhow::Result<()> {
        let now = self.app.clock.now();
        let mut conn = self.app.pool.acquire().await?;
        uptime::open_missing_days(&mut conn, now.day()).await?;
        for day in [now.day(), now.day().next()] {
            uptime::open_day(&mut conn, day).await?;
        }
        if now.millis_since(self.lived) > lease::ALIVE_GAP_MILLIS {
            self.life = register(&mut conn, now).await?;
        }
        record_alive(&mut conn, self.life, now).await?;
        self.lived = now;
        self.app.ingest.follow(&mut conn, Some(self.writer), now).await?;
        // A minute's overlap, since other replicas' clocks differ from ours.
        let since = Timestamp::from_millis(self.since.millis().saturating_sub(60_000));
        self.app.ingest.learn_ends(&mut conn).await?;
        for node_key in node::changed_since(&mut conn, since).await? {
            self.app.ingest.forget_node(node_key);
        }
        self.since = now;
        Ok(())
    }
}

async fn record_alive(conn: &mut PgConnection, writer: i32, now: Timestamp) -> anyhow::Result<()> {
    sqlx::query!(
        "update writer set alive_at = greatest(alive_at, $2) where writer = $1",
        writer,
        sql::signed(now.millis())? as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

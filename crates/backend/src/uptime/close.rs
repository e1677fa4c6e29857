//! Closing a day: fold, write the files, sign, all in one transaction.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, ensure};
use nodesys_core::bitmap::DayBitmap;
use nodesys_core::files::{UptimeRow, write_file};
use nodesys_core::merkle::MerkleTree;
use nodesys_core::message::{DayClosed, Message, Signed};
use nodesys_core::time::{MINUTES_PER_DAY, Timestamp, UtcDay};
use nodesys_core::uptime::uptime_leaf;
use nodesys_core::{Address, B256, keccak256};
use sqlx::{PgConnection, PgTransaction};

use super::expected::expected_from;
use crate::db;
use crate::db::day::ClosedDay;
use crate::db::license::LeasedLicense;
use crate::liveness::Liveness;
use crate::periodic::Periodic;
use crate::state::{App, AppState};
use crate::witness;

/// Earliest close of a day, after midnight.
const CLOSE_MILLIS: u64 = 5 * 60_000;
/// Close of a day without evidence of the next, after midnight.
const DEADLINE_MILLIS: u64 = 60 * 60_000;

/// Each minute: closes every day that is due.
pub(crate) struct Close {
    app: AppState,
}

impl Close {
    pub(crate) const fn new(app: AppState) -> Self {
        Self { app }
    }
}

impl Periodic for Close {
    const NAME: &'static str = "close";

    async fn tick(&mut self) -> anyhow::Result<()> {
        witness::vouch(&self.app).await?;
        if let Err(error) = self.app.reference.may_decide(&self.app.clock) {
            anyhow::bail!("nothing is decided: {error}");
        }
        let now = self.app.clock.now();
        let open = {
            let mut conn = self.app.pool.acquire().await?;
            db::day::open_before(&mut conn, now.day()).await?
        };
        if open.is_empty() {
            return Ok(());
        }
        // A day that is closed by a key without a record stays closed, and nobody believes it.
        self.app.read_key_record().await.context("the record of the receipt key")?;
        for day in open {
            ensure!(
                self.app.key_record.closes(day, now),
                "our receipt key counts no more by the registry: {day} waits for a replica with the present key"
            );
            let mut tx = self.app.pool.begin().await?;
            if due(&mut tx, day, now).await? && close(&self.app, &mut tx, day, now).await? {
                nodesys_failpoint::reach("close:before");
                tx.commit().await?;
                nodesys_failpoint::reach("close:after");
                tracing::info!(%day, "closed");
                metrics::gauge!("nodesys_day_closed").set(f64::from(day.0));
            }
        }
        Ok(())
    }
}

/// Closed only on evidence that ingest lived past the day, or at the deadline.
async fn due(conn: &mut PgConnection, day: UtcDay, now: Timestamp) -> anyhow::Result<bool> {
    let since_midnight = now.millis_since(day.end());
    if since_midnight < CLOSE_MILLIS {
        return Ok(false);
    }
    let lived = db::batch::any_on(conn, day.next()).await?;
    Ok(lived || since_midnight >= DEADLINE_MILLIS)
}

/// Closes the day; false if another replica has closed it.
async fn close(
    app: &App,
    tx: &mut PgTransaction<'_>,
    day: UtcDay,
    now: Timestamp,
) -> anyhow::Result<bool> {
    if !db::day::lock_open(tx, day).await? {
        return Ok(false);
    }
    let (bits, batches) = fold(tx, day).await?;
    let excused = Liveness::of_day(tx, day).await?.excused(day);
    let files = files(day, &leased(tx, day).await?, &bits);

    let leaves: Vec<B256> =
        files.iter().map(|(project, csv)| uptime_leaf(*project, keccak256(csv), excused)).collect();
    let tree = MerkleTree::from_leaf_hashes(leaves);
    let evidence = MerkleTree::from_leaf_hashes(batches);
    let message =
        DayClosed { day: day.epoch(), uptime_hash: tree.root(), evidence_root: evidence.root() };
    let signed = Signed::new(message, &app.domain, &app.receipt_key);
    for (i, (project, csv)) in files.iter().enumerate() {
        let path = tree.path(i).expect("there is a leaf for each project");
        db::day::insert_file(tx, day, *project, csv, keccak256(csv), &path).await?;
    }
    let receipt_key = app.receipt_key.address();
    let closed = ClosedDay { closed: signed, receipt_key, excused };
    db::day::close(tx, day, &closed, now).await?;
    Ok(true)
}

/// Folds all the day's batches: bits by license, and the struct hash of each receipt batch in
/// order.
async fn fold(
    conn: &mut PgConnection,
    day: UtcDay,
) -> anyhow::Result<(HashMap<u32, DayBitmap>, Vec<B256>)> {
    let mut bits: HashMap<u32, DayBitmap> = HashMap::new();
    let mut hashes = Vec::new();
    for batch in db::batch::of_day(conn, day).await? {
        let batch = batch?;
        for index in batch.licenses {
            bits.entry(index).or_default().set(batch.minute_of_day);
        }
        hashes.push(batch.receipt.struct_hash());
    }
    Ok((bits, hashes))
}

/// Licenses ever leased before the day's end, by the project that listed them on it. A project without any has none.
async fn leased(
    conn: &mut PgConnection,
    day: UtcDay,
) -> anyhow::Result<BTreeMap<Address, Vec<LeasedLicense>>> {
    let projects = db::project::existing_on(conn, day).await?;
    let mut by_project: BTreeMap<Address, Vec<LeasedLicense>> =
        projects.into_iter().map(|project| (project, Vec::new())).collect();
    for license in db::license::leased_on(conn, day).await? {
        by_project.entry(license.project).or_default().push(license);
    }
    Ok(by_project)
}

/// Each project's `uptime.csv`.
fn files(
    day: UtcDay,
    leased: &BTreeMap<Address, Vec<LeasedLicense>>,
    bits: &HashMap<u32, DayBitmap>,
) -> BTreeMap<Address, String> {
    let row = |leased: &LeasedLicense| {
        let bitmap = bits.get(&leased.license.0).copied().unwrap_or_default();
        UptimeRow {
            license: leased.license,
            collection: leased.collection,
            token_id: leased.token_id,
            minutes: bitmap.count(),
            expected: MINUTES_PER_DAY - expected_from(day, leased.expected_since),
            bitmap,
        }
    };
    leased
        .iter()
        .map(|(project, licenses)| {
            let rows: Vec<UptimeRow> = licenses.iter().map(row).collect();
            (*project, write_file(&rows))
        })
        .collect()
}

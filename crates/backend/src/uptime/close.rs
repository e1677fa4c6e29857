//! Closing a day: fold, write the files, sign, all in one transaction.

use std::collections::{BTreeMap, HashMap};

use nodesys_core::bitmap::DayBitmap;
use nodesys_core::files::{UptimeRow, write_file};
use nodesys_core::ids::LicenseIndex;
use nodesys_core::merkle::MerkleTree;
use nodesys_core::message::{DayClosed, Message, ReceiptBatch, Signed};
use nodesys_core::time::{MINUTES_PER_DAY, Minute, Timestamp, UtcDay};
use nodesys_core::uptime::uptime_leaf;
use nodesys_core::{Address, B256, keccak256};
use sqlx::{PgConnection, PgTransaction};

use super::{CLOSE_MILLIS, DEADLINE_MILLIS, downtime, expected_from};
use crate::app::{App, AppState};
use crate::heartbeat;
use crate::periodic::Periodic;
use crate::sql;

/// Liveness is recorded each minute; twice that is still being alive.
const ALIVE_GAP_MILLIS: u64 = 60_000;

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
        let now = self.app.clock.now();
        let open = {
            let mut conn = self.app.pool.acquire().await?;
            sqlx::query_scalar!(
                r#"select day as "day!" from day where closed_at is null and day < $1 order by day"#,
                i32::try_from(now.day().0)?
            )
            .fetch_all(&mut *conn)
            .await?
        };
        for number in open {
            let day = UtcDay(u32::try_from(number)?);
            let mut tx = self.app.pool.begin().await?;
            if due(&mut tx, day, now).await? && close(&self.app, &mut tx, day, now).await? {
                nodesys_failpoint::reach("close:before");
                tx.commit().await?;
                nodesys_failpoint::reach("close:after");
                tracing::info!(%day, "closed");
                metrics::gauge!("days_closed").set(f64::from(day.0));
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
    let lived = sqlx::query_scalar!(
        r#"select exists (select from heartbeat_batch where day = $1) as "lived!""#,
        i32::try_from(day.next().0)?
    )
    .fetch_one(conn)
    .await?;
    Ok(lived || since_midnight >= DEADLINE_MILLIS)
}

/// What a license needs to get its row.
struct Leased {
    license: LicenseIndex,
    collection: Address,
    token_id: nodesys_core::U256,
    first_leased: Timestamp,
}

/// Closes the day unless another replica has; false then.
async fn close(
    app: &App,
    tx: &mut PgTransaction<'_>,
    day: UtcDay,
    now: Timestamp,
) -> anyhow::Result<bool> {
    let number = i32::try_from(day.0)?;
    // Waits for every batch insert that still holds the day open, and keeps later ones out.
    let open = sqlx::query_scalar!(
        r#"select closed_at is null as "open!" from day where day = $1 for update"#,
        number
    )
    .fetch_one(&mut **tx)
    .await?;
    if !open {
        return Ok(false);
    }
    let (bits, batches) = fold(tx, day).await?;
    let excused = downtime(day, &alive(tx, day).await?, ALIVE_GAP_MILLIS);
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
        let csv_hash = keccak256(csv);
        sqlx::query!(
            "insert into uptime_file (day, project, csv, csv_hash, path) values ($1, $2, $3, $4, $5)",
            number,
            project.as_slice() as _,
            csv.as_bytes(),
            csv_hash.as_slice() as _,
            path.concat()
        )
        .execute(&mut **tx)
        .await?;
    }
    let receipt_key = app.receipt_key.address();
    sqlx::query!(
        "update day set closed_at = $2, excused = $3, uptime_hash = $4, evidence_root = $5,
                        receipt_key = $6, signature = $7
         where day = $1",
        number,
        sql::signed(now.millis())? as _,
        excused.as_bytes().as_slice(),
        signed.message.uptime_hash.as_slice() as _,
        signed.message.evidence_root.as_slice() as _,
        receipt_key.as_slice() as _,
        signed.signature.as_bytes().as_slice()
    )
    .execute(&mut **tx)
    .await?;
    Ok(true)
}

/// All the day's batches: bits by license, and the struct hash of each receipt batch in order.
async fn fold(
    conn: &mut PgConnection,
    day: UtcDay,
) -> anyhow::Result<(HashMap<u32, DayBitmap>, Vec<B256>)> {
    let rows = sqlx::query!(
        r#"select minute as "minute!", licenses as "licenses!",
                  server_time::bigint as "server_time!", root::bytea as "root!"
           from heartbeat_batch where day = $1 order by writer, wseq"#,
        i32::try_from(day.0)?
    )
    .fetch_all(conn)
    .await?;
    let mut bits: HashMap<u32, DayBitmap> = HashMap::new();
    let mut batches = Vec::with_capacity(rows.len());
    for row in &rows {
        let minute = u16::try_from(row.minute)?;
        for index in heartbeat::bitmap(&row.licenses)? {
            bits.entry(index).or_default().set(minute);
        }
        let batch = ReceiptBatch {
            minute: Minute(day.first_minute().0 + u64::from(minute)),
            server_time_millis: sql::unsigned(row.server_time)?,
            root: sql::hash(&row.root)?,
        };
        batches.push(batch.struct_hash());
    }
    Ok((bits, batches))
}

async fn alive(
    conn: &mut PgConnection,
    day: UtcDay,
) -> anyhow::Result<Vec<(Timestamp, Timestamp)>> {
    let rows = sqlx::query!(
        r#"select started_at::bigint as "started_at!", alive_at::bigint as "alive_at!" from writer
           where alive_at::bigint >= $1 and started_at::bigint < $2"#,
        sql::signed(day.start().millis().saturating_sub(ALIVE_GAP_MILLIS))?,
        sql::signed(day.end().millis())?
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let at = |millis| sql::unsigned(millis).map(Timestamp::from_millis);
            Ok((at(row.started_at)?, at(row.alive_at)?))
        })
        .collect()
}

/// Licenses ever leased before the day's end, by project. A project without any has none.
async fn leased(
    conn: &mut PgConnection,
    day: UtcDay,
) -> anyhow::Result<BTreeMap<Address, Vec<Leased>>> {
    let projects = sqlx::query_scalar!(
        r#"select project::bytea as "project!" from project where first_day <= $1"#,
        i32::try_from(day.0)?
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut by_project: BTreeMap<Address, Vec<Leased>> = BTreeMap::new();
    for project in projects {
        by_project.insert(sql::address(&project)?, Vec::new());
    }
    let rows = sqlx::query!(
        r#"select c.project::bytea as "project!", l.idx as "idx!", l.collection::bytea as "collection!",
                  l.token_id::bytea as "token_id!", l.first_leased::bigint as "first_leased!"
           from license l join collection c on c.collection = l.collection
           where l.first_leased::bigint < $1 order by l.idx"#,
        sql::signed(day.end().millis())?
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        by_project.entry(sql::address(&row.project)?).or_default().push(Leased {
            license: LicenseIndex(u32::try_from(row.idx)?),
            collection: sql::address(&row.collection)?,
            token_id: sql::uint256(&row.token_id)?,
            first_leased: Timestamp::from_millis(sql::unsigned(row.first_leased)?),
        });
    }
    Ok(by_project)
}

/// Each project's `uptime.csv`.
fn files(
    day: UtcDay,
    leased: &BTreeMap<Address, Vec<Leased>>,
    bits: &HashMap<u32, DayBitmap>,
) -> BTreeMap<Address, String> {
    let row = |leased: &Leased| {
        let bitmap = bits.get(&leased.license.0).copied().unwrap_or_default();
        UptimeRow {
            license: leased.license,
            collection: leased.collection,
            token_id: leased.token_id,
            minutes: bitmap.count(),
            expected: MINUTES_PER_DAY - expected_from(day, leased.first_leased),
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

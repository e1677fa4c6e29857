//! Rows of `day` and `uptime_file`, and the partitions of `heartbeat_batch`.

use nodesys_core::bitmap::DayBitmap;
use nodesys_core::message::{DayClosed, Signed};
use nodesys_core::signature::Signature;
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_core::uptime::ClosedUptime;
use nodesys_core::{Address, B256};
use sqlx::PgConnection;

use super::column;

/// Opens a day for batches: creates its row and its partition, both or neither.
///
/// Done by a function of the owner of the tables (`migrations/backend/0017_open_day.sql`), which this role
/// need not be. It waits 2 seconds for a lock: what waits behind it waits as long.
pub(crate) async fn open(conn: &mut PgConnection, day: UtcDay) -> anyhow::Result<()> {
    let number = column::day_number(day)?;
    sqlx::query("select open_day($1)").bind(number).execute(conn).await?;
    Ok(())
}

/// Days from `first` on, as many as `count`, that are not opened yet.
pub(crate) async fn unopened(
    conn: &mut PgConnection,
    first: UtcDay,
    count: i32,
) -> anyhow::Result<Vec<UtcDay>> {
    let missing = sqlx::query_scalar!(
        r#"select wanted.day as "day!" from generate_series($1::integer, $1 + $2 - 1) as wanted (day)
           where not exists (select from day d where d.day = wanted.day) order by wanted.day"#,
        column::day_number(first)?,
        count
    )
    .fetch_all(conn)
    .await?;
    missing.into_iter().map(column::day).collect()
}

/// Opens the days before `today` that were missed while no backend ran: a project's days have no
/// gap, so each must be closed, even if all its minutes are excused.
pub(crate) async fn open_missing(conn: &mut PgConnection, today: UtcDay) -> anyhow::Result<()> {
    let missing = sqlx::query_scalar!(
        r#"select wanted.day as "day!"
           from generate_series(
               least((select min(day) from day), (select min(first_day) from project)), $1 - 1
           ) as wanted (day)
           where not exists (select from day d where d.day = wanted.day) order by wanted.day"#,
        column::day_number(today)?
    )
    .fetch_all(&mut *conn)
    .await?;
    for number in missing {
        open(conn, column::day(number)?).await?;
    }
    Ok(())
}

/// Days before `today` that are open, in order.
pub(crate) async fn open_before(
    conn: &mut PgConnection,
    today: UtcDay,
) -> anyhow::Result<Vec<UtcDay>> {
    let days = sqlx::query_scalar!(
        r#"select day as "day!" from day where closed_at is null and day < $1 order by day"#,
        column::day_number(today)?
    )
    .fetch_all(conn)
    .await?;
    days.into_iter().map(column::day).collect()
}

/// Waits for every batch insert that still holds the day open, and keeps later ones out until the
/// transaction ends; false when the day is closed.
pub(crate) async fn lock_open(conn: &mut PgConnection, day: UtcDay) -> anyhow::Result<bool> {
    let open = sqlx::query_scalar!(
        r#"select closed_at is null as "open!" from day where day = $1 for update"#,
        column::day_number(day)?
    )
    .fetch_one(conn)
    .await?;
    Ok(open)
}

/// Stores a project's `uptime.csv` of a closing day.
pub(crate) async fn insert_file(
    conn: &mut PgConnection,
    day: UtcDay,
    project: Address,
    csv: &str,
    csv_hash: B256,
    path: &[B256],
) -> anyhow::Result<()> {
    sqlx::query!(
        "insert into uptime_file (day, project, csv, csv_hash, path) values ($1, $2, $3, $4, $5)",
        column::day_number(day)?,
        project.as_slice() as _,
        csv.as_bytes(),
        csv_hash.as_slice() as _,
        path.concat()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A closed day's row.
pub(crate) struct ClosedDay {
    pub(crate) closed: Signed<DayClosed>,
    pub(crate) receipt_key: Address,
    pub(crate) excused: DayBitmap,
}

/// Closes a day, for good.
pub(crate) async fn close(
    conn: &mut PgConnection,
    day: UtcDay,
    closed: &ClosedDay,
    now: Timestamp,
) -> anyhow::Result<()> {
    let message = &closed.closed.message;
    sqlx::query!(
        "update day set closed_at = $2, excused = $3, uptime_hash = $4, evidence_root = $5,
                        receipt_key = $6, signature = $7
         where day = $1",
        column::day_number(day)?,
        column::millis(now)? as _,
        closed.excused.as_bytes().as_slice(),
        message.uptime_hash.as_slice() as _,
        message.evidence_root.as_slice() as _,
        closed.receipt_key.as_slice() as _,
        closed.closed.signature.as_bytes().as_slice()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The signed close of a day, if it is closed.
pub(crate) async fn closed(
    conn: &mut PgConnection,
    day: UtcDay,
) -> anyhow::Result<Option<ClosedDay>> {
    let row = sqlx::query!(
        r#"select excused as "excused!", uptime_hash::bytea as "uptime_hash!",
                  evidence_root::bytea as "evidence_root!", receipt_key::bytea as "receipt_key!",
                  signature as "signature!"
           from day where day = $1 and closed_at is not null"#,
        column::day_number(day)?
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        let message = DayClosed {
            day: day.epoch(),
            uptime_hash: column::hash(&row.uptime_hash)?,
            evidence_root: column::hash(&row.evidence_root)?,
        };
        Ok(ClosedDay {
            closed: Signed { message, signature: Signature::from_bytes(&row.signature)? },
            receipt_key: column::address(&row.receipt_key)?,
            excused: DayBitmap::from_bytes(&row.excused)
                .ok_or_else(|| anyhow::anyhow!("day {day}: excused is no day bitmap"))?,
        })
    })
    .transpose()
}

/// Whether a day is closed.
pub(crate) async fn is_closed(conn: &mut PgConnection, day: UtcDay) -> anyhow::Result<bool> {
    Ok(closed(conn, day).await?.is_some())
}

/// Whether a project has an `uptime.csv` for a day, which means that the day is closed.
pub(crate) async fn has_file(
    conn: &mut PgConnection,
    project: Address,
    day: UtcDay,
) -> anyhow::Result<bool> {
    let found = sqlx::query_scalar!(
        r#"select exists (select from uptime_file where day = $1 and project = $2) as "found!""#,
        column::day_number(day)?,
        project.as_slice() as _
    )
    .fetch_one(conn)
    .await?;
    Ok(found)
}

/// The projects with an `uptime.csv` of a day.
pub(crate) async fn projects(conn: &mut PgConnection, day: UtcDay) -> anyhow::Result<Vec<Address>> {
    let projects = sqlx::query_scalar!(
        r#"select project::bytea as "project!" from uptime_file where day = $1 order by project"#,
        column::day_number(day)?
    )
    .fetch_all(conn)
    .await?;
    projects.iter().map(|bytes| column::address(bytes)).collect()
}

/// A project's `uptime.csv` of a closed day.
pub(crate) async fn uptime_csv(
    conn: &mut PgConnection,
    project: Address,
    day: UtcDay,
) -> anyhow::Result<Option<Vec<u8>>> {
    let csv = sqlx::query_scalar!(
        r#"select csv as "csv!" from uptime_file where day = $1 and project = $2"#,
        column::day_number(day)?,
        project.as_slice() as _
    )
    .fetch_optional(conn)
    .await?;
    Ok(csv)
}

/// The proof that a project's `uptime.csv` belongs to the signed day.
pub(crate) async fn closed_uptime(
    conn: &mut PgConnection,
    project: Address,
    day: UtcDay,
) -> anyhow::Result<Option<ClosedUptime>> {
    let Some(closed) = closed(conn, day).await? else { return Ok(None) };
    let row = sqlx::query!(
        r#"select csv_hash::bytea as "csv_hash!", path as "path!"
           from uptime_file where day = $1 and project = $2"#,
        column::day_number(day)?,
        project.as_slice() as _
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(ClosedUptime {
            closed: closed.closed,
            receipt_key: closed.receipt_key,
            uptime_csv: column::hash(&row.csv_hash)?,
            excused: closed.excused,
            path: row.path.chunks_exact(32).map(column::hash).collect::<anyhow::Result<_>>()?,
        })
    })
    .transpose()
}

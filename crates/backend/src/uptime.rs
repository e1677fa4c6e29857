//! Uptime: a UTC day is open while it takes batches, and closes once, for good.
//!
//! A day closes 5 minutes after midnight UTC once a batch of the next day shows that ingest lived
//! past it, or at the latest [`DEADLINE_MILLIS`] after midnight. Closing folds all the day's
//! batches under the day's row lock, which every batch insert shares, so no batch can be missed;
//! it writes each project's `uptime.csv` and signs `DayClosed` over all of them.

mod close;
mod http;

use nodesys_core::Address;
use nodesys_core::bitmap::DayBitmap;
use nodesys_core::message::{DayClosed, Signed};
use nodesys_core::signature::Signature;
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_core::uptime::ClosedUptime;
use sqlx::{Connection, PgConnection};

use crate::sql;

pub(crate) use close::Close;
pub(crate) use http::*;

/// How long after midnight a day closes at the earliest.
const CLOSE_MILLIS: u64 = 5 * 60_000;
/// How long after midnight a day closes without evidence of the next.
const DEADLINE_MILLIS: u64 = 60 * 60_000;

/// Makes a day take batches: its row and its partition, both or neither.
pub(crate) async fn open_day(conn: &mut PgConnection, day: UtcDay) -> anyhow::Result<()> {
    let number = i32::try_from(day.0)?;
    let mut tx = conn.begin().await?;
    let made = sqlx::query!("insert into day (day) values ($1) on conflict do nothing", number)
        .execute(&mut *tx)
        .await?;
    if made.rows_affected() == 0 {
        return Ok(());
    }
    // `number` is an integer, so the statement holds nothing of anybody else's.
    let ddl = format!(
        "create table if not exists heartbeat_batch_{number}
         partition of heartbeat_batch for values in ({number})"
    );
    sqlx::query(sqlx::AssertSqlSafe(ddl)).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Opens the days before `today` that nobody was there to open: every project's days follow one
/// another without a gap, so each of them must be closed one day, excused as it may be.
pub(crate) async fn open_missing_days(
    conn: &mut PgConnection,
    today: UtcDay,
) -> anyhow::Result<()> {
    let missing = sqlx::query_scalar!(
        r#"select wanted.day as "day!"
           from generate_series(
               least((select min(day) from day), (select min(first_day) from project)), $1 - 1
           ) as wanted (day)
           where not exists (select from day d where d.day = wanted.day) order by wanted.day"#,
        i32::try_from(today.0)?
    )
    .fetch_all(&mut *conn)
    .await?;
    for number in missing {
        open_day(conn, UtcDay(u32::try_from(number)?)).await?;
    }
    Ok(())
}

/// A closed day's row.
pub(crate) struct ClosedDay {
    pub(crate) closed: Signed<DayClosed>,
    pub(crate) receipt_key: Address,
    pub(crate) excused: DayBitmap,
}

/// The signed close of a day, if it is closed.
pub(crate) async fn closed_day(
    conn: &mut PgConnection,
    day: UtcDay,
) -> anyhow::Result<Option<ClosedDay>> {
    let row = sqlx::query!(
        r#"select excused as "excused!", uptime_hash::bytea as "uptime_hash!",
                  evidence_root::bytea as "evidence_root!", receipt_key::bytea as "receipt_key!",
                  signature as "signature!"
           from day where day = $1 and closed_at is not null"#,
        i32::try_from(day.0)?
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        let message = DayClosed {
            day: day.epoch(),
            uptime_hash: sql::hash(&row.uptime_hash)?,
            evidence_root: sql::hash(&row.evidence_root)?,
        };
        Ok(ClosedDay {
            closed: Signed { message, signature: Signature::from_bytes(&row.signature)? },
            receipt_key: sql::address(&row.receipt_key)?,
            excused: DayBitmap::from_bytes(&row.excused)
                .ok_or_else(|| anyhow::anyhow!("day {day}: excused is no day bitmap"))?,
        })
    })
    .transpose()
}

/// Whether a day is closed.
pub(crate) async fn is_closed(conn: &mut PgConnection, day: UtcDay) -> anyhow::Result<bool> {
    Ok(closed_day(conn, day).await?.is_some())
}

/// A project's `uptime.csv` of a closed day, and how it belongs to the day.
pub(crate) async fn closed(
    conn: &mut PgConnection,
    project: Address,
    day: UtcDay,
) -> anyhow::Result<Option<(Vec<u8>, ClosedUptime)>> {
    let Some(closed) = closed_day(conn, day).await? else { return Ok(None) };
    let row = sqlx::query!(
        r#"select csv as "csv!", csv_hash::bytea as "csv_hash!", path as "path!"
           from uptime_file where day = $1 and project = $2"#,
        i32::try_from(day.0)?,
        project.as_slice() as _
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        let uptime = ClosedUptime {
            closed: closed.closed,
            receipt_key: closed.receipt_key,
            uptime_csv: sql::hash(&row.csv_hash)?,
            excused: closed.excused,
            path: row.path.chunks_exact(32).map(sql::hash).collect::<anyhow::Result<_>>()?,
        };
        Ok((row.csv, uptime))
    })
    .transpose()
}

/// The minutes of a day in which no writer was alive.
///
/// `alive` holds each writer's first and last sign of life; a minute is excused when none of it
/// lies in any of them, one liveness period after the last sign included.
fn downtime(day: UtcDay, alive: &[(Timestamp, Timestamp)], gap_millis: u64) -> DayBitmap {
    let mut excused = DayBitmap::EMPTY;
    for minute in 0..nodesys_core::time::MINUTES_PER_DAY {
        let start = day.start().plus_millis(u64::from(minute) * 60_000);
        let end = start.plus_millis(60_000);
        let lived = |(from, to): &(Timestamp, Timestamp)| {
            *from < end && to.plus_millis(gap_millis) >= start
        };
        if !alive.iter().any(lived) {
            excused.set(minute);
        }
    }
    excused
}

/// From which minute of a day on a license was expected to run (0 to 1440).
fn expected_from(day: UtcDay, first_leased: Timestamp) -> u16 {
    match first_leased.day().cmp(&day) {
        std::cmp::Ordering::Less => 0,
        std::cmp::Ordering::Equal => first_leased.minute().of_day(),
        std::cmp::Ordering::Greater => nodesys_core::time::MINUTES_PER_DAY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: UtcDay = UtcDay(20_454);

    fn at(minute: u64) -> Timestamp {
        DAY.start().plus_millis(minute * 60_000)
    }

    #[test]
    fn only_whole_minutes_without_a_writer_are_excused() {
        let gap = 60_000;
        assert_eq!(downtime(DAY, &[(at(0), at(1440))], gap), DayBitmap::EMPTY);
        assert_eq!(downtime(DAY, &[], gap), DayBitmap::FULL);
        let restarted = [(at(0), at(100)), (at(110).plus_millis(30_000), at(1440))];
        // Alive at 100:00 counts through 101:00; up again at 110:30, so minute 110 is not whole.
        assert_eq!(downtime(DAY, &restarted, gap).runs(), [(102, 110)]);
        let replica = [(at(0), at(100)), (at(50), at(1440))];
        assert_eq!(downtime(DAY, &replica, gap), DayBitmap::EMPTY);
    }

    #[test]
    fn a_license_is_expected_from_its_first_lease_on() {
        assert_eq!(expected_from(DAY, at(0)), 0);
        assert_eq!(expected_from(DAY, at(75).plus_millis(59_000)), 75);
        assert_eq!(expected_from(DAY, DAY.end()), 1440);
        assert_eq!(expected_from(DAY.next(), at(75)), 0);
    }
}

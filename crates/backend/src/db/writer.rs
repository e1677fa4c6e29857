//! Rows of `writer`: each stretch of time in which a backend process was alive.

use nodesys_core::time::Timestamp;
use sqlx::PgConnection;

use super::column;

/// Begins a row now.
pub(crate) async fn register(conn: &mut PgConnection, now: Timestamp) -> anyhow::Result<i32> {
    let writer = sqlx::query_scalar!(
        r#"insert into writer (started_at, alive_at) values ($1, $1) returning writer"#,
        column::millis(now)? as _
    )
    .fetch_one(conn)
    .await?;
    Ok(writer)
}

/// Records that the writer is alive at this moment, beside Postgres's own time; false when its row is
/// not there.
pub(crate) async fn record_alive(
    conn: &mut PgConnection,
    writer: i32,
    now: Timestamp,
) -> anyhow::Result<bool> {
    let done = sqlx::query!(
        "update writer set alive_at = greatest(alive_at, $2),
                seen_at = (extract(epoch from clock_timestamp()) * 1000)::bigint
         where writer = $1",
        writer,
        column::millis(now)? as _
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Time for which a replica's record says how its clock stands to Postgres's.
const WITNESS_MILLIS: i64 = 150_000;

/// The clocks that the database knows.
pub(crate) struct Clocks {
    pub(crate) postgres: Timestamp,
    /// How far each other replica was ahead of Postgres at its last record.
    pub(crate) skews: Vec<i64>,
}

/// Asks them; `own` are the rows of this process.
pub(crate) async fn clocks(conn: &mut PgConnection, own: &[i32]) -> anyhow::Result<Clocks> {
    let row = sqlx::query!(
        r#"with now as materialized (
               select (extract(epoch from clock_timestamp()) * 1000)::bigint as millis)
           select (select millis from now) as "postgres!",
                  array(select alive_at::bigint - seen_at from writer, now
                        where seen_at >= millis - $2 and writer <> all($1)) as "skews!: Vec<i64>""#,
        own,
        WITNESS_MILLIS
    )
    .fetch_one(conn)
    .await?;
    Ok(Clocks { postgres: column::time(row.postgres)?, skews: row.skews })
}

/// First and last sign of life of each writer that gave one at or after `from` and began before
/// `until`, in any order.
pub(crate) async fn signs(
    conn: &mut PgConnection,
    from: Timestamp,
    until: Timestamp,
) -> anyhow::Result<Vec<(Timestamp, Timestamp)>> {
    let rows = sqlx::query!(
        r#"select started_at::bigint as "started_at!", alive_at::bigint as "alive_at!" from writer
           where alive_at::bigint >= $1 and started_at::bigint < $2"#,
        column::millis(from)?,
        column::millis(until)?
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| Ok((column::time(row.started_at)?, column::time(row.alive_at)?)))
        .collect()
}

/// Writers that gave a sign of life at or after a moment.
pub(crate) async fn since(conn: &mut PgConnection, from: Timestamp) -> anyhow::Result<Vec<i32>> {
    let writers = sqlx::query_scalar!(
        r#"select writer as "writer!" from writer where alive_at::bigint >= $1"#,
        column::millis(from)?
    )
    .fetch_all(conn)
    .await?;
    Ok(writers)
}

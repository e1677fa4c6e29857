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

/// Records that the writer is alive at this moment.
pub(crate) async fn record_alive(
    conn: &mut PgConnection,
    writer: i32,
    now: Timestamp,
) -> anyhow::Result<()> {
    sqlx::query!(
        "update writer set alive_at = greatest(alive_at, $2) where writer = $1",
        writer,
        column::millis(now)? as _
    )
    .execute(conn)
    .await?;
    Ok(())
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

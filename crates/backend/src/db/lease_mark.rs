//! Marks of changes of leases: whether a memory was read from this database (see the migration
//! `lease_marks`).

use sqlx::PgConnection;

/// A change of a lease: its number and its random mark. The default is that before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mark {
    pub(crate) seq: i64,
    pub(crate) mark: i64,
}

/// The newest change. Read after the leases, it covers all of them.
pub(crate) async fn newest(conn: &mut PgConnection) -> anyhow::Result<Mark> {
    let row = sqlx::query_as!(
        Mark,
        r#"select seq as "seq!", mark as "mark!" from lease_mark order by seq desc limit 1"#
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.unwrap_or_default())
}

/// Whether the database has a change.
pub(crate) async fn is_here(conn: &mut PgConnection, mark: Mark) -> anyhow::Result<bool> {
    let here = sqlx::query_scalar!(
        r#"select $1::bigint = 0 or exists (select from lease_mark where seq = $1 and mark = $2) as "here!""#,
        mark.seq,
        mark.mark
    )
    .fetch_one(conn)
    .await?;
    Ok(here)
}

//! Rows of `listing`: whose each day of a collection is, from final blocks of the registry.

use nodesys_core::Address;
use nodesys_core::time::{Timestamp, UtcDay};
use sqlx::PgConnection;

use super::column;

/// A listing as logged by the registry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewListing<'a> {
    pub(crate) collection: Address,
    pub(crate) project: Address,
    pub(crate) workload: &'a str,
    pub(crate) from: UtcDay,
    /// The time of its block.
    pub(crate) at: Timestamp,
    pub(crate) block: u64,
}

/// Stores a listing, and the collection with its first one; idempotent.
pub(crate) async fn insert(conn: &mut PgConnection, new: &NewListing<'_>) -> anyhow::Result<()> {
    sqlx::query!(
        "insert into collection (collection, project, workload) values ($1, $2, $3)
         on conflict (collection) do nothing",
        new.collection.as_slice() as _,
        new.project.as_slice() as _,
        new.workload
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "insert into listing (collection, from_day, project, workload, listed_at, listed_block)
         values ($1, $2, $3, $4, $5, $6)",
        new.collection.as_slice() as _,
        column::day_number(new.from)?,
        new.project.as_slice() as _,
        new.workload,
        column::millis(new.at)? as _,
        column::signed(new.block)?
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes the announced end of the listing that is before it; idempotent.
pub(crate) async fn end(
    conn: &mut PgConnection,
    collection: Address,
    project: Address,
    until: UtcDay,
    block: u64,
) -> anyhow::Result<()> {
    sqlx::query!(
        "update listing set until_day = $3, delisted_block = $4
         where project = $2 and (collection, from_day) = (
             select collection, from_day from listing where collection = $1 and from_day < $3
             order by from_day desc limit 1)",
        collection.as_slice() as _,
        project.as_slice() as _,
        column::day_number(until)?,
        column::signed(block)?
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The project that lists a collection on a day.
pub(crate) async fn project_on(
    conn: &mut PgConnection,
    collection: Address,
    day: UtcDay,
) -> anyhow::Result<Option<Address>> {
    let project = sqlx::query_scalar!(
        r#"select project::bytea as "project!" from listing
           where collection = $1 and from_day <= $2 and (until_day is null or until_day > $2)"#,
        collection.as_slice() as _,
        column::day_number(day)?
    )
    .fetch_optional(conn)
    .await?;
    project.map(|bytes| column::address(&bytes)).transpose()
}

/// What of announced ends is known: their number and the block of the newest. It changes with every end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ends {
    pub(crate) count: i64,
    pub(crate) newest: i64,
}

/// The announced ends.
pub(crate) async fn ends(conn: &mut PgConnection) -> anyhow::Result<Ends> {
    let ends = sqlx::query_as!(
        Ends,
        r#"select count(until_day) as "count!", coalesce(max(delisted_block), 0) as "newest!" from listing"#
    );
    Ok(ends.fetch_one(conn).await?)
}

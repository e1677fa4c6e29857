//! The row of `chain_cursor`: the lowest place of the mirror's sources. Replicas of the version before
//! go by it; ours go by each source's own (see [`super::mirror_source`]).

use sqlx::PgConnection;

use super::column;

/// The chain that the mirror is of; `None` before the first page.
pub(crate) async fn chain_id(conn: &mut PgConnection) -> anyhow::Result<Option<u64>> {
    let found = sqlx::query_scalar!(r#"select chain_id as "chain_id!" from chain_cursor"#);
    found.fetch_optional(conn).await?.map(column::unsigned).transpose()
}

/// Puts it at the lowest place of a source that has begun.
pub(crate) async fn follow(conn: &mut PgConnection, chain_id: u64) -> anyhow::Result<()> {
    sqlx::query!(
        "insert into chain_cursor (chain_id, block_number, block_hash)
         select $1, cursor_block, cursor_hash from mirror_source
         where cursor_block is not null order by cursor_block limit 1
         on conflict (one) do update
         set block_number = excluded.block_number, block_hash = excluded.block_hash",
        column::signed(chain_id)?
    )
    .execute(conn)
    .await?;
    Ok(())
}

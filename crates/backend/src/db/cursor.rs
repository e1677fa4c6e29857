//! The row of `chain_cursor`: the lowest place of the mirror's sources. Replicas of the version before
//! go by it; ours go by each source's own (see [`super::mirror_source`]).

use nodesys_core::B256;
use sqlx::PgConnection;

use super::column;

/// The chain that the mirror is of; `None` before the first page.
pub(crate) async fn chain_id(conn: &mut PgConnection) -> anyhow::Result<Option<u64>> {
    let found = sqlx::query_scalar!(r#"select chain_id as "chain_id!" from chain_cursor"#);
    found.fetch_optional(conn).await?.map(column::unsigned).transpose()
}

/// Puts it at the lowest place of a source that has begun; before any has, at what was read just now.
pub(crate) async fn follow(
    conn: &mut PgConnection,
    chain_id: u64,
    (block, hash): (u64, B256),
) -> anyhow::Result<()> {
    sqlx::query!(
        "insert into chain_cursor (chain_id, block_number, block_hash) values ($1, $2, $3)
         on conflict do nothing",
        column::signed(chain_id)?,
        column::signed(block)?,
        hash.as_slice() as _
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "update chain_cursor set block_number = s.cursor_block, block_hash = s.cursor_hash
         from (select cursor_block, cursor_hash from mirror_source
               where cursor_block is not null order by cursor_block limit 1) s"
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets it.
pub(crate) async fn forget(conn: &mut PgConnection) -> anyhow::Result<()> {
    sqlx::query!("delete from chain_cursor").execute(conn).await?;
    Ok(())
}

//! The row of `chain_cursor`: the mirror's position in the chain.

use nodesys_core::B256;
use sqlx::PgConnection;

use super::column;

/// The last block in the mirror.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor {
    pub(crate) chain_id: u64,
    pub(crate) block_number: u64,
    pub(crate) block_hash: B256,
}

/// The cursor; `None` before the first page.
pub(crate) async fn read(conn: &mut PgConnection) -> anyhow::Result<Option<Cursor>> {
    let row = sqlx::query!(
        r#"select chain_id as "chain_id!", block_number as "number!", block_hash::bytea as "hash!"
           from chain_cursor"#
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(Cursor {
            chain_id: column::unsigned(row.chain_id)?,
            block_number: column::unsigned(row.number)?,
            block_hash: column::hash(&row.hash)?,
        })
    })
    .transpose()
}

/// Moves the cursor.
pub(crate) async fn set(conn: &mut PgConnection, cursor: &Cursor) -> anyhow::Result<()> {
    sqlx::query!(
        "insert into chain_cursor (chain_id, block_number, block_hash) values ($1, $2, $3)
         on conflict (one) do update
         set block_number = excluded.block_number, block_hash = excluded.block_hash",
        column::signed(cursor.chain_id)?,
        column::signed(cursor.block_number)?,
        cursor.block_hash.as_slice() as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The last block in the mirror.
pub(crate) async fn mirrored_block(conn: &mut PgConnection) -> anyhow::Result<Option<u64>> {
    let number = sqlx::query_scalar!(r#"select block_number as "number!" from chain_cursor"#)
        .fetch_optional(conn)
        .await?;
    number.map(column::unsigned).transpose()
}

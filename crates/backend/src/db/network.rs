//! The row of `network`: whose facts this database holds.

use nodesys_core::Address;
use sqlx::PgConnection;

use super::column;

/// The chain and the registry of this database; those given, where it had none.
pub(crate) async fn belong(
    conn: &mut PgConnection,
    chain_id: u64,
    registry: Address,
) -> anyhow::Result<(u64, Address)> {
    sqlx::query!(
        "insert into network (chain_id, registry) values ($1, $2) on conflict do nothing",
        column::signed(chain_id)?,
        registry.as_slice() as _
    )
    .execute(&mut *conn)
    .await?;
    let row = sqlx::query!(
        r#"select chain_id as "chain_id!", registry::bytea as "registry!" from network"#
    )
    .fetch_one(conn)
    .await?;
    Ok((column::unsigned(row.chain_id)?, column::address(&row.registry)?))
}

//! The row of `network`: whose facts this database holds, and the secret of challenges.

use nodesys_core::Address;
use sqlx::PgConnection;
use zeroize::Zeroizing;

use super::column;

/// The row.
pub(crate) struct NetworkRow {
    pub(crate) chain_id: u64,
    pub(crate) registry: Address,
    pub(crate) challenge_secret: Zeroizing<[u8; 32]>,
}

/// The network of this database; that of the chain and the registry given, where it had none.
pub(crate) async fn belong(
    conn: &mut PgConnection,
    chain_id: u64,
    registry: Address,
) -> anyhow::Result<NetworkRow> {
    sqlx::query!(
        "insert into network (chain_id, registry) values ($1, $2) on conflict do nothing",
        column::signed(chain_id)?,
        registry.as_slice() as _
    )
    .execute(&mut *conn)
    .await?;
    let row = sqlx::query!(
        r#"select chain_id as "chain_id!", registry::bytea as "registry!",
                  challenge_secret as "challenge_secret!"
           from network"#
    )
    .fetch_one(conn)
    .await?;
    let secret = Zeroizing::new(row.challenge_secret);
    Ok(NetworkRow {
        chain_id: column::unsigned(row.chain_id)?,
        registry: column::address(&row.registry)?,
        challenge_secret: Zeroizing::new(secret.as_slice().try_into()?),
    })
}

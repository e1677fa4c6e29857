//! Rows of `pairing`: nodes that wait for a wallet's signature.

use nodesys_core::signature::WalletSignature;
use nodesys_core::time::Timestamp;
use nodesys_core::{Address, B256, U256};
use sqlx::PgConnection;

use super::column;

/// A pairing that has begun.
#[derive(Debug, Clone)]
pub(crate) struct PairingRow {
    pub(crate) id: [u8; 16],
    pub(crate) secret_hash: B256,
    pub(crate) code_hash: B256,
    pub(crate) node_key: Address,
    pub(crate) not_after: u64,
    pub(crate) nonce: U256,
    pub(crate) machine: String,
    pub(crate) until: Timestamp,
    /// Wrong codes.
    pub(crate) tries: u32,
    /// Who typed the code.
    pub(crate) operator: Option<Address>,
    pub(crate) signature: Option<WalletSignature>,
}

/// Stores a new one.
pub(crate) async fn begin(conn: &mut PgConnection, new: &PairingRow) -> anyhow::Result<()> {
    let nonce = new.nonce.to_be_bytes::<32>();
    sqlx::query!(
        "insert into pairing
             (id, secret_hash, code_hash, node_key, not_after_secs, nonce, machine, until_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        new.id.as_slice(),
        new.secret_hash.as_slice() as _,
        new.code_hash.as_slice() as _,
        new.node_key.as_slice() as _,
        column::signed(new.not_after)?,
        nonce.as_slice() as _,
        new.machine,
        column::millis(new.until)? as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The one of an id, while it goes on; its row stays as it is until the transaction ends.
pub(crate) async fn locked(
    conn: &mut PgConnection,
    id: [u8; 16],
    now: Timestamp,
) -> anyhow::Result<Option<PairingRow>> {
    let row = sqlx::query!(
        r#"select secret_hash::bytea as "secret_hash!", code_hash::bytea as "code_hash!",
                  node_key::bytea as "node_key!", not_after_secs as "not_after_secs!",
                  nonce::bytea as "nonce!", machine as "machine!", until_at::bigint as "until_at!",
                  tries as "tries!", operator::bytea as operator, operator_signature
           from pairing where id = $1 and until_at > $2 for update"#,
        id.as_slice(),
        column::millis(now)? as _
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(PairingRow {
        id,
        secret_hash: column::hash(&row.secret_hash)?,
        code_hash: column::hash(&row.code_hash)?,
        node_key: column::address(&row.node_key)?,
        not_after: column::unsigned(row.not_after_secs)?,
        nonce: column::uint256(&row.nonce)?,
        machine: row.machine,
        until: column::time(row.until_at)?,
        tries: u32::try_from(row.tries)?,
        operator: row.operator.as_deref().map(column::address).transpose()?,
        signature: row.operator_signature.and_then(|bytes| WalletSignature::new(bytes.into())),
    }))
}

/// Counts a wrong code.
pub(crate) async fn wrong_code(conn: &mut PgConnection, id: [u8; 16]) -> anyhow::Result<()> {
    sqlx::query!("update pairing set tries = tries + 1 where id = $1", id.as_slice())
        .execute(conn)
        .await?;
    Ok(())
}

/// Records who typed the code.
pub(crate) async fn claim(
    conn: &mut PgConnection,
    id: [u8; 16],
    operator: Address,
) -> anyhow::Result<()> {
    sqlx::query!(
        "update pairing set operator = $2 where id = $1",
        id.as_slice(),
        operator.as_slice() as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Keeps the operator's signature.
pub(crate) async fn sign(
    conn: &mut PgConnection,
    id: [u8; 16],
    signature: &WalletSignature,
) -> anyhow::Result<()> {
    sqlx::query!(
        "update pairing set operator_signature = $2 where id = $1",
        id.as_slice(),
        signature.as_bytes().as_ref()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Drops those whose time is over.
pub(crate) async fn drop_ended(conn: &mut PgConnection, now: Timestamp) -> anyhow::Result<()> {
    let now = column::millis(now)?;
    sqlx::query!("delete from pairing where until_at <= $1", now as _).execute(conn).await?;
    Ok(())
}

//! Rows of `claim`: payments of distributors in final blocks.

use nodesys_core::ids::Amount;
use nodesys_core::{Address, B256};
use sqlx::PgConnection;

use super::column;

/// A claim as the chain logged it.
#[derive(Debug, Clone)]
pub(crate) struct NewClaim {
    pub(crate) block_number: u64,
    pub(crate) log_index: u64,
    pub(crate) transaction: B256,
    pub(crate) project: Address,
    pub(crate) account: Address,
    pub(crate) recipient: Address,
    pub(crate) root: B256,
    pub(crate) amount: Amount,
}

/// Stores a claim; idempotent. The chain's order decides what the account has been paid with it.
pub(crate) async fn insert(conn: &mut PgConnection, claim: &NewClaim) -> anyhow::Result<()> {
    sqlx::query!(
        "insert into claim (block_number, log_index, project, account, recipient, root,
                            amount, cumulative, tx_hash)
         select $1, $2, $3::bytea, $4::bytea, $5, $6, $7::text::numeric,
                $7::text::numeric + coalesce(sum(amount::numeric), 0), $8
         from claim where account = $4::bytea and project = $3::bytea
         and (block_number, log_index) < ($1, $2)
         on conflict do nothing",
        column::signed(claim.block_number)?,
        i32::try_from(claim.log_index)?,
        claim.project.as_slice() as _,
        claim.account.as_slice() as _,
        claim.recipient.as_slice() as _,
        claim.root.as_slice() as _,
        claim.amount.to_string(),
        claim.transaction.as_slice() as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// All payments to an account in final blocks.
pub(crate) async fn claimed(
    conn: &mut PgConnection,
    project: Address,
    account: Address,
) -> anyhow::Result<Amount> {
    let total = sqlx::query_scalar!(
        r#"select coalesce(sum(amount::numeric), 0)::text as "claimed!"
           from claim where account = $1 and project = $2"#,
        account.as_slice() as _,
        project.as_slice() as _
    )
    .fetch_one(conn)
    .await?;
    column::amount(&total)
}

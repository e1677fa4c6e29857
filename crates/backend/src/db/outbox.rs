//! Rows of `outbox`: transactions to bring on chain.

use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_core::{Address, B256};
use sqlx::PgConnection;

use super::column;

/// A transaction to bring on chain.
#[derive(Debug, Clone)]
pub(crate) struct OutboxRow {
    pub(crate) id: i64,
    pub(crate) commit_hash: B256,
    /// The commit's day.
    pub(crate) day: UtcDay,
    pub(crate) to: Address,
    pub(crate) calldata: Vec<u8>,
    pub(crate) signed: Option<SignedTx>,
    pub(crate) attempts: i32,
    /// How often it was parked.
    pub(crate) failures: u32,
    /// When a parked row is tried again.
    pub(crate) next_try: Option<Timestamp>,
}

/// Its signed form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignedTx {
    pub(crate) nonce: u64,
    pub(crate) hash: B256,
    pub(crate) raw: Vec<u8>,
}

/// Queues a call for a commit.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    commit: B256,
    to: Address,
    calldata: &[u8],
    now: Timestamp,
) -> anyhow::Result<()> {
    sqlx::query!(
        "insert into outbox (commit_hash, to_address, calldata, created_at) values ($1, $2, $3, $4)",
        commit.as_slice() as _,
        to.as_slice() as _,
        calldata,
        column::millis(now)? as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Unfinished rows, in order.
pub(crate) async fn open(conn: &mut PgConnection) -> anyhow::Result<Vec<OutboxRow>> {
    let rows = sqlx::query!(
        r#"select o.id as "id!", o.commit_hash::bytea as "commit_hash!",
                  o.to_address::bytea as "to_address!", o.calldata as "calldata!", o.nonce,
                  o.tx_hash::bytea as tx_hash, o.raw_tx, o.attempts as "attempts!",
                  o.failures as "failures!", o.next_try::bigint as next_try, c.day as "day!"
           from outbox o join reward_commit c on (c.project, c.commit_hash) = (o.to_address, o.commit_hash)
           where o.done_block is null and c.revoked_block is null order by o.id"#
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let signed = match (row.nonce, row.tx_hash, row.raw_tx) {
                (Some(nonce), Some(hash), Some(raw)) => Some(SignedTx {
                    nonce: column::unsigned(nonce)?,
                    hash: column::hash(&hash)?,
                    raw,
                }),
                _ => None,
            };
            Ok(OutboxRow {
                id: row.id,
                commit_hash: column::hash(&row.commit_hash)?,
                day: column::day(row.day)?,
                to: column::address(&row.to_address)?,
                calldata: row.calldata,
                signed,
                attempts: row.attempts,
                failures: u32::try_from(row.failures)?,
                next_try: row.next_try.map(column::time).transpose()?,
            })
        })
        .collect()
}

/// Stores the signed bytes in the row. Commit before sending.
pub(crate) async fn set_signed(
    conn: &mut PgConnection,
    id: i64,
    signed: &SignedTx,
    now: Timestamp,
) -> anyhow::Result<()> {
    sqlx::query!(
        "update outbox set nonce = $2, tx_hash = $3, raw_tx = $4, signed_at = $5, attempts = 0
         where id = $1",
        id,
        column::signed(signed.nonce)?,
        signed.hash.as_slice() as _,
        signed.raw,
        column::millis(now)? as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Drops a transaction that can never be mined.
pub(crate) async fn clear_signed(conn: &mut PgConnection, id: i64) -> anyhow::Result<()> {
    sqlx::query!(
        "update outbox set nonce = null, tx_hash = null, raw_tx = null, signed_at = null where id = $1",
        id
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Counts a try and keeps its error.
pub(crate) async fn tried(
    conn: &mut PgConnection,
    id: i64,
    problem: Option<&str>,
) -> anyhow::Result<()> {
    sqlx::query!(
        "update outbox set attempts = attempts + 1, last_error = $2 where id = $1",
        id,
        problem
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Parks a row with its reason: nothing of it is in the chain's pool, and it is tried again later.
pub(crate) async fn park(
    conn: &mut PgConnection,
    id: i64,
    reason: &str,
    next_try: Timestamp,
) -> anyhow::Result<()> {
    sqlx::query!(
        "update outbox set failures = failures + 1, last_error = $2, next_try = $3 where id = $1",
        id,
        reason,
        column::millis(next_try)? as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Counts gas that a project's post burned in vain.
pub(crate) async fn burned(
    conn: &mut PgConnection,
    project: Address,
    day: UtcDay,
    gas: u64,
) -> anyhow::Result<()> {
    sqlx::query!(
        "insert into post_gas (project, day, gas) values ($1, $2, $3)
         on conflict (project, day) do update set gas = post_gas.gas + excluded.gas",
        project.as_slice() as _,
        column::day_number(day)?,
        column::signed(gas.max(1))?
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What a project's posts burned in vain on a day.
pub(crate) async fn burned_on(
    conn: &mut PgConnection,
    project: Address,
    day: UtcDay,
) -> anyhow::Result<u64> {
    let gas = sqlx::query_scalar!(
        r#"select gas as "gas!" from post_gas where project = $1 and day = $2"#,
        project.as_slice() as _,
        column::day_number(day)?
    )
    .fetch_optional(conn)
    .await?;
    gas.map_or(Ok(0), column::unsigned)
}

/// Marks a commit's transaction as done: anyone posted the commit in this block.
pub(crate) async fn set_done(
    conn: &mut PgConnection,
    project: Address,
    commit: B256,
    block: u64,
) -> anyhow::Result<()> {
    sqlx::query!(
        "update outbox set done_block = $3
         where to_address = $1 and commit_hash = $2 and done_block is null",
        project.as_slice() as _,
        commit.as_slice() as _,
        column::signed(block)?
    )
    .execute(conn)
    .await?;
    Ok(())
}

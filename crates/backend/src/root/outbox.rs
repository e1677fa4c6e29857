//! Rows of `outbox`, and the decision what to do with one: pure, so that every crash can be tested.

use nodesys_core::{Address, B256};
use sqlx::PgConnection;

use crate::sql;

/// Runs without a receipt before the same transaction is signed again at a higher fee.
pub(super) const PATIENCE: i32 = 10;

/// A transaction that is to be on chain.
#[derive(Debug, Clone)]
pub(super) struct OutboxRow {
    pub(super) id: i64,
    pub(super) commit_hash: B256,
    pub(super) to: Address,
    pub(super) calldata: Vec<u8>,
    pub(super) signed: Option<SignedTx>,
    pub(super) attempts: i32,
}

/// Its signed form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SignedTx {
    pub(super) nonce: u64,
    pub(super) hash: B256,
    pub(super) raw: Vec<u8>,
}

/// What the chain says about a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChainFacts {
    /// The block in which the commit is posted, by whomever.
    pub(super) posted_in: Option<u64>,
    /// The newest final block.
    pub(super) final_block: u64,
    /// The signed transaction's receipt: whether it succeeded.
    pub(super) receipt: Option<bool>,
    /// The poster's next nonce by blocks, without the pool.
    pub(super) next_nonce: u64,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The post is in a final block.
    Done,
    /// It is in a block that may still be undone, or its receipt is young: look again later.
    Wait,
    /// Sign and store, then send.
    Sign,
    /// Send the stored bytes again.
    Send,
    /// The stored transaction will never do it: forget it, and sign anew.
    Discard,
    /// It waits for too long: sign again with the same nonce at a higher fee.
    Replace,
}

/// Decides from the row and the chain alone.
pub(super) fn next_step(row: &OutboxRow, chain: &ChainFacts) -> Step {
    if let Some(block) = chain.posted_in {
        return if block <= chain.final_block { Step::Done } else { Step::Wait };
    }
    let Some(signed) = &row.signed else { return Step::Sign };
    match chain.receipt {
        // It succeeded and yet nothing is posted: a reorganisation is under way.
        Some(true) => Step::Wait,
        Some(false) => Step::Discard,
        // Its nonce went to another transaction, so it can never come in.
        None if signed.nonce < chain.next_nonce => Step::Discard,
        None if row.attempts > 0 && row.attempts % PATIENCE == 0 => Step::Replace,
        None => Step::Send,
    }
}

/// Rows that are not done, in order.
pub(super) async fn open(conn: &mut PgConnection) -> anyhow::Result<Vec<OutboxRow>> {
    let rows = sqlx::query!(
        r#"select o.id as "id!", o.commit_hash::bytea as "commit_hash!",
                  o.to_address::bytea as "to_address!", o.calldata as "calldata!", o.nonce,
                  o.tx_hash::bytea as tx_hash, o.raw_tx, o.attempts as "attempts!"
           from outbox o join reward_commit c on c.commit_hash::bytea = o.commit_hash::bytea
           where o.done_block is null and c.revoked_block is null order by o.id"#
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let signed = match (row.nonce, row.tx_hash, row.raw_tx) {
                (Some(nonce), Some(hash), Some(raw)) => {
                    Some(SignedTx { nonce: sql::unsigned(nonce)?, hash: sql::hash(&hash)?, raw })
                }
                _ => None,
            };
            Ok(OutboxRow {
                id: row.id,
                commit_hash: sql::hash(&row.commit_hash)?,
                to: sql::address(&row.to_address)?,
                calldata: row.calldata,
                signed,
                attempts: row.attempts,
            })
        })
        .collect()
}

/// Puts the signed bytes into the row. Commit before sending.
pub(super) async fn set_signed(
    conn: &mut PgConnection,
    id: i64,
    signed: &SignedTx,
    now_millis: u64,
) -> anyhow::Result<()> {
    sqlx::query!(
        "update outbox set nonce = $2, tx_hash = $3, raw_tx = $4, signed_at = $5, attempts = 0
         where id = $1",
        id,
        sql::signed(signed.nonce)?,
        signed.hash.as_slice() as _,
        signed.raw,
        sql::signed(now_millis)? as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets a transaction that can never come in.
pub(super) async fn clear_signed(conn: &mut PgConnection, id: i64) -> anyhow::Result<()> {
    sqlx::query!(
        "update outbox set nonce = null, tx_hash = null, raw_tx = null, signed_at = null where id = $1",
        id
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Counts a try and keeps what it said.
pub(super) async fn tried(
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

#[cfg(test)]
mod tests {
    use super::*;

    fn row(signed: bool, attempts: i32) -> OutboxRow {
        let signed = signed.then(|| SignedTx { nonce: 5, hash: B256::ZERO, raw: vec![1] });
        OutboxRow {
            id: 1,
            commit_hash: B256::ZERO,
            to: Address::ZERO,
            calldata: vec![],
            signed,
            attempts,
        }
    }

    const QUIET: ChainFacts =
        ChainFacts { posted_in: None, final_block: 100, receipt: None, next_nonce: 5 };

    #[test]
    fn a_row_walks_to_its_end_from_every_crash() {
        // Before signing; after signing and before sending; after sending.
        assert_eq!(next_step(&row(false, 0), &QUIET), Step::Sign);
        assert_eq!(next_step(&row(true, 0), &QUIET), Step::Send);
        assert_eq!(next_step(&row(true, 3), &QUIET), Step::Send);
        let mined = ChainFacts { posted_in: Some(101), receipt: Some(true), ..QUIET };
        assert_eq!(next_step(&row(true, 1), &mined), Step::Wait);
        let done = ChainFacts { posted_in: Some(100), ..mined };
        assert_eq!(next_step(&row(true, 1), &done), Step::Done);
    }

    #[test]
    fn posted_by_another_is_success() {
        let posted = ChainFacts { posted_in: Some(90), ..QUIET };
        assert_eq!(next_step(&row(false, 0), &posted), Step::Done);
        let reverted = ChainFacts { receipt: Some(false), ..posted };
        assert_eq!(next_step(&row(true, 1), &reverted), Step::Done);
    }

    #[test]
    fn a_transaction_that_cannot_come_in_is_made_anew() {
        let reverted = ChainFacts { receipt: Some(false), ..QUIET };
        assert_eq!(next_step(&row(true, 1), &reverted), Step::Discard);
        let taken = ChainFacts { next_nonce: 6, ..QUIET };
        assert_eq!(next_step(&row(true, 1), &taken), Step::Discard);
        assert_eq!(next_step(&row(true, PATIENCE), &QUIET), Step::Replace);
    }
}

//! The next step of an outbox row, decided from the row and the chain: pure, so that every crash can
//! be tested.

use crate::db::outbox::OutboxRow;

/// Runs without a receipt before the same transaction is signed again at a higher fee.
const PATIENCE: i32 = 10;

/// The chain's facts about a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChainFacts {
    /// The block in which anyone posted the commit.
    pub(super) posted_in: Option<u64>,
    /// The newest final block.
    pub(super) final_block: u64,
    /// Success of the signed transaction, from its receipt.
    pub(super) receipt: Option<bool>,
    /// The poster's next nonce by blocks, without the pool.
    pub(super) next_nonce: u64,
}

/// The next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The post is in a final block.
    Done,
    /// The post's block is not final, or its receipt is new: check again later.
    Wait,
    /// Sign and store, then send.
    Sign,
    /// Send the stored bytes again.
    Send,
    /// The stored transaction can never succeed: drop it, and sign anew.
    Discard,
    /// It has been pending too long: sign again with the same nonce at a higher fee.
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
        // Its nonce was used by another transaction, so it can never be mined.
        None if signed.nonce < chain.next_nonce => Step::Discard,
        None if row.attempts > 0 && row.attempts % PATIENCE == 0 => Step::Replace,
        None => Step::Send,
    }
}

#[cfg(test)]
mod tests {
    use nodesys_core::{Address, B256};

    use super::*;
    use crate::db::outbox::SignedTx;

    fn row(signed: bool, attempts: i32) -> OutboxRow {
        let signed = signed.then(|| SignedTx { nonce: 5, hash: B256::ZERO, raw: vec![1] });
        OutboxRow {
            id: 1,
            commit_hash: B256::ZERO,
            day: nodesys_core::time::UtcDay(0),
            to: Address::ZERO,
            calldata: vec![],
            signed,
            attempts,
            failures: 0,
            next_try: None,
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

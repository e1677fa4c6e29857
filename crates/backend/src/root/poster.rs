//! The poster: one key, one row after the other, each step from [`super::step::next_step`].

use std::collections::{BTreeMap, BTreeSet};

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718;
use alloy::network::TransactionBuilder;
use alloy::primitives::{Signature as RawSignature, TxKind};
use alloy::providers::Provider as _;
use alloy::rpc::types::TransactionRequest;
use alloy::transports::TransportError;
use anyhow::{Context, anyhow};
use nodesys_chain::bindings::RewardDistributor::Posted;
use nodesys_chain::logs::Logged;
use nodesys_chain::project as chain;
use nodesys_chain::revert::Revert;
use nodesys_core::signature::SigningKey;
use sqlx::PgConnection;
use sqlx::pool::PoolConnection;

use super::step::{ChainFacts, Step, next_step};
use crate::db;
use crate::db::commit::Posting;
use crate::db::lock::{self, Lock};
use crate::db::outbox::{self, OutboxRow, SignedTx};
use crate::periodic::Periodic;
use crate::state::AppState;

/// Each minute and at each accepted commit: advances every open row by one step.
pub(crate) struct Poster {
    app: AppState,
    key: SigningKey,
}

impl Poster {
    pub(crate) const fn new(app: AppState, key: SigningKey) -> Self {
        Self { app, key }
    }
}

impl Periodic for Poster {
    const NAME: &'static str = "poster";

    async fn tick(&mut self) -> anyhow::Result<()> {
        let mut conn = self.app.pool.acquire().await?;
        // For the session, since a run spans several transactions.
        if !lock::take(&mut conn, Lock::Poster).await? {
            return Ok(());
        }
        let result = self.run(&mut conn).await;
        unlock(conn).await;
        result
    }
}

/// The reason a call cannot be sent: the contract's error by name, if it gave one.
fn refusal(error: TransportError) -> anyhow::Error {
    match error.as_error_resp().and_then(|response| response.as_revert_data()) {
        Some(data) => anyhow!("the contract refuses the post: {}", Revert::decode(&data)),
        None => anyhow::Error::from(error).context("estimating the post"),
    }
}

/// Account nonces of the signed rows: each belongs to one row.
fn nonces(rows: &[OutboxRow]) -> BTreeSet<u64> {
    rows.iter().filter_map(|row| Some(row.signed.as_ref()?.nonce)).collect()
}

fn free_nonce(next: u64, taken: &BTreeSet<u64>) -> u64 {
    (next..).find(|nonce| !taken.contains(nonce)).unwrap_or(next)
}

/// Releases the lock for another replica. A connection that cannot unlock is closed, which unlocks
/// too.
async fn unlock(mut conn: PoolConnection<sqlx::Postgres>) {
    if lock::release(&mut conn, Lock::Poster).await.is_err() {
        // The lock ends with the connection; a failed close changes nothing.
        let _ = conn.close().await;
    }
}

impl Poster {
    async fn run(&self, conn: &mut PgConnection) -> anyhow::Result<()> {
        let rows = outbox::open(conn).await?;
        let mut taken = nonces(&rows);
        let mut stuck = BTreeMap::new();
        for row in &rows {
            // A project's later rows build on its earlier ones; other projects go on.
            if stuck.contains_key(&row.to) {
                continue;
            }
            if let Err(error) = self.move_on(conn, row, &mut taken).await {
                outbox::tried(conn, row.id, Some(&format!("{error:#}"))).await?;
                stuck.insert(row.to, error.context(format!("posting commit {}", row.commit_hash)));
            }
        }
        stuck.into_values().next().map_or(Ok(()), Err)
    }

    async fn move_on(
        &self,
        conn: &mut PgConnection,
        row: &OutboxRow,
        taken: &mut BTreeSet<u64>,
    ) -> anyhow::Result<()> {
        let (facts, posted) = self.facts(row).await?;
        match (next_step(row, &facts), posted) {
            (Step::Done, Some(posted)) => {
                metrics::counter!("nodesys_roots_posted_total").increment(1);
                tracing::info!(commit = %row.commit_hash, block = posted.block_number, "posted");
                let posting = Posting {
                    project: row.to,
                    commit: posted.event.commitHash,
                    transaction: posted.transaction,
                    block: posted.block_number,
                    activates_at_secs: posted.event.activatesAt,
                };
                db::commit::set_posted(conn, &posting).await
            }
            (step, _) => self.act(conn, row, step, facts.next_nonce, taken).await,
        }
    }

    /// The chain's facts about a row, and the post itself, if any.
    async fn facts(&self, row: &OutboxRow) -> anyhow::Result<(ChainFacts, Option<Logged<Posted>>)> {
        let provider = &self.app.chain;
        let from = self.app.first_block;
        // An RPC that is behind knows neither the post nor the nonce.
        provider.latest_block().await?;
        let posted = chain::posted_at(provider, row.to, row.commit_hash, from).await?;
        let receipt = match &row.signed {
            Some(signed) => provider.rpc().get_transaction_receipt(signed.hash).await?,
            None => None,
        };
        let facts = ChainFacts {
            posted_in: posted.as_ref().map(|posted| posted.block_number),
            final_block: provider.finalized_block(self.app.final_depth).await?.number,
            receipt: receipt.map(|receipt| receipt.status()),
            next_nonce: provider.rpc().get_transaction_count(self.key.address()).await?,
        };
        Ok((facts, posted))
    }

    async fn act(
        &self,
        conn: &mut PgConnection,
        row: &OutboxRow,
        step: Step,
        next_nonce: u64,
        taken: &mut BTreeSet<u64>,
    ) -> anyhow::Result<()> {
        match step {
            Step::Wait | Step::Done => Ok(()),
            Step::Discard => outbox::clear_signed(conn, row.id).await,
            Step::Send => {
                let signed = row.signed.as_ref().context("a row to send has no signed bytes")?;
                self.send(conn, row, signed).await
            }
            Step::Sign => {
                let nonce = free_nonce(next_nonce, taken);
                let signed = self.sign(row, nonce, 1).await?;
                taken.insert(nonce);
                outbox::set_signed(conn, row.id, &signed, self.app.clock.now()).await?;
                self.send(conn, row, &signed).await
            }
            Step::Replace => {
                let old = row.signed.as_ref().context("a row to replace has no signed bytes")?;
                let signed = self.sign(row, old.nonce, 2).await?;
                outbox::set_signed(conn, row.id, &signed, self.app.clock.now()).await?;
                self.send(conn, row, &signed).await
            }
        }
    }

    /// Signs the call at `fee_factor` times the current fees. Estimating it first shows the
    /// contract's error before any gas is spent.
    async fn sign(
        &self,
        row: &OutboxRow,
        nonce: u64,
        fee_factor: u128,
    ) -> anyhow::Result<SignedTx> {
        let rpc = self.app.chain.rpc();
        let request = TransactionRequest::default()
            .with_from(self.key.address())
            .with_to(row.to)
            .with_input(row.calldata.clone());
        let gas = rpc.estimate_gas(request).await.map_err(refusal)?;
        let fees = rpc.estimate_eip1559_fees().await?;
        let transaction = TxEip1559 {
            chain_id: self.app.domain.chain_id(),
            nonce,
            gas_limit: gas.saturating_mul(5) / 4,
            max_fee_per_gas: fees.max_fee_per_gas.saturating_mul(fee_factor),
            max_priority_fee_per_gas: fees.max_priority_fee_per_gas.saturating_mul(fee_factor),
            to: TxKind::Call(row.to),
            input: row.calldata.clone().into(),
            ..TxEip1559::default()
        };
        let signature = self.key.sign(transaction.signature_hash());
        let signature = RawSignature::from_raw(signature.as_bytes())?;
        let envelope = TxEnvelope::from(transaction.into_signed(signature));
        Ok(SignedTx { nonce, hash: *envelope.tx_hash(), raw: envelope.encoded_2718() })
    }

    async fn send(
        &self,
        conn: &mut PgConnection,
        row: &OutboxRow,
        signed: &SignedTx,
    ) -> anyhow::Result<()> {
        nodesys_failpoint::reach("send:before");
        let sent = self.app.chain.rpc().send_raw_transaction(&signed.raw).await;
        nodesys_failpoint::reach("send:after");
        let problem = match sent {
            Ok(_) => None,
            // RPCs word "already known" differently; only the receipt is reliable.
            Err(error) => Some(error.to_string()),
        };
        tracing::info!(commit = %row.commit_hash, transaction = %signed.hash, problem, "sent a post");
        outbox::tried(conn, row.id, problem.as_deref()).await
    }
}

#[cfg(test)]
mod tests;

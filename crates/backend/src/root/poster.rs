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
use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, PgConnection};

use super::limits::{OverLimit, PostLimits, next_try, offer};
use super::step::{ChainFacts, Step, next_step};
use crate::db::commit::Posting;
use crate::db::lock::{self, Lock};
use crate::db::outbox::{self, OutboxRow, SignedTx};
use crate::periodic::Periodic;
use crate::state::AppState;
use crate::{day, db};

/// Each minute and at each accepted commit: advances every open row by one step.
pub(crate) struct Poster {
    app: AppState,
    key: SigningKey,
    limits: PostLimits,
}

impl Poster {
    pub(crate) const fn new(app: AppState, key: SigningKey, limits: PostLimits) -> Self {
        Self { app, key, limits }
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

/// As [`refusal`]; a call that wants more gas than it may have is over the limit.
fn over_gas(error: TransportError, most: u64) -> anyhow::Error {
    let words = error.as_error_resp().map(|response| response.message.to_lowercase());
    let gas = ["out of gas", "outofgas", "gas required exceeds"];
    if words.is_some_and(|words| gas.iter().any(|part| words.contains(part))) {
        return OverLimit(format!("a post takes more than {most} gas (--post-gas)")).into();
    }
    refusal(error)
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
        let now = self.app.clock.now();
        let (mut stuck, mut parked) = (BTreeMap::new(), BTreeSet::new());
        for row in &rows {
            // A project's later rows build on its earlier ones; other projects go on.
            if stuck.contains_key(&row.to) || parked.contains(&row.to) {
                continue;
            }
            if row.next_try.is_some_and(|next_try| next_try > now) {
                parked.insert(row.to);
                continue;
            }
            if let Err(error) = self.move_on(conn, row, &mut taken).await {
                if error.is::<OverLimit>() {
                    parked.insert(row.to);
                    self.park(conn, row, &error).await?;
                } else {
                    outbox::tried(conn, row.id, Some(&format!("{error:#}"))).await?;
                }
                let error = error.context(format!("posting commit {}", row.commit_hash));
                stuck.insert(row.to, error);
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge of few things")]
        metrics::gauge!("nodesys_posts_parked_projects").set(parked.len() as f64);
        stuck.into_values().next().map_or(Ok(()), Err)
    }

    /// Lets a row wait, with its reason. It is told once.
    async fn park(
        &self,
        conn: &mut PgConnection,
        row: &OutboxRow,
        error: &anyhow::Error,
    ) -> anyhow::Result<()> {
        let (now, reason) = (self.app.clock.now(), format!("{error:#}"));
        outbox::park(conn, row.id, &reason, next_try(now, row.failures)).await?;
        if row.failures == 0 {
            tracing::error!(project = %row.to, commit = %row.commit_hash, reason,
                "a post is parked; it is tried again by itself, and other projects go on");
        }
        Ok(())
    }

    /// Drops a transaction that failed in a block, and counts what it burned.
    async fn failed(
        &self,
        conn: &mut PgConnection,
        row: &OutboxRow,
        gas: u64,
    ) -> anyhow::Result<()> {
        let transaction = row.signed.as_ref().map(|signed| signed.hash).unwrap_or_default();
        let day = self.app.clock.now().day();
        let mut tx = conn.begin().await?;
        outbox::clear_signed(&mut tx, row.id).await?;
        outbox::burned(&mut tx, row.to, day, gas).await?;
        tx.commit().await?;
        let reason = format!("transaction {transaction} failed in a block and burned {gas} gas");
        Err(OverLimit(reason).into())
    }

    /// Refuses to sign what could burn more than the project may in a day.
    async fn within_the_day(&self, conn: &mut PgConnection, row: &OutboxRow) -> anyhow::Result<()> {
        let burned = outbox::burned_on(conn, row.to, self.app.clock.now().day()).await?;
        let most = self.limits.gas_per_day;
        if burned.saturating_add(self.limits.gas) > most {
            return Err(OverLimit(format!(
                "failed posts of the project burned {burned} gas today, of {most} (--post-gas-per-day)"
            ))
            .into());
        }
        Ok(())
    }

    async fn move_on(
        &self,
        conn: &mut PgConnection,
        row: &OutboxRow,
        taken: &mut BTreeSet<u64>,
    ) -> anyhow::Result<()> {
        let (facts, posted, gas_used) = self.facts(row).await?;
        match (next_step(row, &facts), posted) {
            (Step::Discard, _) if facts.receipt == Some(false) => {
                self.failed(conn, row, gas_used).await
            }
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

    /// The chain's facts about a row, the post itself, if any, and the gas that its transaction used.
    async fn facts(
        &self,
        row: &OutboxRow,
    ) -> anyhow::Result<(ChainFacts, Option<Logged<Posted>>, u64)> {
        let provider = &self.app.chain;
        // A day's commit is not posted before its end.
        let from = day::snapshot(&self.app, row.day).await;
        let from = from.map_err(|error| anyhow!("the snapshot of {}: {error:?}", row.day))?.number;
        // An RPC that is behind knows neither the post nor the nonce.
        provider.latest_block().await?;
        let posted = chain::posted_at(provider, row.to, row.commit_hash, from).await?;
        let receipt = match &row.signed {
            Some(signed) => provider.rpc().get_transaction_receipt(signed.hash).await?,
            None => None,
        };
        let gas_used = receipt.as_ref().map_or(0, |receipt| receipt.gas_used);
        let facts = ChainFacts {
            posted_in: posted.as_ref().map(|posted| posted.block_number),
            final_block: provider.finalized_block(self.app.final_depth).await?.number,
            receipt: receipt.map(|receipt| receipt.status()),
            next_nonce: provider.rpc().get_transaction_count(self.key.address()).await?,
        };
        Ok((facts, posted, gas_used))
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
                self.within_the_day(conn, row).await?;
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

    /// Signs the call at `fee_factor` times the current fees, within the limits. It is tried first as it
    /// would be sent, at its gas limit and price: that shows the contract's error before any gas is spent,
    /// and a contract that answers an estimate without a price otherwise.
    async fn sign(
        &self,
        row: &OutboxRow,
        nonce: u64,
        fee_factor: u128,
    ) -> anyhow::Result<SignedTx> {
        let rpc = self.app.chain.rpc();
        let fees = rpc.estimate_eip1559_fees().await?;
        let (max_fee, tip) = (fees.max_fee_per_gas, fees.max_priority_fee_per_gas);
        let (max_fee, tip) =
            offer(max_fee, tip, fee_factor, self.limits.fee_wei()).ok_or_else(|| {
                let limit = self.limits.fee_gwei;
                OverLimit(format!("gas costs more than {limit} gwei now (--post-fee-gwei)"))
            })?;
        let request = TransactionRequest::default()
            .with_from(self.key.address())
            .with_to(row.to)
            .with_input(row.calldata.clone())
            .with_max_fee_per_gas(max_fee)
            .with_max_priority_fee_per_gas(tip);
        let most = self.limits.gas;
        let too_much = |error| over_gas(error, most);
        let within = request.clone().with_gas_limit(most);
        let gas = rpc.estimate_gas(within).await.map_err(too_much)?;
        if gas > most {
            return Err(OverLimit(format!("a post takes {gas} gas, of {most} (--post-gas)")).into());
        }
        let gas_limit = (gas.saturating_mul(5) / 4).min(most);
        rpc.call(request.with_gas_limit(gas_limit)).await.map_err(too_much)?;
        let transaction = TxEip1559 {
            chain_id: self.app.domain.chain_id(),
            nonce,
            gas_limit,
            max_fee_per_gas: max_fee,
            max_priority_fee_per_gas: tip,
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

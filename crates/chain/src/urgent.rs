//! Transactions that must come into a block: sent over every RPC, and replaced with a higher fee until
//! one of them is mined.
//!
//! All tries of one transaction have the same nonce, so at most one of them takes effect. Doing it again
//! later begins at the nonce that the chain names, and so replaces what still waits. Fees are per unit of
//! gas, in wei ([EIP-1559](https://eips.ethereum.org/EIPS/eip-1559)).
//!
//! # Examples
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use alloy::rpc::types::TransactionRequest;
//! use nodesys_chain::urgent::LastFee;
//! use nodesys_chain::{ChainError, Provider};
//!
//! async fn example(guardian: &Provider, pause: TransactionRequest) -> Result<(), ChainError> {
//!     // Kept by the caller: the next transaction has to surpass a fee that still waits.
//!     let mut fee = LastFee::default();
//!     let wait = Duration::from_secs(30);
//!     let receipt = guardian.send_until_mined("pausing", pause, wait, &mut fee).await?;
//!     println!("paused by {} in block {:?}", receipt.transaction_hash, receipt.block_number);
//!     Ok(())
//! }
//! ```

use std::time::Duration;

use alloy::consensus::BlockHeader as _;
use alloy::eips::BlockNumberOrTag;
use alloy::network::TransactionBuilder as _;
use alloy::primitives::{Address, B256};
use alloy::providers::Provider as _;
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use futures::future::join_all;

use crate::error::ChainError;
use crate::provider::Provider;
use crate::wait::pause;

/// How often a transaction is sent again with a higher fee before the caller hears of it.
const TRIES: u32 = 5;
/// Gas for a call that no RPC could estimate.
const GAS_UNESTIMATED: u64 = 600_000;
/// The most gas that an RPC's estimate is believed for: the calls take a tenth of it.
const GAS_AT_MOST: u64 = 3_000_000;
/// The least tip: some chains refuse none.
const LEAST_TIP: u128 = 1_000_000_000;
/// The highest tip that an RPC is believed for: it is paid, while a high `max_fee` is only a bound.
const TIP_AT_MOST: u128 = 500_000_000_000;

/// The fee of the last try, to be surpassed by the next of the same nonce.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LastFee {
    /// The account nonce.
    pub nonce: u64,
    /// The most per gas, in wei.
    pub max_fee: u128,
    /// The tip per gas, in wei.
    pub tip: u128,
}

/// What one RPC says of prices, and of what the account has to pay them with; in wei.
#[derive(Debug, Clone, Copy, Default)]
struct Prices {
    base: u128,
    tip: u128,
    /// `None` where it does not say.
    balance: Option<u128>,
}

impl LastFee {
    /// The fee of the next try: twice the base fee, and the tip; more than the last try of this nonce;
    /// and not more than the account can pay by the same RPC.
    fn next(self, prices: &Prices, gas: u64, nonce: u64) -> Self {
        let tip = prices.tip.clamp(LEAST_TIP, TIP_AT_MOST);
        let max_fee = prices.base.saturating_mul(2).max(2 * LEAST_TIP).saturating_add(tip);
        let mut fee = Self { nonce, max_fee, tip };
        if self.nonce == nonce && self.max_fee > 0 {
            let raised = self.raised();
            fee.max_fee = fee.max_fee.max(raised.max_fee);
            fee.tip = fee.tip.max(raised.tip);
        }
        let can_pay = prices.balance.map_or(u128::MAX, |balance| balance / u128::from(gas.max(1)));
        fee.max_fee = fee.max_fee.min(can_pay);
        Self { tip: fee.tip.min(fee.max_fee), ..fee }
    }

    /// A quarter more than before: nodes ask for a tenth.
    fn raised(self) -> Self {
        let more = |fee: u128| fee.saturating_add(fee / 4).saturating_add(1);
        Self { max_fee: more(self.max_fee), tip: more(self.tip), ..self }
    }
}

impl Provider {
    /// Sends a transaction until it is in a block, waiting `wait` for each try. `last` is the fee of a try
    /// that may still wait; it is kept up to date, so that a caller that writes it down goes on where it
    /// was after a crash.
    ///
    /// # Errors
    ///
    /// [`ChainError::NoSigner`] without a key; [`ChainError::Reverted`] where no RPC would take the call and one says that the contract refuses
    /// it; [`ChainError::NotMined`] after the last try, which may still come in; else the last RPC's.
    pub async fn send_until_mined(
        &self,
        what: &str,
        request: TransactionRequest,
        wait: Duration,
        last: &mut LastFee,
    ) -> Result<TransactionReceipt, ChainError> {
        let sender = self.sender().ok_or_else(|| ChainError::NoSigner(what.to_owned()))?;
        let gas = self.gas_by_any(what, sender, &request).await?;
        let mut nonce = self.nonce_by_any(what, sender).await?;
        let mut sent: Vec<B256> = Vec::new();
        let mut problem: Option<ChainError> = None;
        let prices = self.prices(sender).await;
        // Each try goes by the prices of one RPC, in turn: one that names absurd ones spoils its own try.
        for prices in prices.iter().cycle().take(TRIES as usize) {
            let fee = last.next(prices, gas, nonce);
            let mut try_now = request
                .clone()
                .with_from(sender)
                .with_nonce(nonce)
                .with_gas_limit(gas)
                .with_max_fee_per_gas(fee.max_fee)
                .with_max_priority_fee_per_gas(fee.tip);
            try_now.set_chain_id(self.chain_id());
            // Before it is sent, so that what may wait is known even where no answer comes.
            let (before, mut taken, mut used) = (*last, false, false);
            *last = fee;
            for source in self.all() {
                match source.rpc.send_transaction(try_now.clone()).await {
                    Ok(pending) => {
                        taken = true;
                        if !sent.contains(pending.tx_hash()) {
                            sent.push(*pending.tx_hash());
                        }
                    }
                    Err(error) => {
                        let error = ChainError::from_transport(&source.url, what, error);
                        used |= is_used_nonce(&error);
                        problem = Some(error);
                    }
                }
            }
            if !taken {
                *last = before;
                // Mined already, where no RPC that counts blocks has seen it: all of them are behind.
                nonce += u64::from(used);
                continue;
            }
            if let Some(receipt) = self.mined(&sent, wait).await {
                return if receipt.status() {
                    Ok(receipt)
                } else {
                    Err(self.why_it_failed(what, request.with_from(sender), &receipt).await)
                };
            }
        }
        match (sent.last(), problem) {
            (Some(transaction), _) => Err(ChainError::NotMined {
                what: what.to_owned(),
                transaction: *transaction,
                waited_secs: wait.as_secs() * u64::from(TRIES),
            }),
            (None, Some(error)) => Err(error),
            (None, None) => Err(ChainError::NoSigner(what.to_owned())),
        }
    }

    /// The receipt of any of these transactions, by any RPC.
    async fn mined(&self, sent: &[B256], wait: Duration) -> Option<TransactionReceipt> {
        let receipt = async {
            loop {
                if let Some(receipt) = self.receipt_of(sent).await {
                    return receipt;
                }
                pause(self.poll_interval()).await;
            }
        };
        tokio::time::timeout(wait, receipt).await.ok()
    }

    async fn gas_by_any(
        &self,
        what: &str,
        sender: Address,
        request: &TransactionRequest,
    ) -> Result<u64, ChainError> {
        let (mut most, mut refused) = (None, None);
        for source in self.all() {
            match source.rpc.estimate_gas(request.clone().with_from(sender)).await {
                Ok(gas) => most = most.max(Some(gas)),
                Err(error) => {
                    let error = ChainError::from_transport(&source.url, what, error);
                    if matches!(error, ChainError::Reverted { .. }) {
                        refused = Some(error);
                    }
                }
            }
        }
        match (most, refused) {
            // Half as much again: the chain moves on between estimate and block. The highest of the
            // estimates, since a transaction that runs out of gas does nothing.
            (Some(gas), _) => Ok(gas.saturating_add(gas / 2).min(GAS_AT_MOST)),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(GAS_UNESTIMATED),
        }
    }

    /// The prices of each RPC that names some, all asked at once; the lowest where none does.
    async fn prices(&self, sender: Address) -> Vec<Prices> {
        let asked = self.all().iter().map(|source| async move {
            let (newest, tip, balance) = tokio::join!(
                source.rpc.get_block_by_number(BlockNumberOrTag::Latest).into_future(),
                source.rpc.get_max_priority_fee_per_gas().into_future(),
                source.rpc.get_balance(sender).into_future(),
            );
            let base = newest.ok()??.header.base_fee_per_gas().unwrap_or_default();
            let balance = balance.ok().map(|wei| u128::try_from(wei).unwrap_or(u128::MAX));
            Some(Prices { base: base.into(), tip: tip.unwrap_or_default(), balance })
        });
        let named: Vec<Prices> = join_all(asked).await.into_iter().flatten().collect();
        if named.is_empty() { vec![Prices::default()] } else { named }
    }

    /// The next nonce by blocks, not by what waits: a waiting transaction is to be replaced.
    async fn nonce_by_any(&self, what: &str, sender: Address) -> Result<u64, ChainError> {
        let (mut newest, mut problem) = (None, None);
        for source in self.all() {
            match source.rpc.get_transaction_count(sender).latest().await {
                // An RPC that is behind names a nonce that is used up.
                Ok(nonce) => newest = newest.max(Some(nonce)),
                Err(error) => {
                    problem = Some(ChainError::from_transport(&source.url, what, error));
                }
            }
        }
        match (newest, problem) {
            (Some(nonce), _) => Ok(nonce),
            (None, Some(error)) => Err(error),
            (None, None) => Err(ChainError::NoSigner(what.to_owned())),
        }
    }
}

/// Whether a transaction of this nonce is in a block, by the node that refuses another.
fn is_used_nonce(error: &ChainError) -> bool {
    matches!(error, ChainError::Rpc { problem, .. } if problem.to_lowercase().contains("nonce too low"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GWEI: u128 = 1_000_000_000;
    const GAS: u64 = 100_000;

    #[test]
    fn a_try_surpasses_the_last_of_its_nonce_and_stays_within_the_balance() {
        let honest = Prices { base: 20 * GWEI, tip: 2 * GWEI, balance: Some(GWEI * GWEI) };
        let first = LastFee::default().next(&honest, GAS, 7);
        assert_eq!(first, LastFee { nonce: 7, max_fee: 42 * GWEI, tip: 2 * GWEI });
        let second = first.next(&honest, GAS, 7);
        // A node asks for a tenth more of both.
        assert!(second.max_fee * 10 >= first.max_fee * 11 && second.tip * 10 >= first.tip * 11);
        assert_eq!(second.next(&honest, GAS, 8), LastFee { nonce: 8, ..first });
        let poor = Prices { balance: Some(10 * GWEI * u128::from(GAS)), ..honest };
        assert_eq!(first.next(&poor, GAS, 7).max_fee, 10 * GWEI);
    }

    #[test]
    fn absurd_prices_spoil_one_try_and_no_later_one() {
        let absurd = Prices { base: 1 << 90, tip: 1 << 90, balance: Some(u128::MAX) };
        let honest = Prices { base: 20 * GWEI, tip: 2 * GWEI, balance: Some(GWEI * GWEI) };
        let spoilt = LastFee::default().next(&absurd, GAS, 7);
        assert!(spoilt.max_fee * u128::from(GAS) > GWEI * GWEI && spoilt.tip == TIP_AT_MOST);
        let next = spoilt.next(&honest, GAS, 7);
        assert!(next.max_fee * u128::from(GAS) <= GWEI * GWEI, "{next:?}");
        let silent = LastFee::default().next(&Prices::default(), GAS, 7);
        assert_eq!(silent, LastFee { nonce: 7, max_fee: 3 * GWEI, tip: GWEI });
    }
}

//! What a transaction would cost, asked before it is sent. Prices and balances are in wei of the chain's
//! own coin.
//!
//! A sender needs the gas limit at a price that the next block takes. More is offered where the account
//! has it, since prices may rise before a block takes the transaction, and is paid only if they do.
//!
//! # Examples
//!
//! ```
//! use nodesys_chain::gas::Gas;
//! use nodesys_core::U256;
//!
//! let gas = Gas { units: 120_000, price: 2_000_000_000, balance: U256::from(10_u64.pow(15)) };
//! assert_eq!(gas.cost(), U256::from(240_000_000_000_000_u64));
//! assert!(gas.cost() <= gas.balance, "the sender can pay it");
//! ```

use alloy::network::TransactionBuilder as _;
use alloy::primitives::{Address, U256};
use alloy::providers::Provider as _;
use alloy::rpc::types::TransactionRequest;

use crate::error::ChainError;
use crate::provider::Provider;

/// An estimate, and what the sender has to pay it with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gas {
    /// Units of gas: the limit with which the transaction would be sent, an eighth above the estimate.
    pub units: u64,
    /// The least price of one that the next block takes, in the chain's own smallest unit.
    pub price: u128,
    /// What the sender has of the chain's own coin, in its smallest unit.
    pub balance: U256,
}

impl Gas {
    /// Units times price: what the sender must have.
    pub fn cost(&self) -> U256 {
        U256::from(self.units) * U256::from(self.price)
    }
}

/// The limit for an estimate: the chain moves on before the transaction is in a block.
pub(crate) const fn limit_of(estimate: u64) -> u64 {
    estimate.saturating_add(estimate / 8)
}

/// Present prices of a unit of gas, in wei.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fees {
    /// What the next block asks of everybody.
    pub(crate) base: u128,
    /// The tip.
    pub(crate) tip: u128,
    /// The most that is offered.
    pub(crate) max_fee: u128,
    /// Whether the chain has one price only, without a base fee (before EIP-1559).
    pub(crate) one_price: bool,
}

impl Fees {
    /// The least price that is still taken if the next block raises the base fee as far as it may.
    fn least_price(&self) -> u128 {
        self.base.saturating_add(self.base.div_ceil(8)).saturating_add(self.tip)
    }

    /// What an account must have for a limit.
    pub(crate) fn least(&self, limit: u64) -> U256 {
        U256::from(limit) * U256::from(self.least_price())
    }

    /// The fees that a balance can pay at a limit, as the chain asks for it: the limit times the most
    /// that is offered. `None` where that is less than the next block takes.
    pub(crate) fn within(self, balance: U256, limit: u64) -> Option<Self> {
        let can_pay = balance / U256::from(limit.max(1));
        let max_fee = self.max_fee.min(u128::try_from(can_pay).unwrap_or(u128::MAX));
        (max_fee >= self.least_price()).then_some(Self { max_fee, ..self })
    }

    /// The transaction at these fees.
    pub(crate) fn set(self, mut request: TransactionRequest) -> TransactionRequest {
        if self.one_price {
            request.set_gas_price(self.max_fee);
        } else {
            request.set_max_fee_per_gas(self.max_fee);
            request.set_max_priority_fee_per_gas(self.tip);
        }
        request
    }
}

impl Provider {
    /// What a transaction of `from` would cost now. One that would fail is told as the contract
    /// refuses it.
    ///
    /// # Errors
    ///
    /// [`ChainError::Reverted`] where the contract would refuse it, [`ChainError::Unreachable`] and
    /// [`ChainError::Rpc`] of the first RPC, which alone is asked.
    pub async fn gas_for(
        &self,
        what: &str,
        from: Address,
        request: TransactionRequest,
    ) -> Result<Gas, ChainError> {
        let failed = |error| self.error(what, error);
        let request = request.with_from(from);
        // Asked of the RPC that would send it.
        let units = limit_of(self.rpc().estimate_gas(request).await.map_err(failed)?);
        let balance = self.rpc().get_balance(from).await.map_err(failed)?;
        Ok(Gas { units, price: self.fees().await?.least_price(), balance })
    }

    /// Tries a transaction of an account whose key is not here, and sends nothing.
    ///
    /// # Errors
    ///
    /// As [`Self::gas_for`].
    pub async fn try_as(
        &self,
        what: &str,
        from: Address,
        request: TransactionRequest,
    ) -> Result<(), ChainError> {
        let tried = self.rpc().call(request.with_from(from)).await;
        tried.map(|_| ()).map_err(|error| self.error(what, error))
    }

    /// Present prices.
    pub(crate) async fn fees(&self) -> Result<Fees, ChainError> {
        if let Ok(found) = self.rpc().estimate_eip1559_fees().await {
            let (max_fee, tip) = (found.max_fee_per_gas, found.max_priority_fee_per_gas);
            // alloy offers twice the base fee and the tip.
            let base = max_fee.saturating_sub(tip) / 2;
            return Ok(Fees { base, tip, max_fee, one_price: false });
        }
        let price = self.rpc().get_gas_price().await;
        let price = price.map_err(|error| self.error("reading the price of gas", error))?;
        Ok(Fees { base: 0, tip: price, max_fee: price, one_price: true })
    }

    /// The price of a unit of gas, and what an account has to pay it with.
    ///
    /// # Errors
    ///
    /// [`ChainError::Unreachable`] and [`ChainError::Rpc`] of the first RPC, which alone is asked.
    pub async fn price_and_balance(
        &self,
        what: &str,
        account: Address,
    ) -> Result<(u128, U256), ChainError> {
        let failed = |error| self.error(what, error);
        let price = self.rpc().get_gas_price().await.map_err(failed)?;
        Ok((price, self.rpc().get_balance(account).await.map_err(failed)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balance_between_once_and_twice_the_cost_pays_by_offering_less() {
        let fees = Fees { base: 80, tip: 10, max_fee: 170, one_price: false };
        let limit = limit_of(80);
        assert_eq!((limit, fees.least(limit)), (90, U256::from(9_000)));
        assert_eq!(fees.within(U256::from(90 * 170), limit), Some(fees));
        assert_eq!(fees.within(U256::from(9_000), limit), Some(Fees { max_fee: 100, ..fees }));
        assert_eq!(fees.within(U256::from(8_999), limit), None);
        let old = Fees { base: 0, tip: 50, max_fee: 50, one_price: true };
        assert_eq!(old.within(U256::from(4_500), limit), Some(old));
        assert_eq!(old.within(U256::from(4_499), limit), None);
        assert_eq!(old.set(TransactionRequest::default()).gas_price, Some(50));
    }
}

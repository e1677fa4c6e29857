//! What a transaction would cost, asked before it is sent. Prices and balances are in wei of the chain's
//! own coin.
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
    /// Units of gas.
    pub units: u64,
    /// The price of one, in the chain's own smallest unit.
    pub price: u128,
    /// What the sender has of the chain's own coin, in its smallest unit.
    pub balance: U256,
}

impl Gas {
    /// Units times price.
    pub fn cost(&self) -> U256 {
        U256::from(self.units) * U256::from(self.price)
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
        let units = self.rpc().estimate_gas(request).await.map_err(failed)?;
        let (price, balance) = self.price_and_balance(what, from).await?;
        Ok(Gas { units, price, balance })
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

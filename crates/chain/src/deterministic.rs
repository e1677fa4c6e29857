//! Deployment at an address that is known beforehand: by CREATE2
//! ([EIP-1014](https://eips.ethereum.org/EIPS/eip-1014)), through the deployment proxy that has one
//! address on every chain.
//!
//! An address commits to the whole init code, constructor arguments included, and does not depend on
//! who sends the transaction. So a second run finds what the first one made, and code at the address
//! is that contract and no other.
//!
//! # Examples
//!
//! ```
//! use nodesys_chain::deterministic::Deployment;
//! use nodesys_core::B256;
//!
//! let deployment = |salt, init_code: &'static [u8]| Deployment {
//!     what: "an example".to_owned(),
//!     salt: B256::repeat_byte(salt),
//!     init_code: init_code.into(),
//! };
//! let (first, again) = (deployment(1, b"\x60\x00"), deployment(1, b"\x60\x00"));
//! assert_eq!(first.address(), again.address());
//! assert_ne!(first.address(), deployment(2, b"\x60\x00").address());
//! assert_ne!(first.address(), deployment(1, b"\x60\x01").address());
//! ```

use alloy::network::TransactionBuilder as _;
use alloy::primitives::{Address, B256, Bytes, address, keccak256};
use alloy::providers::Provider as _;
use alloy::rpc::types::TransactionRequest;

use crate::error::ChainError;
use crate::provider::Provider;

/// The deterministic deployment proxy: takes a salt and init code, and does CREATE2.
pub const DEPLOYMENT_PROXY: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");

/// A contract to be deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// What it is, in words, for errors.
    pub what: String,
    /// Chosen by the owner; another salt gives another address.
    pub salt: B256,
    /// Creation code and constructor arguments.
    pub init_code: Bytes,
}

impl Deployment {
    /// Hash of the init code.
    pub fn init_code_hash(&self) -> B256 {
        keccak256(&self.init_code)
    }

    /// Where it will be, or is.
    pub fn address(&self) -> Address {
        DEPLOYMENT_PROXY.create2(self.salt, self.init_code_hash())
    }

    /// The transaction that deploys it, whoever sends it; `None` where it is there.
    ///
    /// # Errors
    ///
    /// [`ChainError::NoCode`] where the chain has no deployment proxy; [`ChainError::Reverted`] where the
    /// constructor refuses; those of a read.
    pub async fn request(
        &self,
        provider: &Provider,
    ) -> Result<Option<TransactionRequest>, ChainError> {
        if !provider.code(self.address()).await?.is_empty() {
            return Ok(None);
        }
        provider.require_code(DEPLOYMENT_PROXY, "the deterministic deployment proxy").await?;
        self.try_constructor(provider).await?;
        let data: Bytes = [self.salt.as_slice(), &self.init_code].concat().into();
        Ok(Some(TransactionRequest::default().with_to(DEPLOYMENT_PROXY).with_input(data)))
    }

    /// Deploys it, unless it is there. Returns the transaction, `None` where there was none to send.
    ///
    /// # Errors
    ///
    /// As [`Self::request`]; [`ChainError::NoCode`] where the transaction left no code behind; those of
    /// [`Provider::send`].
    pub async fn ensure(&self, provider: &Provider) -> Result<Option<B256>, ChainError> {
        let Some(request) = self.request(provider).await? else { return Ok(None) };
        let receipt = provider.send(&format!("deploying {}", self.what), request).await?;
        // The proxy answers success also where the init code left an empty contract.
        provider.require_code(self.address(), &self.what).await?;
        Ok(Some(receipt.transaction_hash))
    }

    /// Runs the constructor without a transaction: the proxy does not pass on why one refuses.
    async fn try_constructor(&self, provider: &Provider) -> Result<(), ChainError> {
        let request = TransactionRequest::default().with_deploy_code(self.init_code.clone());
        match provider.rpc().call(request).await {
            Ok(_) => Ok(()),
            Err(error) => Err(provider.error(&format!("deploying {}", self.what), error)),
        }
    }
}

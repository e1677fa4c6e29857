//! A wallet's signature, judged as the contracts judge it: first by the account's own key (low-S), then,
//! where the account has code, by asking it ([ERC-1271](https://eips.ethereum.org/EIPS/eip-1271)).
//!
//! So the own key of an account that delegates its code
//! ([EIP-7702](https://eips.ethereum.org/EIPS/eip-7702)) signs for it whatever that code says: the
//! delegation can add signatures and refuse none.
//!
//! # Examples
//!
//! ```no_run
//! use nodesys_chain::{Provider, wallet_signature};
//! use nodesys_core::Address;
//! use nodesys_core::message::{Domain, Message as _, SignedCommit};
//!
//! async fn example(
//!     provider: &Provider,
//!     distributor: Address,
//!     reward_signer: Address,
//!     signed: &SignedCommit,
//! ) -> Result<(), wallet_signature::WalletSignatureError> {
//!     let digest = signed.commit.digest(&Domain::new(provider.chain_id(), distributor));
//!     wallet_signature::verify(provider, reward_signer, digest, &signed.signature).await
//! }
//! ```

use alloy::eips::BlockId;
use alloy::primitives::{Address, B256, FixedBytes};
use nodesys_core::signature::{SignatureError, WalletSignature};

use crate::error::ChainError;
use crate::provider::Provider;
use crate::standards::IERC1271;

/// What `isValidSignature` answers when it accepts.
const ACCEPTED: FixedBytes<4> =
    FixedBytes(<IERC1271::isValidSignatureCall as alloy::sol_types::SolCall>::SELECTOR);

/// Why a wallet's signature is not taken.
#[derive(Debug, thiserror::Error)]
pub enum WalletSignatureError {
    /// It does not hold.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The chain could not be asked.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// Succeeds when `account` signed the digest.
///
/// # Errors
///
/// [`WalletSignatureError::Signature`] where it did not: that of the key, or
/// [`SignatureError::ContractRefused`]. [`WalletSignatureError::Chain`] where the chain could not be read,
/// so that nothing is known.
pub async fn verify(
    provider: &Provider,
    account: Address,
    digest: B256,
    signature: &WalletSignature,
) -> Result<(), WalletSignatureError> {
    let by_key = signature.as_key_signature().and_then(|key| key.verify(digest, account));
    let Err(refusal) = by_key else { return Ok(()) };
    if provider.code(account).await?.is_empty() {
        return Err(refusal.into());
    }
    let call =
        IERC1271::isValidSignatureCall { hash: digest, signature: signature.as_bytes().clone() };
    match provider.call(account, &call, BlockId::latest()).await {
        Ok(answer) if answer == ACCEPTED => Ok(()),
        // A contract that reverts, or has no such function, has not accepted.
        Ok(_) | Err(ChainError::Reverted { .. } | ChainError::NoCode { .. }) => {
            Err(SignatureError::ContractRefused(account).into())
        }
        Err(error) => Err(error.into()),
    }
}

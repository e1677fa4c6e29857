//! A wallet's signature, judged as the contracts judge it: first by the account's own key (low-S), then,
//! where the account has code, by asking it ([ERC-1271](https://eips.ethereum.org/EIPS/eip-1271)).
//!
//! So the own key of an account that delegates its code
//! ([EIP-7702](https://eips.ethereum.org/EIPS/eip-7702)) signs for it whatever that code says: the
//! delegation can add signatures and refuse none.
//!
//! A wallet that is not deployed yet signs with the call that will deploy it around its signature
//! ([ERC-6492](https://eips.ethereum.org/EIPS/eip-6492)). Our contracts do not take these, so [`verify`]
//! refuses them for what a contract will judge, with the way out. What programs alone judge is for
//! [`verify_off_chain`], which deploys the wallet within a call that changes nothing.
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
use alloy::primitives::{Address, B256, Bytes, FixedBytes, b256};
use alloy::sol_types::{SolCall as _, SolValue as _};
use nodesys_core::signature::{SignatureError, WalletSignature};

use crate::error::ChainError;
use crate::many::{MULTICALL3, returned};
use crate::provider::Provider;
use crate::standards::IERC1271;
use crate::standards::IMulticall3::{Call3, aggregate3Call};

/// What `isValidSignature` answers when it accepts.
const ACCEPTED: FixedBytes<4> =
    FixedBytes(<IERC1271::isValidSignatureCall as alloy::sol_types::SolCall>::SELECTOR);

/// The end of a signature by a wallet that is not deployed (ERC-6492).
const UNDEPLOYED: B256 = b256!("6492649264926492649264926492649264926492649264926492649264926492");

/// Why a wallet's signature is not taken.
#[derive(Debug, thiserror::Error)]
pub enum WalletSignatureError {
    /// It does not hold.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Nobody can judge it before there is a wallet.
    #[error(
        "the wallet {0} is not deployed, and this signature (ERC-6492) is judged by its code: deploy the \
         wallet first, then sign again"
    )]
    NotDeployed(Address),
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
    let bytes = signature.as_bytes();
    match (provider.code(account).await?.is_empty(), Undeployed::of(bytes)) {
        (true, Some(_)) => Err(WalletSignatureError::NotDeployed(account)),
        (true, None) => Err(refusal.into()),
        (false, _) => by_contract(provider, account, digest, bytes.clone()).await,
    }
}

/// As [`verify`], for a message that no contract judges: also by a wallet that is not deployed yet
/// (ERC-6492).
///
/// # Errors
///
/// Those of [`verify`]; [`WalletSignatureError::NotDeployed`] only where the chain has no Multicall3, through
/// which the wallet is deployed and asked in one call.
pub async fn verify_off_chain(
    provider: &Provider,
    account: Address,
    digest: B256,
    signature: &WalletSignature,
) -> Result<(), WalletSignatureError> {
    let Some(undeployed) = Undeployed::of(signature.as_bytes()) else {
        return verify(provider, account, digest, signature).await;
    };
    let Undeployed { factory, deployment, inner } = undeployed;
    // Deployed since it signed.
    if !provider.code(account).await?.is_empty() {
        return by_contract(provider, account, digest, inner).await;
    }
    if provider.code(MULTICALL3).await?.is_empty() {
        return Err(WalletSignatureError::NotDeployed(account));
    }
    let ask = IERC1271::isValidSignatureCall { hash: digest, signature: inner };
    let call = |target, data| Call3 { target, allowFailure: true, callData: data };
    let calls = vec![call(factory, deployment), call(account, ask.abi_encode().into())];
    let at = BlockId::latest();
    let answers = match provider.call(MULTICALL3, &aggregate3Call { calls }, at).await {
        Ok(answers) => answers,
        // A factory that burns what it is given leaves nothing to ask the wallet with.
        Err(ChainError::Reverted { .. }) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let answer = answers.get(1).filter(|answer| answer.success).map(|answer| &answer.returnData);
    match returned::<IERC1271::isValidSignatureCall>(answer) {
        Some(answer) if answer == ACCEPTED => Ok(()),
        _ => Err(SignatureError::ContractRefused(account).into()),
    }
}

/// A signature with the call that deploys its wallet.
struct Undeployed {
    factory: Address,
    deployment: Bytes,
    /// For the wallet itself.
    inner: Bytes,
}

impl Undeployed {
    /// `None` for a signature of another kind.
    fn of(bytes: &Bytes) -> Option<Self> {
        let wrapped = bytes.strip_suffix(UNDEPLOYED.as_slice())?;
        let (factory, deployment, inner) =
            <(Address, Bytes, Bytes)>::abi_decode_params(wrapped).ok()?;
        Some(Self { factory, deployment, inner })
    }
}

/// Asks an account with code.
async fn by_contract(
    provider: &Provider,
    account: Address,
    digest: B256,
    signature: Bytes,
) -> Result<(), WalletSignatureError> {
    let call = IERC1271::isValidSignatureCall { hash: digest, signature };
    match provider.call(account, &call, BlockId::latest()).await {
        Ok(answer) if answer == ACCEPTED => Ok(()),
        // A contract that reverts, or has no such function, has not accepted.
        Ok(_) | Err(ChainError::Reverted { .. } | ChainError::NoCode { .. }) => {
            Err(SignatureError::ContractRefused(account).into())
        }
        Err(error) => Err(error.into()),
    }
}

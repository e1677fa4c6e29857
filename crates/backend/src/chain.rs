//! Chain access for the stages: the mirror of final blocks, the current state of distributors, and
//! signatures, which a contract wallet may have to verify.

pub(crate) mod mirror;

use alloy::eips::BlockNumberOrTag;
use nodesys_chain::project::{self, DistributorState};
use nodesys_chain::provider::Provider;
use nodesys_chain::wallet_signature::{self, WalletSignatureError};
use nodesys_core::signature::WalletSignature;
use nodesys_core::{Address, B256};

use crate::error::{ApiError, ApiResult};

/// The current state of a project's distributor.
pub(crate) async fn distributor(
    provider: &Provider,
    project: Address,
) -> ApiResult<DistributorState> {
    let state = project::state_of(provider, project, BlockNumberOrTag::Latest).await?;
    provider.recheck_chain().await?;
    Ok(state)
}

/// Succeeds when the distributor's current reward signer signed the digest.
pub(crate) async fn verify_reward_signer(
    provider: &Provider,
    project: Address,
    digest: B256,
    signature: &WalletSignature,
) -> ApiResult<()> {
    let signer = distributor(provider, project).await?.signer;
    if signer.is_zero() {
        return Err(ApiError::bad_signature("the project's reward signer is disabled on chain"));
    }
    verify_wallet(provider, "reward signer", signer, digest, signature).await
}

/// Succeeds when a wallet signed the digest; `who` names it in the refusal.
pub(crate) async fn verify_wallet(
    provider: &Provider,
    who: &str,
    wallet: Address,
    digest: B256,
    signature: &WalletSignature,
) -> ApiResult<()> {
    let verified = wallet_signature::verify(provider, wallet, digest, signature).await;
    // On another chain the address may be another's contract, or none.
    provider.recheck_chain().await?;
    verified.map_err(|error| match error {
        WalletSignatureError::Signature(error) => {
            ApiError::bad_signature(format!("{who}: {error}"))
        }
        WalletSignatureError::Chain(error) => error.into(),
    })
}

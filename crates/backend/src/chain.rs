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
use crate::live::Signer;
use crate::state::App;

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
    // As the distributor will.
    let verified = wallet_signature::verify(provider, signer, digest, signature).await;
    judged(provider, "reward signer", verified).await
}

/// The same, used again for a moment, and for as long as the chain cannot be read: for strangers'
/// requests.
pub(crate) async fn recent_distributor(app: &App, project: Address) -> ApiResult<DistributorState> {
    let recent = &app.live.chain.distributors;
    let read = distributor(&app.chain, project);
    let read = recent.get_or_read(project, app.clock.now(), read).await;
    read.or_else(|error| recent.last(project).ok_or(error))
}

/// Refuses a signature that is not the known reward signer's, before it costs a read of the chain. If
/// it may be a new signer's, the chain is asked, at a bounded rate.
pub(crate) async fn precheck_reward_signer(
    app: &App,
    project: Address,
    digest: B256,
    signature: &WalletSignature,
) -> ApiResult<()> {
    let fits = |signer| match signer {
        Signer::Key(signer) => signature
            .as_key_signature()
            .and_then(|signature| signature.verify(digest, signer))
            .map_err(|error| ApiError::bad_signature(format!("reward signer: {error}"))),
        Signer::Contract => Ok(()),
    };
    let known = app.live.chain.signers.last(project);
    if let Some(Signer::Key(_)) = known
        && known.is_some_and(|signer| fits(signer).is_ok())
    {
        return Ok(());
    }
    if let Err(limited) = app.limits.signer(project) {
        return Err(known.and_then(|signer| fits(signer).err()).unwrap_or(limited));
    }
    let signer = distributor(&app.chain, project).await?.signer;
    let signer = match app.chain.code(signer).await?.is_empty() {
        true => Signer::Key(signer),
        false => Signer::Contract,
    };
    app.live.chain.signers.keep(project, signer, app.clock.now());
    fits(signer)
}

/// Succeeds when a wallet signed the digest of a message that no contract judges; `who` names it in the
/// refusal.
pub(crate) async fn verify_wallet(
    provider: &Provider,
    who: &str,
    wallet: Address,
    digest: B256,
    signature: &WalletSignature,
) -> ApiResult<()> {
    let verified = wallet_signature::verify_off_chain(provider, wallet, digest, signature).await;
    judged(provider, who, verified).await
}

async fn judged(
    provider: &Provider,
    who: &str,
    verified: Result<(), WalletSignatureError>,
) -> ApiResult<()> {
    // On another chain the address may be another's contract, or none.
    provider.recheck_chain().await?;
    verified.map_err(|error| match error {
        WalletSignatureError::Chain(error) => error.into(),
        refused => ApiError::bad_signature(format!("{who}: {refused}")),
    })
}

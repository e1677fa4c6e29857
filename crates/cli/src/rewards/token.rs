//! The token that a project pays in.

use alloy::eips::BlockId;
use nodesys_chain::bindings::RewardDistributor;
use nodesys_chain::metadata::{Token, token_of};
use nodesys_chain::{ChainError, Provider};
use nodesys_core::Address;
use nodesys_core::bundle::ProjectInfo;

/// The token that a project pays in.
pub(crate) async fn token(provider: &Provider, project: &ProjectInfo) -> anyhow::Result<Token> {
    let token = token_address(provider, project.distributor).await?;
    Ok(token_of(provider, token).await?)
}

/// Its address.
pub(crate) async fn token_address(
    provider: &Provider,
    distributor: Address,
) -> Result<Address, ChainError> {
    provider.call(distributor, &RewardDistributor::tokenCall {}, BlockId::latest()).await
}

//! Every project of a backend in which an account has earned.

use nodesys_chain::Provider;
use nodesys_chain::metadata::{Token, token_of};
use nodesys_core::Address;
use nodesys_core::api::RewardView;
use nodesys_core::ids::Amount;
use serde::Serialize;

use crate::license::operator::or_own;
use crate::output::say;
use crate::rewards::token::token_address;
use crate::setup::Setup;

/// The list, printed. Amounts are in wei.
#[derive(Debug, Serialize)]
pub(crate) struct RewardList {
    pub(crate) account: Address,
    pub(crate) projects: Vec<RewardRow>,
}

/// A project's line of the list.
#[derive(Debug, Serialize)]
pub(crate) struct RewardRow {
    #[serde(flatten)]
    pub(crate) view: RewardView,
    /// The active amount that is not claimed.
    pub(crate) claimable: Amount,
    #[serde(skip)]
    pub(crate) unit: Option<Token>,
}

pub(crate) async fn list_rewards(
    setup: &Setup,
    account: Option<Address>,
) -> anyhow::Result<RewardList> {
    let backend = setup.backend()?;
    let account = or_own(setup, account, "--account").await?;
    let views = backend.rewards(account).await?;
    // For units only; without a chain the amounts are told in wei.
    let provider = match &setup.settings.rpc[..] {
        [] => None,
        _ => setup.provider().await.map_err(|error| say(format!("{error:#}"))).ok(),
    };
    let mut projects = Vec::with_capacity(views.len());
    for view in views {
        let unit = match &provider {
            Some(provider) => unit(provider, view.project).await,
            None => None,
        };
        let claimable = view.active.checked_sub(view.claimed).unwrap_or_default();
        projects.push(RewardRow { view, claimable, unit });
    }
    Ok(RewardList { account, projects })
}

async fn unit(provider: &Provider, distributor: Address) -> Option<Token> {
    let token = token_address(provider, distributor).await.ok()?;
    token_of(provider, token).await.ok()
}

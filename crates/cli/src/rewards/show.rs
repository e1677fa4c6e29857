//! One project's rewards, each number proven: what is claimed by the chain, what is earned by a proof that
//! leads to a root that the chain has.

use alloy::eips::BlockId;
use anyhow::Context as _;
use nodesys_chain::bindings::RewardDistributor;
use nodesys_chain::metadata::Token;
use nodesys_core::ids::{Amount, Name};
use nodesys_core::time::UtcDay;
use nodesys_core::{Address, B256};
use nodesys_sdk::audit::PostedCommit;
use serde::Serialize;

use crate::license::operator::or_own;
use crate::output::moment;
use crate::rewards::source::{ProofSource, posted};
use crate::rewards::token::token;
use crate::setup::Setup;

/// The account's rewards, printed. Amounts are in wei.
#[derive(Debug, Serialize)]
pub(crate) struct RewardsView {
    pub(crate) project: Name,
    pub(crate) distributor: Address,
    pub(crate) account: Address,
    /// Newest posted day; `None` while there is none.
    pub(crate) day: Option<UtcDay>,
    /// Earned up to and with that day.
    pub(crate) cumulative: Amount,
    /// Newest active day.
    pub(crate) active_day: Option<UtcDay>,
    pub(crate) active_root: Option<B256>,
    /// Earned up to and with that day.
    pub(crate) active: Amount,
    /// Paid, by the chain.
    pub(crate) claimed: Amount,
    pub(crate) claimable: Amount,
    pub(crate) next: Option<NextActivation>,
    pub(crate) token: Address,
    pub(crate) symbol: Option<String>,
    pub(crate) decimals: Option<u8>,
    #[serde(skip)]
    pub(crate) unit: Token,
}

/// The next root to become active.
#[derive(Debug, Serialize)]
pub(crate) struct NextActivation {
    pub(crate) day: UtcDay,
    pub(crate) root: B256,
    pub(crate) activates_at_secs: String,
    pub(crate) activates_at: String,
    /// The amount that it adds to the active one.
    pub(crate) adds: Amount,
}

pub(crate) async fn read_rewards(
    setup: &Setup,
    account: Option<Address>,
    from: &[String],
) -> anyhow::Result<RewardsView> {
    let source = ProofSource::new(setup, from)?;
    let provider = setup.provider().await?;
    let project = setup.project(&provider).await?;
    let account = or_own(setup, account, "--account").await?;
    let (distributor, latest) = (project.distributor, BlockId::latest());
    let call = RewardDistributor::activeUntilCall {};
    let until = provider.call(distributor, &call, latest).await?;
    let call = RewardDistributor::claimedCall { account };
    let claimed = provider.call(distributor, &call, latest).await?;
    let claimed = Amount::from_u256(claimed).context("the chain has paid 2^128 wei or more")?;
    let posted = posted(setup, &provider, &project).await?;
    let earned = async |one: Option<&PostedCommit>| match one {
        Some(one) => source.by_posted(&project, account, one).await,
        None => Ok(Amount::ZERO),
    };
    let newest = posted.last();
    let active = posted.iter().rev().find(|one| one.activates_at <= until);
    let pending = posted.iter().find(|one| one.activates_at > until);
    let (cumulative, active_amount) = (earned(newest).await?, earned(active).await?);
    let next = match pending {
        None => None,
        Some(one) => Some(NextActivation {
            day: one.day,
            root: one.commit.root,
            activates_at_secs: one.activates_at.to_string(),
            activates_at: moment(one.activates_at),
            adds: earned(pending).await?.checked_sub(active_amount).unwrap_or_default(),
        }),
    };
    let unit = token(&provider, &project).await?;
    Ok(RewardsView {
        project: project.name,
        distributor,
        account,
        day: newest.map(|one| one.day),
        cumulative,
        active_day: active.map(|one| one.day),
        active_root: active.map(|one| one.commit.root),
        active: active_amount,
        claimed,
        claimable: active_amount.checked_sub(claimed).unwrap_or_default(),
        next,
        token: unit.address,
        symbol: unit.symbol.clone(),
        decimals: unit.decimals,
        unit,
    })
}

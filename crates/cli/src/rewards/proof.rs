//! An account's leaf and its path to the root.

use alloy::eips::BlockId;
use nodesys_chain::bindings::RewardDistributor;
use nodesys_chain::metadata::Token;
use nodesys_core::ids::{Amount, Name};
use nodesys_core::time::UtcDay;
use nodesys_core::{Address, B256};
use serde::Serialize;

use crate::exit::Exit;
use crate::license::operator::or_own;
use crate::rewards::source::ProofSource;
use crate::rewards::token::token;
use crate::setup::Setup;

/// The state of a root on chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnChain {
    /// Claims against it are possible.
    Active,
    /// Posted; its delay has not passed.
    Pending,
    /// Not posted, or revoked.
    Unknown,
}

/// A proof, printed.
#[derive(Debug, Serialize)]
pub(crate) struct ProofView {
    pub(crate) project: Name,
    pub(crate) distributor: Address,
    pub(crate) day: UtcDay,
    pub(crate) root: B256,
    pub(crate) account: Address,
    pub(crate) cumulative: Amount,
    pub(crate) path: Vec<B256>,
    pub(crate) on_chain: OnChain,
    pub(crate) activates_at_secs: Option<String>,
    #[serde(skip)]
    pub(crate) token: Token,
    #[serde(skip)]
    pub(crate) activates_at: u64,
}

pub(crate) async fn prove(
    setup: &Setup,
    account: Option<Address>,
    day: Option<UtcDay>,
    from: &[String],
) -> anyhow::Result<ProofView> {
    let provider = setup.provider().await?;
    let project = setup.project(&provider).await?;
    let account = or_own(setup, account, "--account").await?;
    let source = ProofSource::new(setup, from)?;
    let latest = BlockId::latest();
    let found = match day {
        Some(day) => source.of_day(&project, account, day).await?,
        None => {
            let call = RewardDistributor::activeUntilCall {};
            let until = provider.call(project.distributor, &call, latest).await?;
            source.newest_active(setup, &provider, &project, account, until).await?
        }
    };
    let found = found.ok_or_else(|| {
        let by = match day {
            Some(day) => format!("up to and with {day}"),
            None => "by any active root".to_owned(),
        };
        Exit::NotFound
            .because(format!("{account} has earned nothing of project {} {by}", project.name))
    })?;
    let call = RewardDistributor::commitOfCall { root: found.root };
    let entry = provider.call(project.distributor, &call, latest).await?;
    let call = RewardDistributor::isActiveCall { root: found.root };
    let on_chain =
        match (entry.activatesAt, provider.call(project.distributor, &call, latest).await?) {
            (0, _) => OnChain::Unknown,
            (_, true) => OnChain::Active,
            (_, false) => OnChain::Pending,
        };
    let known = on_chain != OnChain::Unknown;
    Ok(ProofView {
        token: token(&provider, &project).await?,
        project: project.name,
        distributor: project.distributor,
        day: found.day,
        root: found.root,
        account,
        cumulative: found.proof.cumulative,
        path: found.proof.path,
        on_chain,
        activates_at_secs: known.then(|| entry.activatesAt.to_string()),
        activates_at: entry.activatesAt,
    })
}

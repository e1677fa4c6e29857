//! `rewards proof`: an account's leaf and its way to the root.

use std::fmt;

use alloy::eips::BlockId;
use nodesys_chain::bindings::RewardDistributor;
use nodesys_chain::metadata::{Token, token_of};
use nodesys_chain::{ChainError, Provider};
use nodesys_core::bundle::ProjectInfo;
use nodesys_core::ids::{Amount, Name};
use nodesys_core::time::UtcDay;
use nodesys_core::{Address, B256};
use serde::Serialize;

use super::ProofArgs;
use super::source::ProofSource;
use crate::exit::Exit;
use crate::license::operator;
use crate::output::{amount, moment};
use crate::setup::Setup;

/// Where a root stands, by the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnChain {
    /// Claims against it are possible.
    Active,
    /// Posted; its delay has not passed.
    Pending,
    /// Not posted, or revoked.
    Unknown,
}

/// A proof, printed.
#[derive(Debug, Serialize)]
pub(super) struct ProofShown {
    project: Name,
    distributor: Address,
    day: UtcDay,
    root: B256,
    account: Address,
    cumulative: Amount,
    path: Vec<B256>,
    on_chain: OnChain,
    activates_at_secs: Option<String>,
    #[serde(skip)]
    token: Token,
    #[serde(skip)]
    activates_at: u64,
}

/// The token that a project pays in.
pub(crate) async fn token(provider: &Provider, project: &ProjectInfo) -> anyhow::Result<Token> {
    let token = token_address(provider, project.distributor).await?;
    Ok(token_of(provider, token).await?)
}

/// Its address.
pub(super) async fn token_address(
    provider: &Provider,
    distributor: Address,
) -> Result<Address, ChainError> {
    provider.call(distributor, &RewardDistributor::tokenCall {}, BlockId::latest()).await
}

pub(super) async fn proof(setup: &Setup, args: &ProofArgs) -> anyhow::Result<ProofShown> {
    let provider = setup.provider().await?;
    let project = setup.project(&provider).await?;
    let account = operator::or_own(setup, args.account, "--account").await?;
    let source = ProofSource::new(setup, &args.from)?;
    let latest = BlockId::latest();
    let found = match args.day {
        Some(day) => source.of_day(&project, account, day).await?,
        None => {
            let call = RewardDistributor::activeUntilCall {};
            let until = provider.call(project.distributor, &call, latest).await?;
            source.newest_active(setup, &provider, &project, account, until).await?
        }
    };
    let found = found.ok_or_else(|| {
        let by = match args.day {
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
    Ok(ProofShown {
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

impl fmt::Display for ProofShown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "project      {} ({})", self.project, self.distributor)?;
        writeln!(f, "account      {}", self.account)?;
        writeln!(f, "day          {}", self.day)?;
        let amount = amount(self.cumulative, Some(&self.token));
        writeln!(f, "cumulative   {amount} ({} wei)", self.cumulative)?;
        writeln!(f, "root         {}", self.root)?;
        match self.on_chain {
            OnChain::Active => writeln!(f, "on chain     active")?,
            OnChain::Pending => {
                writeln!(f, "on chain     posted, active from {}", moment(self.activates_at))?;
            }
            OnChain::Unknown => writeln!(f, "on chain     not posted")?,
        }
        for (i, hash) in self.path.iter().enumerate() {
            writeln!(f, "{:<12} {hash}", if i == 0 { "path" } else { "" })?;
        }
        write!(f, "verified     here, the path leads to the root")
    }
}

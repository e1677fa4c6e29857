//! `rewards show`: one project, each number proven: what is claimed by the chain, what is earned by
//! a proof that leads to a root that the chain has.

use std::fmt;

use alloy::eips::BlockId;
use anyhow::Context as _;
use nodesys_chain::bindings::RewardDistributor;
use nodesys_chain::metadata::Token;
use nodesys_core::ids::{Amount, Name};
use nodesys_core::time::UtcDay;
use nodesys_core::{Address, B256};
use serde::Serialize;

use super::ShowArgs;
use super::proof::token;
use super::source::{ProofSource, posted};
use crate::license::operator;
use crate::output::{amount, moment};
use crate::setup::Setup;
use nodesys_sdk::audit::PostedCommit;

/// The account's rewards, printed. Amounts are in wei.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    project: Name,
    distributor: Address,
    account: Address,
    /// Newest posted day; `None` while there is none.
    day: Option<UtcDay>,
    /// Earned up to and with that day.
    cumulative: Amount,
    /// Newest active day.
    active_day: Option<UtcDay>,
    active_root: Option<B256>,
    /// Earned up to and with that day.
    active: Amount,
    /// Paid, by the chain.
    claimed: Amount,
    claimable: Amount,
    next: Option<Next>,
    token: Address,
    symbol: Option<String>,
    decimals: Option<u8>,
    #[serde(skip)]
    unit: Token,
}

/// The next root to become active.
#[derive(Debug, Serialize)]
struct Next {
    day: UtcDay,
    root: B256,
    activates_at_secs: String,
    activates_at: String,
    /// What it adds to what is active now.
    adds: Amount,
}

pub(super) async fn show(setup: &Setup, args: &ShowArgs) -> anyhow::Result<Shown> {
    let source = ProofSource::new(setup, &args.from)?;
    let provider = setup.provider().await?;
    let project = setup.project(&provider).await?;
    let account = operator::or_own(setup, args.account, "--account").await?;
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
        Some(one) => Some(Next {
            day: one.day,
            root: one.commit.root,
            activates_at_secs: one.activates_at.to_string(),
            activates_at: moment(one.activates_at),
            adds: earned(pending).await?.checked_sub(active_amount).unwrap_or_default(),
        }),
    };
    let unit = token(&provider, &project).await?;
    Ok(Shown {
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

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |value| amount(value, Some(&self.unit));
        let up_to = |day: Option<UtcDay>| {
            day.map_or_else(
                || "nothing posted yet".to_owned(),
                |day| format!("up to and with {day}"),
            )
        };
        writeln!(f, "project          {} ({})", self.project, self.distributor)?;
        writeln!(f, "account          {}", self.account)?;
        writeln!(f, "earned           {} ({})", show(self.cumulative), up_to(self.day))?;
        match self.active_day {
            Some(day) => {
                writeln!(f, "active           {} ({})", show(self.active), up_to(Some(day)))?;
            }
            None => writeln!(f, "active           {} (no root is active yet)", show(self.active))?,
        }
        writeln!(f, "claimed          {}", show(self.claimed))?;
        writeln!(f, "claimable now    {}", show(self.claimable))?;
        match &self.next {
            Some(next) => write!(
                f,
                "next activation  {} of {}, at {}",
                show(next.adds),
                next.day,
                next.activates_at
            ),
            None => write!(f, "next activation  nothing is pending"),
        }
    }
}

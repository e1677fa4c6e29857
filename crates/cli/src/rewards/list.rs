//! `rewards list`: every project of a backend in which an account has earned.

use std::fmt;

use nodesys_chain::Provider;
use nodesys_chain::metadata::{Token, token_of};
use nodesys_core::Address;
use nodesys_core::api::RewardView;
use nodesys_core::ids::Amount;
use serde::Serialize;

use super::proof::token_address;
use crate::license::operator;
use crate::output::{amount, say, table};
use crate::setup::Setup;

/// The list, printed. Amounts are in wei.
#[derive(Debug, Serialize)]
pub(super) struct List {
    account: Address,
    projects: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    #[serde(flatten)]
    view: RewardView,
    /// What is active and not claimed.
    claimable: Amount,
    #[serde(skip)]
    unit: Option<Token>,
}

pub(super) async fn list(setup: &Setup, account: Option<Address>) -> anyhow::Result<List> {
    let backend = setup.backend()?;
    let account = operator::or_own(setup, account, "--account").await?;
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
        projects.push(Line { view, claimable, unit });
    }
    Ok(List { account, projects })
}

async fn unit(provider: &Provider, distributor: Address) -> Option<Token> {
    let token = token_address(provider, distributor).await.ok()?;
    token_of(provider, token).await.ok()
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.projects.is_empty() {
            return write!(f, "{} has earned nothing in any project of this backend", self.account);
        }
        let mut table =
            table(&["project", "newest day", "earned", "active", "claimed", "claimable"]);
        for Line { view, claimable, unit } in &self.projects {
            let show = |value| amount(value, unit.as_ref());
            table.add_row([
                view.name.to_string(),
                view.day.to_string(),
                show(view.cumulative),
                show(view.active),
                show(view.claimed),
                show(*claimable),
            ]);
        }
        write!(
            f,
            "{table}\nof {}, by the backend's word; claims count once their block is final",
            self.account
        )
    }
}

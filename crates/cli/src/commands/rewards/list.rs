//! `rewards list`: every project of a backend in which an account has earned.

use std::fmt;

use nodesys_core::Address;
use nodesys_core::address::address;

use crate::exit::Exit;
use crate::output::{self, amount, table};
use crate::rewards::list::{RewardList, RewardRow, list_rewards};
use crate::setup::Setup;

/// Options of `rewards list`.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// The account [default: the operator who authorised this node].
    #[arg(long, value_name = "ADDRESS")]
    #[arg(value_parser = address)]
    pub account: Option<Address>,
}

/// Runs the verb.
pub(crate) async fn run(setup: &Setup, args: &ListArgs) -> anyhow::Result<Exit> {
    output::print(setup.format(), &list_rewards(setup, args.account).await?)?;
    Ok(Exit::Done)
}

impl fmt::Display for RewardList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.projects.is_empty() {
            return write!(f, "{} has earned nothing in any project of this backend", self.account);
        }
        let mut table =
            table(&["project", "newest day", "earned", "active", "claimed", "claimable"]);
        for RewardRow { view, claimable, unit } in &self.projects {
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

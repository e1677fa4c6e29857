//! `rewards show`: one project, each number proven.

use std::fmt;

use nodesys_core::Address;
use nodesys_core::address::address;
use nodesys_core::time::UtcDay;

use super::source::SourceArgs;
use crate::exit::Exit;
use crate::output::{self, amount};
use crate::rewards::show::{RewardsView, read_rewards};
use crate::setup::Setup;

/// Options of `rewards show`.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// The account [default: the operator who authorised this node].
    #[arg(long, value_name = "ADDRESS")]
    #[arg(value_parser = address)]
    pub account: Option<Address>,
    /// The source of proofs.
    #[command(flatten)]
    pub from: SourceArgs,
}

/// Runs the verb.
pub(crate) async fn run(setup: &Setup, args: &ShowArgs) -> anyhow::Result<Exit> {
    let view = read_rewards(setup, args.account, &args.from.from).await?;
    output::print(setup.format(), &view)?;
    Ok(Exit::Done)
}

impl fmt::Display for RewardsView {
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

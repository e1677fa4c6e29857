//! `rewards proof`: an account's leaf and its path to the root.

use std::fmt;

use nodesys_core::Address;
use nodesys_core::address::address;
use nodesys_core::time::UtcDay;

use super::source::SourceArgs;
use crate::exit::Exit;
use crate::output::{self, amount, moment};
use crate::rewards::proof::{OnChain, ProofView, prove};
use crate::setup::Setup;

/// Options of `rewards proof`.
#[derive(Debug, clap::Args)]
pub struct ProofArgs {
    /// The account [default: the operator who authorised this node].
    #[arg(long, value_name = "ADDRESS")]
    #[arg(value_parser = address)]
    pub account: Option<Address>,
    /// By the tree of this day [default: the newest active one].
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub day: Option<UtcDay>,
    /// The source of the proof.
    #[command(flatten)]
    pub from: SourceArgs,
}

/// Runs the verb.
pub(crate) async fn run(setup: &Setup, args: &ProofArgs) -> anyhow::Result<Exit> {
    let view = prove(setup, args.account, args.day, &args.from.from).await?;
    output::print(setup.format(), &view)?;
    Ok(Exit::Done)
}

impl fmt::Display for ProofView {
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

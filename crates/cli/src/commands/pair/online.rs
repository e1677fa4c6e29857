//! `pair` without a verb: pairs this node by a code that its operator types in a browser.

use nodesys_core::Address;
use nodesys_core::address::address;

use crate::exit::Exit;
use crate::output::{self, Format, say};
use crate::pair::online::{PairingOptions, Step, pair_online};
use crate::pair::view::NodeReport;
use crate::setup::Setup;

/// Options of `pair` without a verb.
#[derive(Debug, clap::Args)]
pub struct OnlineArgs {
    /// Validity of the authorisation in days, 1 to 90 [default: 90].
    #[arg(long, value_name = "DAYS")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=90))]
    pub days: Option<u64>,
    /// Take no other wallet than this one.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub operator: Option<Address>,
    /// What the wallet's owner is shown as this machine's name [default: its host name].
    #[arg(long, value_name = "NAME")]
    pub machine: Option<String>,
}

impl OnlineArgs {
    /// Refuses options that the verb after them does not have.
    pub(crate) fn none_given(&self) -> anyhow::Result<()> {
        if self.days.is_some() || self.operator.is_some() || self.machine.is_some() {
            return Err(Exit::Usage.because(
                "--days, --operator and --machine before a verb are for `nodesys pair` alone",
            ));
        }
        Ok(())
    }
}

/// Runs it.
pub(crate) async fn run(setup: &Setup, args: &OnlineArgs) -> anyhow::Result<Exit> {
    let options = PairingOptions {
        days: args.days.unwrap_or(90),
        operator: args.operator,
        machine: args.machine.clone(),
    };
    pair_online(setup, &options, |step| tell(setup.format(), step)).await?;
    Ok(Exit::Done)
}

fn tell(format: Format, step: &Step) -> anyhow::Result<()> {
    if format == Format::Json {
        // A line for each step, since a program has to show the first ones while this one waits.
        return output::data(&serde_json::to_string(step)?);
    }
    match step {
        Step::Open { link, code, until } => say(format!(
            "Open      {link}\nand type  {code}\nby        {until}\n\nSign in there with the wallet that \
             shall run this node. Give the code to nobody.\nWaiting ..."
        )),
        Step::Compare { operator, words } => say(format!(
            "{operator} has typed the code.\nBefore you sign, compare: the page must show these words.\n\n  \
             {words}\n\nIf it shows others, or this is not your wallet, sign nothing and stop this \
             command.\nWaiting for the signature ..."
        )),
        Step::Done { node } => output::print(format, &NodeReport(node.clone()))?,
    }
    Ok(())
}

//! `license`: the right to run a license, read from the chain alone, and the purchase of licenses.

mod buy;
mod explain;
mod list;
mod show;

use clap::Subcommand;

use crate::exit::Exit;
use crate::setup::Setup;
pub use buy::BuyArgs;
pub use list::ListArgs;
pub use show::ShowArgs;

const FORMS: &str = "\
Examples:
  nodesys license list --project acme
  nodesys license show A1

A license is named in one of three ways:
  A1, A#1       the collection's symbol and the token; the symbol must be that of exactly one of
                the project's collections
  alpha/1       the workload's name in the project and the token
  0x…/1         the collection's address and the token";

/// Verbs of `license`.
#[derive(Debug, Subcommand)]
#[command(after_help = FORMS)]
pub enum LicenseCommand {
    /// Every license of the project, with holder and renter.
    #[command(after_help = "\
Examples:
  nodesys license list --project acme
  nodesys license list --operator 0x00000000000000000000000000000000000000a1")]
    List(ListArgs),
    /// Prove the right to run a license from the RPC alone, with the reason.
    ///
    /// Exits with 0 whether or not there is a right: see `allowed` in the JSON.
    #[command(after_help = "\
Examples:
  nodesys license show A1
  nodesys license show alpha/1 --operator 0x00000000000000000000000000000000000000a1
  nodesys license show A1 -o json

A license is A1 or A#1 (symbol and token), alpha/1 (workload and token), or 0x…/1 (collection and
token).")]
    Show(ShowArgs),
    /// Explain the rule behind a right, with the facts of this license.
    #[command(after_help = "\
Examples:
  nodesys license explain A1
  nodesys license explain A2 --operator 0x00000000000000000000000000000000000000a1")]
    Explain(ShowArgs),
    /// Buy licenses of a workload from its sale.
    ///
    /// Shows the price, asks, sends, and waits for the block. A purchase in a token is approved first,
    /// for its cost alone. Run again after an interruption, it goes on with the purchase that waits.
    #[command(after_help = "\
Examples:
  nodesys license buy alpha --project acme --count 2 --dry-run
  nodesys license buy alpha --count 2 --max-cost 0.5 --keystore wallet.json
  nodesys license buy alpha --max-cost 250 --code SPRING --keystore wallet.json --yes -o json
  nodesys license buy alpha --max-cost 0.25 --account 0x00000000000000000000000000000000000000a1 --calldata   # Safe")]
    Buy(BuyArgs),
}

/// Runs a verb.
pub async fn run(setup: &Setup, command: &LicenseCommand) -> anyhow::Result<Exit> {
    match command {
        LicenseCommand::List(args) => list::run(setup, args).await,
        LicenseCommand::Show(args) => show::run(setup, args).await,
        LicenseCommand::Explain(args) => explain::run(setup, args).await,
        LicenseCommand::Buy(args) => buy::run(setup, args).await,
    }
}

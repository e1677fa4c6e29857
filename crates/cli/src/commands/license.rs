//! `license`: the right to run a license, read from the chain alone.

mod explain;
mod list;
mod show;

use clap::Subcommand;

use crate::exit::Exit;
use crate::setup::Setup;
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
}

/// Runs a verb.
pub async fn run(setup: &Setup, command: &LicenseCommand) -> anyhow::Result<Exit> {
    match command {
        LicenseCommand::List(args) => list::run(setup, args).await,
        LicenseCommand::Show(args) => show::run(setup, args).await,
        LicenseCommand::Explain(args) => explain::run(setup, args).await,
    }
}

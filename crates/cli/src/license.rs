//! Licenses: who may run one, read from the chain alone, and why in words.
//!
//! The right comes from [`nodesys_chain::ownership::rights_of`] over this machine's own RPC,
//! never from a backend. A backend is asked only, where no `--operator` is given, who this node's
//! operator is.

mod list;
pub(crate) mod name;
pub(crate) mod operator;
mod show;
mod words;

use clap::Subcommand;
use nodesys_core::Address;

use crate::exit::Exit;
use crate::output;
use crate::setup::Setup;
pub use name::LicenseName;
pub(crate) use show::right_word;
pub(crate) use words::why;

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
    List {
        /// Show this account's right to run each.
        #[arg(long, value_name = "ADDRESS")]
        operator: Option<Address>,
    },
    /// Prove the right to run a license from the RPC alone, and say why.
    ///
    /// Ends with 0 whether or not there is a right: `allowed` in the JSON tells.
    #[command(after_help = "\
Examples:
  nodesys license show A1
  nodesys license show alpha/1 --operator 0x00000000000000000000000000000000000000a1
  nodesys license show A1 -o json

A license is A1 or A#1 (symbol and token), alpha/1 (workload and token), or 0x…/1 (collection and
token).")]
    Show(LicenseArgs),
    /// The rule of who may run a license, with its facts filled in.
    #[command(after_help = "\
Examples:
  nodesys license explain A1
  nodesys license explain A2 --operator 0x00000000000000000000000000000000000000a1")]
    Explain(LicenseArgs),
}

/// Which license, and whose right.
#[derive(Debug, clap::Args)]
pub struct LicenseArgs {
    /// The license.
    #[arg(value_name = "LICENSE")]
    pub license: LicenseName,
    /// Whose right [default: the operator who authorised this node].
    #[arg(long, value_name = "ADDRESS")]
    pub operator: Option<Address>,
}

/// Runs a verb.
pub async fn run(setup: &Setup, command: &LicenseCommand) -> anyhow::Result<Exit> {
    match command {
        LicenseCommand::List { operator } => {
            output::print(setup.format(), &list::list(setup, *operator).await?)?;
        }
        LicenseCommand::Show(args) => {
            output::print(setup.format(), &show::show(setup, args).await?)?;
        }
        LicenseCommand::Explain(args) => {
            let shown = show::show(setup, args).await?;
            output::print(setup.format(), &words::Explained(shown))?;
        }
    }
    Ok(Exit::Done)
}

//! Rewards: what an account has earned, proven, and the claim of it.
//!
//! A proof is worth what it leads to: it is checked here against its root, and before a claim the
//! root against what the chain itself says is active. Where the proof comes from (a backend, a
//! folder of published files) need not be trusted.

mod claim;
mod explain;
mod list;
mod proof;
mod show;
mod source;

use std::path::PathBuf;

use clap::Subcommand;
use nodesys_core::Address;
use nodesys_core::time::UtcDay;

use crate::exit::Exit;
use crate::output;
use crate::setup::Setup;
pub(crate) use proof::token;
pub(crate) use source::places_at;

/// Verbs of `rewards`.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  nodesys rewards show --account 0x00000000000000000000000000000000000000a1
  nodesys rewards claim --keystore wallet.json")]
pub enum RewardsCommand {
    /// What an account has earned in every project, by the backend's word.
    #[command(after_help = "\
Examples:
  nodesys rewards list --account 0x00000000000000000000000000000000000000a1
  nodesys rewards list -o json

Amounts are in wei unless --rpc lets the tokens be asked for their units. `rewards show` proves what
this only tells.")]
    List {
        /// Whose rewards [default: the operator who authorised this node].
        #[arg(long, value_name = "ADDRESS")]
        account: Option<Address>,
    },
    /// One project: earned, active, claimed, claimable now, and when more becomes active.
    ///
    /// Claimed and active are the chain's; earned amounts are proven against posted roots.
    #[command(after_help = "\
Examples:
  nodesys rewards show --project acme
  nodesys rewards show --account 0x00000000000000000000000000000000000000a1 --from ./bundles")]
    Show(ShowArgs),
    /// How a day's amount came about, computed again from the day's published files.
    #[command(after_help = "\
Examples:
  nodesys rewards explain --account 0x00000000000000000000000000000000000000a1 --day 2026-01-31
  nodesys rewards explain --day 2026-01-31 --from ./bundles")]
    Explain(ExplainArgs),
    /// The proof of an account's cumulative amount, verified here against its root.
    #[command(after_help = "\
Examples:
  nodesys rewards proof --account 0x00000000000000000000000000000000000000a1
  nodesys rewards proof --account 0x00000000000000000000000000000000000000a1 --day 2026-01-31 -o json
  nodesys rewards proof --account 0x00000000000000000000000000000000000000a1 --from ./bundles")]
    Proof(ProofArgs),
    /// Claim what the newest active root gives and is not yet paid.
    ///
    /// Shows amount and gas, asks, sends, and waits for the block. With nothing to claim it says so
    /// and ends with 0.
    #[command(after_help = "\
Examples:
  nodesys rewards claim --keystore wallet.json
  nodesys rewards claim --keystore wallet.json --password-file password --yes -o json
  nodesys rewards claim --keystore wallet.json --from ./bundles      # with every server down
  nodesys rewards claim --account 0x00000000000000000000000000000000000000a1 --dry-run
  nodesys rewards claim --account 0x00000000000000000000000000000000000000a1 --calldata   # Safe, hardware wallet")]
    Claim(ClaimArgs),
}

/// Options of `rewards proof`.
#[derive(Debug, clap::Args)]
pub struct ProofArgs {
    /// Whose amount [default: the operator who authorised this node].
    #[arg(long, value_name = "ADDRESS")]
    pub account: Option<Address>,
    /// By the tree of this day [default: the newest active one].
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub day: Option<UtcDay>,
    /// Where the proof comes from.
    #[command(flatten)]
    pub from: From,
}

/// Options of `rewards show`.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// Whose rewards [default: the operator who authorised this node].
    #[arg(long, value_name = "ADDRESS")]
    pub account: Option<Address>,
    /// Where proofs come from.
    #[command(flatten)]
    pub from: From,
}

/// Options of `rewards explain`.
#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// Whose amount [default: the operator who authorised this node].
    #[arg(long, value_name = "ADDRESS")]
    pub account: Option<Address>,
    /// The day.
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub day: UtcDay,
    /// Where the files come from.
    #[command(flatten)]
    pub from: From,
}

/// Where a proof comes from.
#[derive(Debug, Clone, clap::Args)]
pub struct From {
    /// A backend's URL, or the URL or folder of published bundles; may be given more than once
    /// [default: --backend].
    #[arg(long = "from", value_name = "URL|FOLDER")]
    pub from: Vec<String>,
}

/// Options of `rewards claim`.
#[derive(Debug, clap::Args)]
pub struct ClaimArgs {
    /// Encrypted JSON keystore of the account that earned.
    #[arg(long, value_name = "FILE", env = "NODESYS_KEYSTORE", hide_env = true)]
    pub keystore: Option<PathBuf>,
    /// File whose first line is the keystore's password; asked for at the terminal where absent.
    #[arg(long, value_name = "FILE", env = "NODESYS_PASSWORD_FILE", hide_env = true)]
    pub password_file: Option<PathBuf>,
    /// The account that earned, where no keystore tells: with --dry-run or --calldata.
    #[arg(long, value_name = "ADDRESS")]
    pub account: Option<Address>,
    /// Where the tokens go [default: the account].
    #[arg(long, value_name = "ADDRESS")]
    pub recipient: Option<Address>,
    /// Where the proof comes from.
    #[command(flatten)]
    pub from: From,
    /// Check everything and show it; send nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Print the transaction's `to` and `data` for another wallet to send; send nothing.
    #[arg(long, conflicts_with = "dry_run")]
    pub calldata: bool,
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
}

/// Runs a verb.
pub async fn run(setup: &Setup, command: &RewardsCommand) -> anyhow::Result<Exit> {
    match command {
        RewardsCommand::List { account } => {
            output::print(setup.format(), &list::list(setup, *account).await?)?;
        }
        RewardsCommand::Show(args) => {
            output::print(setup.format(), &show::show(setup, args).await?)?;
        }
        RewardsCommand::Explain(args) => {
            output::print(setup.format(), &explain::explain(setup, args).await?)?;
        }
        RewardsCommand::Proof(args) => {
            output::print(setup.format(), &proof::proof(setup, args).await?)?;
        }
        RewardsCommand::Claim(args) => {
            output::print(setup.format(), &claim::claim(setup, args).await?)?;
        }
    }
    Ok(Exit::Done)
}

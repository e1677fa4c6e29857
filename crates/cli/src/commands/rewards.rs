//! `rewards`: earned amounts, their proofs, and the claim of them.

mod claim;
mod explain;
mod list;
mod proof;
mod send_claim;
mod show;
mod sign_claim;
mod source;

use clap::Subcommand;

use crate::exit::Exit;
use crate::setup::Setup;
pub use claim::ClaimArgs;
pub use explain::ExplainArgs;
pub use list::ListArgs;
pub use proof::ProofArgs;
pub use send_claim::SendClaimArgs;
pub use show::ShowArgs;
pub use sign_claim::SignClaimArgs;

/// Verbs of `rewards`.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  nodesys rewards show --account 0x00000000000000000000000000000000000000a1
  nodesys rewards claim --keystore wallet.json")]
pub enum RewardsCommand {
    /// An account's rewards in every project, as the backend reports them.
    #[command(after_help = "\
Examples:
  nodesys rewards list --account 0x00000000000000000000000000000000000000a1
  nodesys rewards list -o json

Amounts are in wei unless --rpc is given, which tells the tokens' units. `rewards show` proves the
amounts that this only reports.")]
    List(ListArgs),
    /// One project: earned, active, claimed and claimable amounts, and the next activation.
    ///
    /// Claimed and active are the chain's; earned amounts are proven against posted roots.
    #[command(after_help = "\
Examples:
  nodesys rewards show --project acme
  nodesys rewards show --account 0x00000000000000000000000000000000000000a1 --from ./bundles")]
    Show(ShowArgs),
    /// Explain a day's amount, recomputed from the day's published files.
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
    /// Claim the amount that the newest active root grants and that is not paid yet.
    ///
    /// Shows amount and gas, asks, sends, and waits for the block. With nothing to claim it says so
    /// and exits with 0.
    #[command(after_help = "\
Examples:
  nodesys rewards claim --keystore wallet.json
  nodesys rewards claim --keystore wallet.json --password-file password --yes -o json
  nodesys rewards claim --keystore wallet.json --from ./bundles      # with every server down
  nodesys rewards claim --account 0x00000000000000000000000000000000000000a1 --dry-run
  nodesys rewards claim --account 0x00000000000000000000000000000000000000a1 --calldata   # Safe, hardware wallet")]
    Claim(ClaimArgs),
    /// Sign a claim that somebody else sends, and who pays its gas.
    ///
    /// Prints the signed claim, or with --typed-data the message for a wallet elsewhere.
    #[command(after_help = "\
Examples:
  nodesys rewards sign-claim --keystore wallet.json > claim.json
  nodesys rewards sign-claim --keystore wallet.json --relayer 0x00000000000000000000000000000000000000b2 --relayer-fee 1000 > claim.json
  nodesys rewards sign-claim --account 0x00000000000000000000000000000000000000a1 --typed-data > claim.json")]
    SignClaim(SignClaimArgs),
    /// Send a claim that the account has signed; anyone may whom it allows. Safe to re-run.
    #[command(after_help = "\
Examples:
  nodesys rewards send-claim claim.json --keystore relayer.json
  nodesys rewards send-claim claim.json --signature 0x00 --keystore relayer.json
  nodesys rewards send-claim claim.json --dry-run")]
    SendClaim(SendClaimArgs),
}

/// Runs a verb.
pub async fn run(setup: &Setup, command: &RewardsCommand) -> anyhow::Result<Exit> {
    match command {
        RewardsCommand::List(args) => list::run(setup, args).await,
        RewardsCommand::Show(args) => show::run(setup, args).await,
        RewardsCommand::Explain(args) => explain::run(setup, args).await,
        RewardsCommand::Proof(args) => proof::run(setup, args).await,
        RewardsCommand::Claim(args) => claim::run(setup, args).await,
        RewardsCommand::SignClaim(args) => sign_claim::run(setup, args).await,
        RewardsCommand::SendClaim(args) => send_claim::run(setup, args).await,
    }
}

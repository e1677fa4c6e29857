//! `pair`: a wallet authorises a node key, and neither key leaves its machine.

mod finish;
mod nonce;
mod online;
mod request;
mod revoke;
mod sign;

use clap::Subcommand;

use crate::exit::Exit;
use crate::setup::Setup;
pub use finish::FinishArgs;
pub use online::OnlineArgs;
pub use request::RequestArgs;
pub use revoke::RevokeArgs;
pub use sign::SignArgs;

const EXAMPLES: &str = "\
Examples:
  nodesys pair                                                # online, with the wallet in a browser
  nodesys pair --operator 0x00000000000000000000000000000000000000a1 -o json

  nodesys pair request > request.json                         # offline: on the node
  nodesys pair sign request.json --keystore wallet.json > signed.json   # where the wallet is
  nodesys pair finish signed.json                             # on the node";

/// `pair`, with a verb of the offline exchange or without.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct PairArgs {
    /// Pairing by a code.
    #[command(flatten)]
    pub online: OnlineArgs,
    /// The offline exchange, and the end of an authorisation.
    #[command(subcommand)]
    pub verb: Option<PairCommand>,
}

/// Verbs of `pair`.
#[derive(Debug, Subcommand)]
pub enum PairCommand {
    /// Ask for an authorisation of this node: prints a request for `pair sign`.
    ///
    /// Creates the node key if there is none (mode 0600); an existing one is never replaced. Needs
    /// --chain-id and --registry.
    #[command(after_help = "\
Examples:
  nodesys pair request > request.json
  nodesys pair request --days 30 > request.json")]
    Request(RequestArgs),
    /// Sign a request with the operator's wallet; needs no network.
    ///
    /// Shows the request on standard error, and prints the signed file on standard output. If
    /// --chain-id or --registry is set, a request for another one is refused.
    #[command(after_help = "\
Examples:
  nodesys pair sign request.json --keystore wallet.json > signed.json
  nodesys pair sign - --keystore wallet.json --password-file password < request.json > signed.json

A wallet elsewhere (a browser's, a hardware wallet, a Safe) signs the printed message:
  nodesys pair sign request.json --operator 0x00000000000000000000000000000000000000a1 --typed-data
  nodesys pair sign request.json --operator 0x00000000000000000000000000000000000000a1 \\
      --signature 0x... > signed.json")]
    Sign(SignArgs),
    /// Add the node key's signature and hand the authorisation to the backend.
    ///
    /// Safe to repeat with the same file. A contract wallet's signature is checked by its contract:
    /// over --rpc if that is set, and by the backend in any case.
    #[command(after_help = "\
Examples:
  nodesys pair finish signed.json --backend https://backend.example.org
  nodesys pair finish - < signed.json")]
    Finish(FinishArgs),
    /// End a node's authorisation and its leases, signed by the operator's wallet.
    #[command(after_help = "\
Examples:
  nodesys pair revoke --node 0x00000000000000000000000000000000000000a1 --keystore wallet.json
  nodesys pair revoke --node 0x00000000000000000000000000000000000000a1 --typed-data
  nodesys pair revoke --node 0x00000000000000000000000000000000000000a1 --signature 0x...")]
    Revoke(RevokeArgs),
}

/// Runs it.
pub async fn run(setup: &Setup, args: &PairArgs) -> anyhow::Result<Exit> {
    let Some(verb) = &args.verb else { return online::run(setup, &args.online).await };
    args.online.none_given()?;
    match verb {
        PairCommand::Request(args) => request::run(setup, args).await,
        PairCommand::Sign(args) => sign::run(setup, args),
        PairCommand::Finish(args) => finish::run(setup, args).await,
        PairCommand::Revoke(args) => revoke::run(setup, args).await,
    }
}

//! `pair`: a wallet authorises a node key, and neither key leaves its machine.

use clap::Subcommand;

use crate::exit::Exit;
use crate::setup::Setup;
pub use finish::FinishArgs;
pub use request::RequestArgs;
pub use revoke::RevokeArgs;
pub use sign::SignArgs;

mod finish;
mod nonce;
mod request;
mod revoke;
mod sign;

const EXAMPLES: &str = "\
Examples:
  nodesys pair request > request.json                         # on the node
  nodesys pair sign request.json --keystore wallet.json > signed.json   # where the wallet is
  nodesys pair finish signed.json                             # on the node";

/// Verbs of `pair`.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum PairCommand {
    /// Ask for an authorisation of this node: prints a request for `pair sign`.
    ///
    /// Makes the node key where there is none (mode 0600); an existing one is never replaced. Needs
    /// --chain-id and --registry.
    #[command(after_help = "\
Examples:
  nodesys pair request > request.json
  nodesys pair request --days 30 > request.json")]
    Request(RequestArgs),
    /// Sign a request with the operator's wallet; needs no network.
    ///
    /// Shows on standard error what is signed, prints the signed file on standard output. Where
    /// --chain-id or --registry is set, a request for another one is refused.
    #[command(after_help = "\
Examples:
  nodesys pair sign request.json --keystore wallet.json > signed.json
  nodesys pair sign - --keystore wallet.json --password-file password < request.json > signed.json")]
    Sign(SignArgs),
    /// Add the node key's signature and hand the authorisation to the backend.
    ///
    /// The same file again gives the same answer. A contract wallet's signature is judged by its
    /// contract: by the chain where --rpc is set, and by the backend in any case.
    #[command(after_help = "\
Examples:
  nodesys pair finish signed.json --backend https://backend.example.org
  nodesys pair finish - < signed.json")]
    Finish(FinishArgs),
    /// End a node's authorisation and its leases, signed by the operator's wallet.
    #[command(after_help = "\
Examples:
  nodesys pair revoke --node 0x00000000000000000000000000000000000000a1 --keystore wallet.json")]
    Revoke(RevokeArgs),
}

/// Runs a verb.
pub async fn run(setup: &Setup, command: &PairCommand) -> anyhow::Result<Exit> {
    match command {
        PairCommand::Request(args) => request::run(setup, args).await,
        PairCommand::Sign(args) => sign::run(setup, args),
        PairCommand::Finish(args) => finish::run(setup, args).await,
        PairCommand::Revoke(args) => revoke::run(setup, args).await,
    }
}

//! Pairing: a wallet authorises a node key, and the node key agrees, without either key ever
//! leaving its machine.
//!
//! `request` (on the node) -> `sign` (where the wallet is, no network) -> `finish` (on the node).
//! Both keys sign the digest of one [`NodeAuthorization`], so nobody can claim another's node. The
//! two files between the machines are public: they hold signatures, no secrets.

mod files;
mod finish;
mod node;

use std::path::PathBuf;

use clap::Subcommand;
use nodesys_core::Address;
use nodesys_core::U256;
use nodesys_core::message::{
    MAX_AUTHORIZATION_SECS, Message as _, NodeAuthorization, NodeRevocation, SignedRevocation,
};

use crate::ask::WalletFile;
use crate::output::{self, moment, say};
use crate::setup::Setup;
use crate::{exit::Exit, node_key};
use files::{PairRequest, PairSigned};
pub(crate) use finish::{AUTHORIZATION_JSON, kept};
pub(crate) use node::Node;

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

/// Options of `pair request`.
#[derive(Debug, clap::Args)]
pub struct RequestArgs {
    /// How long the authorisation shall hold, 1 to 90.
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=90))]
    pub days: u64,
    /// A higher nonce replaces an authorisation [default: milliseconds since 1970].
    #[arg(long, value_name = "N", value_parser = decimal)]
    pub nonce: Option<U256>,
}

/// Options of `pair sign`.
#[derive(Debug, clap::Args)]
pub struct SignArgs {
    /// The file that `pair request` printed; - is standard input.
    #[arg(value_name = "REQUEST.json")]
    pub request: PathBuf,
    /// The operator's wallet.
    #[command(flatten)]
    pub wallet: WalletFile,
}

/// Options of `pair finish`.
#[derive(Debug, clap::Args)]
pub struct FinishArgs {
    /// The file that `pair sign` printed; - is standard input.
    #[arg(value_name = "SIGNED.json")]
    pub signed: PathBuf,
}

/// Options of `pair revoke`.
#[derive(Debug, clap::Args)]
pub struct RevokeArgs {
    /// The node key's address.
    #[arg(long, value_name = "NODE_KEY")]
    pub node: Address,
    /// The operator's wallet.
    #[command(flatten)]
    pub wallet: WalletFile,
    /// Not below the authorisation's nonce [default: that nonce].
    #[arg(long, value_name = "N", value_parser = decimal)]
    pub nonce: Option<U256>,
}

fn decimal(text: &str) -> Result<U256, String> {
    U256::from_str_radix(text, 10).map_err(|_| "expected a decimal number".to_owned())
}

/// Runs a verb.
pub async fn run(setup: &Setup, command: &PairCommand) -> anyhow::Result<Exit> {
    match command {
        PairCommand::Request(args) => output::json(&request(setup, args).await?)?,
        PairCommand::Sign(args) => output::json(&sign(setup, args)?)?,
        PairCommand::Finish(args) => {
            let view = finish::finish(setup, &args.signed).await?;
            output::print(setup.format(), &Node(view))?;
        }
        PairCommand::Revoke(args) => {
            let view = revoke(setup, args).await?;
            output::print(setup.format(), &Node(view))?;
        }
    }
    Ok(Exit::Done)
}

/// How much earlier than 90 days an authorisation ends at the latest: the backend counts from its
/// own clock, which may be somewhat behind this machine's.
const CLOCK_TOLERANCE_SECS: u64 = 600;

async fn request(setup: &Setup, args: &RequestArgs) -> anyhow::Result<PairRequest> {
    let domain = setup.domain()?;
    let now = setup.clock().await?.now();
    let path = setup.node_key_file()?;
    let (key, new) = node_key::read_or_make(&path)?;
    if new {
        say(format!("made the node key {} in {}", key.address(), path.display()));
    }
    let secs = (args.days * 86_400).min(MAX_AUTHORIZATION_SECS - CLOCK_TOLERANCE_SECS);
    Ok(PairRequest {
        format: PairRequest::FORMAT.to_owned(),
        chain_id: domain.chain_id(),
        registry: domain.verifying_contract(),
        node_key: key.address(),
        not_after: now.secs().saturating_add(secs),
        nonce: args.nonce.unwrap_or_else(|| U256::from(now.millis())),
    })
}

fn sign(setup: &Setup, args: &SignArgs) -> anyhow::Result<PairSigned> {
    let request: PairRequest = files::read(&args.request, PairRequest::FORMAT)?;
    let domain = files::domain(setup, request.chain_id, request.registry)?;
    let wallet = args.wallet.open()?;
    say(format!(
        "This lets the node act for the wallet, for its licenses and nothing else:\n  \
         wallet    {}\n  node key  {}\n  until     {}\n  nonce     {}\n  chain     {}\n  \
         registry  {}",
        wallet.address(),
        request.node_key,
        moment(request.not_after),
        request.nonce,
        request.chain_id,
        request.registry,
    ));
    let authorization = NodeAuthorization {
        operator: wallet.address(),
        node_key: request.node_key,
        not_after: request.not_after,
        nonce: request.nonce,
    };
    let operator_signature = wallet.sign(authorization.digest(&domain)).into();
    Ok(PairSigned {
        format: PairSigned::FORMAT.to_owned(),
        chain_id: request.chain_id,
        registry: request.registry,
        authorization,
        operator_signature,
    })
}

async fn revoke(setup: &Setup, args: &RevokeArgs) -> anyhow::Result<nodesys_core::api::NodeView> {
    let domain = setup.domain()?;
    let backend = setup.backend()?;
    files::same_network(&backend, &domain).await?;
    let view = backend.node(args.node).await?;
    let wallet = args.wallet.open()?;
    let operator = view.authorization.operator;
    if operator != wallet.address() {
        return Err(Exit::Failure.because(format!(
            "node {} is authorised by {operator}, but the keystore's wallet is {}: use the \
             operator's keystore",
            args.node,
            wallet.address()
        )));
    }
    let nonce = args.nonce.unwrap_or(view.authorization.nonce);
    let revocation = NodeRevocation { operator, node_key: args.node, nonce };
    let operator_signature = wallet.sign(revocation.digest(&domain)).into();
    Ok(backend.revoke_node(&SignedRevocation { revocation, operator_signature }).await?)
}

#[cfg(test)]
mod tests;

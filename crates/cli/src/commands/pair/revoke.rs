//! `pair revoke`: ends a node's authorisation.

use nodesys_core::address::address;
use nodesys_core::{Address, U256};

use super::nonce::nonce;
use crate::exit::Exit;
use crate::output;
use crate::pair::files;
use crate::pair::revoke::end_node;
use crate::pair::view::NodeReport;
use crate::setup::Setup;
use crate::wallet::{Outcome, WalletArgs};

/// Options of `pair revoke`.
#[derive(Debug, clap::Args)]
pub struct RevokeArgs {
    /// The node key's address.
    #[arg(long, value_name = "NODE_KEY")]
    #[arg(value_parser = address)]
    pub node: Address,
    /// The operator's wallet.
    #[command(flatten)]
    pub wallet: WalletArgs,
    /// A nonce not below the authorisation's [default: the authorisation's].
    #[arg(long, value_name = "N", value_parser = nonce)]
    pub nonce: Option<U256>,
}

/// Runs the verb.
pub(crate) async fn run(setup: &Setup, args: &RevokeArgs) -> anyhow::Result<Exit> {
    let domain = setup.domain()?;
    let backend = setup.backend()?;
    files::same_network(&backend, &domain).await?;
    let wallet = args.wallet.choose()?;
    match end_node(&backend, &domain, args.node, &wallet, args.nonce).await? {
        Outcome::Done(view) => output::print(setup.format(), &NodeReport(view))?,
        Outcome::ToSign(message) => output::json(&message)?,
    }
    Ok(Exit::Done)
}

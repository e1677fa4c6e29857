//! `pair sign`: prints the request, signed by the operator's wallet.

use std::path::PathBuf;

use nodesys_core::Address;
use nodesys_core::address::address;

use crate::exit::Exit;
use crate::output;
use crate::pair::sign::sign_request;
use crate::setup::Setup;
use crate::wallet::{Outcome, WalletArgs};

/// Options of `pair sign`.
#[derive(Debug, clap::Args)]
pub struct SignArgs {
    /// The file that `pair request` printed; - is standard input.
    #[arg(value_name = "REQUEST.json")]
    pub request: PathBuf,
    /// The operator's wallet.
    #[command(flatten)]
    pub wallet: WalletArgs,
    /// The address of a wallet that signs elsewhere: with --typed-data and --signature.
    #[arg(long, value_name = "ADDRESS")]
    #[arg(value_parser = address)]
    pub operator: Option<Address>,
}

/// Runs the verb.
pub(crate) fn run(setup: &Setup, args: &SignArgs) -> anyhow::Result<Exit> {
    match sign_request(setup, &args.request, &args.wallet, args.operator)? {
        Outcome::Done(signed) => output::json(&signed)?,
        Outcome::ToSign(message) => output::json(&message)?,
    }
    Ok(Exit::Done)
}

//! `pair sign`: prints the request, signed by the operator's wallet.

use std::path::PathBuf;

use crate::exit::Exit;
use crate::output;
use crate::pair::sign::sign_request;
use crate::prompt::WalletFile;
use crate::setup::Setup;

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

/// Runs the verb.
pub(crate) fn run(setup: &Setup, args: &SignArgs) -> anyhow::Result<Exit> {
    output::json(&sign_request(setup, &args.request, &args.wallet)?)?;
    Ok(Exit::Done)
}

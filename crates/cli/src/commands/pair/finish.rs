//! `pair finish`: hands the authorisation to the backend.

use std::path::PathBuf;

use crate::exit::Exit;
use crate::output;
use crate::pair::finish::finish_pairing;
use crate::pair::view::NodeReport;
use crate::setup::Setup;

/// Options of `pair finish`.
#[derive(Debug, clap::Args)]
pub struct FinishArgs {
    /// The file that `pair sign` printed; - is standard input.
    #[arg(value_name = "SIGNED.json")]
    pub signed: PathBuf,
}

/// Runs the verb.
pub(crate) async fn run(setup: &Setup, args: &FinishArgs) -> anyhow::Result<Exit> {
    let view = finish_pairing(setup, &args.signed).await?;
    output::print(setup.format(), &NodeReport(view))?;
    Ok(Exit::Done)
}

//! `pair request`: prints the node's request for an authorisation.

use nodesys_core::U256;

use super::nonce::nonce;
use crate::exit::Exit;
use crate::output;
use crate::pair::request::request_pairing;
use crate::setup::Setup;

/// Options of `pair request`.
#[derive(Debug, clap::Args)]
pub struct RequestArgs {
    /// Validity of the authorisation in days, 1 to 90.
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=90))]
    pub days: u64,
    /// A higher nonce replaces an authorisation [default: milliseconds since 1970].
    #[arg(long, value_name = "N", value_parser = nonce)]
    pub nonce: Option<U256>,
}

/// Runs the verb.
pub(crate) async fn run(setup: &Setup, args: &RequestArgs) -> anyhow::Result<Exit> {
    output::json(&request_pairing(setup, args.days, args.nonce).await?)?;
    Ok(Exit::Done)
}

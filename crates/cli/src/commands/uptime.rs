//! `uptime`: a license's minutes of one day.

use nodesys_core::time::UtcDay;

use crate::exit::Exit;
use crate::license::name::LicenseName;
use crate::output;
use crate::setup::Setup;
use crate::uptime::read_uptime;

/// Options of `uptime`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nodesys uptime A1
  nodesys uptime alpha/1 --day 2026-01-31
  nodesys uptime 0x00000000000000000000000000000000000000cc/1 -o json

The numbers are the backend's; of a closed day `nodesys audit` checks them. A collection's address
and token need no RPC, the shorter names do.")]
pub struct UptimeArgs {
    /// The license: A1 or A#1, alpha/1, or 0x…/1.
    #[arg(value_name = "LICENSE")]
    pub license: LicenseName,
    /// The UTC day [default: today].
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub day: Option<UtcDay>,
}

/// Runs the command.
pub async fn run(setup: &Setup, args: &UptimeArgs) -> anyhow::Result<Exit> {
    let uptime = read_uptime(setup, &args.license, args.day).await?;
    output::print(setup.format(), &uptime)?;
    Ok(Exit::Done)
}

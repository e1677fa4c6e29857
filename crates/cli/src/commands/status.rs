//! `status`: the state of this node, and an exit code that says whether it is well.

use crate::exit::Exit;
use crate::output;
use crate::setup::Setup;
use crate::status::Status;

/// Options of `status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nodesys status
  nodesys status --manager http://127.0.0.1:7070 -o json

Exits with 0 if everything that is configured is well, with 3 if the manager does not answer, with 5
if something is not well. Parts that are not configured are left out.")]
pub struct StatusArgs {}

/// Runs the command.
pub async fn run(setup: &Setup, StatusArgs {}: &StatusArgs) -> anyhow::Result<Exit> {
    let status = Status::read(setup).await?;
    output::print(setup.format(), &status)?;
    Ok(status.exit())
}

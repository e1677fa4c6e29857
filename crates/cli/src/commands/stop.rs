//! `stop`: stops the manager and the workloads.

use std::fmt;

use serde::Serialize;

use crate::exit::Exit;
use crate::lifecycle::stop::stop;
use crate::output;
use crate::setup::Setup;

/// Options of `stop`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nodesys stop
  nodesys start        # resumes with the same keys, workloads and volumes

While it is stopped no heartbeat is sent, so no minute is credited, and a lease that nobody renews
ends after ten and a half minutes.")]
pub struct StopArgs {}

/// Runs the command.
pub async fn run(setup: &Setup, StopArgs {}: &StopArgs) -> anyhow::Result<Exit> {
    let stopped = stop(setup).await?;
    output::print(setup.format(), &Stopped { stopped })?;
    Ok(Exit::Done)
}

#[derive(Debug, Serialize)]
struct Stopped {
    /// The parts that were stopped now; empty when nothing ran.
    stopped: Vec<String>,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.stopped.as_slice() {
            [] => f.write_str("nothing ran"),
            all => write!(f, "stopped: {}", all.join(", ")),
        }
    }
}

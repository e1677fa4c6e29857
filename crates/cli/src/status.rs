//! `status`: this node's cluster, the manager, the node as the backend has it, the chain. What counts is the last
//! accepted receipt, not what anybody believes. Each section fails by itself.

mod chain;
mod cluster;
mod manager;
mod node;
mod section;

use std::fmt;

use nodesys_core::time::Timestamp;
use serde::Serialize;

use crate::exit::Exit;
use crate::output;
use crate::setup::Setup;
pub(crate) use manager::{View as ManagerView, view as manager_view};
use section::Section;

/// Options of `status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nodesys status
  nodesys status --manager http://127.0.0.1:7070 -o json

Ends with 0 when all that is configured is well, with 3 when the manager does not answer, with 5
when something is not well. What is not configured is left out.")]
pub struct StatusArgs {}

/// Older than this, the last receipt is a problem: a heartbeat goes out each minute, and a
/// challenge is good for three.
const STALE_MILLIS: u64 = 3 * 60_000;

/// All sections.
#[derive(Debug, Serialize)]
struct Status {
    healthy: bool,
    cluster: Section<cluster::Cluster>,
    manager: Section<manager::Manager>,
    node: Section<node::AtBackend>,
    chain: Section<chain::Chain>,
}

/// Runs the command.
pub async fn run(setup: &Setup, StatusArgs {}: &StatusArgs) -> anyhow::Result<Exit> {
    let now = setup.clock().await?.now();
    let (cluster, manager, node, chain) = tokio::join!(
        cluster::section(setup),
        manager::section(setup, now),
        node::section(setup, now),
        chain::section(setup, now),
    );
    if matches!(
        (&cluster, &manager, &node, &chain),
        (
            Section::NotConfigured { .. },
            Section::NotConfigured { .. },
            Section::NotConfigured { .. },
            Section::NotConfigured { .. }
        )
    ) {
        return Err(Exit::Usage.because(
            "nothing is configured that could have a status: give --manager, --backend or --rpc",
        ));
    }
    let healthy = cluster.is_well() && manager.is_well() && node.is_well() && chain.is_well();
    let exit = match (&manager, healthy) {
        (Section::Failed { .. }, _) => Exit::NotFound,
        (_, false) => Exit::Unhealthy,
        (_, true) => Exit::Done,
    };
    output::print(setup.format(), &Status { healthy, cluster, manager, node, chain })?;
    Ok(exit)
}

/// How long ago, in words.
fn ago(now: Timestamp, then: Timestamp) -> String {
    match now.millis_since(then) / 1000 {
        secs @ 0..120 => format!("{secs} s ago"),
        secs @ 120..7200 => format!("{} min ago", secs / 60),
        secs => format!("{} h ago", secs / 3600),
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        section::show(f, "cluster", &self.cluster)?;
        section::show(f, "manager", &self.manager)?;
        section::show(f, "node", &self.node)?;
        section::show(f, "chain", &self.chain)?;
        write!(f, "{}", if self.healthy { "all is well" } else { "NOT ALL IS WELL" })
    }
}

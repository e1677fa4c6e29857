//! The state of this node's cluster, of its manager, of the node as the backend has it, and of the chain.
//! The last accepted receipt counts, not what anybody believes. Each section fails by itself.

mod chain;
pub(crate) mod clock;
mod cluster;
mod manager;
pub(crate) mod node;
pub(crate) mod section;

use std::fmt;

use serde::Serialize;

use crate::exit::Exit;
use crate::manager::status::ManagerStatus;
use crate::setup::Setup;
use crate::status::chain::ChainStatus;
use crate::status::cluster::ClusterStatus;
use crate::status::node::NodeStatus;
use crate::status::section::{Section, show_section};

/// All sections.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    pub(crate) healthy: bool,
    /// What is wrong with this machine's clock.
    pub(crate) clock: Option<String>,
    pub(crate) cluster: Section<ClusterStatus>,
    pub(crate) manager: Section<ManagerStatus>,
    pub(crate) node: Section<NodeStatus>,
    pub(crate) chain: Section<ChainStatus>,
}

impl Status {
    /// Reads all sections; an error that ends with 2 where nothing is configured.
    pub(crate) async fn read(setup: &Setup) -> anyhow::Result<Self> {
        let now = setup.clock().await?.now();
        let (cluster, manager, node, chain, clock) = tokio::join!(
            cluster::section(setup),
            manager::section(setup, now),
            node::section(setup, now),
            chain::section(setup, now),
            clock::problem(setup, now),
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
        let well = cluster.is_well() && manager.is_well() && node.is_well() && chain.is_well();
        let healthy = well && clock.is_none();
        Ok(Self { healthy, clock, cluster, manager, node, chain })
    }

    /// The exit code that this ends with.
    pub(crate) fn exit(&self) -> Exit {
        match (&self.manager, self.healthy) {
            (Section::Failed { .. }, _) => Exit::NotFound,
            (_, false) => Exit::Unhealthy,
            (_, true) => Exit::Done,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show_section(f, "cluster", &self.cluster)?;
        show_section(f, "manager", &self.manager)?;
        show_section(f, "node", &self.node)?;
        show_section(f, "chain", &self.chain)?;
        if let Some(clock) = &self.clock {
            writeln!(f, "clock: WRONG\n  ! {clock}\n")?;
        }
        write!(f, "{}", if self.healthy { "all is well" } else { "NOT ALL IS WELL" })
    }
}

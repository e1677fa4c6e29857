//! A workload as manager and backend see it; each may be silent without the other.

use std::time::Duration;

use anyhow::Context as _;
use nodesys_core::Address;
use nodesys_core::api::LeaseState;
use serde::{Deserialize, Serialize};

use crate::cluster::connect::cluster_error;
use crate::exit::Exit;
use crate::manager::status::{ManagedWorkload, request_status};
use crate::node::workloads::WorkloadEntry;
use crate::setup::Setup;

#[derive(Deserialize)]
struct Body {
    workloads: Vec<ManagedWorkload>,
}

/// Everything that the manager runs, by its own word.
pub(crate) async fn managed_workloads(
    client: &kube::Client,
) -> anyhow::Result<Vec<ManagedWorkload>> {
    let body = match request_status(client).await {
        Some(answer) => answer.map_err(|error| cluster_error("the manager", error))?,
        None => return Err(Exit::NotFound.because("the manager does not answer")),
    };
    let body: Body = serde_json::from_str(&body).context("the answer is not a manager's")?;
    Ok(body.workloads)
}

/// A view of what runs is not waited for long.
const PATIENCE: Duration = Duration::from_secs(5);

impl WorkloadEntry {
    /// Its part of what the manager says.
    pub(crate) fn among<'a>(&self, managed: &'a [ManagedWorkload]) -> Option<&'a ManagedWorkload> {
        let token = self.token_id.to_string();
        managed.iter().find(|one| one.collection == self.collection && one.token_id == token)
    }
}

/// The holder of the lease of a workload's license, by the backend.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub(crate) enum LeaseHolder {
    /// This node.
    Held {
        /// The fencing number.
        fence: String,
    },
    /// Another node; this one waits for its turn.
    Standby {
        /// The node that holds it.
        holder: Address,
    },
    /// Nobody.
    None,
    /// It is not known.
    Unknown {
        /// Why.
        why: String,
    },
}

impl std::fmt::Display for LeaseHolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Held { .. } => f.write_str("held"),
            Self::Standby { holder } => {
                let holder = holder.to_string();
                write!(f, "standby ({}… holds it)", &holder[..10])
            }
            Self::None => f.write_str("none"),
            Self::Unknown { .. } => f.write_str("unknown"),
        }
    }
}

/// Asks the backend who holds the lease.
pub(crate) async fn lease_of(
    setup: &Setup,
    entry: &WorkloadEntry,
    node: Option<Address>,
) -> LeaseHolder {
    let asked = async {
        let chain_id = *Setup::need(&setup.settings.chain_id, "--chain-id")?;
        let backend = setup.backend()?.with_timeout(PATIENCE);
        anyhow::Ok(backend.lease(entry.license(chain_id).hash()).await)
    };
    match asked.await {
        Err(error) => LeaseHolder::Unknown { why: format!("{error:#}") },
        Ok(Err(error)) if error.code() == Some("not_leased") => LeaseHolder::None,
        Ok(Err(error)) => LeaseHolder::Unknown { why: error.to_string() },
        Ok(Ok(view)) if view.state != LeaseState::Active => LeaseHolder::None,
        Ok(Ok(view)) if Some(view.node_key) == node => {
            LeaseHolder::Held { fence: view.fence.to_string() }
        }
        Ok(Ok(view)) => LeaseHolder::Standby { holder: view.node_key },
    }
}

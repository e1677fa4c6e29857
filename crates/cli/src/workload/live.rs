//! What manager and backend say of a workload; each may be silent without the other.

use std::time::Duration;

use anyhow::Context as _;
use nodesys_core::Address;
use nodesys_core::api::LeaseState;
use nodesys_core::message::Status as Health;
use nodesys_render::{MANAGER, MANAGER_NAMESPACE};
use serde::{Deserialize, Serialize};

use super::WorkloadEntry;
use crate::cluster::words_of;
use crate::exit::Exit;
use crate::setup::Setup;

/// A view of what runs is not waited for long.
const PATIENCE: Duration = Duration::from_secs(5);

/// A workload as the manager has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Managed {
    pub(super) name: String,
    collection: Address,
    token_id: String,
    pub(super) lease: String,
    pub(super) fence: Option<String>,
    pub(super) lease_problem: Option<String>,
    pub(super) last_result: Option<String>,
    pub(super) status: Health,
    pub(super) heard_secs_ago: Option<u64>,
    pub(super) work: Option<String>,
    pub(super) detail: Option<String>,
    pub(super) release: Option<ManagedRelease>,
}

/// Its releases.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct ManagedRelease {
    pub(super) current: Option<String>,
    pub(super) rollout: Option<String>,
    pub(super) announced: Option<String>,
    #[serde(default)]
    pub(super) quarantined: std::collections::BTreeMap<String, String>,
    pub(super) problem: Option<String>,
    pub(super) waits: Option<String>,
    pub(super) trouble: Option<String>,
    #[serde(default)]
    pub(super) changed: Vec<String>,
    pub(super) chain_read: Option<String>,
}

#[derive(Deserialize)]
struct Body {
    workloads: Vec<Managed>,
}

/// Everything that the manager runs, by its own word.
pub(super) async fn managed(client: &kube::Client) -> anyhow::Result<Vec<Managed>> {
    let path =
        format!("/api/v1/namespaces/{MANAGER_NAMESPACE}/services/{MANAGER}:health/proxy/v1/status");
    let request = http::Request::get(path).body(Vec::new()).context("the request")?;
    let asking = tokio::time::timeout(PATIENCE, client.request_text(request));
    let body = match asking.await {
        Ok(answer) => answer.map_err(|error| words_of("the manager", error))?,
        Err(_) => return Err(Exit::NotFound.because("the manager does not answer")),
    };
    let body: Body =
        serde_json::from_str(&body).context("what answers does not answer as a manager does")?;
    Ok(body.workloads)
}

impl WorkloadEntry {
    /// Its part of what the manager says.
    pub(super) fn among<'a>(&self, managed: &'a [Managed]) -> Option<&'a Managed> {
        let token = self.token_id.to_string();
        managed.iter().find(|one| one.collection == self.collection && one.token_id == token)
    }
}

/// Who holds the lease of a workload's license, by the backend.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub(super) enum Lease {
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

impl std::fmt::Display for Lease {
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
pub(super) async fn lease(setup: &Setup, entry: &WorkloadEntry, node: Option<Address>) -> Lease {
    let asked = async {
        let chain_id = *Setup::need(&setup.settings.chain_id, "--chain-id")?;
        let backend = setup.backend()?.with_timeout(PATIENCE);
        anyhow::Ok(backend.lease(entry.license(chain_id).hash()).await)
    };
    match asked.await {
        Err(error) => Lease::Unknown { why: format!("{error:#}") },
        Ok(Err(error)) if error.code() == Some("not_leased") => Lease::None,
        Ok(Err(error)) => Lease::Unknown { why: error.to_string() },
        Ok(Ok(view)) if view.state != LeaseState::Active => Lease::None,
        Ok(Ok(view)) if Some(view.node_key) == node => {
            Lease::Held { fence: view.fence.to_string() }
        }
        Ok(Ok(view)) => Lease::Standby { holder: view.node_key },
    }
}

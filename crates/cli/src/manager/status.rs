//! The local manager's own view: `GET /v1/status`.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nodesys_core::Address;
use nodesys_core::message::Status as Health;
use nodesys_core::time::Timestamp;
use nodesys_render::{MANAGER, MANAGER_NAMESPACE};
use serde::{Deserialize, Serialize};

use crate::cluster::connect::{cluster_error, connect};
use crate::exit::Exit;
use crate::node::cluster_file::CLUSTER_JSON;
use crate::output::{ago, clean, health_word};
use crate::setup::Setup;

/// A manager on the same machine answers at once or not at all.
const PATIENCE: Duration = Duration::from_secs(5);

/// Older than this, the last receipt is a problem: a heartbeat goes out each minute, and a
/// challenge is good for three.
pub(crate) const STALE_MILLIS: u64 = 3 * 60_000;

/// The body, as far as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ManagerStatus {
    pub(crate) version: String,
    pub(crate) node_key: Address,
    pub(crate) backend: String,
    pub(crate) last_receipt: Option<ReportedReceipt>,
    pub(crate) last_error: Option<ReportedError>,
    pub(crate) workloads: Vec<ManagedWorkload>,
    /// When it was asked; for words.
    #[serde(skip)]
    pub(crate) asked: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ReportedReceipt {
    #[serde(with = "nodesys_core::message::decimal")]
    pub(crate) minute: u64,
    #[serde(with = "nodesys_core::message::decimal")]
    pub(crate) server_time_millis: u64,
    #[serde(with = "nodesys_core::message::decimal")]
    pub(crate) accepted: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ReportedError {
    pub(crate) time: String,
    pub(crate) message: String,
}

/// A workload as the manager has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ManagedWorkload {
    pub(crate) name: String,
    pub(crate) collection: Address,
    pub(crate) token_id: String,
    pub(crate) lease: String,
    pub(crate) fence: Option<String>,
    pub(crate) lease_problem: Option<String>,
    pub(crate) last_result: Option<String>,
    pub(crate) status: Health,
    pub(crate) heard_secs_ago: Option<u64>,
    pub(crate) work: Option<String>,
    pub(crate) detail: Option<String>,
    pub(crate) release: Option<ManagedRelease>,
}

/// Its releases.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct ManagedRelease {
    pub(crate) current: Option<String>,
    pub(crate) rollout: Option<String>,
    pub(crate) announced: Option<String>,
    #[serde(default)]
    pub(crate) quarantined: BTreeMap<String, String>,
    pub(crate) problem: Option<String>,
    pub(crate) waits: Option<String>,
    pub(crate) trouble: Option<String>,
    #[serde(default)]
    pub(crate) changed: Vec<String>,
    pub(crate) chain_read: Option<String>,
}

impl ManagerStatus {
    /// The last accepted receipt.
    pub(crate) fn last_receipt(&self) -> Option<LastReceipt> {
        self.last_receipt.as_ref().map(|last| LastReceipt {
            server_time: Timestamp::from_millis(last.server_time_millis),
            accepted: last.accepted,
        })
    }
}

/// The last accepted receipt, as the manager tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastReceipt {
    /// When the backend accepted it.
    pub(crate) server_time: Timestamp,
    /// How many the manager has had since its start.
    pub(crate) accepted: u64,
}

/// The local manager's answer; `None` where this machine has no manager.
pub(crate) async fn manager_status(
    setup: &Setup,
    now: Timestamp,
) -> Option<anyhow::Result<ManagerStatus>> {
    if let Some(url) = &setup.settings.manager {
        return Some(read(url, now).await);
    }
    if setup.home().is_ok_and(|home| home.join(CLUSTER_JSON).exists()) {
        return Some(read_in_cluster(setup, now).await);
    }
    None
}

/// Asks the manager's service through the cluster's API; `None` where it does not answer in time.
pub(crate) async fn request_status(client: &kube::Client) -> Option<Result<String, kube::Error>> {
    let path =
        format!("/api/v1/namespaces/{MANAGER_NAMESPACE}/services/{MANAGER}:health/proxy/v1/status");
    let mut request = http::Request::new(Vec::new());
    *request.uri_mut() = http::Uri::try_from(path).ok()?;
    // The client asks again for minutes while there is no manager to lead to.
    tokio::time::timeout(PATIENCE, client.request_text(request)).await.ok()
}

/// Through the cluster's API, which leads to the manager's service.
async fn read_in_cluster(setup: &Setup, now: Timestamp) -> anyhow::Result<ManagerStatus> {
    let cluster = connect(setup.home()?).await?;
    let silent = |why: String| Exit::NotFound.because(format!("{why}; see the cluster's part"));
    let body = request_status(&cluster.client)
        .await
        .ok_or_else(|| silent("the manager in the cluster does not answer".to_owned()))?
        .map_err(|error| {
            silent(format!("{:#}", cluster_error("the manager in the cluster", error)))
        })?;
    let manager: ManagerStatus =
        serde_json::from_str(&body).context("the answer from the cluster is not a manager's")?;
    Ok(ManagerStatus { asked: now, ..manager })
}

async fn read(base: &reqwest::Url, now: Timestamp) -> anyhow::Result<ManagerStatus> {
    let mut url = base.clone();
    url.path_segments_mut()
        .map_err(|()| anyhow::anyhow!("--manager {base} is no http:// address"))?
        .pop_if_empty()
        .extend(["v1", "status"]);
    let silent = |error: reqwest::Error| {
        // The outer words repeat the URL; the innermost say what happened.
        let error = anyhow::Error::from(error);
        let cause = error.root_cause();
        Exit::NotFound.because(format!(
            "the manager at {base} does not answer ({cause}): is it running, and is --manager its \
             address?"
        ))
    };
    let client = reqwest::Client::builder().timeout(PATIENCE).build()?;
    let answer = client.get(url).send().await.map_err(silent)?;
    ensure!(
        answer.status().is_success(),
        "{base} answers {}: no manager listens there; check --manager",
        answer.status()
    );
    let body = answer.bytes().await.map_err(silent)?;
    let manager: ManagerStatus = serde_json::from_slice(&body)
        .with_context(|| format!("{base} does not answer as a manager does"))?;
    Ok(ManagerStatus { asked: now, ..manager })
}

/// The problems by a manager's own words.
pub(crate) fn status_problems(manager: &ManagerStatus, now: Timestamp) -> Vec<String> {
    let mut problems = Vec::new();
    match &manager.last_receipt {
        None => problems.push("no heartbeat has been accepted since the manager's start".into()),
        Some(last) => {
            let then = Timestamp::from_millis(last.server_time_millis);
            if now.millis_since(then) > STALE_MILLIS {
                problems.push(format!("the last accepted receipt is of {}", ago(now, then)));
            }
        }
    }
    for workload in &manager.workloads {
        let name = clean(&workload.name);
        let held = workload.lease == "held";
        if let Some(problem) = &workload.lease_problem {
            problems.push(format!("{name} has no lease: {problem}"));
        } else if !held && workload.lease != "standby" {
            problems.push(format!("{name} has no lease"));
        }
        // On standby it earns nothing either way.
        if held && !matches!(workload.status, Health::Healthy | Health::Updating) {
            problems.push(format!("{name} is {}", health_word(workload.status)));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_767_312_000);

    fn manager(change: impl FnOnce(&mut serde_json::Value)) -> ManagerStatus {
        let mut body = serde_json::json!({
            "version": "0.1.0",
            "node_key": Address::repeat_byte(1),
            "backend": "http://127.0.0.1:1",
            "heartbeat_offset_secs": 7,
            "receipt_key": null,
            "receipt_key_pinned": false,
            "last_receipt": {
                "minute": "29455199",
                "time": "x",
                "server_time_millis": (NOW.millis() - 60_000).to_string(),
                "accepted": "5",
            },
            "last_error": null,
            "workloads": [{
                "name": "alpha",
                "collection": Address::repeat_byte(2),
                "token_id": "1",
                "license_hash": nodesys_core::B256::ZERO,
                "lease": "held",
                "fence": "1",
                "lease_problem": null,
                "last_result": "credited",
                "status": "healthy",
                "heard_secs_ago": 3,
                "work": "17",
                "detail": null,
            }],
        });
        change(&mut body);
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn what_is_not_well_is_named() {
        assert_eq!(status_problems(&manager(|_| {}), NOW), [""; 0]);
        let only = |change: fn(&mut serde_json::Value), part: &str| {
            let found = status_problems(&manager(change), NOW);
            assert!(found.len() == 1 && found[0].contains(part), "{found:?}");
        };
        only(|body| body["last_receipt"] = serde_json::Value::Null, "no heartbeat");
        only(
            |body| {
                let old = (NOW.millis() - 600_000).to_string();
                body["last_receipt"]["server_time_millis"] = old.into();
            },
            "10 min ago",
        );
        only(|body| body["workloads"][0]["status"] = "down".into(), "alpha is down");
        only(|body| body["workloads"][0]["lease"] = "none".into(), "alpha has no lease");
        only(|body| body["workloads"][0]["lease_problem"] = "no right".into(), "no right");
        // A standby is as it should be, whatever its workload does.
        let standby = manager(|body| {
            body["workloads"][0]["lease"] = "standby".into();
            body["workloads"][0]["status"] = "down".into();
        });
        assert_eq!(status_problems(&standby, NOW), [""; 0]);
    }
}

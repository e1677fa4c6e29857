//! The local manager's own view: `GET /v1/status`.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nodesys_core::Address;
use nodesys_core::message::Status as Health;
use nodesys_core::time::Timestamp;
use nodesys_render::{MANAGER, MANAGER_NAMESPACE};
use serde::{Deserialize, Serialize};

use super::section::Section;
use super::{STALE_MILLIS, ago};
use crate::cluster::file::CLUSTER_JSON;
use crate::cluster::{connect, words_of};
use crate::exit::Exit;
use crate::output::{clean, table};
use crate::setup::Setup;

/// A manager on the same machine answers at once or not at all.
const PATIENCE: Duration = Duration::from_secs(5);

/// The body, as far as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Manager {
    version: String,
    node_key: Address,
    backend: String,
    last_receipt: Option<LastReceipt>,
    last_error: Option<LastError>,
    workloads: Vec<Workload>,
    /// When it was asked; for words.
    #[serde(skip)]
    asked: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct LastReceipt {
    #[serde(with = "nodesys_core::message::decimal")]
    minute: u64,
    #[serde(with = "nodesys_core::message::decimal")]
    server_time_millis: u64,
    #[serde(with = "nodesys_core::message::decimal")]
    accepted: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct LastError {
    time: String,
    message: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Workload {
    name: String,
    collection: Address,
    token_id: String,
    lease: String,
    fence: Option<String>,
    lease_problem: Option<String>,
    last_result: Option<String>,
    status: Health,
    heard_secs_ago: Option<u64>,
    detail: Option<String>,
}

pub(super) async fn section(setup: &Setup, now: Timestamp) -> Section<Manager> {
    if let Some(url) = &setup.settings.manager {
        return Section::from_result(read(url, now).await);
    }
    if setup.home().is_ok_and(|home| home.join(CLUSTER_JSON).exists()) {
        return Section::from_result(read_in_cluster(setup, now).await);
    }
    Section::not_configured("run nodesys start, or give --manager URL, the address it listens on")
}

/// What an update looks at.
pub(crate) struct View {
    pub(crate) backend: String,
    pub(crate) last_receipt: Option<crate::update::LastReceipt>,
}

/// The manager as it is now; `None` where this machine has none.
pub(crate) async fn view(setup: &Setup, now: Timestamp) -> Option<anyhow::Result<View>> {
    let read = if let Some(url) = &setup.settings.manager {
        read(url, now).await
    } else if setup.home().is_ok_and(|home| home.join(CLUSTER_JSON).exists()) {
        read_in_cluster(setup, now).await
    } else {
        return None;
    };
    Some(read.map(|(manager, _)| View {
        backend: manager.backend,
        last_receipt: manager.last_receipt.map(|last| crate::update::LastReceipt {
            server_time: Timestamp::from_millis(last.server_time_millis),
            accepted: last.accepted,
        }),
    }))
}

/// Through the cluster's API, which leads to the manager's service.
async fn read_in_cluster(setup: &Setup, now: Timestamp) -> anyhow::Result<(Manager, Vec<String>)> {
    let cluster = connect(setup).await?;
    let path =
        format!("/api/v1/namespaces/{MANAGER_NAMESPACE}/services/{MANAGER}:health/proxy/v1/status");
    let request = http::Request::get(path).body(Vec::new()).context("the request")?;
    // The client asks again for minutes while there is no manager to lead to.
    let asked = tokio::time::timeout(PATIENCE, cluster.client.request_text(request)).await;
    let silent = |why: String| Exit::NotFound.because(format!("{why}; see the cluster's part"));
    let body = asked
        .map_err(|_| silent("the manager in the cluster does not answer".to_owned()))?
        .map_err(|error| silent(format!("{:#}", words_of("the manager in the cluster", error))))?;
    let manager: Manager = serde_json::from_str(&body)
        .context("what answers in the cluster does not answer as a manager does")?;
    let problems = problems(&manager, now);
    Ok((Manager { asked: now, ..manager }, problems))
}

async fn read(base: &reqwest::Url, now: Timestamp) -> anyhow::Result<(Manager, Vec<String>)> {
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
    let manager: Manager = serde_json::from_slice(&body)
        .with_context(|| format!("{base} does not answer as a manager does"))?;
    let problems = problems(&manager, now);
    Ok((Manager { asked: now, ..manager }, problems))
}

/// What is not well by a manager's own words.
fn problems(manager: &Manager, now: Timestamp) -> Vec<String> {
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
            problems.push(format!("{name} is {}", word(workload.status)));
        }
    }
    problems
}

const fn word(status: Health) -> &'static str {
    match status {
        Health::Healthy => "healthy",
        Health::Starting => "starting",
        Health::Degraded => "degraded",
        Health::Down => "down",
        Health::Updating => "updating",
    }
}

impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "version       {}", clean(&self.version))?;
        writeln!(f, "node key      {}", self.node_key)?;
        writeln!(f, "backend       {}", self.backend)?;
        match &self.last_receipt {
            Some(last) => {
                let then = Timestamp::from_millis(last.server_time_millis);
                let ago = ago(self.asked, then);
                writeln!(f, "last receipt  {then} ({ago}), {} since its start", last.accepted)?;
            }
            None => writeln!(f, "last receipt  none")?,
        }
        if let Some(LastError { time, message }) = &self.last_error {
            writeln!(f, "last error    {time} {message}")?;
        }
        let mut table = table(&["workload", "license", "lease", "status", "last minute"]);
        for one in &self.workloads {
            table.add_row([
                clean(&one.name),
                format!("{}/{}", one.collection, one.token_id),
                one.lease.clone(),
                word(one.status).to_owned(),
                one.last_result.clone().unwrap_or_else(|| "-".to_owned()),
            ]);
        }
        write!(f, "{table}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_767_312_000);

    fn manager(change: impl FnOnce(&mut serde_json::Value)) -> Manager {
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
        assert_eq!(problems(&manager(|_| {}), NOW), [""; 0]);
        let only = |change: fn(&mut serde_json::Value), part: &str| {
            let found = problems(&manager(change), NOW);
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
        assert_eq!(problems(&standby, NOW), [""; 0]);
    }
}

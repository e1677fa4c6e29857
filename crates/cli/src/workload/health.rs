//! The health of a workload: lease, version, problems.

use nodesys_core::message::Status as Health;
use nodesys_core::{Address, U256};
use serde::Serialize;

use crate::cluster::connect::connect;
use crate::manager::status::ManagedWorkload;
use crate::node;
use crate::node::workloads::WorkloadEntry;
use crate::output::{clean_words, health_word};
use crate::setup::Setup;
use crate::workload::live::{LeaseHolder, managed_workloads};

/// How a workload is.
#[derive(Debug, Serialize)]
pub(crate) struct WorkloadView {
    pub(crate) workload: String,
    pub(crate) project: Address,
    pub(crate) collection: Address,
    #[serde(with = "nodesys_core::message::decimal")]
    pub(crate) token_id: U256,
    pub(crate) paused: bool,
    /// By the backend.
    pub(crate) lease: LeaseHolder,
    /// By the manager; `null` where it says nothing of it.
    pub(crate) manager: Option<ManagedWorkload>,
    /// Problems; empty when all is well.
    pub(crate) problems: Vec<String>,
}

impl WorkloadView {
    pub(crate) fn of(
        entry: &WorkloadEntry,
        lease: LeaseHolder,
        managed: &Result<Vec<ManagedWorkload>, String>,
    ) -> Self {
        let manager = managed.as_ref().ok().and_then(|all| entry.among(all)).cloned();
        let mut line = Self {
            workload: entry.label(),
            project: entry.project,
            collection: entry.collection,
            token_id: entry.token_id,
            paused: entry.paused,
            lease,
            manager,
            problems: Vec::new(),
        };
        line.problems = line.find_problems(managed.as_ref().err());
        line
    }

    fn find_problems(&self, silent: Option<&String>) -> Vec<String> {
        if self.paused {
            return Vec::new();
        }
        let mut problems = Vec::new();
        if let LeaseHolder::Unknown { why } = &self.lease {
            problems.push(format!("the lease is not known: {why}"));
        }
        if let Some(why) = silent {
            problems.push(format!("the manager says nothing: {why}"));
            return problems;
        }
        let Some(manager) = &self.manager else {
            problems.push(
                "the manager does not know it: run nodesys start, which tells it again".to_owned(),
            );
            return problems;
        };
        if let Some(problem) = &manager.lease_problem {
            problems.push(format!("no lease: {}", clean_words(problem)));
        } else if matches!(self.lease, LeaseHolder::None) {
            problems.push("nobody holds the lease yet".to_owned());
        }
        let well = matches!(manager.status, Health::Healthy | Health::Updating);
        if !well && !matches!(self.lease, LeaseHolder::Standby { .. }) {
            problems.push(format!("it is {}", health_word(manager.status)));
        }
        if let Some(release) = &manager.release {
            let told = [("release", &release.problem), ("pod", &release.trouble)];
            for (what, words) in told {
                if let Some(words) = words {
                    problems.push(format!("{what}: {}", clean_words(words)));
                }
            }
            for changed in &release.changed {
                problems.push(format!("changed in the cluster: {}", clean_words(changed)));
            }
        }
        problems
    }

    pub(crate) fn version(&self) -> String {
        let release = self.manager.as_ref().and_then(|it| it.release.as_ref());
        match release.map(|it| (&it.current, &it.rollout)) {
            Some((Some(current), Some(next))) => format!("{current} -> {next}"),
            Some((Some(one), None) | (None, Some(one))) => one.clone(),
            _ => "-".to_owned(),
        }
    }

    pub(crate) fn health(&self) -> &'static str {
        match &self.manager {
            _ if self.paused => "paused",
            Some(manager) => health_word(manager.status),
            None => "-",
        }
    }
}

/// This node's key, as far as it is known here.
pub(crate) fn own_node(setup: &Setup) -> Option<Address> {
    let own = setup.node_key_file().ok().and_then(|path| node::key::read(&path).ok());
    own.map(|key| key.address())
        .or_else(|| setup.authorization().map(|it| it.authorization.node_key))
}

pub(crate) async fn ask_manager(setup: &Setup) -> Result<Vec<ManagedWorkload>, String> {
    let asked = async {
        let cluster = connect(setup.home()?).await?;
        managed_workloads(&cluster.client).await
    };
    asked.await.map_err(|error| format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::node::workloads::tests::entry;

    fn managed(change: impl FnOnce(&mut Value)) -> Result<Vec<ManagedWorkload>, String> {
        let mut body = json!({
            "name": "alpha", "collection": Address::repeat_byte(1), "token_id": "7",
            "license_hash": nodesys_core::B256::ZERO, "lease": "held", "fence": "1",
            "lease_problem": null, "last_result": "credited", "status": "healthy",
            "heard_secs_ago": 3, "work": "17", "detail": null,
            "release": {
                "current": "1", "rollout": null, "announced": null, "quarantined": {},
                "problem": null, "waits": null, "trouble": null, "changed": [], "chain_read": null,
            },
        });
        change(&mut body);
        Ok(vec![serde_json::from_value(body).unwrap()])
    }

    fn held() -> LeaseHolder {
        LeaseHolder::Held { fence: "1".to_owned() }
    }

    #[test]
    fn what_is_not_well_is_told_and_a_standby_or_a_pause_is_well() {
        let alpha = entry("alpha", 1);
        let line = WorkloadView::of(&alpha, held(), &managed(|_| ()));
        assert_eq!(line.problems, [""; 0]);
        assert_eq!((line.version().as_str(), line.health()), ("1", "healthy"));

        let one = |lease, managed: &Result<Vec<ManagedWorkload>, String>, part: &str| {
            let problems = WorkloadView::of(&alpha, lease, managed).problems;
            assert!(problems.len() == 1 && problems[0].contains(part), "{problems:?}");
        };
        one(held(), &managed(|it| it["status"] = "down".into()), "it is down");
        one(LeaseHolder::None, &managed(|_| ()), "nobody holds the lease");
        one(held(), &managed(|it| it["token_id"] = "8".into()), "does not know it");
        one(held(), &Err("away".to_owned()), "the manager says nothing: away");
        let why = "no answer".to_owned();
        one(LeaseHolder::Unknown { why }, &managed(|_| ()), "not known: no answer");
        one(
            held(),
            &managed(|it| it["release"]["problem"] = "a\u{1b}b".into()),
            "release: a\u{fffd}b",
        );

        let holder = Address::repeat_byte(9);
        let standby = WorkloadView::of(
            &alpha,
            LeaseHolder::Standby { holder },
            &managed(|it| it["status"] = "down".into()),
        );
        assert_eq!(standby.problems, [""; 0]);
        assert_eq!(standby.lease.to_string(), "standby (0x09090909… holds it)");
        let paused = WorkloadEntry { paused: true, ..alpha };
        let paused = WorkloadView::of(&paused, LeaseHolder::None, &Ok(Vec::new()));
        assert_eq!((paused.health(), paused.problems.len()), ("paused", 0));
    }
}

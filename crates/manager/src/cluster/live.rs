//! A workload's deployment and pods in the cluster, and their evaluation. Pure.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use nodesys_core::message::Status;
use nodesys_core::release::{HealthBy, Release, Version};

use super::plan::Fitness;
use nodesys_render::RELEASE_LABEL;

/// Restarts after which a new pod counts as failed.
const MOST_RESTARTS: i32 = 3;

/// The deployment and its pods.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Live {
    /// The version it is labelled with.
    pub version: Option<Version>,
    /// Whether the controllers have seen the last change and its only pod is ready.
    pub settled: bool,
    /// Whether a pod of any version is ready.
    pub ready: bool,
    /// Its pods that are not terminating.
    pub pods: Vec<LivePod>,
    /// Whether a pod is terminating, which still uses its part of the quota.
    pub ending: bool,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivePod {
    /// The version it is labelled with.
    pub version: Option<Version>,
    /// The most restarts of its containers.
    pub restarts: i32,
    /// The reason it is not ready, if known.
    pub trouble: Option<String>,
    /// The last exit of one of its containers, which may be ready again.
    pub ended: Option<String>,
}

impl Live {
    /// From a deployment and the pods of its namespace.
    pub fn of(deployment: Option<&Deployment>, pods: &[Pod]) -> Self {
        let Some(deployment) = deployment else { return Self::default() };
        let labels = deployment.metadata.labels.as_ref();
        let status = deployment.status.clone().unwrap_or_default();
        let many = |count: Option<i32>| count.unwrap_or(0);
        let seen = status.observed_generation >= deployment.metadata.generation;
        let (pods, ending): (Vec<&Pod>, Vec<&Pod>) =
            pods.iter().partition(|pod| pod.metadata.deletion_timestamp.is_none());
        Self {
            version: version_of(labels),
            settled: seen
                && many(status.replicas) == 1
                && many(status.updated_replicas) == 1
                && many(status.ready_replicas) == 1,
            ready: many(status.ready_replicas) > 0,
            pods: pods.into_iter().map(LivePod::of).collect(),
            ending: !ending.is_empty(),
        }
    }

    /// The state of the wanted version. `posted` is its pods' last report, if fresh.
    pub fn fitness(&self, release: &Release, posted: Option<Status>) -> Fitness {
        let version = release.version();
        if self.version != Some(version) {
            return Fitness::Absent;
        }
        let pods = || self.pods.iter().filter(|pod| pod.version == Some(version));
        if let Some(pod) = pods().find(|pod| pod.restarts >= MOST_RESTARTS) {
            let why = pod.trouble.as_ref().or(pod.ended.as_ref());
            let why = why.map_or("it ends by itself", String::as_str);
            return Fitness::Failed(format!("restarted {} times: {why}", pod.restarts));
        }
        let unfit = |otherwise: String| {
            let trouble = pods().find_map(|pod| pod.trouble.clone());
            Fitness::Unfit(trouble.unwrap_or(otherwise))
        };
        match (release.health().by, posted) {
            (HealthBy::Token, Some(Status::Healthy)) => Fitness::Fit,
            (HealthBy::Token, Some(said)) => unfit(format!("it says that it is {said:?}")),
            (HealthBy::Token, None) => unfit("it posts no health".to_owned()),
            (HealthBy::Readiness, _) if self.settled => Fitness::Fit,
            (HealthBy::Readiness, _) => unfit("its pod is not ready".to_owned()),
        }
    }
}

impl LivePod {
    fn of(pod: &Pod) -> Self {
        let status = pod.status.as_ref();
        let containers: &[ContainerStatus] =
            status.and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
        let trouble = containers.iter().find_map(trouble).or_else(|| {
            let conditions = status.and_then(|status| status.conditions.as_deref());
            let unscheduled = conditions?.iter().find(|condition| {
                condition.type_ == "PodScheduled" && condition.status == "False"
            })?;
            unscheduled.message.clone().or_else(|| unscheduled.reason.clone())
        });
        Self {
            version: version_of(pod.metadata.labels.as_ref()),
            restarts: containers.iter().map(|container| container.restart_count).max().unwrap_or(0),
            trouble,
            ended: containers.iter().find_map(ended),
        }
    }
}

/// A container's exit, current or last.
fn ended(container: &ContainerStatus) -> Option<String> {
    let of = |state: &Option<k8s_openapi::api::core::v1::ContainerState>| {
        state.as_ref().and_then(|state| state.terminated.clone())
    };
    let ended = of(&container.state).or_else(|| of(&container.last_state))?;
    let reason = ended.reason.as_deref().unwrap_or("ended");
    Some(format!("{}: {reason} (exit code {})", container.name, ended.exit_code))
}

/// The reason a container is not ready: its waiting state, and its last exit.
fn trouble(container: &ContainerStatus) -> Option<String> {
    let name = &container.name;
    let now = container.state.as_ref();
    let ended = ended(container);
    let waiting = now.and_then(|state| state.waiting.as_ref()).and_then(|waiting| {
        let reason = waiting.reason.as_deref()?;
        let message = waiting.message.as_deref().unwrap_or_default();
        // What every pod goes through at its start is no trouble.
        (reason != "ContainerCreating" && reason != "PodInitializing")
            .then(|| format!("{name}: {reason} {message}").trim_end().to_owned())
    });
    match (container.ready, waiting, ended) {
        (true, ..) => None,
        // A crash loop's own words say nothing of why.
        (_, Some(waiting), Some(ended)) if waiting.contains("CrashLoopBackOff") => Some(ended),
        (_, waiting, ended) => waiting.or(ended),
    }
}

fn version_of(labels: Option<&std::collections::BTreeMap<String, String>>) -> Option<Version> {
    labels?.get(RELEASE_LABEL)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn release(by: &str) -> Release {
        let example = include_bytes!("../../../core/schema/release.example.json");
        let mut value: Value = serde_json::from_slice(example).unwrap();
        value["health"]["by"] = by.into();
        Release::parse(value.to_string().as_bytes()).unwrap()
    }

    fn live(version: &str, status: &Value, pods: Value) -> Live {
        let deployment = serde_json::from_value(json!({
            "metadata": { "generation": 2, "labels": { RELEASE_LABEL: version } },
            "status": status,
        }))
        .unwrap();
        let pods: Vec<Pod> = serde_json::from_value(pods).unwrap();
        Live::of(Some(&deployment), &pods)
    }

    fn pod(version: &str, container: &Value) -> Value {
        json!({
            "metadata": { "labels": { RELEASE_LABEL: version } },
            "status": { "containerStatuses": [container] },
        })
    }

    #[test]
    fn the_wanted_version_is_judged_and_no_other() {
        let ready = json!({
            "observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1,
        });
        let not_seen = json!({
            "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1,
        });
        let both = json!({
            "observedGeneration": 2, "replicas": 2, "updatedReplicas": 1, "readyReplicas": 1,
        });
        let by_readiness = release("readiness");
        let unfit = |words: &str| Fitness::Unfit(words.to_owned());
        for (version, status, fitness) in [
            ("3", ready.clone(), Fitness::Fit),
            ("2", ready.clone(), Fitness::Absent),
            ("3", not_seen, unfit("its pod is not ready")),
            ("3", both, unfit("its pod is not ready")),
            ("3", json!({}), unfit("its pod is not ready")),
        ] {
            let live = live(version, &status, json!([]));
            assert_eq!(live.fitness(&by_readiness, None), fitness);
        }
        let by_token = release("token");
        let live = live("3", &ready, json!([]));
        assert_eq!(live.fitness(&by_token, Some(Status::Healthy)), Fitness::Fit);
        assert_eq!(live.fitness(&by_token, None), unfit("it posts no health"));
        let starting = live.fitness(&by_token, Some(Status::Starting));
        assert_eq!(starting, unfit("it says that it is Starting"));
        assert_eq!(Live::of(None, &[]).fitness(&by_token, None), Fitness::Absent);
    }

    #[test]
    fn a_pod_on_its_way_out_is_no_pod_but_still_there() {
        let there = json!({ "metadata": {} });
        let ending = json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" } });
        for (pods, count, is_ending) in
            [(json!([]), 0, false), (json!([there]), 1, false), (json!([ending, there]), 1, true)]
        {
            let live = live("3", &json!({}), pods);
            assert_eq!((live.pods.len(), live.ending), (count, is_ending));
        }
    }

    #[test]
    fn why_a_pod_does_not_start_is_told() {
        let release = release("token");
        let waiting = |reason: &str, message: &str| json!({ "waiting": { "reason": reason, "message": message } });
        let oom = json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled" } });
        let container = |state: Value, last: Value, restarts: i32| {
            json!({
                "name": "main", "ready": false, "restartCount": restarts, "image": "", "imageID": "",
                "state": state, "lastState": last,
            })
        };
        for (state, last, restarts, expected) in [
            (
                waiting("ImagePullBackOff", "no such image"),
                json!({}),
                0,
                Fitness::Unfit("main: ImagePullBackOff no such image".into()),
            ),
            (
                waiting("ContainerCreating", ""),
                json!({}),
                0,
                Fitness::Unfit("it posts no health".into()),
            ),
            (
                waiting("CrashLoopBackOff", "back-off"),
                oom.clone(),
                1,
                Fitness::Unfit("main: OOMKilled (exit code 137)".into()),
            ),
            (
                waiting("CrashLoopBackOff", "back-off"),
                oom.clone(),
                3,
                Fitness::Failed("restarted 3 times: main: OOMKilled (exit code 137)".into()),
            ),
        ] {
            let pods = json!([
                pod(
                    "2",
                    &json!({
                        "name": "main", "ready": false, "restartCount": 9, "image": "", "imageID": "",
                    })
                ),
                pod("3", &container(state, last, restarts))
            ]);
            assert_eq!(live("3", &json!({}), pods).fitness(&release, None), expected);
        }
        // Started again just now, and ready for a moment.
        let mut again = container(json!({ "running": {} }), oom, 3);
        again["ready"] = true.into();
        let seen = live("3", &json!({}), json!([pod("3", &again)])).fitness(&release, None);
        let words = "restarted 3 times: main: OOMKilled (exit code 137)";
        assert_eq!(seen, Fitness::Failed(words.into()));
    }
}

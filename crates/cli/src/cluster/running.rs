//! Whether the manager runs, and why not.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::Api;
use kube::api::{ListParams, LogParams};
use nodesys_clock::Clock;
use nodesys_render::{MANAGER, MANAGER_NAMESPACE};

use super::steps::Steps;
use super::words_of;
use crate::exit::Exit;

/// Reasons that pass by themselves at first and do not when they last.
const GIVE_UP_RESTARTS: i32 = 4;
/// How long a pull may fail before it is believed.
const PULL_PATIENCE_MILLIS: u64 = 20_000;

/// Waits a moment of real time: the cluster lives in it, whatever clock a development chain has.
pub(super) async fn pause(millis: u64) {
    Clock::system().sleeper().sleep(Duration::from_millis(millis)).await;
}

/// What keeps a pod from being ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// Kubernetes' word for it.
    pub(crate) reason: String,
    /// All that is known, for people.
    pub(crate) words: String,
    restarts: i32,
}

/// What keeps a pod from being ready, where that is known.
pub(crate) fn trouble_of(pod: &Pod) -> Option<Trouble> {
    let status = pod.status.as_ref()?;
    let containers = status.container_statuses.as_deref().unwrap_or_default();
    if let Some(found) = containers.iter().find_map(of_container) {
        return Some(found);
    }
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let unscheduled =
        conditions.iter().find(|it| it.type_ == "PodScheduled" && it.status == "False")?;
    let reason = unscheduled.reason.clone().unwrap_or_else(|| "Unschedulable".to_owned());
    let words = unscheduled.message.clone().unwrap_or_else(|| reason.clone());
    Some(Trouble { reason, words, restarts: 0 })
}

fn of_container(container: &ContainerStatus) -> Option<Trouble> {
    let waiting = container.state.as_ref()?.waiting.as_ref();
    let ended = container.state.as_ref()?.terminated.as_ref();
    let last = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    let restarts = container.restart_count;
    if let Some(ended) = ended.or(last).filter(|_| !container.ready) {
        let reason = ended.reason.clone().unwrap_or_else(|| "Ended".to_owned());
        let words = format!("{reason}, exit code {}, restarted {restarts} times", ended.exit_code);
        return Some(Trouble { reason, words, restarts });
    }
    let waiting = waiting?;
    let reason = waiting.reason.clone().filter(|reason| reason != "ContainerCreating")?;
    let words = match &waiting.message {
        Some(message) => format!("{reason}: {message}"),
        None => reason.clone(),
    };
    Some(Trouble { reason, words, restarts })
}

/// The manager's pods that are not on their way out.
pub(crate) async fn manager_pods(client: &kube::Client) -> anyhow::Result<Vec<Pod>> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), MANAGER_NAMESPACE);
    let ours = ListParams::default().labels(&format!("app.kubernetes.io/name={MANAGER}"));
    let pods = pods.list(&ours).await.map_err(|error| words_of("the manager's pods", error))?;
    Ok(pods.items.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect())
}

/// Whether the deployment's last change is what runs, and is ready.
pub(crate) fn is_ready(deployment: &Deployment) -> bool {
    let Some(status) = &deployment.status else { return false };
    status.observed_generation >= deployment.metadata.generation
        && status.replicas == Some(1)
        && status.updated_replicas == Some(1)
        && status.available_replicas == Some(1)
}

/// How long a manager may take that is started anew by a change of its configuration.
const CHANGE_PATIENCE_SECS: u64 = 120;

/// Waits until the manager is ready again after a change, and shows that it waits.
pub(crate) async fn wait_manager(client: &kube::Client) -> anyhow::Result<()> {
    let steps = Steps::new();
    steps.doing("waiting for the manager");
    wait_ready(client, &steps, CHANGE_PATIENCE_SECS).await
}

/// Waits until the manager is ready; an error that ends with 5, and says why, when it is not.
pub(super) async fn wait_ready(
    client: &kube::Client,
    steps: &Steps,
    patience_secs: u64,
) -> anyhow::Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), MANAGER_NAMESPACE);
    let clock = Clock::system();
    let began = clock.monotonic_millis();
    let mut last = None;
    loop {
        let deployment = deployments.get(MANAGER).await;
        let deployment = deployment.map_err(|error| words_of("the manager", error))?;
        let waited = clock.monotonic_millis() - began;
        if is_ready(&deployment) {
            let secs = waited / 1000;
            steps.done("manager", format!("ready after {secs} s"));
            return Ok(());
        }
        let pods = manager_pods(client).await?;
        let trouble = pods.iter().find_map(trouble_of);
        if let Some(trouble) = &trouble
            && hopeless(trouble, waited)
        {
            let logs = last_words(client, &pods).await;
            return Err(not_ready(&trouble.words, &logs));
        }
        if waited >= patience_secs * 1000 {
            let words = trouble.map_or_else(|| "nothing says why".to_owned(), |it| it.words);
            let logs = last_words(client, &pods).await;
            return Err(not_ready(&format!("not within {patience_secs} s; {words}"), &logs));
        }
        if trouble != last {
            let words = trouble.as_ref().map_or("its pod starts", |it| &it.words);
            steps.doing(format!("waiting for the manager: {words}"));
            last = trouble;
        }
        pause(500).await;
    }
}

fn not_ready(why: &str, logs: &str) -> anyhow::Error {
    let logs = if logs.is_empty() { String::new() } else { format!("\nits last words:\n{logs}") };
    Exit::Unhealthy.because(format!("the manager does not become ready: {why}{logs}"))
}

fn hopeless(trouble: &Trouble, waited_millis: u64) -> bool {
    match trouble.reason.as_str() {
        "InvalidImageName" | "ErrImageNeverPull" | "CreateContainerConfigError" => true,
        "ErrImagePull" | "ImagePullBackOff" => waited_millis > PULL_PATIENCE_MILLIS,
        _ => trouble.restarts >= GIVE_UP_RESTARTS,
    }
}

/// The end of what the manager wrote, of the run before where this one has not written yet.
async fn last_words(client: &kube::Client, pods: &[Pod]) -> String {
    let api: Api<Pod> = Api::namespaced(client.clone(), MANAGER_NAMESPACE);
    for pod in pods {
        for previous in [false, true] {
            let params = LogParams { tail_lines: Some(5), previous, ..LogParams::default() };
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            match api.logs(name, &params).await {
                Ok(text) if !text.trim().is_empty() => return text,
                // Before its first start there is nothing to read.
                _ => {}
            }
        }
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(status: &serde_json::Value) -> Pod {
        serde_json::from_value(json!({ "metadata": { "name": "p" }, "status": status })).unwrap()
    }

    fn container(state: &serde_json::Value, restarts: i32) -> Pod {
        pod(&json!({ "containerStatuses": [{
            "name": "manager", "ready": false, "restartCount": restarts, "image": "", "imageID": "",
            "state": state,
        }] }))
    }

    #[test]
    fn what_keeps_a_pod_is_told_and_what_will_not_pass_is_not_waited_for() {
        assert_eq!(trouble_of(&pod(&json!({}))), None);
        let creating = json!({ "waiting": { "reason": "ContainerCreating" } });
        assert_eq!(trouble_of(&container(&creating, 0)), None);
        let pull = json!({ "waiting": { "reason": "ImagePullBackOff", "message": "no such" } });
        let pull = trouble_of(&container(&pull, 0)).unwrap();
        assert_eq!(pull.words, "ImagePullBackOff: no such");
        assert!(!hopeless(&pull, 1000) && hopeless(&pull, 30_000));
        let never = json!({ "waiting": { "reason": "ErrImageNeverPull" } });
        assert!(hopeless(&trouble_of(&container(&never, 0)).unwrap(), 0));
        let ended = json!({ "terminated": { "exitCode": 1, "reason": "Error" } });
        assert!(!hopeless(&trouble_of(&container(&ended, 1)).unwrap(), 0));
        let ended = trouble_of(&container(&ended, 4)).unwrap();
        assert_eq!(ended.words, "Error, exit code 1, restarted 4 times");
        assert!(hopeless(&ended, 0));
        let unscheduled = json!({ "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/1 nodes are available",
        }] });
        assert_eq!(trouble_of(&pod(&unscheduled)).unwrap().words, "0/1 nodes are available");
    }

    #[test]
    fn a_deployment_is_ready_when_its_last_change_runs() {
        let deployment = |observed: i64, available: i32| -> Deployment {
            serde_json::from_value(json!({
                "metadata": { "generation": 2 },
                "status": {
                    "observedGeneration": observed, "replicas": 1, "updatedReplicas": 1,
                    "availableReplicas": available,
                },
            }))
            .unwrap()
        };
        assert!(is_ready(&deployment(2, 1)));
        assert!(!is_ready(&deployment(1, 1)) && !is_ready(&deployment(2, 0)));
        assert!(!is_ready(&Deployment::default()));
    }
}

//! Why a pod is not ready, and whether a node of the cluster is.

use k8s_openapi::api::core::v1::{ContainerStatus, Node, Pod};

/// A reason why a pod is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// Kubernetes' word for it.
    pub(crate) reason: String,
    /// All that is known, for people.
    pub(crate) words: String,
    pub(crate) restarts: i32,
}

/// The reason why a pod is not ready, if it is known.
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

/// Whether a node of the cluster is ready.
pub(crate) fn node_is_ready(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|it| it.type_ == "Ready" && it.status == "True")
}

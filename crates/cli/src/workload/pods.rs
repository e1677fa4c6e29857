//! A workload's pods.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;

use crate::cluster::connect::cluster_error;

/// The workload's pods, the newest first.
pub(crate) async fn pods_of(client: &kube::Client, namespace: &str) -> anyhow::Result<Vec<Pod>> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pods = api.list(&ListParams::default()).await;
    let mut pods = pods.map_err(|error| cluster_error("the workload's pods", error))?.items;
    pods.sort_by_key(|pod| std::cmp::Reverse(pod.metadata.creation_timestamp.clone()));
    Ok(pods)
}

//! Stopping: the manager first, then the workloads, so that nobody starts them again. Volumes stay.

use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use nodesys_clock::Clock;
use nodesys_render::{MANAGER, MANAGER_NAMESPACE, WORKLOAD};
use serde_json::json;

use crate::cluster::apply::FIELD_MANAGER;
use crate::cluster::connect::{cluster_error, connect};
use crate::cluster::driver_of;
use crate::exit::Exit;
use crate::manager::readiness::manager_pods;
use crate::node::cluster_file::{ClusterFile, Phase};
use crate::node::lock::lock;
use crate::node::workloads::WorkloadsFile;
use crate::progress::Progress;
use crate::setup::Setup;
use crate::system::pause;

/// Pods have 30 seconds to end by themselves.
const PATIENCE_MILLIS: u64 = 90_000;

/// Stops the node; returns what was stopped now.
pub(crate) async fn stop(setup: &Setup) -> anyhow::Result<Vec<String>> {
    let home = setup.home()?.to_owned();
    let _lock = lock(&home)?;
    if ClusterFile::read(&home)?.is_some_and(|file| !driver_of(file.driver).is_running()) {
        return Ok(Vec::new());
    }
    let mut cluster = connect(setup.home()?).await?;
    let mut stopped = Vec::new();
    if scale_to_none(&cluster.client, MANAGER_NAMESPACE, MANAGER).await? {
        stopped.push("the manager".to_owned());
    }
    let clock = Clock::system();
    let began = clock.monotonic_millis();
    while !manager_pods(&cluster.client).await?.is_empty() {
        if clock.monotonic_millis() - began > PATIENCE_MILLIS {
            let words = "the manager does not stop: see kubectl --namespace nodesys get pods";
            return Err(Exit::Failure.because(words));
        }
        pause(300).await;
    }
    for workload in WorkloadsFile::read(&home)?.workloads {
        if scale_to_none(&cluster.client, &workload.namespace(), WORKLOAD).await? {
            stopped.push(workload.name.to_string());
        }
    }
    if driver_of(cluster.file.driver).stop(&Progress::new())? {
        stopped.push("k3s".to_owned());
    }
    if cluster.file.phase == Phase::Running {
        cluster.file.phase = Phase::Stopped;
        cluster.file.write(&home)?;
    }
    Ok(stopped)
}

/// Scales a deployment to none; whether it was there with pods.
async fn scale_to_none(client: &kube::Client, namespace: &str, name: &str) -> anyhow::Result<bool> {
    let told = |error| cluster_error(format!("{namespace}/{name}"), error);
    let api: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let found = api.list(&ListParams::default().fields(&format!("metadata.name={name}"))).await;
    let found = found.map_err(told)?.items.pop();
    let running = found.and_then(|it| it.spec).is_some_and(|spec| spec.replicas != Some(0));
    if running {
        let by =
            PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        let none = json!({ "spec": { "replicas": 0 } });
        api.patch(name, &by, &Patch::Merge(&none)).await.map_err(told)?;
    }
    Ok(running)
}

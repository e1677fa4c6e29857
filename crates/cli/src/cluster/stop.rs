//! `stop`: the manager first, then the workloads, so that nobody starts them again. Volumes stay.

use std::fmt;

use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use nodesys_clock::Clock;
use nodesys_render::{MANAGER, MANAGER_NAMESPACE, WORKLOAD};
use serde::Serialize;
use serde_json::json;

use super::file::{ClusterFile, Driver, Phase};
use super::running::{manager_pods, pause};
use super::steps::Steps;
use super::{FIELD_MANAGER, connect, k3d, k3s, lock, words_of};
use crate::exit::Exit;
use crate::output;
use crate::setup::Setup;
use crate::workload::WorkloadsFile;

/// Pods have 30 seconds to end by themselves.
const PATIENCE_MILLIS: u64 = 90_000;

/// Options of `stop`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nodesys stop
  nodesys start        # goes on with the same keys, workloads and volumes

While it is stopped no heartbeat is sent, so no minute is credited, and a lease that nobody renews ends
after ten and a half minutes.")]
pub struct StopArgs {}

#[derive(Debug, Serialize)]
struct Stopped {
    /// What was stopped now; empty when nothing ran.
    stopped: Vec<String>,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.stopped.as_slice() {
            [] => f.write_str("nothing ran"),
            all => write!(f, "stopped: {}", all.join(", ")),
        }
    }
}

/// Runs the command.
pub async fn stop(setup: &Setup, StopArgs {}: &StopArgs) -> anyhow::Result<Exit> {
    let home = setup.home()?.to_owned();
    let _lock = lock(&home)?;
    let down = ClusterFile::read(&home)?.is_some_and(|file| match file.driver {
        Driver::K3s => !k3s::is_active(),
        Driver::K3d => !k3d::is_running(),
        Driver::Existing => false,
    });
    if down {
        output::print(setup.format(), &Stopped { stopped: Vec::new() })?;
        return Ok(Exit::Done);
    }
    let mut cluster = connect(setup).await?;
    let mut stopped = Vec::new();
    if scale_to_none(&cluster.client, MANAGER_NAMESPACE, MANAGER).await? {
        stopped.push("the manager".to_owned());
    }
    let clock = Clock::system();
    let began = clock.monotonic_millis();
    while !manager_pods(&cluster.client).await?.is_empty() {
        if clock.monotonic_millis() - began > PATIENCE_MILLIS {
            let words = "the manager does not end: see kubectl --namespace nodesys get pods";
            return Err(Exit::Failure.because(words));
        }
        pause(300).await;
    }
    for workload in WorkloadsFile::read(&home)?.workloads {
        if scale_to_none(&cluster.client, &workload.namespace(), WORKLOAD).await? {
            stopped.push(workload.name.to_string());
        }
    }
    let own = match cluster.file.driver {
        Driver::K3s => k3s::stop(&Steps::new())?,
        Driver::K3d => k3d::stop()?,
        Driver::Existing => false,
    };
    if own {
        stopped.push("k3s".to_owned());
    }
    if cluster.file.phase == Phase::Running {
        cluster.file.phase = Phase::Stopped;
        cluster.file.write(&home)?;
    }
    output::print(setup.format(), &Stopped { stopped })?;
    Ok(Exit::Done)
}

/// Scales a deployment to none; whether it was there with pods.
async fn scale_to_none(client: &kube::Client, namespace: &str, name: &str) -> anyhow::Result<bool> {
    let told = |error| words_of(format!("{namespace}/{name}"), error);
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

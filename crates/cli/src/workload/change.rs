//! `workload restart|pause|resume|remove`: each may be run again after any interruption.

use std::fmt;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use nodesys_render::WORKLOAD;
use serde::Serialize;
use serde_json::json;

use super::WorkloadsFile;
use super::command::WorkloadRef;
use super::logs::pods_of;
use crate::ask::confirm;
use crate::cluster::file::Made;
use crate::cluster::{
    FIELD_MANAGER, apply_manager, connect, lock, remove_namespace, wait_manager, words_of,
};
use crate::exit::Exit;
use crate::output;
use crate::setup::Setup;

/// What was done.
#[derive(Debug, Serialize)]
struct Done {
    workload: String,
    /// In one word.
    done: &'static str,
    /// What else is to be known.
    #[serde(skip)]
    words: String,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.workload, self.done, self.words)
    }
}

fn tell(setup: &Setup, workload: String, done: &'static str, words: &str) -> anyhow::Result<Exit> {
    output::print(setup.format(), &Done { workload, done, words: words.to_owned() })?;
    Ok(Exit::Done)
}

/// Ends the pods; their deployment starts new ones.
pub(super) async fn restart(setup: &Setup, workload: &WorkloadRef) -> anyhow::Result<Exit> {
    let file = WorkloadsFile::read(setup.home()?)?;
    let entry = workload.find(&file)?;
    if entry.paused {
        return Err(Exit::NotFound.because(format!(
            "{} is paused, so there is nothing to restart: nodesys workload resume {}",
            entry.label(),
            entry.name
        )));
    }
    let client = connect(setup).await?.client;
    let pods = pods_of(&client, &entry.namespace()).await?;
    if pods.is_empty() {
        return Err(Exit::NotFound.because(format!(
            "{} has no pod: nodesys workload status {} says why",
            entry.label(),
            entry.name
        )));
    }
    let api: Api<Pod> = Api::namespaced(client, &entry.namespace());
    for pod in pods.iter().filter_map(|pod| pod.metadata.name.as_deref()) {
        match api.delete(pod, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            ended => drop(ended.map_err(|error| words_of(format!("the pod {pod}"), error))?),
        }
    }
    tell(setup, entry.label(), "restarted", "")
}

/// The manager forgets it, then its pods end.
pub(super) async fn pause(setup: &Setup, workload: &WorkloadRef) -> anyhow::Result<Exit> {
    let label = stop(setup, workload).await?;
    tell(setup, label, "paused", ": it earns nothing until nodesys workload resume")
}

async fn stop(setup: &Setup, workload: &WorkloadRef) -> anyhow::Result<String> {
    let home = setup.home()?.to_owned();
    let _lock = lock(&home)?;
    let mut file = WorkloadsFile::read(&home)?;
    let entry = workload.find(&file)?.clone();
    let cluster = connect(setup).await?;
    set_paused(&mut file, &entry.label(), true);
    file.write(&home)?;
    apply_manager(setup, &cluster.client, &cluster.file).await?;
    // The manager of before would put the pods back.
    wait_manager(&cluster.client).await?;
    let deployments: Api<Deployment> = Api::namespaced(cluster.client.clone(), &entry.namespace());
    let by = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
    let none = json!({ "spec": { "replicas": 0 } });
    match deployments.patch(WORKLOAD, &by, &Patch::Merge(&none)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        scaled => drop(scaled.map_err(|error| words_of(entry.label(), error))?),
    }
    Ok(entry.label())
}

fn set_paused(file: &mut WorkloadsFile, label: &str, paused: bool) {
    for entry in &mut file.workloads {
        if entry.label() == label {
            entry.paused = paused;
        }
    }
}

/// The manager is told of it again, and starts its pods.
pub(super) async fn resume(setup: &Setup, workload: &WorkloadRef) -> anyhow::Result<Exit> {
    let home = setup.home()?.to_owned();
    let _lock = lock(&home)?;
    let mut file = WorkloadsFile::read(&home)?;
    let label = workload.find(&file)?.label();
    let cluster = connect(setup).await?;
    set_paused(&mut file, &label, false);
    file.write(&home)?;
    apply_manager(setup, &cluster.client, &cluster.file).await?;
    wait_manager(&cluster.client).await?;
    tell(setup, label, "resumed", "")
}

/// Stops it, then takes its namespace away with all that is in it.
pub(super) async fn remove(
    setup: &Setup,
    workload: &WorkloadRef,
    yes: bool,
) -> anyhow::Result<Exit> {
    let file = WorkloadsFile::read(setup.home()?)?;
    let entry = workload.find(&file)?.clone();
    let volumes = match entry.grant.persistent_volumes {
        0 => String::new(),
        count => format!(" with its {count} volumes and all that is in them"),
    };
    confirm(&format!("Remove {} from this node{volumes}?", entry.label()), yes)?;
    stop(setup, workload).await?;
    let home = setup.home()?.to_owned();
    let _lock = lock(&home)?;
    let mut cluster = connect(setup).await?;
    let namespace = entry.namespace();
    remove_namespace(&cluster.client, &namespace).await?;
    let of_workload =
        |made: &Made| matches!(made, Made::Namespace { name, .. } if *name == namespace);
    cluster.file.made.retain(|made| !of_workload(made));
    cluster.file.write(&home)?;
    // Last, so that a run that was cut short finds it again.
    let mut file = WorkloadsFile::read(&home)?;
    file.workloads.retain(|other| other.label() != entry.label());
    file.write(&home)?;
    tell(setup, entry.label(), "removed", "")
}

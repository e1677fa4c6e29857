//! Restarting, pausing, resuming and removing a workload: each may be run again after any interruption.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use nodesys_render::WORKLOAD;
use serde_json::json;

use crate::cluster::apply::FIELD_MANAGER;
use crate::cluster::connect::{cluster_error, connect};
use crate::cluster::namespace::remove_namespace;
use crate::exit::Exit;
use crate::manager::deploy::apply_manager;
use crate::manager::readiness::wait_manager;
use crate::node::cluster_file::Made;
use crate::node::lock::lock;
use crate::node::workloads::{WorkloadEntry, WorkloadsFile};
use crate::setup::Setup;
use crate::workload::name::WorkloadRef;
use crate::workload::pods::pods_of;

/// Ends the pods; their deployment starts new ones.
pub(crate) async fn restart_workload(
    setup: &Setup,
    workload: &WorkloadRef,
) -> anyhow::Result<String> {
    let file = WorkloadsFile::read(setup.home()?)?;
    let entry = workload.find(&file)?;
    if entry.paused {
        return Err(Exit::NotFound.because(format!(
            "{} is paused, so there is nothing to restart: nodesys workload resume {}",
            entry.label(),
            entry.name
        )));
    }
    let client = connect(setup.home()?).await?.client;
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
            ended => drop(ended.map_err(|error| cluster_error(format!("the pod {pod}"), error))?),
        }
    }
    Ok(entry.label())
}

/// The manager forgets it, then its pods end; its name.
pub(crate) async fn pause_workload(
    setup: &Setup,
    workload: &WorkloadRef,
) -> anyhow::Result<String> {
    let home = setup.home()?.to_owned();
    let _lock = lock(&home)?;
    let mut file = WorkloadsFile::read(&home)?;
    let entry = workload.find(&file)?.clone();
    let cluster = connect(setup.home()?).await?;
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
        scaled => drop(scaled.map_err(|error| cluster_error(entry.label(), error))?),
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
pub(crate) async fn resume_workload(
    setup: &Setup,
    workload: &WorkloadRef,
) -> anyhow::Result<String> {
    let home = setup.home()?.to_owned();
    let _lock = lock(&home)?;
    let mut file = WorkloadsFile::read(&home)?;
    let label = workload.find(&file)?.label();
    let cluster = connect(setup.home()?).await?;
    set_paused(&mut file, &label, false);
    file.write(&home)?;
    apply_manager(setup, &cluster.client, &cluster.file).await?;
    wait_manager(&cluster.client).await?;
    Ok(label)
}

/// Stops it, then takes its namespace away with all that is in it.
pub(crate) async fn remove_workload(
    setup: &Setup,
    workload: &WorkloadRef,
    entry: &WorkloadEntry,
) -> anyhow::Result<()> {
    pause_workload(setup, workload).await?;
    let home = setup.home()?.to_owned();
    let _lock = lock(&home)?;
    let mut cluster = connect(setup.home()?).await?;
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
    Ok(())
}

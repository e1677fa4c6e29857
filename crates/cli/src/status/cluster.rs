//! This node's cluster: does it answer, do its nodes take pods, does the manager run.

use std::fmt;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::ListParams;
use nodesys_render::{MANAGER, MANAGER_NAMESPACE};
use serde::Serialize;

use crate::cluster::connect::{Cluster, cluster_error, connect};
use crate::cluster::pods::{node_is_ready, trouble_of};
use crate::manager::readiness::{is_ready, manager_pods};
use crate::node::cluster_file::{CLUSTER_JSON, DriverKind, Phase};
use crate::setup::Setup;
use crate::status::section::Section;

/// The cluster's state.
#[derive(Debug, Serialize)]
pub(crate) struct ClusterStatus {
    driver: DriverKind,
    phase: Phase,
    kubernetes: String,
    nodes: usize,
    nodes_ready: usize,
    manager: &'static str,
    manager_image: Option<String>,
    manager_restarts: i32,
}

pub(crate) async fn section(setup: &Setup) -> Section<ClusterStatus> {
    if !setup.home().is_ok_and(|home| home.join(CLUSTER_JSON).exists()) {
        return Section::not_configured("run nodesys start");
    }
    Section::from_result(read(setup).await)
}

async fn read(setup: &Setup) -> anyhow::Result<(ClusterStatus, Vec<String>)> {
    let Cluster { file, client } = connect(setup.home()?).await?;
    let version = client.apiserver_version().await;
    let version = version.map_err(|error| cluster_error("its version", error))?.git_version;
    let nodes: Api<Node> = Api::all(client.clone());
    let nodes = nodes.list(&ListParams::default()).await;
    let nodes = nodes.map_err(|error| cluster_error("its nodes", error))?.items;
    let nodes_ready = nodes.iter().filter(|node| node_is_ready(node)).count();
    let mut problems = Vec::new();
    if nodes_ready < nodes.len() || nodes.is_empty() {
        problems.push(format!("{nodes_ready} of {} nodes are ready", nodes.len()));
    }

    let deployments: Api<Deployment> = Api::namespaced(client.clone(), MANAGER_NAMESPACE);
    let deployment = deployments.get_opt(MANAGER).await;
    let deployment = deployment.map_err(|error| cluster_error("the manager", error))?;
    let pods = manager_pods(&client).await?;
    let statuses = pods.iter().filter_map(|pod| pod.status.as_ref()?.container_statuses.as_ref());
    let manager_restarts = statuses.flatten().map(|it| it.restart_count).max().unwrap_or(0);
    let spec = deployment.as_ref().and_then(|it| it.spec.as_ref());
    let image =
        spec.and_then(|spec| spec.template.spec.as_ref()?.containers.first()?.image.clone());
    let manager = match (&deployment, file.phase) {
        (None, _) => {
            problems.push("the manager is not deployed: run nodesys start".to_owned());
            "missing"
        }
        (Some(_), Phase::Stopped) => {
            problems.push("it is stopped: run nodesys start".to_owned());
            "stopped"
        }
        (Some(deployment), _) if is_ready(deployment) => "ready",
        (Some(_), _) => {
            let trouble = pods.iter().find_map(trouble_of).map(|it| format!(": {}", it.words));
            problems.push(format!("the manager is not ready{}", trouble.unwrap_or_default()));
            "not ready"
        }
    };
    match file.phase {
        Phase::Starting => {
            problems.push("start was interrupted: run nodesys start again".to_owned());
        }
        Phase::Leaving => {
            problems.push("uninstall was interrupted: run nodesys uninstall again".to_owned());
        }
        Phase::Running | Phase::Stopped => {}
    }
    let cluster = ClusterStatus {
        driver: file.driver,
        phase: file.phase,
        kubernetes: version,
        nodes: nodes.len(),
        nodes_ready,
        manager,
        manager_image: image,
        manager_restarts,
    };
    Ok((cluster, problems))
}

impl fmt::Display for ClusterStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "kubernetes    {} ({})", self.kubernetes, self.driver)?;
        writeln!(f, "nodes         {} of {} ready", self.nodes_ready, self.nodes)?;
        write!(f, "manager       {}, restarted {} times", self.manager, self.manager_restarts)?;
        if let Some(image) = &self.manager_image {
            write!(f, "\nimage         {image}")?;
        }
        Ok(())
    }
}

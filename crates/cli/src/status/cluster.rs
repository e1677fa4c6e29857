//! This node's cluster: does it answer, do its nodes take pods, does the manager run.

use std::fmt;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::ListParams;
use nodesys_render::{MANAGER, MANAGER_NAMESPACE};
use serde::Serialize;

use super::section::Section;
use crate::cluster::file::{CLUSTER_JSON, Driver, Phase};
use crate::cluster::{connect, is_ready, manager_pods, trouble_of, words_of};
use crate::setup::Setup;

/// What the cluster says.
#[derive(Debug, Serialize)]
pub(super) struct Cluster {
    driver: Driver,
    phase: Phase,
    kubernetes: String,
    nodes: usize,
    nodes_ready: usize,
    manager: &'static str,
    manager_image: Option<String>,
    manager_restarts: i32,
}

pub(super) async fn section(setup: &Setup) -> Section<Cluster> {
    if !setup.home().is_ok_and(|home| home.join(CLUSTER_JSON).exists()) {
        return Section::not_configured("run nodesys start");
    }
    Section::from_result(read(setup).await)
}

async fn read(setup: &Setup) -> anyhow::Result<(Cluster, Vec<String>)> {
    let crate::cluster::Cluster { file, client } = connect(setup).await?;
    let version = client.apiserver_version().await;
    let version = version.map_err(|error| words_of("its version", error))?.git_version;
    let nodes: Api<Node> = Api::all(client.clone());
    let nodes = nodes.list(&ListParams::default()).await;
    let nodes = nodes.map_err(|error| words_of("its nodes", error))?.items;
    let ready = |node: &&Node| {
        let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.into_iter().any(|it| it.type_ == "Ready" && it.status == "True")
    };
    let nodes_ready = nodes.iter().filter(ready).count();
    let mut problems = Vec::new();
    if nodes_ready < nodes.len() || nodes.is_empty() {
        problems.push(format!("{nodes_ready} of {} nodes are ready", nodes.len()));
    }

    let deployments: Api<Deployment> = Api::namespaced(client.clone(), MANAGER_NAMESPACE);
    let deployment = deployments.get_opt(MANAGER).await;
    let deployment = deployment.map_err(|error| words_of("the manager", error))?;
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
        Phase::Starting => problems.push("start has not ended: run nodesys start again".to_owned()),
        Phase::Leaving => {
            problems.push("uninstall has not ended: run nodesys uninstall again".to_owned());
        }
        Phase::Running | Phase::Stopped => {}
    }
    let cluster = Cluster {
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

impl fmt::Display for Cluster {
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

//! The manager as it was deployed before a change, to be put back if the new one does not become ready.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use nodesys_render::manager::{ManagerParts, manager_objects};
use nodesys_render::{MANAGER, MANAGER_NAMESPACE, Object};
use zeroize::Zeroizing;

use crate::cluster::connect::cluster_error;

/// The deployment of a manager before a change.
pub(crate) struct PreviousManager {
    image: String,
    config_json: String,
    node_key_hex: Zeroizing<String>,
    rpc_urls: Zeroizing<String>,
}

impl PreviousManager {
    /// As the cluster has it; `None` where there is no whole manager.
    pub(crate) async fn read(client: &kube::Client) -> anyhow::Result<Option<Self>> {
        let told = |error| cluster_error("the manager as it is", error);
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), MANAGER_NAMESPACE);
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), MANAGER_NAMESPACE);
        let secrets: Api<Secret> = Api::namespaced(client.clone(), MANAGER_NAMESPACE);
        let deployment = deployments.get_opt(MANAGER).await.map_err(told)?;
        let map = maps.get_opt(MANAGER).await.map_err(told)?;
        let secret = secrets.get_opt(MANAGER).await.map_err(told)?;
        let image = deployment.and_then(|it| {
            it.spec?.template.spec?.containers.into_iter().find_map(|container| container.image)
        });
        let config_json = map.and_then(|map| map.data?.remove("manager.json"));
        let mut data = secret.and_then(|secret| secret.data).unwrap_or_default();
        let mut text = |name: &str| {
            let bytes = data.remove(name)?.0;
            String::from_utf8(bytes).ok().map(Zeroizing::new)
        };
        let (node_key_hex, rpc_urls) = (text("node.key"), text("rpc"));
        Ok((|| {
            Some(Self {
                image: image?,
                config_json: config_json?,
                node_key_hex: node_key_hex?,
                rpc_urls: rpc_urls?,
            })
        })())
    }

    /// Its objects.
    pub(crate) fn objects(&self) -> Vec<Object> {
        manager_objects(&ManagerParts {
            image: &self.image,
            config_json: &self.config_json,
            node_key_hex: &self.node_key_hex,
            rpc_urls: &self.rpc_urls,
        })
    }
}

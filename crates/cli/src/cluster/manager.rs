//! The manager's deployment: what it is configured with, from this node's settings and files.

use anyhow::Context as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use nodesys_core::Address;
use nodesys_render::manager::{ManagerParts, config_paths, manager_objects};
use nodesys_render::{MANAGER, MANAGER_NAMESPACE, Object};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::apply::{Change, apply};
use super::file::ClusterFile;
use super::words_of;
use crate::exit::Exit;
use crate::setup::Setup;
use crate::workload::WorkloadsFile;
use crate::{node_key, pair};

/// Everything of the settings that the manager needs, read and found to be there.
pub(super) struct Inputs {
    config: Value,
    node_key_hex: Zeroizing<String>,
    rpc_urls: Zeroizing<String>,
    pub(super) node_key: Address,
    pub(super) operator: Address,
}

impl Inputs {
    /// Of the settings, the node key, and the workloads.
    pub(super) async fn read(setup: &Setup) -> anyhow::Result<Self> {
        let settings = &setup.settings;
        let chain_id = *Setup::need(&settings.chain_id, "--chain-id")?;
        let registry = setup.registry()?;
        let backend = Setup::need(&settings.backend, "--backend")?.clone();
        let rpcs = setup.rpcs()?;
        reachable_from_pods("--backend", &backend)?;
        for rpc in rpcs {
            reachable_from_pods("--rpc", rpc.expose().as_str())?;
        }
        if let Some(clock) = settings.clock {
            reachable_from_pods("--clock", &format!("http://{clock}"))?;
        }
        let mut rpc_urls = Zeroizing::new(String::new());
        for rpc in rpcs {
            rpc_urls.push_str(rpc.expose().as_str());
            rpc_urls.push('\n');
        }
        let (node_key_hex, node_key, operator) = paired(setup).await?;
        let workloads = WorkloadsFile::read(setup.home()?)?;
        let mut config = json!({
            "chain_id": chain_id.to_string(),
            "registry": registry,
            "backend": backend,
            "node_key_file": config_paths().node_key_file,
            "state_dir": config_paths().state_dir,
            "cluster": { "rpc_file": config_paths().rpc_file },
            "workloads": workloads.workloads.iter().filter(|it| !it.paused).map(|it| json!({
                "name": it.name,
                "collection": it.collection,
                "token_id": it.token_id.to_string(),
                "project": it.project,
                "grant": it.grant,
                "release_urls": it.release_urls,
            })).collect::<Vec<Value>>(),
        });
        if let Some(key) = settings.receipt_key {
            config["receipt_key"] = json!(key);
        }
        // Only the development chain has one, which `paired` has seen to.
        if let Some(clock) = settings.clock {
            config["clock"] = json!(clock);
        }
        Ok(Self { config, node_key_hex, rpc_urls, node_key, operator })
    }

    /// The manager's objects in this cluster.
    pub(super) fn objects(&self, file: &ClusterFile) -> anyhow::Result<Vec<Object>> {
        let ranges: Vec<String> = file.local_ranges.iter().map(ToString::to_string).collect();
        let mut config = self.config.clone();
        config["cluster"]["local_ranges"] = ranges.into();
        let config_json = serde_json::to_string_pretty(&config).context("the manager's file")?;
        Ok(manager_objects(&ManagerParts {
            image: &file.manager_image.to_string(),
            config_json: &config_json,
            node_key_hex: &self.node_key_hex,
            rpc_urls: &self.rpc_urls,
        }))
    }
}

/// What the manager was deployed with before an update.
pub(super) struct Before {
    image: String,
    config_json: String,
    node_key_hex: Zeroizing<String>,
    rpc_urls: Zeroizing<String>,
}

impl Before {
    /// As the cluster has it; `None` where there is no whole manager.
    pub(super) async fn read(client: &kube::Client) -> anyhow::Result<Option<Self>> {
        let told = |error| words_of("the manager as it is", error);
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
    pub(super) fn objects(&self) -> Vec<Object> {
        manager_objects(&ManagerParts {
            image: &self.image,
            config_json: &self.config_json,
            node_key_hex: &self.node_key_hex,
            rpc_urls: &self.rpc_urls,
        })
    }
}

/// Applies the manager's objects by this node's settings and workloads as they are now. A manager
/// whose configuration changed starts anew by itself.
pub async fn apply_manager(
    setup: &Setup,
    client: &kube::Client,
    file: &ClusterFile,
) -> anyhow::Result<Vec<Change>> {
    let objects = Inputs::read(setup).await?.objects(file)?;
    let mut changes = Vec::with_capacity(objects.len());
    for object in &objects {
        changes.push(apply(client, object).await?);
    }
    Ok(changes)
}

/// The node key in hex, its address and its operator; an error that ends with 4 where it is not
/// paired.
async fn paired(setup: &Setup) -> anyhow::Result<(Zeroizing<String>, Address, Address)> {
    let how = "`nodesys pair request` here, `pair sign` where the wallet is, `pair finish` here";
    let path = setup.node_key_file()?;
    if !path.exists() {
        return Err(Exit::AuthorizationNeeded.because(format!(
            "this node has no key yet ({} is not there): pair it first with {how}",
            path.display()
        )));
    }
    let key = node_key::read(&path)?;
    let kept = pair::kept(setup).map(|kept| kept.authorization);
    let Some(kept) = kept.filter(|kept| kept.node_key == key.address()) else {
        return Err(Exit::AuthorizationNeeded.because(format!(
            "the node {} is not paired with a wallet: pair it first with {how}",
            key.address()
        )));
    };
    let now = setup.clock().await?.now();
    if kept.not_after <= now.secs() {
        return Err(Exit::AuthorizationNeeded.because(format!(
            "the authorisation of the node {} ended at {}: pair it again with {how}",
            key.address(),
            crate::output::moment(kept.not_after)
        )));
    }
    Ok((key.to_hex(), key.address(), kept.operator))
}

/// A URL that names this machine is another one inside a pod.
fn reachable_from_pods(flag: &str, url: &str) -> anyhow::Result<()> {
    let Ok(parsed) = reqwest::Url::parse(url) else { return Ok(()) };
    let host = parsed.host_str().unwrap_or_default();
    let plain = host.trim_matches(['[', ']']);
    let own = plain == "localhost"
        || plain
            .parse::<std::net::IpAddr>()
            .is_ok_and(|it| it.is_loopback() || it.is_unspecified());
    if own {
        return Err(Exit::Usage.because(format!(
            "{flag} leads to {host}, which inside the cluster is the pod itself: give an address \
             that pods reach"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_are_refused() {
        for own in
            ["http://127.0.0.1:1", "http://localhost:8545", "http://[::1]:1", "http://0.0.0.0"]
        {
            let error = reachable_from_pods("--rpc", own).unwrap_err();
            assert_eq!(Exit::of(&error), Exit::Usage, "{own}");
        }
        for far in ["https://rpc.example.org/v2/KEY", "http://10.77.0.2:8545", "http://[fd00::1]:1"]
        {
            reachable_from_pods("--rpc", far).unwrap();
        }
    }
}

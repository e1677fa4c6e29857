//! The manager's configuration, from this node's settings and files.

use anyhow::Context as _;
use nodesys_core::Address;
use nodesys_render::Object;
use nodesys_render::manager::{ManagerParts, config_paths, manager_objects};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::exit::Exit;
use crate::node;
use crate::node::cluster_file::ClusterFile;
use crate::node::workloads::WorkloadsFile;
use crate::output::moment;
use crate::setup::Setup;

/// Everything of the settings that the manager needs, read and found to be there.
pub(crate) struct ManagerInputs {
    config: Value,
    node_key_hex: Zeroizing<String>,
    rpc_urls: Zeroizing<String>,
    pub(crate) node_key: Address,
    pub(crate) operator: Address,
}

impl ManagerInputs {
    /// Of the settings, the node key, and the workloads.
    pub(crate) async fn read(setup: &Setup) -> anyhow::Result<Self> {
        setup.require_node_settings()?;
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
    pub(crate) fn objects(&self, file: &ClusterFile) -> anyhow::Result<Vec<Object>> {
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
    let key = node::key::read(&path)?;
    let kept = setup.authorization().map(|kept| kept.authorization);
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
            moment(kept.not_after)
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

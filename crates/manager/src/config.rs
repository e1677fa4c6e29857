//! The configuration: flags and environment over one JSON file, read in `main` only.
//!
//! [`Args`] is the raw input, [`Settings`] the result: parsed, complete, secrets read. A file with
//! a secret that others can read is refused.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use alloy_primitives::{Address, U256, keccak256};
use anyhow::{Context as _, bail, ensure};
use clap::Parser;
use nodesys_core::ids::Name;
use nodesys_core::license::LicenseId;
use nodesys_core::message::Domain;
use nodesys_core::signature::SigningKey;
use nodesys_service::secret;
use serde::Deserialize;
use subtle::{Choice, ConstantTimeEq};

use nodesys_render::MANAGER_PORT;

mod cluster;

pub use cluster::{ClusterSettings, Placement};

/// The most workloads of one node: a heartbeat of so many leases is still below the backend's
/// limit of 4 KiB, whatever its numbers.
pub const MAX_WORKLOADS: usize = 20;

const DEFAULT_START_GRACE_SECS: u64 = 120;
const TOKEN_CHARS: std::ops::RangeInclusive<usize> = 16..=256;

const EXAMPLES: &str = "\
Examples:
  nodesys-manager --config /etc/nodesys/manager.json
  nodesys-manager --config manager.json --listen 127.0.0.1:7070 --backend http://127.0.0.1:8080

The file, with paths relative to its own folder; every entry but the workloads has a flag too:
  {
    \"chain_id\": \"8453\",
    \"registry\": \"0x…\",
    \"backend\": \"https://backend.example.org\",
    \"receipt_key\": \"0x…\",
    \"node_key_file\": \"node.key\",
    \"state_dir\": \"state\",
    \"workloads\": [
      { \"name\": \"alpha\", \"collection\": \"0x…\", \"token_id\": \"1\", \"token_file\": \"alpha.token\" }
    ]
  }
node.key and each token file must be readable by their owner alone (chmod 600).
In a cluster the file also has the RPCs, and for each workload its grant: docs/releases.md.";

/// The Node System manager: collects the health of a node's workloads and sends a heartbeat each minute.
#[derive(Debug, Clone, Parser)]
#[command(name = "nodesys-manager", version, after_help = EXAMPLES)]
pub struct Args {
    /// The configuration file (JSON).
    #[arg(long, env = "NODESYS_MANAGER_CONFIG")]
    pub config: PathBuf,
    /// The chain id of the licenses.
    #[arg(long, env = "NODESYS_CHAIN_ID")]
    pub chain_id: Option<u64>,
    /// Address of ProjectRegistry, part of the domain of signed messages.
    #[arg(long, env = "NODESYS_REGISTRY")]
    pub registry: Option<Address>,
    /// The backend's URL.
    #[arg(long, env = "NODESYS_BACKEND")]
    pub backend: Option<String>,
    /// The key that signs receipts, as recorded in ProjectRegistry [default: as the backend says].
    #[arg(long, env = "NODESYS_RECEIPT_KEY")]
    pub receipt_key: Option<Address>,
    /// File (mode 0600) with the node key, 64 hex digits.
    #[arg(long, env = "NODESYS_NODE_KEY_FILE")]
    pub node_key_file: Option<PathBuf>,
    /// Folder for sequence numbers and receipts; made if missing.
    #[arg(long, env = "NODESYS_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
    /// Address to which workloads post their health; port 0 picks a free port.
    #[arg(long, env = "NODESYS_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Written when ready: pid, address and build id as JSON.
    #[arg(long)]
    pub ready_file: Option<PathBuf>,
    /// A stepped clock, for the development chain only.
    #[arg(long)]
    pub clock: Option<SocketAddr>,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    chain_id: Option<Decimal>,
    registry: Option<Address>,
    backend: Option<String>,
    receipt_key: Option<Address>,
    node_key_file: Option<PathBuf>,
    state_dir: Option<PathBuf>,
    listen: Option<SocketAddr>,
    /// As the flag: in a cluster of the development chain `nodesys start` writes it here.
    clock: Option<SocketAddr>,
    start_grace_secs: Option<u64>,
    cluster: Option<cluster::ClusterEntry>,
    workloads: Vec<WorkloadEntry>,
}

#[derive(Deserialize)]
struct Decimal(#[serde(with = "nodesys_core::message::decimal")] u64);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkloadEntry {
    name: Name,
    collection: Address,
    #[serde(with = "nodesys_core::message::decimal")]
    token_id: U256,
    token_file: Option<PathBuf>,
    #[serde(flatten)]
    placement: cluster::PlacementEntry,
}

/// The manager's settings.
pub struct Settings {
    /// The domain its messages are signed in: chain and registry.
    pub domain: Domain,
    /// The backend's URL.
    pub backend: String,
    /// Who signs receipts; `None` takes the backend's word.
    pub receipt_key: Option<Address>,
    /// The node key.
    pub node_key: SigningKey,
    /// Folder for sequence numbers and receipts.
    pub state_dir: PathBuf,
    /// Where workloads post their health.
    pub listen: SocketAddr,
    /// A stepped clock instead of the system's; refused outside the development chain.
    pub clock: Option<SocketAddr>,
    /// Time a workload may be silent after the manager's start.
    pub start_grace_secs: u64,
    /// The workloads; at most [`MAX_WORKLOADS`], names, licenses and tokens all different.
    pub workloads: Vec<Workload>,
    /// The cluster that the manager runs workloads in; `None` as a plain process, which only hears
    /// from them.
    pub cluster: Option<ClusterSettings>,
}

/// A workload of this node.
pub struct Workload {
    /// The workload's name in its project.
    pub name: Name,
    /// The license it runs under.
    pub license: LicenseId,
    /// The token it posts its health with; in a cluster the manager gives each release its own.
    pub token: Option<HealthToken>,
}

/// A workload's token, kept as its hash.
pub struct HealthToken([u8; 32]);

impl HealthToken {
    /// Takes a token of 16 to 256 visible ASCII characters.
    pub fn new(token: &str) -> anyhow::Result<Self> {
        ensure!(
            TOKEN_CHARS.contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic()),
            "a health token has 16 to 256 visible ASCII characters; \
             make one with: head -c 32 /dev/urandom | base64"
        );
        Ok(Self(keccak256(token).0))
    }

    /// Whether it is this token, in a time that does not depend on where they differ.
    pub fn matches(&self, token: &str) -> Choice {
        self.0.ct_eq(&keccak256(token).0)
    }
}

impl Args {
    /// Reads the file and the secrets it names.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        let path = &self.config;
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("the configuration {} cannot be read", path.display()))?;
        let file: ConfigFile = serde_json::from_str(&text).with_context(|| {
            format!("the configuration {} does not hold; compare --help", path.display())
        })?;
        let folder = path.parent().unwrap_or(Path::new("."));

        let in_cluster = file.cluster.is_some();
        let chain_id = self.chain_id.or(file.chain_id.map(|Decimal(id)| id));
        let chain_id = needed(chain_id, "chain_id", "--chain-id")?;
        let registry = needed(self.registry.or(file.registry), "registry", "--registry")?;
        let backend = self.backend.clone().or(file.backend);
        let in_folder = |path: PathBuf| folder.join(path);
        let key_file = self.node_key_file.clone().or(file.node_key_file.map(in_folder));
        let key_file = needed(key_file, "node_key_file", "--node-key-file")?;
        let state_dir = self.state_dir.clone().or(file.state_dir.map(in_folder));
        let placements: Vec<_> = file
            .workloads
            .iter()
            .map(|entry| (entry.name.clone(), entry.placement.clone()))
            .collect();
        let cluster = file.cluster.map(|entry| entry.settings(placements, folder)).transpose()?;
        Ok(Settings {
            domain: Domain::new(chain_id, registry),
            backend: needed(backend, "backend", "--backend")?,
            receipt_key: self.receipt_key.or(file.receipt_key),
            node_key: read_node_key(&key_file)?,
            state_dir: needed(state_dir, "state_dir", "--state-dir")?,
            listen: self.listen.or(file.listen).unwrap_or(if in_cluster {
                // Pods reach it at the pod's address.
                (Ipv4Addr::UNSPECIFIED, MANAGER_PORT).into()
            } else {
                (Ipv4Addr::LOCALHOST, 0).into()
            }),
            clock: self.clock.or(file.clock),
            start_grace_secs: file.start_grace_secs.unwrap_or(DEFAULT_START_GRACE_SECS),
            workloads: workloads(file.workloads, chain_id, folder, in_cluster)?,
            cluster,
        })
    }
}

fn needed<T>(value: Option<T>, entry: &str, flag: &str) -> anyhow::Result<T> {
    value
        .with_context(|| format!("{entry} is not set: put it into the configuration or use {flag}"))
}

fn workloads(
    entries: Vec<WorkloadEntry>,
    chain_id: u64,
    folder: &Path,
    in_cluster: bool,
) -> anyhow::Result<Vec<Workload>> {
    ensure!(
        entries.len() <= MAX_WORKLOADS,
        "{} workloads are configured, but a heartbeat carries at most {MAX_WORKLOADS}: \
         run a second node",
        entries.len()
    );
    let (mut names, mut licenses, mut tokens) = (HashSet::new(), HashSet::new(), HashSet::new());
    let mut workloads = Vec::with_capacity(entries.len());
    for WorkloadEntry { name, collection, token_id, token_file, .. } in entries {
        let license = LicenseId { chain_id, collection, token_id };
        let token = match token_file {
            Some(_) if in_cluster => bail!(
                "workload {name} has a token_file, but in a cluster the manager makes the tokens: \
                 leave it out"
            ),
            None if !in_cluster => bail!("workload {name} has no token_file"),
            None => None,
            Some(file) => {
                let path = folder.join(file);
                let token = HealthToken::new(secret::read(&path)?.trim());
                Some(
                    token.with_context(|| {
                        format!("the token in {} does not hold", path.display())
                    })?,
                )
            }
        };
        if !names.insert(name.clone()) {
            bail!("workload {name} is listed twice in the configuration; a node runs each once");
        }
        if !licenses.insert(license.hash()) {
            bail!("license {license} is listed twice in the configuration; it runs one workload");
        }
        if token.as_ref().is_some_and(|token| !tokens.insert(token.0)) {
            bail!("workload {name} has another's health token; each needs its own");
        }
        workloads.push(Workload { name, license, token });
    }
    Ok(workloads)
}

fn read_node_key(path: &Path) -> anyhow::Result<SigningKey> {
    let text = secret::read(path)?;
    SigningKey::from_hex(&text).with_context(|| {
        format!("{} does not hold a node key: 64 hex digits expected", path.display())
    })
}

#[cfg(test)]
mod tests;

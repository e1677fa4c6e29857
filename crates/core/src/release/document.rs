//! What a release says: its fields, all of them read, and its canonical bytes.
//!
//! Fields that are not public are written by the parser alone.

use std::collections::BTreeMap;

use alloy_primitives::{B256, keccak256};
use serde::{Deserialize, Serialize};

use super::values::{Image, Label, MountPath, Version};
use crate::ids::Name;

/// What the field `format` says.
pub const FORMAT: &str = "nodesys.release.v1";
/// Environment variables that the node sets in every container, in this order: a release cannot.
pub const NODE_ENV: [&str; 11] = [
    "NODESYS_MANAGER",
    "NODESYS_TOKEN_FILE",
    "NODESYS_CHAIN_ID",
    "NODESYS_REGISTRY",
    "NODESYS_PROJECT",
    "NODESYS_WORKLOAD",
    "NODESYS_RELEASE",
    "NODESYS_LICENSE",
    "NODESYS_COLLECTION",
    "NODESYS_TOKEN_ID",
    "NODESYS_NODE_KEY",
];

/// One version of a workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Release {
    pub(super) format: Format,
    pub(super) name: String,
    pub(super) workload: Name,
    pub(super) version: Version,
    #[serde(skip_serializing_if = "is_default_user")]
    pub(super) user_id: u32,
    pub(super) containers: Vec<Container>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) volumes: Vec<Volume>,
    #[serde(skip_serializing_if = "Egress::is_none")]
    pub(super) egress: Egress,
    pub(super) health: Health,
    pub(super) update: Update,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Format {
    #[serde(rename = "nodesys.release.v1")]
    V1,
}

impl Release {
    /// The canonical bytes: RFC 8785, without the fields that have their defaults.
    pub fn canonical(&self) -> Vec<u8> {
        serde_json_canonicalizer::to_vec(self)
            .expect("maps with text keys, text and whole numbers have a canonical form")
    }

    /// What is announced on chain: keccak256 of the canonical bytes.
    pub fn hash(&self) -> B256 {
        keccak256(self.canonical())
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The workload.
    pub const fn workload(&self) -> &Name {
        &self.workload
    }

    /// The version, as announced.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The user and group its processes run as; never 0.
    pub const fn user_id(&self) -> u32 {
        self.user_id
    }

    /// One or more, names all different.
    pub fn containers(&self) -> &[Container] {
        &self.containers
    }

    /// Names all different, each mounted at least once.
    pub fn volumes(&self) -> &[Volume] {
        &self.volumes
    }

    /// What it may reach.
    pub const fn egress(&self) -> &Egress {
        &self.egress
    }

    /// How the node learns that it is fit.
    pub const fn health(&self) -> &Health {
        &self.health
    }

    /// How it replaces the version before.
    pub const fn update(&self) -> &Update {
        &self.update
    }
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Container {
    /// Its name in the pod.
    pub name: Label,
    /// What runs.
    pub image: Image,
    /// Instead of the image's entry point; empty keeps it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Instead of the image's arguments; empty keeps them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Environment variables besides the node's own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Ports it listens on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    /// What it needs and what it may use.
    pub resources: Resources,
    /// Volumes it sees.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// How the kubelet learns that it is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Readiness>,
}

/// TCP or UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    fn is_tcp(&self) -> bool {
        *self == Self::Tcp
    }
}

/// A port that a container listens on, inside its pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Port {
    /// Its name.
    pub name: Label,
    /// Its number, from 1024 on.
    pub port: u16,
    /// TCP or UDP.
    #[serde(skip_serializing_if = "Protocol::is_tcp")]
    pub protocol: Protocol,
}

/// Requests and limits; no request is above its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Resources {
    /// Set aside for it.
    pub requests: Amounts,
    /// The most it gets.
    pub limits: Amounts,
}

/// Amounts of the three resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amounts {
    /// Thousandths of a CPU.
    pub cpu_millis: u32,
    /// Memory, in MiB.
    pub memory_mib: u32,
    /// Disk of the container itself: logs and ephemeral volumes, in MiB.
    pub storage_mib: u32,
}

/// A volume, as a container sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// The volume's name.
    pub volume: Label,
    /// Where.
    pub path: MountPath,
    /// Whether it cannot be written there.
    #[serde(skip_serializing_if = "is_false")]
    pub read_only: bool,
}

/// A probe of a container's readiness.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// The TCP port that is asked.
    pub port: Label,
    /// An HTTP path that must answer 200 to 399; without it a connection is enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Seconds between two probes.
    #[serde(skip_serializing_if = "is_default_period")]
    pub period_secs: u32,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// Its name.
    pub name: Label,
    /// How long it lives.
    pub kind: VolumeKind,
    /// Its size, in MiB.
    pub size_mib: u32,
}

/// How long a volume lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumeKind {
    /// As long as the pod.
    Ephemeral,
    /// Until a tombstone says otherwise.
    Persistent,
}

/// What pods may reach besides the node's manager and the cluster's DNS.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Egress {
    /// Whether the public internet may be reached.
    pub internet: bool,
    /// On these ports only, sorted; empty means on all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<EgressPort>,
}

impl Egress {
    /// Nothing outside the node.
    pub const fn is_none(&self) -> bool {
        !self.internet
    }

    /// Whether all that `asked` wants is allowed here.
    pub fn covers(&self, asked: &Self) -> bool {
        let all_ports = self.ports.is_empty();
        // A question without ports is for all of them, which no list covers.
        let within =
            || !asked.ports.is_empty() && asked.ports.iter().all(|port| self.ports.contains(port));
        !asked.internet || (self.internet && (all_ports || within()))
    }
}

/// A port of the public internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct EgressPort {
    /// Its number.
    pub port: u16,
    /// TCP or UDP.
    #[serde(skip_serializing_if = "Protocol::is_tcp")]
    pub protocol: Protocol,
}

/// How the node learns that a workload is fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Who says so.
    pub by: HealthBy,
    /// How long after its start silence is no fault, in seconds.
    #[serde(skip_serializing_if = "is_default_grace")]
    pub start_grace_secs: u32,
}

/// Who says that a workload is fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthBy {
    /// The workload itself, with its token, to the manager.
    Token,
    /// The kubelet: all containers with a readiness probe are ready.
    Readiness,
}

/// How a version replaces the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Update {
    /// Beside it or after it.
    pub strategy: Strategy,
    /// How long it must be healthy in a row before it counts as good, in seconds.
    #[serde(skip_serializing_if = "is_default_gate")]
    pub gate_secs: u32,
    /// How long it may take until then, in seconds; after that the node goes back.
    #[serde(skip_serializing_if = "is_default_deadline")]
    pub deadline_secs: u32,
    /// Nodes begin spread over this many seconds, each at its own moment.
    #[serde(skip_serializing_if = "is_zero")]
    pub stagger_secs: u32,
}

/// Beside the version before, or after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The new pod starts beside the old one, which goes once the new one is ready.
    Surge,
    /// The old pod goes first: for workloads with persistent volumes.
    Recreate,
}

/// Defaults of fields that may be left out.
pub(super) mod defaults {
    pub(in super::super) const USER_ID: u32 = 65_532;
    pub(in super::super) const PERIOD_SECS: u32 = 10;
    pub(in super::super) const START_GRACE_SECS: u32 = 120;
    pub(in super::super) const GATE_SECS: u32 = 60;
    pub(in super::super) const DEADLINE_SECS: u32 = 600;
}

macro_rules! leave_out {
    ($($name:ident: $type:ty = $default:expr;)*) => {
        $(
            fn $name(value: &$type) -> bool {
                *value == $default
            }
        )*
    };
}

leave_out! {
    is_default_user: u32 = defaults::USER_ID;
    is_default_period: u32 = defaults::PERIOD_SECS;
    is_default_grace: u32 = defaults::START_GRACE_SECS;
    is_default_gate: u32 = defaults::GATE_SECS;
    is_default_deadline: u32 = defaults::DEADLINE_SECS;
    is_zero: u32 = 0;
    is_false: bool = false;
}

//! The grant: the resources and network access that the operator agreed to, at
//! `nodesys workload add`.
//!
//! The namespace's quota, limits and network policy are made from it. A later release that asks for
//! more does not run until the operator has agreed again; the previous version stays.

use std::fmt;

use nodesys_core::release::{Amounts, Egress, Release, VolumeKind};
use serde::{Deserialize, Serialize};

/// A workload's bounds: one pod's totals, its persistent volumes, and its network access.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Reserved for a pod, all its containers together.
    pub requests: Amounts,
    /// Limits of a pod, all its containers together.
    pub limits: Amounts,
    /// Persistent volumes, in MiB.
    pub persistent_mib: u64,
    /// Number of persistent volumes.
    pub persistent_volumes: u32,
    /// The pods' network access.
    pub egress: GrantedEgress,
}

/// Egress in the configuration: empty `ports` means all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantedEgress {
    /// Whether the public internet may be reached.
    pub internet: bool,
    /// Allowed TCP ports.
    #[serde(default)]
    pub tcp: Vec<u16>,
    /// Allowed UDP ports.
    #[serde(default)]
    pub udp: Vec<u16>,
}

impl From<&Egress> for GrantedEgress {
    fn from(egress: &Egress) -> Self {
        use nodesys_core::release::Protocol;
        let of = |protocol: Protocol| {
            let ports = egress.ports.iter().filter(move |port| port.protocol == protocol);
            ports.map(|port| port.port).collect()
        };
        Self { internet: egress.internet, tcp: of(Protocol::Tcp), udp: of(Protocol::Udp) }
    }
}

impl GrantedEgress {
    /// Whether everything in `asked` is allowed.
    pub fn covers(&self, asked: &Self) -> bool {
        let all = |it: &Self| it.tcp.is_empty() && it.udp.is_empty();
        let within = |asked: &[u16], granted: &[u16]| asked.iter().all(|it| granted.contains(it));
        let ports = all(self)
            || (!all(asked) && within(&asked.tcp, &self.tcp) && within(&asked.udp, &self.udp));
        !asked.internet || (self.internet && ports)
    }
}

/// A request of a release beyond the grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beyond(Vec<String>);

impl fmt::Display for Beyond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "it asks for more than you agreed to: {}; agree again with nodesys workload add",
            self.0.join(", ")
        )
    }
}

impl Grant {
    /// Exactly the requests of a release.
    pub fn of(release: &Release) -> Self {
        let total = |of: fn(&nodesys_core::release::Resources) -> Amounts| {
            release.containers().iter().map(|container| of(&container.resources)).fold(
                Amounts::default(),
                |sum, next| Amounts {
                    cpu_millis: sum.cpu_millis.saturating_add(next.cpu_millis),
                    memory_mib: sum.memory_mib.saturating_add(next.memory_mib),
                    storage_mib: sum.storage_mib.saturating_add(next.storage_mib),
                },
            )
        };
        let persistent =
            || release.volumes().iter().filter(|volume| volume.kind == VolumeKind::Persistent);
        let many = u32::try_from(persistent().count());
        Self {
            requests: total(|resources| resources.requests),
            limits: total(|resources| resources.limits),
            persistent_mib: persistent().map(|volume| u64::from(volume.size_mib)).sum(),
            persistent_volumes: many.expect("a release has at most 8 volumes"),
            egress: release.egress().into(),
        }
    }

    /// Whether a release stays within it.
    pub fn covers(&self, release: &Release) -> Result<(), Beyond> {
        let asked = Self::of(release);
        let amounts = |what: &str, granted: &Amounts, asked: &Amounts| {
            [
                ("cpu_millis", granted.cpu_millis, asked.cpu_millis),
                ("memory_mib", granted.memory_mib, asked.memory_mib),
                ("storage_mib", granted.storage_mib, asked.storage_mib),
            ]
            .into_iter()
            .filter(|(_, granted, asked)| asked > granted)
            .map(|(field, granted, asked)| format!("{what} {field} {asked} (granted {granted})"))
            .collect::<Vec<String>>()
        };
        let mut beyond = amounts("requests", &self.requests, &asked.requests);
        beyond.extend(amounts("limits", &self.limits, &asked.limits));
        if asked.persistent_mib > self.persistent_mib {
            let (asked, granted) = (asked.persistent_mib, self.persistent_mib);
            beyond.push(format!("persistent volumes of {asked} MiB (granted {granted})"));
        }
        if asked.persistent_volumes > self.persistent_volumes {
            let (asked, granted) = (asked.persistent_volumes, self.persistent_volumes);
            beyond.push(format!("{asked} persistent volumes (granted {granted})"));
        }
        if !self.egress.covers(&asked.egress) {
            beyond.push("egress to more of the internet".to_owned());
        }
        if beyond.is_empty() { Ok(()) } else { Err(Beyond(beyond)) }
    }
}

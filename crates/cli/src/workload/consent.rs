//! A workload's summary, which the operator agrees to before it runs.

use std::fmt;

use nodesys_core::ids::Name;
use nodesys_core::license::LicenseId;
use nodesys_core::release::{Amounts, Release, Version};
use nodesys_core::time::UtcDay;
use nodesys_core::{Address, B256};
use nodesys_render::Grant;
use serde::Serialize;

use crate::output::{clean, moment};

/// Everything that the operator agrees to.
#[derive(Debug, Serialize)]
pub(crate) struct ConsentSummary {
    pub(crate) workload: Name,
    pub(crate) project_name: Name,
    /// The project's distributor, which is pinned.
    pub(crate) project: Address,
    pub(crate) owner: Address,
    pub(crate) license: LicenseId,
    /// First day on which its collection is listed no more, where that is announced.
    pub(crate) listed_until: Option<UtcDay>,
    pub(crate) operator: Address,
    pub(crate) right: String,
    pub(crate) release: ReleaseSummary,
    pub(crate) grant: Grant,
    pub(crate) namespace: String,
}

/// The release that is to run.
#[derive(Debug, Serialize)]
pub(crate) struct ReleaseSummary {
    version: Version,
    release_hash: B256,
    /// Text of the project's owner.
    name: String,
    images: Vec<String>,
    #[serde(with = "nodesys_core::message::decimal")]
    runnable_at: u64,
    runnable: bool,
}

impl ReleaseSummary {
    pub(crate) fn of(release: &Release, runnable_at: u64, runnable: bool) -> Self {
        Self {
            version: release.version(),
            release_hash: release.hash(),
            name: clean(release.name()),
            images: release.containers().iter().map(|it| it.image.to_string()).collect(),
            runnable_at,
            runnable,
        }
    }
}

/// The limits of a grant, a line each, for people.
pub(crate) fn grant_lines(grant: &Grant) -> Vec<(&'static str, String)> {
    let amounts = |of: &Amounts| {
        format!(
            "{}.{:03} CPU, {} MiB memory, {} MiB disk",
            of.cpu_millis / 1000,
            of.cpu_millis % 1000,
            of.memory_mib,
            of.storage_mib
        )
    };
    let volumes = match grant.persistent_volumes {
        0 => "none that outlives its pod".to_owned(),
        count => format!("{count}, {} MiB in all, kept over updates", grant.persistent_mib),
    };
    vec![
        ("set aside", amounts(&grant.requests)),
        ("at most", amounts(&grant.limits)),
        ("volumes", volumes),
        ("reaches", reach(grant)),
    ]
}

fn reach(grant: &Grant) -> String {
    let egress = &grant.egress;
    if !egress.internet {
        return "the node's manager, and nothing outside".to_owned();
    }
    let ports = |name: &str, ports: &[u16]| {
        let ports: Vec<String> = ports.iter().map(|port| format!("{name} {port}")).collect();
        (!ports.is_empty()).then(|| ports.join(", "))
    };
    let ports: Vec<String> =
        [ports("TCP", &egress.tcp), ports("UDP", &egress.udp)].into_iter().flatten().collect();
    let ports = if ports.is_empty() { "on all ports".to_owned() } else { ports.join(", ") };
    format!("the public internet ({ports}), never your own network")
}

impl fmt::Display for ConsentSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LicenseId { collection, token_id, .. } = &self.license;
        writeln!(f, "workload   {}/{}", self.project_name, self.workload)?;
        writeln!(f, "project    {} (pinned), owner {}", self.project, self.owner)?;
        writeln!(f, "license    {collection}/{token_id}")?;
        if let Some(until) = self.listed_until {
            writeln!(f, "listed     until before {until}: from then on it earns nothing here")?;
        }
        writeln!(f, "operator   {}: {}", self.operator, self.right)?;
        let release = &self.release;
        let when = match release.runnable {
            true => String::new(),
            false => format!(", may run from {}", moment(release.runnable_at)),
        };
        writeln!(f, "release    version {} ({}){when}", release.version, release.name)?;
        writeln!(f, "hash       {}", release.release_hash)?;
        for image in &release.images {
            writeln!(f, "image      {image}")?;
        }
        for (name, line) in grant_lines(&self.grant) {
            writeln!(f, "{name:<10} {line}")?;
        }
        write!(
            f,
            "namespace  {}\nIt runs without root, without privileges and without access to this \
             machine's files, network and cluster. Later versions that ask for more wait until you \
             agree again.",
            self.namespace
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::workloads::tests::entry;

    #[test]
    fn a_grant_is_told_in_words() {
        let mut grant = entry("alpha", 1).grant;
        let text = |grant: &Grant| {
            grant_lines(grant)
                .into_iter()
                .map(|(name, line)| format!("{name}: {line}"))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            text(&grant),
            [
                "set aside: 0.100 CPU, 64 MiB memory, 64 MiB disk",
                "at most: 0.200 CPU, 128 MiB memory, 64 MiB disk",
                "volumes: none that outlives its pod",
                "reaches: the node's manager, and nothing outside",
            ]
        );
        grant.egress.internet = true;
        assert!(reach(&grant).contains("on all ports"));
        grant.egress.tcp = vec![443, 80];
        grant.egress.udp = vec![53];
        assert!(reach(&grant).contains("(TCP 443, TCP 80, UDP 53)"), "{}", reach(&grant));
        (grant.persistent_volumes, grant.persistent_mib) = (2, 300);
        assert_eq!(grant_lines(&grant)[2].1, "2, 300 MiB in all, kept over updates");
    }
}

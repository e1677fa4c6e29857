//! What this node runs: `workloads.json` in the home folder, and the verbs that change it.
//!
//! The workload verbs own the file, and `nodesys start` reads it: the manager is told of each entry
//! that is not paused, and of what was granted to it. The operator's own objects around a workload
//! (namespace, quota, limits, network policy, the manager's rights) are made here and nowhere else.

mod add;
mod change;
mod command;
mod describe;
mod list;
mod live;
mod logs;
mod offer;
mod surround;

use std::path::Path;

use anyhow::Context as _;
use nodesys_core::ids::Name;
use nodesys_core::license::LicenseId;
use nodesys_core::{Address, U256};
use nodesys_render::{Grant, workload_namespace};
use serde::{Deserialize, Serialize};

use crate::config::replace;
use crate::exit::Exit;

pub use command::{WorkloadCommand, run};
pub(crate) use surround::surround;

/// The file's name in the home folder.
pub const WORKLOADS_JSON: &str = "workloads.json";

/// The file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadsFile {
    /// Every workload of this node, in the order in which they were added.
    pub workloads: Vec<WorkloadEntry>,
}

/// A workload of this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadEntry {
    /// The workload's name in its project.
    pub name: Name,
    /// The collection of its licenses.
    pub collection: Address,
    /// The license's token.
    #[serde(with = "nodesys_core::message::decimal")]
    pub token_id: U256,
    /// The project, by its distributor's address, as pinned when it was added.
    pub project: Address,
    /// The project's name when it was added.
    pub project_name: Name,
    /// What the operator agreed to.
    pub grant: Grant,
    /// The project's own servers of releases, before the backend.
    #[serde(default)]
    pub release_urls: Vec<reqwest::Url>,
    /// Whether the operator has paused it.
    #[serde(default)]
    pub paused: bool,
}

impl WorkloadEntry {
    /// The license that it runs under.
    pub const fn license(&self, chain_id: u64) -> LicenseId {
        LicenseId { chain_id, collection: self.collection, token_id: self.token_id }
    }

    /// As people name it: `PROJECT/WORKLOAD`.
    pub fn label(&self) -> String {
        format!("{}/{}", self.project_name, self.name)
    }

    /// Its namespace in the cluster.
    pub fn namespace(&self) -> String {
        workload_namespace(self.project, &self.name)
    }
}

impl WorkloadsFile {
    /// The file of a home folder; empty where there is none.
    pub fn read(home: &Path) -> anyhow::Result<Self> {
        let path = home.join(WORKLOADS_JSON);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => {
                let words = format!("{} cannot be read: {error}", path.display());
                return Err(Exit::Failure.because(words));
            }
        };
        serde_json::from_slice(&text).map_err(|error| {
            Exit::Failure.because(format!(
                "{} is no list of workloads: {error}; put back a backup of it, or move it away and \
                 add the workloads again",
                path.display()
            ))
        })
    }

    /// Puts it in its place, whole.
    pub fn write(&self, home: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self).context("the workloads do not serialise")?;
        replace(&home.join(WORKLOADS_JSON), format!("{text}\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The workload of this name in project acme, whose license is of the collection of this byte.
    pub(super) fn entry(name: &str, byte: u8) -> WorkloadEntry {
        let grant = serde_json::json!({
            "requests": { "cpu_millis": 100, "memory_mib": 64, "storage_mib": 64 },
            "limits": { "cpu_millis": 200, "memory_mib": 128, "storage_mib": 64 },
            "persistent_mib": 0,
            "persistent_volumes": 0,
            "egress": { "internet": false },
        });
        WorkloadEntry {
            name: name.parse().unwrap(),
            collection: Address::repeat_byte(byte),
            token_id: U256::from(7),
            project: Address::repeat_byte(0xaa),
            project_name: "acme".parse().unwrap(),
            grant: serde_json::from_value(grant).unwrap(),
            release_urls: vec!["https://releases.example.org/".parse().unwrap()],
            paused: false,
        }
    }

    #[test]
    fn a_written_list_is_read_back_and_a_broken_one_is_refused_by_name() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(WorkloadsFile::read(home.path()).unwrap(), WorkloadsFile::default());
        let file = WorkloadsFile { workloads: vec![entry("alpha", 1)] };
        file.write(home.path()).unwrap();
        assert_eq!(WorkloadsFile::read(home.path()).unwrap(), file);
        std::fs::write(home.path().join(WORKLOADS_JSON), r#"{"workloads": [], "x": 1}"#).unwrap();
        let error = WorkloadsFile::read(home.path()).unwrap_err().to_string();
        assert!(error.contains("workloads.json") && error.contains("`x`"), "{error}");
    }
}

//! The ledger: a workload's accepted releases and the progress of an update.
//!
//! It is a configuration map in the workload's namespace, so that a manager that restarts,
//! elsewhere or with an empty folder, resumes. It is written before the deployment is changed.
//! Invariants: each release in it has its announced hash; an invalid ledger is refused as a whole,
//! and then nothing is changed.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use nodesys_core::B256;
use nodesys_core::release::{Release, Version};
use nodesys_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The entry with everything but the releases themselves.
const ENTRY: &str = "ledger.json";

/// The record of a workload.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    /// The running version, to which an update rolls back.
    pub current: Option<Version>,
    /// The version being rolled out.
    pub rollout: Option<Rollout>,
    /// Failed versions, which are not tried again.
    pub quarantined: BTreeMap<Version, Quarantined>,
    /// The last executed tombstone.
    pub removed_up_to: Option<Version>,
    /// The releases of `current` and `rollout`.
    pub accepted: BTreeMap<Version, Release>,
}

/// An update in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollout {
    /// The version.
    pub version: Version,
    /// Time the cluster began to run it.
    pub begun: Option<Timestamp>,
    /// Start of its unbroken health.
    pub healthy_since: Option<Timestamp>,
}

/// The reason a version is not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quarantined {
    /// Its hash.
    pub release_hash: B256,
    /// The observed failure.
    pub why: String,
    /// Time of the failure.
    pub at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    current: Option<Version>,
    rollout: Option<Rollout>,
    quarantined: BTreeMap<Version, Quarantined>,
    removed_up_to: Option<Version>,
    /// The hashes of its releases.
    accepted: BTreeMap<Version, B256>,
}

impl Ledger {
    /// The version to run now.
    pub fn wanted(&self) -> Option<Version> {
        self.rollout.map(|rollout| rollout.version).or(self.current)
    }

    /// The release to run now.
    pub fn wanted_release(&self) -> Option<&Release> {
        self.wanted().and_then(|version| self.accepted.get(&version))
    }

    /// Versions that may have pods: the wanted one, and the previous one.
    pub fn running(&self) -> Vec<Version> {
        self.accepted.keys().copied().collect()
    }

    /// Drops releases that are no longer referenced.
    pub(super) fn prune(&mut self) {
        let (current, rollout) = (self.current, self.rollout.map(|rollout| rollout.version));
        self.accepted.retain(|version, _| Some(*version) == current || Some(*version) == rollout);
    }

    /// Its form in the configuration map.
    pub fn to_data(&self) -> BTreeMap<String, String> {
        let entry = Entry {
            current: self.current,
            rollout: self.rollout,
            quarantined: self.quarantined.clone(),
            removed_up_to: self.removed_up_to,
            accepted: self.accepted.iter().map(|(v, release)| (*v, release.hash())).collect(),
        };
        let entry = serde_json::to_string(&entry).expect("plain fields have a JSON form");
        let mut data = BTreeMap::from([(ENTRY.to_owned(), entry)]);
        for (version, release) in &self.accepted {
            let text = String::from_utf8(release.canonical()).expect("JSON is UTF-8");
            data.insert(release_entry(*version), text);
        }
        data
    }

    /// From the configuration map; an empty one is a new ledger.
    pub fn from_data(data: &BTreeMap<String, String>) -> anyhow::Result<Self> {
        let Some(text) = data.get(ENTRY) else {
            ensure!(data.is_empty(), "the ledger has no {ENTRY}");
            return Ok(Self::default());
        };
        let entry: Entry = serde_json::from_str(text).context(ENTRY)?;
        let mut accepted = BTreeMap::new();
        for (version, hash) in entry.accepted {
            let name = release_entry(version);
            let text = data.get(&name).with_context(|| format!("the ledger has no {name}"))?;
            let release =
                Release::from_announced(text.as_bytes(), hash).with_context(|| name.clone())?;
            ensure!(release.version() == version, "{name} is version {}", release.version());
            accepted.insert(version, release);
        }
        let ledger = Self {
            current: entry.current,
            rollout: entry.rollout,
            quarantined: entry.quarantined,
            removed_up_to: entry.removed_up_to,
            accepted,
        };
        let named = ledger.current.into_iter().chain(ledger.rollout.map(|it| it.version));
        for version in named {
            let there = ledger.accepted.contains_key(&version);
            ensure!(there, "the ledger names version {version} without its release");
        }
        Ok(ledger)
    }
}

fn release_entry(version: Version) -> String {
    format!("release-{version}.json")
}

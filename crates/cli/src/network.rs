//! Joining a network: its file is read by the hash on chain, compared with the one that was agreed to before, and
//! turned into settings.
//!
//! URLs and the first block follow the chain, where a change has waited and could be cancelled. What decides
//! which programs run here (image, k3s, updates) is taken with the operator's yes only.

use std::fmt;

use nodesys_chain::Provider;
use nodesys_sdk::network::{
    Announced, Announcements, Fetched, NetworkFile, NetworkId, Place, announced, fetch,
};
use serde::Serialize;

use crate::exit::Exit;
use crate::node::config::{ConfigFile, SettingKey, SettingValue, Settings, read_file, write_file};
use crate::node::network_file;
use crate::setup::Setup;

/// A difference between the file that was agreed to and the announced one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    pub(crate) what: &'static str,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
    /// Whether it decides which programs run on this node.
    pub(crate) runs: bool,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let none = "(none)";
        let (before, after) = (self.before.as_deref(), self.after.as_deref());
        write!(f, "{}: {} -> {}", self.what, before.unwrap_or(none), after.unwrap_or(none))
    }
}

/// All differences, in the order of the file.
pub(crate) fn changes(before: &NetworkFile, after: &NetworkFile) -> Vec<Change> {
    let rows = facts(before).into_iter().zip(facts(after));
    rows.filter(|(before, after)| before.value != after.value)
        .map(|(before, after)| Change {
            what: after.what,
            before: before.shown,
            after: after.shown,
            runs: after.runs,
        })
        .collect()
}

/// A part of the file.
struct Fact {
    what: &'static str,
    /// All of it, to be compared.
    value: String,
    /// For people.
    shown: Option<String>,
    runs: bool,
}

/// The parts of the file, always the same ones.
fn facts(file: &NetworkFile) -> [Fact; 8] {
    let joined = |urls: &[reqwest::Url]| {
        let urls: Vec<&str> = urls.iter().map(reqwest::Url::as_str).collect();
        (!urls.is_empty()).then(|| urls.join(" "))
    };
    let json = |value: serde_json::Result<String>| value.unwrap_or_default();
    let fact = |what, shown: Option<String>, runs| Fact {
        what,
        value: shown.clone().unwrap_or_default(),
        shown,
        runs,
    };
    let root = file.updates.as_ref().map(|updates| &updates.root);
    let version = |root: &serde_json::Map<String, serde_json::Value>| {
        let version = root.get("signed").and_then(|signed| signed.get("version"));
        format!("version {}", version.map_or_else(|| "?".to_owned(), ToString::to_string))
    };
    let pin = file.k3s.as_ref();
    [
        fact("name", Some(file.name.to_string()), false),
        fact("backends", joined(&file.backends), false),
        fact("RPC hints", joined(&file.rpc), false),
        fact("first block", Some(file.first_block.to_string()), false),
        fact("manager image", file.manager_image.as_ref().map(ToString::to_string), true),
        Fact {
            what: "k3s",
            value: json(serde_json::to_string(&pin)),
            shown: pin.map(|pin| pin.version.clone()),
            runs: true,
        },
        fact("updates", file.updates.as_ref().map(|it| it.repository.to_string()), true),
        Fact {
            what: "root of updates",
            value: json(serde_json::to_string(&root)),
            shown: root.map(version),
            runs: true,
        },
    ]
}

/// What becomes of the settings.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Merged {
    pub(crate) config: ConfigFile,
    /// What is written anew.
    pub(crate) written: Vec<SettingKey>,
    /// What the operator has set otherwise, and keeps.
    pub(crate) kept: Vec<SettingKey>,
}

/// The settings with the file's values in them. What the operator has set otherwise stays.
pub(crate) fn merge(
    config: &ConfigFile,
    before: Option<&NetworkFile>,
    after: &NetworkFile,
    rpc: &str,
) -> Merged {
    let mut merged = Merged { config: config.clone(), written: Vec::new(), kept: Vec::new() };
    let olds = before.map(values);
    for (key, value) in values(after) {
        let current = config.get(&key).map(|SettingValue(text)| text.as_str());
        let old = olds.iter().flatten().find(|(of, _)| *of == key).map(|(_, value)| value.as_str());
        let one_of_ours = |text: &str| {
            text.parse::<reqwest::Url>().is_ok_and(|url| after.backends.contains(&url))
        };
        match current {
            Some(text) if same(text, &value) => {}
            Some(text) if key == SettingKey::Backend && one_of_ours(text) => {}
            Some(text) if old.is_none_or(|old| !same(text, old)) => merged.kept.push(key),
            _ => {
                merged.config.insert(key, SettingValue(value));
                merged.written.push(key);
            }
        }
    }
    if !config.contains_key(&SettingKey::Rpc) {
        merged.config.insert(SettingKey::Rpc, SettingValue(rpc.to_owned()));
        merged.written.push(SettingKey::Rpc);
    }
    merged
}

/// The settings that a file gives.
fn values(file: &NetworkFile) -> Vec<(SettingKey, String)> {
    let NetworkId { chain_id, registry } = file.id();
    let mut values = vec![
        (SettingKey::ChainId, chain_id.to_string()),
        (SettingKey::Registry, registry.to_string()),
        (SettingKey::FirstBlock, file.first_block.to_string()),
    ];
    values.extend(file.backends.first().map(|url| (SettingKey::Backend, url.to_string())));
    values
}

/// Whether two spellings of a setting mean the same.
fn same(one: &str, other: &str) -> bool {
    let url = |text: &str| text.parse::<reqwest::Url>().ok();
    one.eq_ignore_ascii_case(other) || url(one).is_some_and(|one| Some(one) == url(other))
}

/// What joining would do.
pub(crate) struct JoinPlan {
    pub(crate) fetched: Fetched,
    pub(crate) announced: Announced,
    pub(crate) waiting: Option<Announced>,
    /// `None` where no network was joined before.
    pub(crate) changes: Option<Vec<Change>>,
    pub(crate) merged: Merged,
}

impl JoinPlan {
    /// Reads chain and file; changes nothing.
    pub(crate) async fn of(
        setup: &Setup,
        given: Option<NetworkId>,
        places: &[Place],
    ) -> anyhow::Result<Self> {
        let home = setup.home()?;
        let config = read_file(home)?;
        let kept = network_file::read(home)?;
        let before = kept.as_ref().map(|kept| &kept.file);
        let id = network_of(setup, &config, before, given)?;
        let provider = Provider::connect_all(setup.rpcs()?, Some(id.chain_id)).await?;
        provider.require_code(id.registry, "the registry").await?;
        let Announcements { current, waiting } = announced(&provider, id.registry).await?;
        let current = current.ok_or_else(|| {
            Exit::NotFound.because(format!(
                "{id} announces no network file: ask its operator for the settings, and write each with \
                 nodesys config set"
            ))
        })?;
        let fetched = match &kept {
            Some(kept) if kept.hash() == current.hash => kept.clone(),
            _ => {
                let announced = Place::OnChain(current.uri.clone());
                let places: Vec<Place> = places.iter().cloned().chain([announced]).collect();
                let fetched = fetch(id, &current, &places).await;
                fetched.map_err(|error| Exit::Network.because(format!("{error:#}")))?
            }
        };
        let rpcs: Vec<&str> = setup.rpcs()?.iter().map(|rpc| rpc.expose().as_str()).collect();
        let merged = merge(&config, before, &fetched.file, &rpcs.join(","));
        let changes = before.map(|before| changes(before, &fetched.file));
        Ok(Self { fetched, announced: current, waiting, changes, merged })
    }

    /// Whether the operator has to agree: at first, and to other programs.
    pub(crate) fn needs_yes(&self) -> bool {
        self.changes.as_ref().is_none_or(|changes| changes.iter().any(|change| change.runs))
    }

    /// The settings first: after an end in between the file is still the one before, and all is done again.
    pub(crate) fn apply(&self, setup: &Setup) -> anyhow::Result<()> {
        let home = setup.home()?;
        write_file(home, &self.merged.config)?;
        network_file::write(home, &self.fetched.bytes)
    }
}

/// The network that is meant: a home has one.
fn network_of(
    setup: &Setup,
    config: &ConfigFile,
    before: Option<&NetworkFile>,
    given: Option<NetworkId>,
) -> anyhow::Result<NetworkId> {
    let home = setup.home()?;
    let settings = Settings::of_file(config, home)?;
    let of_config = settings.chain_id.zip(settings.registry);
    let of_config = of_config.map(|(chain_id, registry)| NetworkId { chain_id, registry });
    let known = before.map(NetworkFile::id).or(of_config);
    match (given, known) {
        (Some(given), Some(known)) if given != known => Err(Exit::Usage.because(format!(
            "{} belongs to the network {known}, not {given}: give another folder with --home",
            home.display()
        ))),
        (Some(id), _) | (None, Some(id)) => Ok(id),
        (None, None) => Err(Exit::Usage.because(
            "which network? Give it as eip155:<chain id>:<address of ProjectRegistry>; its operator or \
             a project's page names it",
        )),
    }
}

#[cfg(test)]
mod tests;

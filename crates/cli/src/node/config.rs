//! Settings: flags, else environment, else `config.json` in the program's home. Read once.
//!
//! [`Settings`] is what was given; [`crate::setup::Setup`] is the view that commands have of it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use etcetera::BaseStrategy as _;
use nodesys_chain::RpcUrl;
use nodesys_core::Address;
use nodesys_core::address::address;
use nodesys_core::ids::{Name, ParseError};
use nodesys_sdk::client::Client;
use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::node::file::replace;
use crate::output::Format;

/// The settings file in the program's home.
pub const CONFIG_JSON: &str = "config.json";

/// Settings of all commands.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options (flag, else NODESYS_<NAME>, else config.json)")]
pub struct Settings {
    /// Folder with config.json and node.key [default: `nodesys` in the user's configuration].
    #[arg(long, global = true, value_name = "DIR", env = "NODESYS_HOME", hide_env = true)]
    pub home: Option<PathBuf>,
    /// The backend's URL.
    #[arg(long, global = true, value_name = "URL", env = "NODESYS_BACKEND", hide_env = true)]
    pub backend: Option<String>,
    /// JSON-RPC endpoint of the chain, of your own choice; never printed in full. May be given more
    /// than once, of different providers: then the answer of the majority counts.
    #[arg(long, global = true, value_name = "URL", env = "NODESYS_RPC", hide_env = true)]
    #[arg(value_delimiter = ',')]
    pub rpc: Vec<RpcUrl>,
    /// The chain's id; an RPC of another chain is refused.
    #[arg(long, global = true, value_name = "ID", env = "NODESYS_CHAIN_ID", hide_env = true)]
    pub chain_id: Option<u64>,
    /// Address of ProjectRegistry.
    #[arg(long, global = true, value_name = "ADDRESS", env = "NODESYS_REGISTRY", hide_env = true)]
    #[arg(value_parser = address)]
    pub registry: Option<Address>,
    /// The project's name in the registry.
    #[arg(long, global = true, value_name = "NAME", env = "NODESYS_PROJECT", hide_env = true)]
    pub project: Option<Name>,
    /// First block that may hold a log of the registry or of a collection [default: 0].
    #[arg(long, global = true, value_name = "N", env = "NODESYS_FIRST_BLOCK", hide_env = true)]
    pub first_block: Option<u64>,
    /// Depth of final blocks on a chain without a `finalized` tag [default: 64].
    #[arg(long, global = true, value_name = "N", env = "NODESYS_FINAL_DEPTH", hide_env = true)]
    pub final_depth: Option<u64>,
    /// The key that signs receipts, while the registry's record cannot be read [default: as the backend says].
    #[arg(long, global = true, value_name = "ADDRESS", env = "NODESYS_RECEIPT_KEY")]
    #[arg(hide_env = true)]
    #[arg(value_parser = address)]
    pub receipt_key: Option<Address>,
    /// The local manager's URL [default: the one in this node's cluster].
    #[arg(long, global = true, value_name = "URL", env = "NODESYS_MANAGER", hide_env = true)]
    pub manager: Option<reqwest::Url>,
    /// The node key's file [default: node.key in the home folder].
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "NODESYS_NODE_KEY_FILE",
        hide_env = true
    )]
    pub node_key_file: Option<PathBuf>,
    /// A stepped clock, for the development chain only.
    #[arg(long, global = true, value_name = "ADDR", env = "NODESYS_CLOCK", hide_env = true)]
    pub clock: Option<SocketAddr>,
    /// Output format [default: table].
    #[arg(short, long, global = true, value_enum, env = "NODESYS_OUTPUT", hide_env = true)]
    pub output: Option<Format>,
}

/// The settings that the file may hold, by their names in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum SettingKey {
    Backend,
    Rpc,
    ChainId,
    Registry,
    Project,
    FirstBlock,
    FinalDepth,
    ReceiptKey,
    Manager,
    NodeKeyFile,
    Clock,
    Output,
}

impl fmt::Display for SettingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No variant is skipped, so each has a name.
        f.write_str(self.to_possible_value().as_ref().map_or("?", |value| value.get_name()))
    }
}

/// `config.json`: a flat object of texts; numbers are taken as well.
pub type ConfigFile = BTreeMap<SettingKey, SettingValue>;

/// A value of the file, as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct SettingValue(pub String);

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Number(u64),
}

impl From<Written> for SettingValue {
    fn from(written: Written) -> Self {
        match written {
            Written::Text(text) => Self(text),
            Written::Number(number) => Self(number.to_string()),
        }
    }
}

impl Settings {
    /// Sets one from its text. The error does not repeat a secret.
    pub fn set(&mut self, key: SettingKey, text: &str) -> Result<(), String> {
        fn parse<T: std::str::FromStr<Err: fmt::Display>>(text: &str) -> Result<Option<T>, String> {
            text.parse().map(Some).map_err(|error: T::Err| error.to_string())
        }
        let of_text = |text: &str| address(text).map_err(|error| error.to_string());
        match key {
            SettingKey::Backend => {
                // Parsed by the client, whose words are the same wherever it came from.
                Client::new(text).map_err(|error| error.to_string())?;
                self.backend = Some(text.to_owned());
            }
            SettingKey::Rpc => {
                let urls = text.split(',').map(|url| url.trim().parse());
                self.rpc =
                    urls.collect::<Result<_, ParseError>>().map_err(|error| error.to_string())?;
            }
            SettingKey::ChainId => self.chain_id = parse(text)?,
            SettingKey::Registry => self.registry = Some(of_text(text)?),
            SettingKey::Project => self.project = parse(text)?,
            SettingKey::FirstBlock => self.first_block = parse(text)?,
            SettingKey::FinalDepth => self.final_depth = parse(text)?,
            SettingKey::ReceiptKey => self.receipt_key = Some(of_text(text)?),
            SettingKey::Manager => self.manager = parse(text)?,
            SettingKey::NodeKeyFile => self.node_key_file = Some(text.into()),
            SettingKey::Clock => self.clock = parse(text)?,
            SettingKey::Output => self.output = Some(Format::from_str(text, false)?),
        }
        Ok(())
    }

    /// One as text for people: of the RPC only scheme, host and port.
    pub fn shown(&self, key: SettingKey) -> Option<String> {
        fn text<T: ToString>(value: Option<&T>) -> Option<String> {
            value.map(ToString::to_string)
        }
        match key {
            SettingKey::Backend => self.backend.clone(),
            SettingKey::Rpc => {
                let urls: Vec<String> = self.rpc.iter().map(ToString::to_string).collect();
                (!urls.is_empty()).then(|| urls.join(","))
            }
            SettingKey::ChainId => text(self.chain_id.as_ref()),
            SettingKey::Registry => text(self.registry.as_ref()),
            SettingKey::Project => text(self.project.as_ref()),
            SettingKey::FirstBlock => text(self.first_block.as_ref()),
            SettingKey::FinalDepth => text(self.final_depth.as_ref()),
            SettingKey::ReceiptKey => text(self.receipt_key.as_ref()),
            SettingKey::Manager => text(self.manager.as_ref()),
            SettingKey::NodeKeyFile => {
                self.node_key_file.as_ref().map(|path| path.display().to_string())
            }
            SettingKey::Clock => text(self.clock.as_ref()),
            SettingKey::Output => {
                let value = self.output.and_then(|format| format.to_possible_value());
                value.map(|value| value.get_name().to_owned())
            }
        }
    }

    /// The settings of a file in `home`, whose relative paths are relative to it.
    pub fn of_file(file: &ConfigFile, home: &Path) -> anyhow::Result<Self> {
        let mut settings = Self::default();
        for (key, SettingValue(text)) in file {
            settings.set(*key, text).map_err(|problem| {
                let path = home.join(CONFIG_JSON);
                Exit::Usage.because(format!("{}, {key}: {problem}", path.display()))
            })?;
        }
        settings.node_key_file = settings.node_key_file.map(|path| home.join(path));
        Ok(settings)
    }

    /// These settings, and where they say nothing, the file's.
    #[must_use]
    pub fn or(self, file: Self) -> Self {
        Self {
            home: self.home,
            backend: self.backend.or(file.backend),
            rpc: if self.rpc.is_empty() { file.rpc } else { self.rpc },
            chain_id: self.chain_id.or(file.chain_id),
            registry: self.registry.or(file.registry),
            project: self.project.or(file.project),
            first_block: self.first_block.or(file.first_block),
            final_depth: self.final_depth.or(file.final_depth),
            receipt_key: self.receipt_key.or(file.receipt_key),
            manager: self.manager.or(file.manager),
            node_key_file: self.node_key_file.or(file.node_key_file),
            clock: self.clock.or(file.clock),
            output: self.output.or(file.output),
        }
    }
}

/// The home folder: the flag's, else the system's place for a user's configuration.
pub fn home_of(flag: Option<&Path>) -> anyhow::Result<PathBuf> {
    match flag {
        Some(path) => Ok(path.to_owned()),
        None => etcetera::base_strategy::choose_native_strategy()
            .map(|strategy| strategy.config_dir().join("nodesys"))
            .map_err(|error| Exit::Usage.because(format!("no home folder ({error}): give --home"))),
    }
}

/// The file in a home folder; empty where there is none.
pub fn read_file(home: &Path) -> anyhow::Result<ConfigFile> {
    let path = home.join(CONFIG_JSON);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(ConfigFile::new()),
        Err(error) => {
            return Err(Exit::Usage.because(format!(
                "the settings file {} cannot be read: {error}; check its owner, or give another \
                 --home",
                path.display()
            )));
        }
    };
    serde_json::from_slice(&text).map_err(|error| {
        Exit::Usage.because(format!(
            "{} is not a settings file: {error}; repair it by hand, or move it away and write each value \
             again with `nodesys config set`",
            path.display()
        ))
    })
}

/// Writes the file whole, for its owner only: an RPC's URL often carries a secret.
pub fn write_file(home: &Path, file: &ConfigFile) -> anyhow::Result<()> {
    let path = home.join(CONFIG_JSON);
    let text = serde_json::to_string_pretty(file).context("the settings do not serialise")?;
    replace(&path, format!("{text}\n").as_bytes())
}

#[cfg(test)]
mod tests;

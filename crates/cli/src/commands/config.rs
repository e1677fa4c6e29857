//! `config`: the settings file. Secrets are not shown.

use std::collections::BTreeMap;
use std::fmt;

use clap::{Subcommand, ValueEnum as _};
use serde::Serialize;

use crate::exit::Exit;
use crate::node::config::{
    CONFIG_JSON, SettingKey, SettingValue, Settings, home_of, read_file, write_file,
};
use crate::output::{self, say};
use crate::setup::Setup;

/// Verbs of `config`.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  nodesys config set backend https://backend.example.org
  nodesys config set rpc https://rpc.example.org/v2/KEY
  nodesys config show
  nodesys config unset project")]
pub enum ConfigCommand {
    /// Every setting in force: flags, environment and file together.
    Show,
    /// One setting in force; of the RPC's URL only scheme, host and port.
    Get {
        /// The setting's name.
        key: SettingKey,
    },
    /// Write a setting into the file.
    Set {
        /// The setting's name.
        key: SettingKey,
        /// The setting's value; a relative path is relative to the home folder.
        value: String,
    },
    /// Remove a setting from the file.
    Unset {
        /// The setting's name.
        key: SettingKey,
    },
    /// Print the file's path.
    Path,
}

/// The settings in force; what is not set is null.
#[derive(Serialize)]
#[serde(transparent)]
struct ConfigView(BTreeMap<String, Option<String>>);

impl fmt::Display for ConfigView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (key, value) in &self.0 {
            let value = value.as_deref().unwrap_or("(not set)");
            write!(f, "{separator}{key:<14} {value}")?;
            separator = "\n";
        }
        Ok(())
    }
}

/// Runs a verb that changes or finds the file: it must work where the file is not in order.
/// `None` for the others.
pub fn run_on_file(flags: &Settings, command: &ConfigCommand) -> anyhow::Result<Option<Exit>> {
    let home = home_of(flags.home.as_deref());
    match command {
        ConfigCommand::Path => {
            output::data(&home?.join(CONFIG_JSON).display().to_string())?;
        }
        ConfigCommand::Set { key, value } => {
            let home = home?;
            Settings::default()
                .set(*key, value)
                .map_err(|problem| Exit::Usage.because(format!("{key}: {problem}")))?;
            let mut file = read_file(&home)?;
            file.insert(*key, SettingValue(value.clone()));
            write_file(&home, &file)?;
            say(format!("{key} is set in {}", home.join(CONFIG_JSON).display()));
        }
        ConfigCommand::Unset { key } => {
            let home = home?;
            let mut file = read_file(&home)?;
            if file.remove(key).is_none() {
                let words = format!("{key} is not set in {}", home.join(CONFIG_JSON).display());
                return Err(Exit::NotFound.because(words));
            }
            write_file(&home, &file)?;
            say(format!("{key} is removed from {}", home.join(CONFIG_JSON).display()));
        }
        ConfigCommand::Show | ConfigCommand::Get { .. } => return Ok(None),
    }
    Ok(Some(Exit::Done))
}

/// Runs a verb that shows settings.
pub fn run(setup: &Setup, command: &ConfigCommand) -> anyhow::Result<Exit> {
    match command {
        ConfigCommand::Get { key } => {
            let value = setup.settings.shown(*key).ok_or_else(|| {
                Exit::NotFound
                    .because(format!("{key} is not set: `nodesys config set {key} VALUE`"))
            })?;
            output::data(&value)?;
        }
        _ => {
            let shown = |key: &SettingKey| (key.to_string(), setup.settings.shown(*key));
            let all = SettingKey::value_variants().iter().map(shown).collect();
            output::print(setup.format(), &ConfigView(all))?;
        }
    }
    Ok(Exit::Done)
}

//! The settings of one run, and what commands make of them: a chain, a backend, a project, a clock.
//!
//! Each command asks for what it needs, and is told which flag is missing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nodesys_chain::{Provider, RpcUrl};
use nodesys_clock::{Clock, ClockError, DEVELOPMENT_CHAIN_ID};
use nodesys_core::Address;
use nodesys_core::bundle::ProjectInfo;
use nodesys_core::message::{Domain, SignedAuthorization};
use nodesys_core::signature::SigningKey;
use nodesys_sdk::client::Client;
use nodesys_sdk::day::find_project;
use nodesys_service::signals;

use crate::exit::Exit;
use crate::node;
use crate::node::config::{Settings, home_of, read_file};
use crate::output::{Format, say};

/// The record of sent transactions in the home folder.
const TRANSACTIONS: &str = "transactions";
const DEFAULT_FINAL_DEPTH: u64 = 64;

/// The settings of this run, and what commands make of them.
pub struct Setup {
    /// Flags, environment and file, merged.
    pub settings: Settings,
    /// `None` where the system names no home and no flag does.
    home: Option<PathBuf>,
}

impl Setup {
    /// Reads the file behind the flags.
    pub fn read(settings: Settings) -> anyhow::Result<Self> {
        let Ok(home) = home_of(settings.home.as_deref()) else {
            return Ok(Self { settings, home: None });
        };
        let file = Settings::of_file(&read_file(&home)?, &home)?;
        Ok(Self { settings: settings.or(file), home: Some(home) })
    }

    /// The home folder.
    pub fn home(&self) -> anyhow::Result<&Path> {
        let missing = || Exit::Usage.because("no home folder: give --home or set NODESYS_HOME");
        self.home.as_deref().ok_or_else(missing)
    }

    /// How data is printed.
    pub fn format(&self) -> Format {
        self.settings.output.unwrap_or_default()
    }

    /// First block that may hold a log of ours.
    pub fn first_block(&self) -> u64 {
        self.settings.first_block.unwrap_or(0)
    }

    /// Depth of final blocks on a chain without such a tag.
    pub fn final_depth(&self) -> u64 {
        self.settings.final_depth.unwrap_or(DEFAULT_FINAL_DEPTH)
    }

    /// A setting that a command cannot do without.
    pub fn need<'a, T>(value: &'a Option<T>, flag: &str) -> anyhow::Result<&'a T> {
        value.as_ref().ok_or_else(|| {
            let key = flag.trim_start_matches('-').replace('-', "_");
            let variable = key.to_uppercase();
            Exit::Usage.because(format!(
                "{flag} is missing: give the flag, set NODESYS_{variable}, or run \
                 `nodesys config set {key} VALUE`"
            ))
        })
    }

    /// An error that names everything that is missing of what a node needs, if something is.
    pub fn require_node_settings(&self) -> anyhow::Result<()> {
        let settings = &self.settings;
        let all = [
            ("chain_id", settings.chain_id.is_some()),
            ("registry", settings.registry.is_some()),
            ("backend", settings.backend.is_some()),
            ("rpc", !settings.rpc.is_empty()),
        ];
        let missing: Vec<_> = all.iter().filter(|(_, there)| !there).map(|(key, _)| *key).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let commands: Vec<String> =
            missing.iter().map(|key| format!("\n  nodesys config set {key} VALUE")).collect();
        Err(Exit::Usage.because(format!(
            "settings are missing: {}. `nodesys join NETWORK --rpc URL` takes all of them from the network's \
             file; or set each:{}",
            missing.join(", "),
            commands.concat()
        )))
    }

    /// The registry.
    pub fn registry(&self) -> anyhow::Result<Address> {
        Self::need(&self.settings.registry, "--registry").copied()
    }

    /// The domain of off-chain messages, from settings alone.
    pub fn domain(&self) -> anyhow::Result<Domain> {
        let chain_id = *Self::need(&self.settings.chain_id, "--chain-id")?;
        Ok(Domain::new(chain_id, self.registry()?))
    }

    /// The chain's RPCs: one, or several that must agree.
    pub fn rpcs(&self) -> anyhow::Result<&[RpcUrl]> {
        let given = (!self.settings.rpc.is_empty()).then_some(&self.settings.rpc);
        Ok(Self::need(&given, "--rpc")?)
    }

    /// A connection to the chain for reading.
    pub async fn provider(&self) -> anyhow::Result<Provider> {
        Ok(Provider::connect_all(self.rpcs()?, self.settings.chain_id).await?)
    }

    /// A connection to the chain that sends transactions.
    pub async fn provider_with_key(&self, key: &SigningKey) -> anyhow::Result<Provider> {
        Ok(Provider::connect_all_with_key(self.rpcs()?, self.settings.chain_id, key).await?)
    }

    /// A connection for a command that sends transactions and ends: nothing of the account waits, and
    /// what is sent is recorded in the home folder.
    pub async fn sending_provider(&self, key: &SigningKey) -> anyhow::Result<Provider> {
        let folder = self.home()?.join(TRANSACTIONS);
        let tell = Arc::new(|words: &str| say(words));
        let provider = self.provider_with_key(key).await?.recording(&folder, tell).await?;
        let stopped = provider.clone();
        signals::say_when_stopped(move || format!("nodesys: {}", stopped.words_when_stopped()))?;
        Ok(provider)
    }

    /// The project, as the chain knows it.
    pub async fn project(&self, provider: &Provider) -> anyhow::Result<ProjectInfo> {
        let name = Self::need(&self.settings.project, "--project")?;
        Ok(find_project(provider, self.registry()?, name).await?)
    }

    /// The backend.
    pub fn backend(&self) -> anyhow::Result<Client> {
        Ok(Client::new(Self::need(&self.settings.backend, "--backend")?)?)
    }

    /// The authorisation that is kept in the home folder; `None` where none can be read.
    pub fn authorization(&self) -> Option<SignedAuthorization> {
        node::authorization::read(self.home.as_deref()?)
    }

    /// The node key's file.
    pub fn node_key_file(&self) -> anyhow::Result<PathBuf> {
        match &self.settings.node_key_file {
            Some(path) => Ok(path.clone()),
            None => Ok(self.home()?.join(node::key::NODE_KEY)),
        }
    }

    /// The clock of a command that goes on until it is stopped: a stepped one waits for it.
    pub async fn following_clock(&self, chain_id: u64, name: &str) -> anyhow::Result<Clock> {
        Ok(Clock::from_flag(self.settings.clock, chain_id, name).await?)
    }

    /// The clock. A stepped one is refused outside the development chain.
    pub async fn clock(&self) -> anyhow::Result<Clock> {
        let Some(addr) = self.settings.clock else { return Ok(Clock::system()) };
        match *Self::need(&self.settings.chain_id, "--chain-id")? {
            chain_id if chain_id != DEVELOPMENT_CHAIN_ID => {
                Err(Exit::Usage.because(ClockError::NotDevelopment(chain_id)))
            }
            _ => {
                Clock::observer(addr, "nodesys").await.map_err(|error| Exit::Network.because(error))
            }
        }
    }
}

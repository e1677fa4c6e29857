//! Settings: flags, then environment, then a JSON file, read once at the start.
//!
//! Each command checks the settings that it needs, and names a missing flag.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use etcetera::BaseStrategy as _;
use nodesys_chain::{Provider, RpcUrl, keystore};
use nodesys_clock::Clock;
use nodesys_core::Address;
use nodesys_core::address::{address, from_json};
use nodesys_core::bundle::Terms;
use nodesys_core::ids::Name;
use nodesys_core::signature::SigningKey;
use nodesys_service::{secret, signals};
use serde::{Deserialize, Deserializer};

use crate::output::say;

/// A Postgres URL, which may hold a password and is never shown.
#[derive(Clone)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The URL with its password.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for DatabaseUrl {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(hidden)")
    }
}

fn parsed<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
}

/// One value, several with commas between them, or a list of them.
fn parsed_list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        One(String),
        Many(Vec<String>),
    }
    let texts: Vec<String> = match Option::<Written>::deserialize(deserializer)? {
        None => Vec::new(),
        Some(Written::One(text)) => text.split(',').map(|part| part.trim().to_owned()).collect(),
        Some(Written::Many(texts)) => texts,
    };
    texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}

/// Keystore of the account that sends a transaction and pays its gas.
#[derive(Debug, Args)]
pub struct Sender {
    /// Encrypted JSON keystore of the sender [the reward signer's].
    #[arg(long, value_name = "FILE", env = "NODESYS_SENDER_KEYSTORE")]
    pub sender_keystore: Option<PathBuf>,
    /// File whose first line is the password of the sender's keystore; asked for at the terminal if absent.
    #[arg(long, value_name = "FILE", env = "NODESYS_SENDER_PASSWORD_FILE")]
    pub sender_password_file: Option<PathBuf>,
}

/// Settings of all commands. The file has the names of the flags, with `_` for `-`.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[command(next_help_heading = "Settings of all commands")]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// JSON file of settings; flags and environment take precedence.
    #[arg(long, global = true, value_name = "FILE", env = "NODESYS_MASTER_CONFIG")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// The backend's URL.
    #[arg(long, global = true, value_name = "URL", env = "NODESYS_BACKEND")]
    pub backend: Option<String>,
    /// JSON-RPC endpoint of the chain, of your own choice. May be given more than once, of different
    /// providers: then the answer of the majority counts.
    #[arg(long, global = true, value_name = "URL", env = "NODESYS_RPC", hide_env_values = true)]
    #[arg(value_delimiter = ',')]
    #[serde(deserialize_with = "parsed_list")]
    pub rpc: Vec<RpcUrl>,
    /// File that only we can read, with those URLs, one a line.
    #[arg(long, global = true, value_name = "FILE", env = "NODESYS_RPC_FILE")]
    #[arg(conflicts_with = "rpc")]
    pub rpc_file: Option<PathBuf>,
    /// Chain id; the command refuses to work on another chain.
    #[arg(long, global = true, value_name = "ID", env = "NODESYS_CHAIN_ID")]
    pub chain_id: Option<u64>,
    /// Address of `ProjectRegistry`.
    #[arg(long, global = true, value_name = "ADDRESS", env = "NODESYS_REGISTRY")]
    #[arg(value_parser = address)]
    pub registry: Option<Address>,
    /// The project's name in the registry.
    #[arg(long, global = true, value_name = "NAME", env = "NODESYS_PROJECT")]
    pub project: Option<Name>,
    /// JSON file of the project's terms: day reward, rule, beneficiary, excluded addresses.
    #[arg(long, global = true, value_name = "FILE", env = "NODESYS_TERMS")]
    pub terms: Option<PathBuf>,
    /// Folder of the day bundles.
    #[arg(long, global = true, value_name = "DIR", env = "NODESYS_BUNDLES")]
    pub bundles: Option<PathBuf>,
    /// Encrypted JSON keystore of the reward signer.
    #[arg(long, global = true, value_name = "FILE", env = "NODESYS_SIGNER_KEYSTORE")]
    pub signer_keystore: Option<PathBuf>,
    /// File whose first line is the password of the reward signer's keystore; asked for at the terminal if
    /// absent.
    #[arg(long, global = true, value_name = "FILE", env = "NODESYS_SIGNER_PASSWORD_FILE")]
    pub signer_password_file: Option<PathBuf>,
    /// The master's own Postgres: record of signed commits, task queue. Migrated at start.
    #[arg(long, global = true, value_name = "URL", env = "NODESYS_DATABASE_URL")]
    #[arg(hide_env_values = true)]
    #[serde(deserialize_with = "parsed")]
    pub database_url: Option<DatabaseUrl>,
    /// File that only we can read, with that URL: a Secret of Kubernetes, a credential of systemd.
    #[arg(long, global = true, value_name = "FILE", env = "NODESYS_DATABASE_URL_FILE")]
    #[arg(conflicts_with = "database_url")]
    pub database_url_file: Option<PathBuf>,
    /// Refuse a schema that is not up to date, instead of migrating it. For a role that does not own the
    /// tables; `nodesys-master migrate` is run before, by one that does.
    #[arg(long, global = true)]
    pub no_migrate: bool,
    /// Depth at which a block counts as final if the chain has no `finalized` tag [64].
    #[arg(long, global = true, value_name = "BLOCKS", env = "NODESYS_FINAL_DEPTH")]
    pub final_depth: Option<u64>,
    /// First block that may contain a log of the project's collections [0].
    #[arg(long, global = true, value_name = "BLOCK", env = "NODESYS_FIRST_BLOCK")]
    pub first_block: Option<u64>,
    /// Folder with the record of sent transactions [nodesys-master/transactions in the user's data].
    #[arg(long, global = true, value_name = "DIR", env = "NODESYS_TRANSACTIONS")]
    pub transactions: Option<PathBuf>,
    /// As the flags of commands that send transactions.
    #[arg(skip)]
    pub sender_keystore: Option<PathBuf>,
    /// As the flags of commands that send transactions.
    #[arg(skip)]
    pub sender_password_file: Option<PathBuf>,
    /// Address of a stepped clock; for the development chain only.
    #[arg(long, global = true, value_name = "ADDR")]
    pub clock: Option<SocketAddr>,
}

impl Settings {
    /// These settings, completed from the file of `--config`.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or has an unknown or malformed field.
    pub fn with_file(self) -> anyhow::Result<Self> {
        let Some(path) = &self.config else { return Ok(self) };
        let text = std::fs::read(path)
            .with_context(|| format!("cannot read the settings file {}", path.display()))?;
        let file: Self = from_json(&text)
            .with_context(|| format!("{} is not a valid settings file", path.display()))?;
        Ok(self.or(file))
    }

    fn or(self, file: Self) -> Self {
        // What says where something is, by value or by file, is taken from one place as a whole.
        let rpcs = !self.rpc.is_empty() || self.rpc_file.is_some();
        let database = self.database_url.is_some() || self.database_url_file.is_some();
        Self {
            config: self.config,
            backend: self.backend.or(file.backend),
            rpc: if rpcs { self.rpc } else { file.rpc },
            rpc_file: if rpcs { self.rpc_file } else { file.rpc_file },
            chain_id: self.chain_id.or(file.chain_id),
            registry: self.registry.or(file.registry),
            project: self.project.or(file.project),
            terms: self.terms.or(file.terms),
            bundles: self.bundles.or(file.bundles),
            signer_keystore: self.signer_keystore.or(file.signer_keystore),
            signer_password_file: self.signer_password_file.or(file.signer_password_file),
            database_url: if database { self.database_url } else { file.database_url },
            database_url_file: if database {
                self.database_url_file
            } else {
                file.database_url_file
            },
            no_migrate: self.no_migrate || file.no_migrate,
            final_depth: self.final_depth.or(file.final_depth),
            first_block: self.first_block.or(file.first_block),
            transactions: self.transactions.or(file.transactions),
            sender_keystore: self.sender_keystore.or(file.sender_keystore),
            sender_password_file: self.sender_password_file.or(file.sender_password_file),
            clock: self.clock.or(file.clock),
        }
    }

    /// A required setting.
    ///
    /// # Errors
    ///
    /// If it is missing; the error names the flag and its environment variable.
    pub fn need<'a, T>(value: &'a Option<T>, flag: &str) -> anyhow::Result<&'a T> {
        value.as_ref().with_context(|| {
            let variable = flag.trim_start_matches('-').replace('-', "_").to_uppercase();
            format!("{flag} is missing: give the flag, NODESYS_{variable}, or the settings file")
        })
    }

    fn rpcs(&self) -> anyhow::Result<Vec<RpcUrl>> {
        let Some(path) = &self.rpc_file else {
            let given = (!self.rpc.is_empty()).then_some(&self.rpc);
            return Self::need(&given, "--rpc").cloned().cloned();
        };
        ensure!(self.rpc.is_empty(), "the settings file has both rpc and rpc_file: leave one out");
        let urls = secret::values(path).context("--rpc-file")?;
        let urls: Result<_, _> = urls.iter().map(|url| url.parse::<RpcUrl>()).collect();
        urls.with_context(|| format!("{} does not hold URLs of RPCs, one a line", path.display()))
    }

    /// The URL of the master's database.
    ///
    /// # Errors
    ///
    /// If it is missing, or its file cannot be read.
    pub fn database_url(&self) -> anyhow::Result<DatabaseUrl> {
        let Some(path) = &self.database_url_file else {
            return Self::need(&self.database_url, "--database-url").cloned();
        };
        ensure!(
            self.database_url.is_none(),
            "the settings file has both database_url and database_url_file: leave one out"
        );
        let url = secret::value(path).context("--database-url-file")?;
        Ok(DatabaseUrl(url.to_string()))
    }

    /// A connection to the chain for reading.
    ///
    /// # Errors
    ///
    /// If `--rpc` is missing, does not answer, or is on another chain than `--chain-id`.
    pub async fn provider(&self) -> anyhow::Result<Provider> {
        Ok(Provider::connect_all(&self.rpcs()?, self.chain_id).await?)
    }

    /// A connection for a command that sends transactions and ends: nothing of the account waits, and
    /// what is sent is recorded in the folder of `--transactions`.
    ///
    /// # Errors
    ///
    /// As [`Self::provider`]; if the folder cannot be used, or something waits for too long.
    pub async fn sending_provider(&self, key: &SigningKey) -> anyhow::Result<Provider> {
        let folder = match &self.transactions {
            Some(folder) => folder.clone(),
            None => etcetera::base_strategy::choose_native_strategy()
                .map(|strategy| strategy.data_dir().join("nodesys-master").join("transactions"))
                .context(
                    "the user has no home for the record of transactions: give --transactions",
                )?,
        };
        let provider = Provider::connect_all_with_key(&self.rpcs()?, self.chain_id, key).await?;
        let provider = provider.recording(&folder, Arc::new(|words: &str| say(words))).await?;
        let stopped = provider.clone();
        let words = move || format!("nodesys-master: {}", stopped.words_when_stopped());
        signals::say_when_stopped(words)?;
        Ok(provider)
    }

    /// The project's terms.
    ///
    /// # Errors
    ///
    /// If `--terms` is missing, or its file cannot be read or is not valid.
    pub fn read_terms(&self) -> anyhow::Result<Terms> {
        let path = Self::need(&self.terms, "--terms")?;
        let text = std::fs::read(path)
            .with_context(|| format!("cannot read the terms file {}", path.display()))?;
        let terms: Terms = from_json(&text)
            .with_context(|| format!("{} is not a valid terms file", path.display()))?;
        terms.rule.check().with_context(|| format!("terms file {}", path.display()))?;
        if !terms.excluded.is_sorted_by(|a, b| a < b) {
            bail!(
                "terms file {}: excluded addresses must be in ascending order, without repetition",
                path.display()
            );
        }
        Ok(terms)
    }

    /// The reward signer's key.
    ///
    /// # Errors
    ///
    /// If the flag is missing, the password is and nobody can be asked for it, or the keystore cannot be
    /// opened with it.
    pub fn signer_key(&self) -> anyhow::Result<SigningKey> {
        let path = Self::need(&self.signer_keystore, "--signer-keystore")?;
        open(path, self.signer_password_file.as_deref(), "--signer-password-file")
    }

    /// The key that sends a transaction: of the sender's keystore, or else the reward signer's.
    ///
    /// # Errors
    ///
    /// As [`Self::signer_key`].
    pub fn sender_key(&self, sender: &Sender) -> anyhow::Result<SigningKey> {
        let flag = "--sender-password-file";
        // A keystore and the password beside it: one from the flags never opens one of the file.
        match (&sender.sender_keystore, &self.sender_keystore) {
            (Some(path), _) => open(path, sender.sender_password_file.as_deref(), flag),
            (None, Some(path)) => {
                let password = sender.sender_password_file.as_ref();
                open(
                    path,
                    password.or(self.sender_password_file.as_ref()).map(PathBuf::as_path),
                    flag,
                )
            }
            (None, None) if sender.sender_password_file.is_some() => {
                bail!("{flag} is given without --sender-keystore")
            }
            (None, None) => self.signer_key(),
        }
    }

    /// The clock of a command that ends by itself.
    ///
    /// # Errors
    ///
    /// If `--clock` is given off the development chain, or does not answer.
    pub async fn observed_clock(&self, chain_id: u64) -> anyhow::Result<Clock> {
        match self.clock {
            None => Ok(Clock::system()),
            Some(_) if chain_id != nodesys_clock::DEVELOPMENT_CHAIN_ID => {
                Err(nodesys_clock::ClockError::NotDevelopment(chain_id).into())
            }
            Some(addr) => Ok(Clock::observer(addr, "master command").await?),
        }
    }
}

/// Opens a keystore with the password of a file, or asks for it.
fn open(keystore: &Path, password: Option<&Path>, flag: &str) -> anyhow::Result<SigningKey> {
    // Before anybody types a password for a file that is not there.
    std::fs::metadata(keystore).with_context(|| format!("keystore {}", keystore.display()))?;
    let password = match password {
        Some(file) => keystore::read_password(file)?,
        None => secret::ask_password(keystore, flag)?,
    };
    Ok(keystore::open(keystore, &password)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../nodesys-master.example.json");
    const TERMS: &str = include_str!("../terms.example.json");

    #[test]
    fn the_example_file_parses() {
        let file: Settings = serde_json::from_str(EXAMPLE).unwrap();
        assert_eq!(file.project.as_ref().map(Name::as_str), Some("acme"));
        assert!(!format!("{file:?}").contains("secret"), "{file:?}");
        let flags = Settings { project: Some("other".parse().unwrap()), ..Settings::default() };
        let both = flags.or(file);
        assert_eq!(both.project.as_ref().map(Name::as_str), Some("other"));
        assert_eq!(both.chain_id, Some(1));
        assert!(serde_json::from_str::<Settings>(r#"{"backnd":"x"}"#).is_err());
    }

    #[test]
    fn the_example_terms_parse() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("terms.json");
        std::fs::write(&path, TERMS).unwrap();
        let settings = Settings { terms: Some(path.clone()), ..Settings::default() };
        let terms = settings.read_terms().unwrap();
        assert_eq!(terms.day_reward.to_string(), "1000000000000000000000");
        let too_much =
            TERMS.replace("\"minimum_uptime_ppm\": 0", "\"minimum_uptime_ppm\": 2000000");
        assert_ne!(too_much, TERMS);
        std::fs::write(&path, too_much).unwrap();
        assert!(settings.read_terms().is_err());
    }

    #[test]
    fn the_file_names_the_sender_as_the_flags_do() {
        let file = r#"{"sender_keystore":"owner.json","sender_password_file":"password"}"#;
        let file: Settings = serde_json::from_str(file).unwrap();
        let settings = Settings::default().or(file);
        let none = Sender { sender_keystore: None, sender_password_file: None };
        let error = settings.sender_key(&none).err().unwrap().to_string();
        assert!(error.contains("owner.json"), "{error}");
        let flag = Sender { sender_keystore: Some("other.json".into()), ..none };
        let error = settings.sender_key(&flag).err().unwrap().to_string();
        assert!(error.contains("other.json"), "{error}");
    }

    #[test]
    fn a_url_comes_from_a_file_that_only_we_can_read() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("url");
        std::fs::write(&path, "https://rpc.example.org/v1/secret\n").unwrap();
        let file: Settings = serde_json::from_value(serde_json::json!({
            "rpc_file": path, "database_url_file": path, "rpc": null,
        }))
        .unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        for error in [file.rpcs().err().unwrap(), file.database_url().err().unwrap()] {
            assert!(format!("{error:#}").contains("can be read by others"), "{error:#}");
        }
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        assert_eq!(file.rpcs().unwrap()[0].to_string(), "https://rpc.example.org");
        assert_eq!(file.database_url().unwrap().expose(), "https://rpc.example.org/v1/secret");
        // A flag is taken instead of the file's file.
        let flags: Settings = serde_json::from_str(r#"{"rpc":"http://127.0.0.1:1"}"#).unwrap();
        let both = flags.or(file.clone());
        assert_eq!(both.rpcs().unwrap()[0].to_string(), "http://127.0.0.1:1");
        let twice = Settings { rpc: both.rpc, ..file };
        assert!(twice.rpcs().unwrap_err().to_string().contains("leave one out"));
        std::fs::write(&path, "no URL, secret\n").unwrap();
        let error = format!("{:#}", Settings { rpc: vec![], ..twice }.rpcs().unwrap_err());
        assert!(error.contains("one a line") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn a_missing_setting_is_named() {
        let error = Settings::default().signer_key().err().unwrap().to_string();
        assert!(error.contains("--signer-keystore"), "{error}");
        assert!(error.contains("NODESYS_SIGNER_KEYSTORE"), "{error}");
    }
}

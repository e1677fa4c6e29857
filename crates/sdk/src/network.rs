//! The network file: everything that a node needs to know of a network, by one hash in its registry.
//!
//! A network's operator announces hash and address of the file in `ProjectRegistry`; a change waits there, and a
//! guardian may cancel it. The bytes may come from anywhere, since only those with the announced hash are taken.
//!
//! # Examples
//!
//! ```
//! use nodesys_sdk::network::{NetworkFile, NetworkId};
//!
//! let id: NetworkId = "eip155:8453:0x5fbdb2315678afecb367f032d93f642f64180aa3".parse()?;
//! assert_eq!(id.chain_id, 8453);
//! let file = NetworkFile::parse(
//!     br#"{
//!         "format": "nodesys-network-1",
//!         "name": "acme",
//!         "chain_id": "8453",
//!         "registry": "0x5fbdb2315678afecb367f032d93f642f64180aa3",
//!         "first_block": "21000000",
//!         "backends": ["https://backend.acme.example/"]
//!     }"#,
//! )?;
//! assert_eq!(file.id(), id);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use alloy::eips::BlockId;
use anyhow::{Context as _, bail, ensure};
use nodesys_chain::bindings::ProjectRegistry::{NetworkFile as FileOnChain, networkFileCall};
use nodesys_chain::{ChainError, Provider};
use nodesys_core::address::{address, from_json};
use nodesys_core::ids::{Name, ParseError};
use nodesys_core::message::decimal;
use nodesys_core::release::Image;
use nodesys_core::time::Timestamp;
use nodesys_core::{Address, B256, DEVELOPMENT_CHAIN_ID, keccak256};
use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::fetch::{get, shown};
use pin::PinFile;

pub mod pin;
#[cfg(test)]
mod tests;

/// The file's format.
pub const FORMAT: &str = "nodesys-network-1";
/// Longest network file, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;
/// Most backends, and most hints of RPCs.
const MOST_URLS: usize = 16;

/// A network, as [CAIP-10](https://chainagnostic.org/CAIPs/caip-10) writes an account: chain and registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkId {
    /// The chain's id.
    pub chain_id: u64,
    /// `ProjectRegistry` on it.
    pub registry: Address,
}

impl FromStr for NetworkId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bad = |problem| ParseError::new("network", problem, text);
        let mut parts = text.split(':');
        let (Some("eip155"), Some(chain_id), Some(registry), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(bad("expected eip155:<chain id>:<address of ProjectRegistry>"));
        };
        let digits = !chain_id.is_empty() && chain_id.bytes().all(|b| b.is_ascii_digit());
        let chain_id = digits.then(|| chain_id.parse().ok()).flatten();
        let chain_id = chain_id.ok_or_else(|| bad("its chain id is no number"))?;
        Ok(Self { chain_id, registry: address(registry)? })
    }
}

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "eip155:{}:{}", self.chain_id, self.registry)
    }
}

/// The network file. Made by [`NetworkFile::parse`] only, so that everything in it can be meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkFile {
    format: String,
    /// The network's name, for people.
    pub name: Name,
    #[serde(with = "decimal")]
    chain_id: u64,
    registry: Address,
    /// First block that may hold a log of the registry or of a collection.
    #[serde(with = "decimal")]
    pub first_block: u64,
    /// Its backends' URLs, the preferred one first.
    pub backends: Vec<Url>,
    /// Public RPCs of the chain, as hints: an operator chooses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rpc: Vec<Url>,
    /// The manager's image of a new node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager_image: Option<Image>,
    /// The k3s of a new node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k3s: Option<PinFile>,
    /// Where releases of the programs come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updates: Option<Updates>,
}

/// A TUF repository, and the root to trust at the first update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Updates {
    /// Where it is.
    pub repository: Url,
    /// The content of its `root.json`.
    pub root: serde_json::Map<String, serde_json::Value>,
}

impl NetworkFile {
    /// Of the file's bytes.
    ///
    /// # Errors
    ///
    /// With the reason, where it is not a network file, or something in it cannot be meant.
    pub fn parse(bytes: &[u8]) -> anyhow::Result<Self> {
        ensure!(bytes.len() <= MAX_BYTES, "it has more than {MAX_BYTES} bytes");
        let file: Self = from_json(bytes)?;
        ensure!(file.format == FORMAT, "its format is {:?}, not {FORMAT}", file.format);
        ensure!(file.chain_id > 0 && !file.registry.is_zero(), "chain_id or registry is zero");
        ensure!(!file.backends.is_empty(), "it names no backend");
        for (what, urls) in [("backends", &file.backends), ("rpc", &file.rpc)] {
            ensure!(urls.len() <= MOST_URLS, "{what} has more than {MOST_URLS} URLs");
            for url in urls {
                file.check_url(what, url)?;
            }
        }
        if let Some(updates) = &file.updates {
            file.check_url("updates.repository", &updates.repository)?;
            ensure!(updates.root.contains_key("signed"), "updates.root is no root.json");
        }
        if let Some(pin) = &file.k3s {
            pin.check().map_err(|problem| anyhow::anyhow!("k3s: {problem}"))?;
        }
        Ok(file)
    }

    /// A network's operator cannot send nodes elsewhere than over TLS.
    fn check_url(&self, what: &str, url: &Url) -> anyhow::Result<()> {
        let tls = url.scheme() == "https"
            || (self.chain_id == DEVELOPMENT_CHAIN_ID && url.scheme() == "http");
        ensure!(tls && url.has_host(), "{what}: {} is no https URL", shown(url));
        // What everybody can read is no secret, and would be taken for one.
        ensure!(
            url.username().is_empty() && url.password().is_none(),
            "{what}: {} carries a user's name or password",
            shown(url)
        );
        Ok(())
    }

    /// The network that it is of.
    pub const fn id(&self) -> NetworkId {
        NetworkId { chain_id: self.chain_id, registry: self.registry }
    }
}

/// A network file, as the registry announces it. Hash and text are the network operator's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Announced {
    /// keccak256 of the file.
    pub hash: B256,
    /// Where it is said to be.
    pub uri: String,
    /// From when on it holds.
    pub from: Timestamp,
}

impl Announced {
    fn of(file: FileOnChain) -> Option<Self> {
        let FileOnChain { fileHash: hash, uri, from } = file;
        (!hash.is_zero()).then(|| Self { hash, uri, from: Timestamp::from_secs(from) })
    }
}

impl fmt::Display for Announced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text is the operator's, so escaped.
        write!(f, "{} at {:?} from {}", self.hash, self.uri, self.from)
    }
}

/// What a registry announces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Announcements {
    /// The file that holds now.
    pub current: Option<Announced>,
    /// The one that will, unless it is cancelled.
    pub waiting: Option<Announced>,
}

/// Reads what a registry announces.
///
/// # Errors
///
/// Where the chain cannot be read, or the RPCs disagree.
pub async fn announced(
    provider: &Provider,
    registry: Address,
) -> Result<Announcements, ChainError> {
    let files = provider.call(registry, &networkFileCall {}, BlockId::latest()).await?;
    let (current, waiting) = (Announced::of(files.current), Announced::of(files.waiting));
    Ok(Announcements { current, waiting })
}

/// A place of a network file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file, by the user's own choice.
    File(PathBuf),
    /// A server of the user's own choice, which may be anywhere.
    Chosen(Url),
    /// What the chain names: of others' choice, so asked at public addresses only.
    OnChain(String),
}

impl Place {
    /// A URL (`http://`, `https://`), or else a file.
    ///
    /// # Errors
    ///
    /// Where the URL is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("http://") || text.starts_with("https://") {
            text.parse().map(Self::Chosen).map_err(|error| format!("{text:?} is no URL: {error}"))
        } else {
            Ok(Self::File(text.into()))
        }
    }

    async fn bytes(&self, chain_id: u64) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::File(path) => std::fs::read(path).context("it cannot be read"),
            Self::Chosen(url) => get(url, MAX_BYTES, true).await,
            Self::OnChain(uri) => {
                let url: Url = uri.parse().context("it is no URL")?;
                if !matches!(url.scheme(), "http" | "https") {
                    bail!("{}: is not fetched here: get the file, and give --from", url.scheme());
                }
                get(&url, MAX_BYTES, chain_id == DEVELOPMENT_CHAIN_ID).await
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Chosen(url) => f.write_str(&shown(url)),
            Self::OnChain(uri) => write!(f, "{uri:?}"),
        }
    }
}

/// A network file, and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Parsed.
    pub file: NetworkFile,
}

impl Fetched {
    /// Of the bytes.
    ///
    /// # Errors
    ///
    /// As [`NetworkFile::parse`].
    pub fn parse(bytes: Vec<u8>) -> anyhow::Result<Self> {
        Ok(Self { file: NetworkFile::parse(&bytes)?, bytes })
    }

    /// keccak256 of the bytes, as it is announced.
    pub fn hash(&self) -> B256 {
        keccak256(&self.bytes)
    }
}

/// The announced file, from the first place that has it.
///
/// # Errors
///
/// Where no place gives the announced bytes, with what each gave instead; where they are no network file, or one of
/// another network.
pub async fn fetch(
    id: NetworkId,
    announced: &Announced,
    places: &[Place],
) -> anyhow::Result<Fetched> {
    let mut problems = Vec::new();
    for place in places {
        match place.bytes(id.chain_id).await {
            Ok(bytes) if keccak256(&bytes) == announced.hash => {
                let fetched = Fetched::parse(bytes).context(
                    "the announced file is not a network file: tell the network's operator",
                )?;
                ensure!(
                    fetched.file.id() == id,
                    "the announced file is of another network, {}: tell the network's operator",
                    fetched.file.id()
                );
                return Ok(fetched);
            }
            Ok(_) => problems.push(format!("{place}: other bytes than the announced ones")),
            Err(error) => problems.push(format!("{place}: {error:#}")),
        }
    }
    bail!(
        "no place has the network file {}: {}; give --from with a file or URL that has it",
        announced.hash,
        problems.join("; ")
    )
}

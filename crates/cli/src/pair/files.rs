//! The two files that are carried between the machines, and the network they are for.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use nodesys_core::address::from_json;
use nodesys_core::message::{Domain, NodeAuthorization};
use nodesys_core::signature::WalletSignature;
use nodesys_core::{Address, U256};
use nodesys_sdk::client::Client;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::setup::Setup;

/// A node's request to a wallet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairRequest {
    /// [`Self::FORMAT`].
    pub format: String,
    /// The chain.
    #[serde(with = "nodesys_core::message::decimal")]
    pub chain_id: u64,
    /// `ProjectRegistry`: with the chain, the domain that is signed in.
    pub registry: Address,
    /// The node's key.
    pub node_key: Address,
    /// Last second of validity, seconds since 1970.
    #[serde(with = "nodesys_core::message::decimal")]
    pub not_after: u64,
    /// A higher nonce replaces an authorisation.
    #[serde(with = "nodesys_core::message::decimal")]
    pub nonce: U256,
}

impl PairRequest {
    /// The format's name, first of its kind.
    pub const FORMAT: &str = "nodesys-pair-request-1";
}

/// The wallet's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairSigned {
    /// [`Self::FORMAT`].
    pub format: String,
    /// The chain.
    #[serde(with = "nodesys_core::message::decimal")]
    pub chain_id: u64,
    /// `ProjectRegistry`.
    pub registry: Address,
    /// The signed message.
    pub authorization: NodeAuthorization,
    /// Its signature.
    pub operator_signature: WalletSignature,
}

impl PairSigned {
    /// The format's name, first of its kind.
    pub const FORMAT: &str = "nodesys-pair-signed-1";
}

/// Far above any file of ours.
const MAX_BYTES: u64 = 64 * 1024;

/// Reads a file of this format; `-` is standard input.
pub(crate) fn read<T: DeserializeOwned>(path: &Path, format: &str) -> anyhow::Result<T> {
    let (bytes, shown) = read_bytes(path)?;
    parse(&bytes, format).map_err(|problem| {
        Exit::Failure.because(format!("{shown} is not a {format} file: {problem}"))
    })
}

/// Reads a file that somebody handed over, with the name by which it is told; `-` is standard input.
pub(crate) fn read_bytes(path: &Path) -> anyhow::Result<(Vec<u8>, String)> {
    let mut bytes = Vec::new();
    let shown = if path == Path::new("-") {
        std::io::stdin().take(MAX_BYTES).read_to_end(&mut bytes).context("standard input")?;
        "standard input".to_owned()
    } else {
        let cannot =
            |error| Exit::Usage.because(format!("cannot read {}: {error}", path.display()));
        let file = std::fs::File::open(path).map_err(cannot)?;
        file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(cannot)?;
        path.display().to_string()
    };
    Ok((bytes, shown))
}

fn parse<T: DeserializeOwned>(bytes: &[u8], format: &str) -> Result<T, String> {
    #[derive(Deserialize)]
    struct Tagged {
        format: String,
    }
    let tagged: Tagged = from_json(bytes).map_err(|error| error.to_string())?;
    if tagged.format != format {
        let found: String = tagged.format.chars().take(40).collect();
        return Err(format!(
            "its format is {found:?}; pair request, sign and finish follow in this order, \
                            each reading the previous one's output"
        ));
    }
    from_json(bytes).map_err(|error| error.to_string())
}

/// The domain that a file is for, once it is found to be the configured one, where one is.
pub(crate) fn domain(setup: &Setup, chain_id: u64, registry: Address) -> anyhow::Result<Domain> {
    let settings = &setup.settings;
    if let Some(expected) = settings.chain_id.filter(|expected| *expected != chain_id) {
        return Err(Exit::Usage.because(format!(
            "the file is for chain {chain_id}, but --chain-id is {expected}: ask for a request \
             on the right chain, or check the setting"
        )));
    }
    if let Some(expected) = settings.registry.filter(|expected| *expected != registry) {
        return Err(Exit::Usage.because(format!(
            "the file is for the registry {registry}, but --registry is {expected}: a signature \
             would count in another network; check where the file comes from"
        )));
    }
    Ok(Domain::new(chain_id, registry))
}

/// Succeeds when the backend works on the same chain and registry.
pub(crate) async fn same_network(backend: &Client, domain: &Domain) -> anyhow::Result<()> {
    let network = backend.network().await?;
    let (chain_id, registry) = (domain.chain_id(), domain.verifying_contract());
    if network.chain_id != chain_id || network.registry != registry {
        return Err(Exit::Usage.because(format!(
            "the backend {} works for chain {} and registry {}, this is for chain {chain_id} and \
             registry {registry}: check --backend",
            backend.base(),
            network.chain_id,
            network.registry
        )));
    }
    Ok(())
}

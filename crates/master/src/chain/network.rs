//! `registry network-file|cancel-network-file|guardian|show`: what the network's operator keeps besides
//! receipt keys.

use std::fmt;
use std::path::PathBuf;

use alloy::eips::BlockId;
use anyhow::{Context as _, ensure};
use clap::Args;
use nodesys_chain::bindings::ProjectRegistry::*;
use nodesys_core::time::Timestamp;
use nodesys_core::{Address, keccak256};
use nodesys_sdk::network::{Announced, NetworkFile, NetworkId, announced};
use serde::Serialize;

use super::registry::RegistryWriter;
use super::tx::{SendArgs, TxSender, TxView};
use crate::config::Settings;

/// The network file and where it is.
#[derive(Debug, Args)]
pub struct NetworkFileArgs {
    /// The file, whose hash is recorded.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Where others fetch it.
    #[arg(long, value_name = "URI")]
    uri: String,
    #[command(flatten)]
    pub(crate) send: SendArgs,
}

/// The network guardian.
#[derive(Debug, Args)]
pub struct GuardianArgs {
    /// Who may cancel a waiting network file; zero for nobody.
    #[arg(value_name = "ADDRESS")]
    guardian: Address,
    #[command(flatten)]
    pub(crate) send: SendArgs,
}

/// What a registry says of its network.
#[derive(Debug, Serialize)]
pub(crate) struct RegistryView {
    registry: Address,
    operator: Address,
    /// The account that was offered the role and has not accepted; zero for none.
    pending_operator: Address,
    /// Zero for none.
    guardian: Address,
    file: Option<Announced>,
    waiting_file: Option<Announced>,
}

impl fmt::Display for RegistryView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "registry     {}", self.registry)?;
        write!(f, "operator     {}", self.operator)?;
        if !self.pending_operator.is_zero() {
            write!(f, "\noffered to   {}", self.pending_operator)?;
        }
        if !self.guardian.is_zero() {
            write!(f, "\nguardian     {}", self.guardian)?;
        }
        for (what, file) in [("network file", &self.file), ("waiting file", &self.waiting_file)] {
            if let Some(file) = file {
                write!(f, "\n{what} {file}")?;
            }
        }
        Ok(())
    }
}

/// Reads a registry.
pub(crate) async fn show(settings: &Settings) -> anyhow::Result<RegistryView> {
    let registry = *Settings::need(&settings.registry, "--registry")?;
    let provider = settings.provider().await?;
    provider.require_code(registry, "the registry").await?;
    let at = BlockId::latest();
    let files = announced(&provider, registry).await?;
    Ok(RegistryView {
        registry,
        operator: provider.call(registry, &networkOperatorCall {}, at).await?,
        pending_operator: provider.call(registry, &pendingNetworkOperatorCall {}, at).await?,
        guardian: provider.call(registry, &networkGuardCall {}, at).await?.guardian,
        file: files.current,
        waiting_file: files.waiting,
    })
}

/// Records the network file.
pub(crate) async fn file(
    settings: &Settings,
    tx: &TxSender,
    args: &NetworkFileArgs,
) -> anyhow::Result<TxView> {
    let path = args.file.display();
    let bytes = std::fs::read(&args.file).with_context(|| format!("cannot read {path}"))?;
    let parsed = NetworkFile::parse(&bytes)
        .with_context(|| format!("{path} is not a network file (docs/network.md)"))?;
    let hash = keccak256(&bytes);
    let writer = RegistryWriter::of(settings, tx).await?;
    let id = NetworkId { chain_id: tx.provider.chain_id(), registry: writer.registry };
    ensure!(parsed.id() == id, "{path} is of the network {}, not of {id}", parsed.id());
    let known = writer.read(networkFileCall {}).await?;
    // What waits is what the operator wants last.
    let newest = if known.waiting.from > 0 { &known.waiting } else { &known.current };
    let done = newest.fileHash == hash && newest.uri == args.uri;
    let from = if known.current.fileHash.is_zero() { "at once" } else { "7 days from now" };
    let entry = match done {
        true => format!(
            "network file {hash} at {:?} from {}",
            args.uri,
            Timestamp::from_secs(newest.from)
        ),
        false => format!("network file {hash} at {:?}, {from}", args.uri),
    };
    writer.record(entry, done, setNetworkFileCall { fileHash: hash, uri: args.uri.clone() }).await
}

/// Cancels the network file that waits.
pub(crate) async fn cancel_file(settings: &Settings, tx: &TxSender) -> anyhow::Result<TxView> {
    let writer = RegistryWriter::of(settings, tx).await?;
    let waiting = writer.read(networkFileCall {}).await?.waiting;
    let entry = match waiting.from {
        0 => "no network file waits".to_owned(),
        _ => format!("network file {} is cancelled", waiting.fileHash),
    };
    writer.record(entry, waiting.from == 0, cancelNetworkFileCall {}).await
}

/// Appoints the network guardian.
pub(crate) async fn guardian(
    settings: &Settings,
    tx: &TxSender,
    args: &GuardianArgs,
) -> anyhow::Result<TxView> {
    let writer = RegistryWriter::of(settings, tx).await?;
    let known = writer.read(networkGuardCall {}).await?;
    let newest = if known.nextFrom > 0 { known.next } else { known.guardian };
    let from = if known.guardian.is_zero() { "" } else { ", 7 days from now" };
    let entry = match newest == args.guardian {
        true => format!("network guardian {}", args.guardian),
        false => format!("network guardian {}{from}", args.guardian),
    };
    let call = setNetworkGuardianCall { newGuardian: args.guardian };
    writer.record(entry, newest == args.guardian, call).await
}

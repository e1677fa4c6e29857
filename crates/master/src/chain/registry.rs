//! `registry create|receipt-key` for the network's operator, and the entries of project owners in the
//! registry: `project receipt-key`, `release key`.
//!
//! Each command reads the chain first and sends a transaction only if it is needed, so it is safe
//! to re-run. With `--calldata` and `--safe-batch` it prepares the transaction for another wallet.

use alloy::sol_types::{SolCall, SolValue as _};
use anyhow::{Context as _, ensure};
use clap::Args;
use nodesys_chain::ChainError;
use nodesys_chain::bindings::ProjectRegistry::{self, *};
use nodesys_chain::verification::Verification;
use nodesys_core::Address;
use nodesys_core::address::address;
use nodesys_core::time::{Timestamp, UtcDay};
use serde::Deserialize;

use super::deploy::{Contract, DeployArgs, DeploymentView};
use super::project::{RegisteredProject, find};
use super::tx::{SendArgs, TxSender, TxView, call_request};
use crate::config::Settings;

/// A receipt key and its days.
#[derive(Debug, Args)]
pub struct ReceiptKeyArgs {
    /// Address of the key, as the backend's /v1/network names it.
    #[arg(long, value_name = "ADDRESS")]
    #[arg(value_parser = address)]
    key: Address,
    /// The first day on which the key is valid: one to come, or the one it has begun on [from now on].
    #[arg(long, value_name = "DAY")]
    from: Option<UtcDay>,
    /// The first day on which the key is no longer valid [never].
    #[arg(long, value_name = "DAY")]
    until: Option<UtcDay>,
    /// End the key now: for one that was stolen.
    #[arg(long, conflicts_with_all = ["from", "until"])]
    end: bool,
    #[command(flatten)]
    pub(crate) send: SendArgs,
}

/// The release key and the release delay.
#[derive(Debug, Args)]
pub struct ReleaseKeyArgs {
    /// Address of the key that announces releases; not the owner's.
    #[arg(value_name = "ADDRESS")]
    #[arg(value_parser = address)]
    key: Address,
    /// Time between an announcement and its effect on nodes. Required before the first announcement.
    #[arg(long, value_name = "SECS")]
    delay: Option<u64>,
    #[command(flatten)]
    pub(crate) send: SendArgs,
}

/// The parameter file of a registry.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegistryFile {
    operator: Address,
}

/// Deploys a registry.
pub(crate) async fn create(
    tx: &TxSender,
    args: &DeployArgs,
    file: RegistryFile,
) -> anyhow::Result<DeploymentView> {
    let contract = Contract {
        name: "registry".to_owned(),
        verification: Verification::project_registry(),
        arguments: file.operator.abi_encode(),
    };
    contract.deploy(tx, args, &ProjectRegistry::BYTECODE).await
}

/// A registry that is written to.
pub(super) struct RegistryWriter<'a> {
    pub(super) sender: &'a TxSender,
    pub(super) registry: Address,
}

impl<'a> RegistryWriter<'a> {
    pub(super) async fn of(settings: &Settings, sender: &'a TxSender) -> anyhow::Result<Self> {
        let registry = *Settings::need(&settings.registry, "--registry")?;
        sender.provider.require_code(registry, "the registry").await?;
        Ok(Self { sender, registry })
    }

    pub(super) async fn read<C: SolCall>(&self, call: C) -> Result<C::Return, ChainError> {
        self.sender.read(self.registry, call).await
    }

    /// Records an entry, unless it is recorded already.
    pub(super) async fn record<C: SolCall>(
        &self,
        entry: String,
        recorded: bool,
        call: C,
    ) -> anyhow::Result<TxView> {
        if recorded {
            return Ok(TxView::not_needed(entry));
        }
        let purpose = format!("to record: {entry}");
        let request = call_request(self.registry, &call);
        let transaction = self.sender.send(&entry, &purpose, request).await?;
        Ok(TxView { action: entry, transaction })
    }
}

/// Records a receipt key of the network.
pub(crate) async fn receipt_key(
    settings: &Settings,
    tx: &TxSender,
    args: &ReceiptKeyArgs,
) -> anyhow::Result<TxView> {
    let writer = RegistryWriter::of(settings, tx).await?;
    set_receipt_key(&writer, Address::ZERO, "receipt key", args).await
}

/// Records a receipt key of the project's own, which replaces the network's for it.
pub(crate) async fn own_receipt_key(
    settings: &Settings,
    tx: &TxSender,
    args: &ReceiptKeyArgs,
) -> anyhow::Result<TxView> {
    let writer = RegistryWriter::of(settings, tx).await?;
    let RegisteredProject { address, name, .. } = find(settings, &writer.sender.provider).await?;
    set_receipt_key(&writer, address, &format!("receipt key of {name}"), args).await
}

/// `project` is zero for the network. To the contract, a time of zero is the block's, or the beginning of
/// a key that has begun.
async fn set_receipt_key(
    writer: &RegistryWriter<'_>,
    project: Address,
    what: &str,
    args: &ReceiptKeyArgs,
) -> anyhow::Result<TxView> {
    let ReceiptKeyArgs { key, from, until, end, .. } = *args;
    let known = writer.read(receiptKeyOfCall { project, key }).await?;
    let now = writer.sender.provider.latest_block().await?.secs;
    let begun = known.validFrom < known.validUntil && known.validFrom <= now;
    if let Some(day) = from {
        let first = day.start().secs();
        ensure!(until.is_none_or(|until| day < until), "--until is not after --from {day}");
        ensure!(
            first > now || (begun && first == known.validFrom),
            "--from {day} has begun, and no key becomes valid for a time that has passed: leave --from \
             away for a key that is valid from now on"
        );
    }
    // No key is taken back for a time that has passed, and none is valid for less than a second. One that
    // does not begin before this block keeps its first minute, in which the transaction is mined.
    let unused = end && known.validFrom < known.validUntil && known.validFrom >= now;
    let valid_from = match from {
        Some(day) => day.start().secs(),
        None if unused && known.validFrom > now => known.validFrom,
        None => 0,
    };
    let valid_until = match (end, until) {
        (true, _) if unused => known.validFrom + 60,
        (true, _) => 0,
        (false, Some(day)) => day.start().secs(),
        (false, None) => u64::MAX,
    };
    let done = match end {
        true => known.validUntil <= now || (unused && known.validUntil == valid_until),
        false => {
            known.validUntil == valid_until
                && (known.validFrom == valid_from || (valid_from == 0 && begun))
        }
    };
    let begin = from.map_or_else(|| "now".to_owned(), |day| day.to_string());
    let entry = match (end, until) {
        (true, _) if unused => format!("{what} {key} is valid for its first minute alone"),
        (true, _) => format!("{what} {key} is no longer valid"),
        (false, Some(day)) => format!("{what} {key} is valid from {begin} until before {day}"),
        (false, None) => format!("{what} {key} is valid from {begin} on"),
    };
    let call = setReceiptKeyCall { project, key, validFrom: valid_from, validUntil: valid_until };
    writer.record(entry, done, call).await
}

/// Sets the release key; after the first announcement, queues its change.
pub(crate) async fn release_key(
    settings: &Settings,
    tx: &TxSender,
    args: &ReleaseKeyArgs,
) -> anyhow::Result<TxView> {
    let writer = RegistryWriter::of(settings, tx).await?;
    let RegisteredProject { address: project, name, owner, .. } =
        find(settings, &writer.sender.provider).await?;
    let key = args.key;
    ensure!(
        key != owner,
        "{key} is the owner's key: releases need another key, so that one stolen key cannot both \
         announce a release and prevent its veto"
    );
    let known = writer.read(releaseAuthorityOfCall { project }).await?;
    let entry = format!("release key of {name} is {key}");
    if !known.inUse {
        let delay = args.delay.context("--delay is needed before the first announcement")?;
        let done = (known.releaseKey, known.releaseDelay) == (key, delay);
        let entry = format!("{entry}, with a delay of {delay} s");
        let call = setReleaseKeyCall { project, releaseKey: key, releaseDelay: delay };
        return writer.record(entry, done, call).await;
    }
    ensure!(
        args.delay.is_none_or(|delay| delay == known.releaseDelay),
        "the delay is {} s; after the first announcement it is not set together with the key",
        known.releaseDelay
    );
    let call = queueReleaseKeyCall { project, releaseKey: key };
    if known.releaseKey == key {
        return writer.record(entry, true, call).await;
    }
    if known.nextReleaseKey == key {
        let from = Timestamp::from_secs(known.nextReleaseKeyFrom);
        return writer.record(format!("{entry} from {from} on"), true, call).await;
    }
    writer.record(format!("{entry} seven days from now"), false, call).await
}

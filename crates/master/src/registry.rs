//! `registry create|receipt-key|show` for who starts a network on a chain, and what a project's owner
//! has to record in that registry: `project list-workload`, `license consent`, `release key`.
//!
//! What stays true: each command reads the chain first and sends only what is left to do, so it may
//! be run again; and each prints the transaction for a Safe or a hardware wallet with `--calldata`.

use std::fmt;

use alloy::eips::BlockId;
use alloy::network::TransactionBuilder as _;
use alloy::primitives::Bytes;
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::{SolCall, SolValue as _};
use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use nodesys_contracts::bindings::NodeLicense;
use nodesys_contracts::bindings::ProjectRegistry::{self, *};
use nodesys_contracts::project::collection_of;
use nodesys_contracts::verification::Verification;
use nodesys_contracts::{ChainError, Provider};
use nodesys_core::ids::Name;
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_core::{Address, B256};
use serde::{Deserialize, Serialize};

use crate::admin::Send;
use crate::cli::Format;
use crate::config::Settings;
use crate::license::{Create, Created, deploy, read_params};
use crate::project::find;

const RECEIPT_KEY: &str = "\
Examples:
  nodesys-master registry receipt-key --key 0x... --from 2026-01-01 --sender-keystore operator.json
  nodesys-master registry receipt-key --key 0x... --from 2026-01-01 --until 2027-01-01 --calldata

The sender is the network's operator. A key can be ended, but not for days that have passed.";

/// A network's registry.
#[derive(Debug, Subcommand)]
pub enum RegistryCommand {
    /// Start a network on a chain: deploy its registry; finding it deployed already is success.
    Create(Create),
    /// Record a backend's receipt key; finding it recorded so already is success.
    #[command(after_help = RECEIPT_KEY)]
    ReceiptKey(ReceiptKey),
    /// Show who operates the network of --registry.
    Show {
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
}

/// A receipt key and the days it is good for.
#[derive(Debug, Args)]
pub struct ReceiptKey {
    /// Its address, as the backend tells it at /v1/network.
    #[arg(long, value_name = "ADDRESS")]
    key: Address,
    /// The first day it is good for.
    #[arg(long, value_name = "DAY")]
    from: UtcDay,
    /// The first day it is no longer good for; for good where absent.
    #[arg(long, value_name = "DAY")]
    until: Option<UtcDay>,
    #[command(flatten)]
    pub(crate) send: Send,
}

/// A workload and its license collection.
#[derive(Debug, Args)]
pub struct ListWorkload {
    /// The workload's name: lower-case letters, digits and dashes.
    #[arg(value_name = "WORKLOAD")]
    workload: Name,
    /// The collection whose licenses it takes, for good.
    #[arg(long, value_name = "ADDRESS")]
    collection: Address,
    #[command(flatten)]
    pub(crate) send: Send,
}

/// A consent to a listing.
#[derive(Debug, Args)]
pub struct Consent {
    /// The collection, which the sender owns.
    #[arg(long, value_name = "ADDRESS")]
    collection: Address,
    /// Take the consent back; what is listed stays listed.
    #[arg(long)]
    withdraw: bool,
    #[command(flatten)]
    pub(crate) send: Send,
}

/// The release key and the release delay.
#[derive(Debug, Args)]
pub struct ReleaseKey {
    /// The key that announces releases; another than the owner's.
    #[arg(value_name = "ADDRESS")]
    key: Address,
    /// How long an announcement waits before nodes run it. Needed until something is announced.
    #[arg(long, value_name = "SECS")]
    delay: Option<u64>,
    #[command(flatten)]
    pub(crate) send: Send,
}

/// The parameter file of a registry.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RegistryFile {
    operator: Address,
}

/// Deploys a registry.
pub(crate) async fn create(settings: &Settings, create: &Create) -> anyhow::Result<Created> {
    let file: RegistryFile = read_params(&create.params)?;
    let key = settings.sender_key(&create.sender)?;
    let provider = settings.provider_with_key(&key).await?;
    let verification = Verification::project_registry();
    let arguments = file.operator.abi_encode();
    let code = &ProjectRegistry::BYTECODE;
    deploy(&provider, create, "registry", &verification, code, arguments).await
}

/// Who operates a network.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    registry: Address,
    operator: Address,
    /// Offered the role, and has not accepted; zero for nobody.
    pending_operator: Address,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "registry     {}", self.registry)?;
        write!(f, "operator     {}", self.operator)?;
        match self.pending_operator.is_zero() {
            true => Ok(()),
            false => write!(f, "\noffered to   {}", self.pending_operator),
        }
    }
}

/// Reads a registry.
pub(crate) async fn show(settings: &Settings) -> anyhow::Result<Shown> {
    let registry = *Settings::need(&settings.registry, "--registry")?;
    let provider = settings.provider().await?;
    provider.require_code(registry, "the registry").await?;
    let at = BlockId::latest();
    let operator = provider.call(registry, &networkOperatorCall {}, at).await?;
    let pending_operator = provider.call(registry, &pendingNetworkOperatorCall {}, at).await?;
    Ok(Shown { registry, operator, pending_operator })
}

/// What was recorded, or is to be sent.
#[derive(Debug, Serialize)]
pub(crate) struct Recorded {
    what: String,
    transaction: Option<B256>,
    to: Option<Address>,
    data: Option<Bytes>,
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "what         {}", self.what)?;
        match (self.transaction, self.to, &self.data) {
            (Some(transaction), ..) => write!(f, "\ntransaction  {transaction}"),
            (None, Some(to), Some(data)) => write!(
                f,
                "\nto           {to}\nvalue        0\ndata         {data}\ntransaction  none: yours to send"
            ),
            _ => f.write_str("\ntransaction  none: it is so already"),
        }
    }
}

/// A registry and how to write to it.
struct Desk {
    provider: Provider,
    registry: Address,
    /// Absent where the transaction is printed.
    sender: Option<Address>,
}

impl Desk {
    async fn open(settings: &Settings, send: &Send) -> anyhow::Result<Self> {
        let registry = *Settings::need(&settings.registry, "--registry")?;
        let (provider, sender) = match send.calldata {
            true => (settings.provider().await?, None),
            false => {
                let key = settings.sender_key(&send.sender)?;
                (settings.provider_with_key(&key).await?, Some(key.address()))
            }
        };
        provider.require_code(registry, "the registry").await?;
        Ok(Self { provider, registry, sender })
    }

    async fn read<C: SolCall>(&self, call: C) -> Result<C::Return, ChainError> {
        self.provider.call(self.registry, &call, BlockId::latest()).await
    }

    /// Sends a call, or prints it; nothing where it is `done`.
    async fn write<C: SolCall>(
        &self,
        what: String,
        done: bool,
        call: C,
    ) -> anyhow::Result<Recorded> {
        let mut recorded = Recorded { what, transaction: None, to: None, data: None };
        if done {
            return Ok(recorded);
        }
        let data = Bytes::from(call.abi_encode());
        if self.sender.is_none() {
            (recorded.to, recorded.data) = (Some(self.registry), Some(data));
            return Ok(recorded);
        }
        let request = TransactionRequest::default().with_to(self.registry).with_input(data);
        let receipt = self.provider.send(&format!("to record: {}", recorded.what), request).await?;
        recorded.transaction = Some(receipt.transaction_hash);
        Ok(recorded)
    }
}

/// Records a receipt key.
pub(crate) async fn receipt_key(
    settings: &Settings,
    wanted: &ReceiptKey,
) -> anyhow::Result<Recorded> {
    let from = wanted.from.start().secs();
    let until = wanted.until.map_or(u64::MAX, |day| day.start().secs());
    ensure!(from < until, "--until {} is not after --from", wanted.until.unwrap_or(wanted.from));
    let desk = Desk::open(settings, &wanted.send).await?;
    let known = desk.read(receiptKeyOfCall { key: wanted.key }).await?;
    let done = (known.validFrom, known.validUntil) == (from, until);
    let end = wanted.until.map_or_else(|| "on".to_owned(), |day| format!("to before {day}"));
    let what = format!("receipt key {} is good from {} {end}", wanted.key, wanted.from);
    let call = setReceiptKeyCall { key: wanted.key, validFrom: from, validUntil: until };
    desk.write(what, done, call).await
}

/// Lists a collection as a workload's licenses.
pub(crate) async fn list_workload(
    settings: &Settings,
    wanted: &ListWorkload,
) -> anyhow::Result<Recorded> {
    let desk = Desk::open(settings, &wanted.send).await?;
    let (project, name, owner) = find(settings, &desk.provider).await?;
    let (workload, collection) = (&wanted.workload, wanted.collection);
    let listed = collection_of(&desk.provider, desk.registry, project, workload).await?;
    if let Some(other) = listed.filter(|listed| *listed != collection) {
        bail!(
            "workload {name}/{workload} takes the licenses of {other}, for good: choose another name"
        );
    }
    if listed.is_none() {
        desk.provider.require_code(collection, "the collection").await?;
        let holder = NodeLicense::ownerCall {};
        let holder = desk.provider.call(collection, &holder, BlockId::latest()).await?;
        if holder != owner && !desk.read(isListingConsentedCall { collection, project }).await? {
            bail!(
                "collection {collection} belongs to {holder}, who has to consent first: \
                 nodesys-master license consent --collection {collection} --project {name}"
            );
        }
    }
    let what = format!("workload {name}/{workload} takes the licenses of {collection}");
    let call = listCollectionCall { project, workload: workload.to_string(), collection };
    desk.write(what, listed.is_some(), call).await
}

/// Consents to a listing by the project, or no longer.
pub(crate) async fn consent(settings: &Settings, wanted: &Consent) -> anyhow::Result<Recorded> {
    let desk = Desk::open(settings, &wanted.send).await?;
    let (project, name, _) = find(settings, &desk.provider).await?;
    let (collection, consented) = (wanted.collection, !wanted.withdraw);
    let known = desk.read(isListingConsentedCall { collection, project }).await?;
    let word = if consented { "may" } else { "may not" };
    let what = format!("project {name} {word} list the collection {collection}");
    let call = consentToListingCall { collection, project, consented };
    desk.write(what, known == consented, call).await
}

/// Sets the release key, or queues its change once something was announced.
pub(crate) async fn release_key(
    settings: &Settings,
    wanted: &ReleaseKey,
) -> anyhow::Result<Recorded> {
    let desk = Desk::open(settings, &wanted.send).await?;
    let (project, name, owner) = find(settings, &desk.provider).await?;
    let key = wanted.key;
    ensure!(
        key != owner,
        "{key} is the owner's key: what runs on nodes is announced by another, so that one stolen \
         key cannot both announce and keep others from vetoing"
    );
    let known = desk.read(releaseAuthorityOfCall { project }).await?;
    let what = format!("release key of {name} is {key}");
    if !known.inUse {
        let delay = wanted.delay.context("--delay is needed: nothing was announced yet")?;
        let done = (known.releaseKey, known.releaseDelay) == (key, delay);
        let what = format!("{what}, its announcements wait {delay} s");
        let call = setReleaseKeyCall { project, releaseKey: key, releaseDelay: delay };
        return desk.write(what, done, call).await;
    }
    ensure!(
        wanted.delay.is_none_or(|delay| delay == known.releaseDelay),
        "the delay is {} s, and no longer set together with the key",
        known.releaseDelay
    );
    let call = queueReleaseKeyCall { project, releaseKey: key };
    if known.releaseKey == key {
        return desk.write(what, true, call).await;
    }
    if known.nextReleaseKey == key {
        let from = Timestamp::from_secs(known.nextReleaseKeyFrom);
        return desk.write(format!("{what} from {from} on"), true, call).await;
    }
    desk.write(format!("{what} seven days from now"), false, call).await
}

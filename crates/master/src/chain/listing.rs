//! A collection's listing: `project list-workload` of the project's owner; `license consent|delist` of the
//! collection's.
//!
//! Each command reads the chain first and sends a transaction only if it is needed, so it is safe
//! to re-run. With `--calldata` and `--safe-batch` it prepares the transaction for another wallet.

use alloy::eips::BlockId;
use anyhow::{bail, ensure};
use clap::Args;
use nodesys_chain::ChainError;
use nodesys_chain::bindings::ProjectRegistry::{
    consentToListingCall, delistCollectionCall, listCollectionCall, listingConsentCall,
};
use nodesys_chain::bindings::{NodeLicense, RewardDistributor};
use nodesys_chain::collection::blocking_reason;
use nodesys_chain::listing::last_listing;
use nodesys_chain::project::collection_of;
use nodesys_core::Address;
use nodesys_core::address::address;
use nodesys_core::ids::Name;
use nodesys_core::time::Timestamp;

use super::project::{RegisteredProject, find};
use super::registry::RegistryWriter;
use super::tx::{SendArgs, TxSender, TxView};
use crate::config::Settings;

const DAY_SECS: u64 = 86_400;

/// A workload and its license collection.
#[derive(Debug, Args)]
pub struct ListWorkloadArgs {
    /// The workload's name: lower-case letters, digits and dashes.
    #[arg(value_name = "WORKLOAD")]
    workload: Name,
    /// The license collection of the workload, from today on until its owner delists it.
    #[arg(long, value_name = "ADDRESS")]
    #[arg(value_parser = address)]
    collection: Address,
    #[command(flatten)]
    pub(crate) send: SendArgs,
}

/// A collection owner's consent to a listing.
#[derive(Debug, Args)]
pub struct ConsentArgs {
    /// The license collection; the sender is its owner.
    #[arg(long, value_name = "ADDRESS")]
    #[arg(value_parser = address)]
    collection: Address,
    /// The workload of --project whose licenses it may become.
    #[arg(long, value_name = "WORKLOAD")]
    workload: Name,
    /// How long it may be listed from now on.
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    days: u16,
    /// Withdraw the consent; existing listings stay.
    #[arg(long, conflicts_with = "days")]
    withdraw: bool,
    #[command(flatten)]
    pub(crate) send: SendArgs,
}

/// The end of a collection's listing.
#[derive(Debug, Args)]
pub struct DelistArgs {
    /// The license collection; the sender is its owner.
    #[arg(long, value_name = "ADDRESS")]
    #[arg(value_parser = address)]
    collection: Address,
    #[command(flatten)]
    pub(crate) send: SendArgs,
}

/// Lists a collection as a workload's licenses.
pub(crate) async fn list_workload(
    settings: &Settings,
    tx: &TxSender,
    args: &ListWorkloadArgs,
) -> anyhow::Result<TxView> {
    let writer = RegistryWriter::of(settings, tx).await?;
    let RegisteredProject { address: project, name, owner, .. } =
        find(settings, &writer.sender.provider).await?;
    let (workload, collection) = (&args.workload, args.collection);
    let listed = collection_of(&writer.sender.provider, writer.registry, project, workload).await?;
    if let Some(other) = listed.filter(|listed| *listed != collection) {
        bail!(
            "workload {name}/{workload} is listed with the collection {other}: choose another name, or \
             wait until its owner has delisted it (nodesys-master license delist) and the end has come"
        );
    }
    if listed.is_none() {
        let provider = &writer.sender.provider;
        provider.require_code(collection, "the collection").await?;
        let first_block = settings.first_block.unwrap_or(0);
        if let Some(why) = blocking_reason(provider, collection, first_block).await? {
            bail!("collection {collection} cannot be listed: {why}");
        }
        let collection_owner = owner_of(&writer, collection).await?;
        let call = listingConsentCall { collection, project, workload: workload.to_string() };
        if collection_owner != owner && writer.read(call).await? == 0 {
            bail!(
                "collection {collection} belongs to {collection_owner}, who has to consent first with \
                 nodesys-master license consent --collection {collection} --project {name} \
                 --workload {workload}"
            );
        }
    }
    let entry = format!("workload {name}/{workload} is listed with the collection {collection}");
    let call = listCollectionCall { project, workload: workload.to_string(), collection };
    writer.record(entry, listed.is_some(), call).await
}

/// Who can consent to the listing of a collection.
async fn owner_of(writer: &RegistryWriter<'_>, collection: Address) -> anyhow::Result<Address> {
    let owner = match writer.sender.read(collection, NodeLicense::ownerCall {}).await {
        Ok(owner) => owner,
        Err(ChainError::Reverted { .. }) => Address::ZERO,
        Err(error) => return Err(error.into()),
    };
    ensure!(
        !owner.is_zero(),
        "collection {collection} names no owner by owner(), as with roles of AccessControl or an ownership \
         that was renounced: nobody can consent for it, so it cannot be listed. List a collection that \
         has an owner"
    );
    Ok(owner)
}

/// Gives or withdraws the consent to a listing by the project.
pub(crate) async fn consent(
    settings: &Settings,
    tx: &TxSender,
    args: &ConsentArgs,
) -> anyhow::Result<TxView> {
    let writer = RegistryWriter::of(settings, tx).await?;
    let RegisteredProject { address: project, name, .. } =
        find(settings, &writer.sender.provider).await?;
    let collection = args.collection;
    owner_of(&writer, collection).await?;
    let workload = args.workload.to_string();
    let call = listingConsentCall { collection, project, workload: workload.clone() };
    let known = writer.read(call).await?;
    let what = format!("list the collection {collection} as {name}/{workload}");
    if args.withdraw {
        let call = consentToListingCall { collection, project, workload, until: 0 };
        return writer.record(format!("nobody may {what}"), known == 0, call).await;
    }
    let now = writer.sender.provider.latest_block().await?.secs;
    let until = now.saturating_add(u64::from(args.days) * DAY_SECS);
    // Given a moment ago, by a run that is repeated, or for longer.
    let done = known.saturating_add(DAY_SECS) > until;
    let ends = Timestamp::from_secs(if done { known } else { until });
    let entry = format!("project {name} may {what} until {ends}");
    let call = consentToListingCall { collection, project, workload, until };
    writer.record(entry, done, call).await
}

/// Announces the end of a collection's listing.
pub(crate) async fn delist(
    settings: &Settings,
    tx: &TxSender,
    args: &DelistArgs,
) -> anyhow::Result<TxView> {
    let writer = RegistryWriter::of(settings, tx).await?;
    let (provider, collection) = (&writer.sender.provider, args.collection);
    let last = last_listing(provider, writer.registry, collection).await?;
    let Some(last) = last else { bail!("collection {collection} was never listed") };
    let call = delistCollectionCall { collection };
    if let Some(until) = last.days.until {
        let entry = format!("collection {collection} is listed until before {until}");
        return writer.record(entry, true, call).await;
    }
    owner_of(&writer, collection).await?;
    let timelock =
        provider.call(last.project, &RewardDistributor::timelockCall {}, BlockId::latest()).await?;
    let now = provider.latest_block().await?.secs;
    let day = Timestamp::from_secs(now.saturating_add(timelock)).day();
    let entry = format!(
        "collection {collection} is listed through {day}, the day on which the project's timelock has passed; \
         this cannot be withdrawn"
    );
    writer.record(entry, false, call).await
}

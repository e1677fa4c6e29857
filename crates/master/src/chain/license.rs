//! `license create|mint|show`: a project's license collection on chain.
//!
//! The same parameters and salt give the same collection, for any sender and any number of runs. A
//! mint names its first license, so running it again mints nothing twice.

use std::fmt;

use alloy::eips::BlockId;
use alloy::sol_types::SolValue as _;
use anyhow::{Context as _, bail};
use clap::Args;
use nodesys_chain::Provider;
use nodesys_chain::bindings::NodeLicense;
use nodesys_chain::bindings::NodeLicense::LicenseParams;
use nodesys_chain::verification::Verification;
use nodesys_core::address::address;
use nodesys_core::{Address, B256, U256};
use serde::{Deserialize, Serialize};

use super::deploy::{Contract, DeployArgs, DeploymentView};
use super::tx::{SendArgs, TxSender};

/// Licenses to mint.
#[derive(Debug, Args)]
pub struct MintArgs {
    /// The license collection.
    #[arg(long, value_name = "ADDRESS")]
    #[arg(value_parser = address)]
    collection: Address,
    /// Holder of the new licenses.
    #[arg(long, value_name = "ADDRESS")]
    #[arg(value_parser = address)]
    to: Address,
    /// Number of licenses.
    #[arg(long)]
    count: u64,
    /// Id of the first license, the `next` of `license show`. Licenses that exist already are not
    /// minted again, so the command can be repeated.
    #[arg(long, value_name = "ID")]
    first: u64,
    #[command(flatten)]
    pub(crate) send: SendArgs,
}

/// The parameter file of a collection; `docs/licenses.md` explains the fields.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LicenseFile {
    name: String,
    symbol: String,
    owner: Address,
    #[serde(default)]
    minter: Address,
    #[serde(default)]
    max_supply: u64,
    #[serde(default)]
    term_secs: u64,
    #[serde(default)]
    locked_until: u64,
    #[serde(default)]
    royalty_receiver: Address,
    #[serde(default)]
    royalty_bps: u16,
}

/// Deploys a collection.
pub(crate) async fn create(
    tx: &TxSender,
    args: &DeployArgs,
    file: LicenseFile,
) -> anyhow::Result<DeploymentView> {
    let params = LicenseParams {
        name: file.name.clone(),
        symbol: file.symbol,
        owner: file.owner,
        minter: file.minter,
        maxSupply: U256::from(file.max_supply),
        term: file.term_secs,
        lockedUntil: file.locked_until,
        royaltyReceiver: file.royalty_receiver,
        royaltyBps: file.royalty_bps,
    };
    let contract = Contract {
        name: file.name,
        verification: Verification::node_license(),
        arguments: params.abi_encode(),
    };
    contract.deploy(tx, args, &NodeLicense::BYTECODE).await
}

/// Licenses that were minted.
#[derive(Debug, Serialize)]
pub(crate) struct MintView {
    first: u64,
    count: u64,
    /// Number of them that had been minted before.
    already: u64,
    transactions: Vec<B256>,
}

impl fmt::Display for MintView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "licenses      {} to {}", self.first, self.first + self.count - 1)?;
        if self.already > 0 {
            write!(f, "\nexisting      {}", self.already)?;
        }
        for transaction in &self.transactions {
            write!(f, "\ntransaction   {transaction}")?;
        }
        Ok(())
    }
}

/// Most licenses that the contract mints in one call.
const MAX_BATCH: u64 = 1000;

/// Mints the missing licenses of `first..first + count`.
pub(crate) async fn mint(tx: &TxSender, args: &MintArgs) -> anyhow::Result<MintView> {
    let provider = &tx.provider;
    let MintArgs { collection, to, count, first, .. } = *args;
    if first == 0 || count == 0 {
        bail!("--first and --count are at least 1");
    }
    let end = first.checked_add(count).context("--first plus --count is beyond 64 bits")?;
    let supply = supply_of(provider, collection).await?;
    let mut next = supply + 1;
    if next < first {
        bail!("the next license is {next}, so {first} would leave a gap: use --first {next}");
    }
    let already = next.min(end) - first;
    check_holders(provider, collection, to, first, already).await?;
    let contract = NodeLicense::new(collection, provider.rpc());
    let mut transactions = Vec::new();
    while next < end {
        let batch = MAX_BATCH.min(end - next);
        let request = contract.mintBatch(to, U256::from(batch)).into_transaction_request();
        let licenses = format!("licenses {next} to {}", next + batch - 1);
        let action = format!("mint {licenses}, held by {to}");
        let sent = tx.send(&action, &format!("minting {licenses}"), request).await?;
        next += batch;
        let Some(transaction) = sent else { continue };
        transactions.push(transaction);
        let supply = supply_of(provider, collection).await?;
        if supply + 1 != next {
            bail!(
                "another sender minted at the same time: {supply} licenses exist now; check \
                 `license show` before you go on"
            );
        }
    }
    if tx.only_prepares() {
        tx.note(format!(
            "send it before anybody else mints: the ids are those that follow license {supply}"
        ));
    }
    Ok(MintView { first, count, already, transactions })
}

/// Fails where the existing licenses belong to another holder: then the command is meant for other
/// ids.
async fn check_holders(
    provider: &Provider,
    collection: Address,
    to: Address,
    first: u64,
    already: u64,
) -> anyhow::Result<()> {
    if already == 0 {
        return Ok(());
    }
    let call = NodeLicense::ownerOfCall { tokenId: U256::from(first) };
    let holder = provider.call(collection, &call, BlockId::latest()).await?;
    if holder != to {
        bail!(
            "license {first} exists and is held by {holder}, not {to}: nothing was minted; \
             `license show` has the next id"
        );
    }
    Ok(())
}

async fn supply_of(provider: &Provider, collection: Address) -> anyhow::Result<u64> {
    let call = NodeLicense::totalSupplyCall {};
    let supply = provider.call(collection, &call, BlockId::latest()).await?;
    u64::try_from(supply).ok().context("the supply is beyond 64 bits")
}

/// A collection's state on chain.
#[derive(Debug, Serialize)]
pub(crate) struct CollectionView {
    collection: Address,
    name: String,
    symbol: String,
    owner: Address,
    minter: Address,
    licenses: String,
    max_supply: String,
    term_secs: u64,
    locked_until: u64,
    next: String,
}

impl fmt::Display for CollectionView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "collection    {}", self.collection)?;
        writeln!(f, "name          {} ({})", self.name, self.symbol)?;
        writeln!(f, "owner         {}", self.owner)?;
        writeln!(f, "minter        {}", self.minter)?;
        writeln!(f, "licenses      {} of at most {}", self.licenses, self.max_supply)?;
        writeln!(f, "term          {} s (0: they never expire)", self.term_secs)?;
        writeln!(f, "locked until  {} (seconds since 1970)", self.locked_until)?;
        write!(f, "next          {}", self.next)
    }
}

/// Reads a collection.
pub(crate) async fn show(
    provider: &Provider,
    collection: Address,
) -> anyhow::Result<CollectionView> {
    let at = BlockId::latest();
    let (name, symbol, owner, minter, supply, max, term, locked) = tokio::try_join!(
        provider.call(collection, &NodeLicense::nameCall {}, at),
        provider.call(collection, &NodeLicense::symbolCall {}, at),
        provider.call(collection, &NodeLicense::ownerCall {}, at),
        provider.call(collection, &NodeLicense::minterCall {}, at),
        provider.call(collection, &NodeLicense::totalSupplyCall {}, at),
        provider.call(collection, &NodeLicense::maxSupplyCall {}, at),
        provider.call(collection, &NodeLicense::termCall {}, at),
        provider.call(collection, &NodeLicense::lockedUntilCall {}, at),
    )?;
    Ok(CollectionView {
        collection,
        name,
        symbol,
        owner,
        minter,
        licenses: supply.to_string(),
        max_supply: if max.is_zero() { "any number".to_owned() } else { max.to_string() },
        term_secs: term,
        locked_until: locked,
        next: (supply + U256::from(1)).to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_file_parses() {
        let text = include_str!("../../license.example.json");
        let file: LicenseFile = serde_json::from_str(text).unwrap();
        assert_eq!((file.max_supply, file.royalty_bps), (10_000, 250));
        let short =
            r#"{"name":"A","symbol":"A","owner":"0x1111111111111111111111111111111111111111"}"#;
        let file: LicenseFile = serde_json::from_str(short).unwrap();
        assert_eq!((file.term_secs, file.minter), (0, Address::ZERO));
        assert!(serde_json::from_str::<LicenseFile>(&text.replace("term_secs", "term")).is_err());
    }
}

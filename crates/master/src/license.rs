//! `license create|mint|show`: a project's license collection on chain.
//!
//! What stays true: the same parameters and salt make the same collection, whoever sends and however
//! often; a mint names the first license it makes, so running it again mints nothing twice.

use std::fmt;
use std::path::{Path, PathBuf};

use alloy::eips::BlockId;
use alloy::primitives::Bytes;
use alloy::sol_types::SolValue as _;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use nodesys_contracts::Provider;
use nodesys_contracts::bindings::NodeLicense;
use nodesys_contracts::bindings::NodeLicense::LicenseParams;
use nodesys_contracts::deterministic::Deployment;
use nodesys_contracts::verification::Verification;
use nodesys_core::{Address, B256, U256};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::cli::{Format, Sender};
use crate::config::Settings;
use crate::deployments::{Deployed, record, standard_input};
use crate::registry::Consent;

/// A license collection.
#[derive(Debug, Subcommand)]
pub enum LicenseCommand {
    /// Deploy a collection; finding it deployed already is success.
    Create(Create),
    /// Let --project list a collection that somebody else than its owner has.
    Consent(Consent),
    /// Mint licenses that do not exist yet; the sender has to be the collection's minter.
    Mint {
        /// The collection.
        #[arg(long, value_name = "ADDRESS")]
        collection: Address,
        /// Who gets them.
        #[arg(long, value_name = "ADDRESS")]
        to: Address,
        /// How many.
        #[arg(long)]
        count: u64,
        /// Id of the first of them, as `license show` tells it. Those that exist already are not
        /// minted again, so the same command can be repeated.
        #[arg(long, value_name = "ID")]
        first: u64,
        /// Who pays the gas.
        #[command(flatten)]
        sender: Sender,
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Show what a collection says of itself.
    Show {
        /// The collection.
        #[arg(long, value_name = "ADDRESS")]
        collection: Address,
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
}

/// How a contract is made from a file of parameters.
#[derive(Debug, Args)]
pub struct Create {
    /// JSON file of its parameters.
    #[arg(long, value_name = "FILE")]
    pub params: PathBuf,
    /// Another salt gives another contract with the same parameters.
    #[arg(long, value_name = "HEX", default_value_t)]
    pub salt: B256,
    /// Folder that records addresses and verification input.
    #[arg(long, value_name = "DIR", default_value = "deployments")]
    pub deployments: PathBuf,
    /// Who pays the gas.
    #[command(flatten)]
    pub sender: Sender,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
}

/// The parameter file of a collection; `docs/licenses.md` says what they mean.
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

/// A collection's or sale's deployment.
#[derive(Debug, Serialize)]
pub(crate) struct Created {
    pub(crate) address: Address,
    pub(crate) transaction: Option<B256>,
    /// What else was done or is left to do.
    pub(crate) notes: Vec<String>,
    /// Where it is recorded.
    pub(crate) record: PathBuf,
}

impl fmt::Display for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "address      {}", self.address)?;
        match self.transaction {
            Some(transaction) => writeln!(f, "transaction  {transaction}")?,
            None => writeln!(f, "transaction  none: it was there already")?,
        }
        for note in &self.notes {
            writeln!(f, "             {note}")?;
        }
        write!(f, "recorded in  {}", self.record.display())
    }
}

/// Reads a file of parameters.
pub(crate) fn read_params<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let bytes = std::fs::read(path)
        .with_context(|| format!("cannot read the parameter file {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("parameter file {}", path.display()))
}

/// Deploys a contract and records it.
pub(crate) async fn deploy(
    provider: &Provider,
    create: &Create,
    name: &str,
    verification: &Verification,
    code: &Bytes,
    arguments: Vec<u8>,
) -> anyhow::Result<Created> {
    let deployment = Deployment {
        what: format!("the contract of {name}"),
        salt: create.salt,
        init_code: [code.as_ref(), &arguments].concat().into(),
    };
    let transaction = deployment.ensure(provider).await?;
    let deployed = Deployed {
        contract: verification.contract.clone(),
        name: name.to_owned(),
        address: deployment.address(),
        salt: create.salt,
        constructor_arguments: arguments.into(),
        compiler: verification.compiler.clone(),
        standard_input: standard_input(verification),
    };
    let record = record(&create.deployments, provider.chain_id(), verification, &deployed)
        .with_context(|| {
            format!("it is deployed at {}, but not recorded: run it again", deployed.address)
        })?;
    Ok(Created { address: deployed.address, transaction, notes: Vec::new(), record })
}

/// Makes a collection.
pub(crate) async fn create(settings: &Settings, create: &Create) -> anyhow::Result<Created> {
    let file: LicenseFile = read_params(&create.params)?;
    let key = settings.sender_key(&create.sender)?;
    let provider = settings.provider_with_key(&key).await?;
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
    let verification = Verification::node_license();
    let arguments = params.abi_encode();
    deploy(&provider, create, &file.name, &verification, &NodeLicense::BYTECODE, arguments).await
}

/// What a mint did.
#[derive(Debug, Serialize)]
pub(crate) struct Minted {
    first: u64,
    count: u64,
    /// How many of them had been minted before.
    already: u64,
    transactions: Vec<B256>,
}

impl fmt::Display for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "licenses      {} to {}", self.first, self.first + self.count - 1)?;
        if self.already > 0 {
            write!(f, "\nthere already {}", self.already)?;
        }
        for transaction in &self.transactions {
            write!(f, "\ntransaction   {transaction}")?;
        }
        Ok(())
    }
}

/// Most licenses the collection mints at once.
const MAX_BATCH: u64 = 1000;

/// Mints what is missing of `first..first + count`.
pub(crate) async fn mint(
    provider: &Provider,
    collection: Address,
    to: Address,
    first: u64,
    count: u64,
) -> anyhow::Result<Minted> {
    if first == 0 || count == 0 {
        bail!("--first and --count are at least 1");
    }
    let end = first.checked_add(count).context("there are not that many ids")?;
    let supply = supply_of(provider, collection).await?;
    let mut next = supply + 1;
    if next < first {
        bail!(
            "the next license is {next}, not {first}: others would come between; use --first {next}"
        );
    }
    let already = next.min(end) - first;
    check_holders(provider, collection, to, first, already).await?;
    let contract = NodeLicense::new(collection, provider.rpc());
    let mut transactions = Vec::new();
    while next < end {
        let batch = MAX_BATCH.min(end - next);
        let request = contract.mintBatch(to, U256::from(batch)).into_transaction_request();
        let what = format!("minting licenses {next} to {}", next + batch - 1);
        transactions.push(provider.send(&what, request).await?.transaction_hash);
        next += batch;
        let supply = supply_of(provider, collection).await?;
        if supply + 1 != next {
            bail!("somebody else minted meanwhile: {supply} exist; look at `license show` first");
        }
    }
    Ok(Minted { first, count, already, transactions })
}

/// Those that exist must be what this command would have made, or it was meant for others.
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
             `license show` tells the next id"
        );
    }
    Ok(())
}

async fn supply_of(provider: &Provider, collection: Address) -> anyhow::Result<u64> {
    let call = NodeLicense::totalSupplyCall {};
    let supply = provider.call(collection, &call, BlockId::latest()).await?;
    u64::try_from(supply).ok().context("more licenses than 64 bits count")
}

/// What a collection says of itself.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
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

impl fmt::Display for Shown {
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
pub(crate) async fn show(provider: &Provider, collection: Address) -> anyhow::Result<Shown> {
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
    Ok(Shown {
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
    fn the_example_file_is_a_collection() {
        let text = include_str!("../license.example.json");
        let file: LicenseFile = serde_json::from_str(text).unwrap();
        assert_eq!((file.max_supply, file.royalty_bps), (10_000, 250));
        let short =
            r#"{"name":"A","symbol":"A","owner":"0x1111111111111111111111111111111111111111"}"#;
        let file: LicenseFile = serde_json::from_str(short).unwrap();
        assert_eq!((file.term_secs, file.minter), (0, Address::ZERO));
        assert!(serde_json::from_str::<LicenseFile>(&text.replace("term_secs", "term")).is_err());
    }
}

//! `sale create|show`: the sale of a collection's licenses.
//!
//! Creating has two steps, each done only where it is missing: the contract, and the collection's
//! minter set to it. Only the collection's owner can do the second; where the sender is not, what is
//! left to do is said.

use std::fmt;

use alloy::eips::BlockId;
use alloy::sol_types::SolValue as _;
use clap::Subcommand;
use nodesys_contracts::Provider;
use nodesys_contracts::bindings::LicenseSale::{SaleParams, SaleState, Tier};
use nodesys_contracts::bindings::{LicenseSale, NodeLicense};
use nodesys_contracts::verification::Verification;
use nodesys_core::ids::Amount;
use nodesys_core::{Address, B256};
use serde::{Deserialize, Serialize};

use crate::cli::Format;
use crate::config::Settings;
use crate::license::{Create, Created, deploy, read_params};

/// The sale of a collection's licenses.
#[derive(Debug, Subcommand)]
pub enum SaleCommand {
    /// Deploy a sale and make it the collection's minter; what is done already is left alone.
    Create(Create),
    /// Show where a sale stands.
    Show {
        /// The sale.
        #[arg(long, value_name = "ADDRESS")]
        sale: Address,
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
}

/// The parameter file of a sale; `docs/licenses.md` says what they mean.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaleFile {
    collection: Address,
    owner: Address,
    #[serde(default)]
    payment_token: Address,
    starts_at: u64,
    ends_at: u64,
    #[serde(default)]
    wallet_cap: u32,
    #[serde(default)]
    allowlist_root: B256,
    tiers: Vec<TierRow>,
}

/// Some licenses at one price.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TierRow {
    price: Amount,
    count: u32,
}

/// Makes a sale.
pub(crate) async fn create(settings: &Settings, create: &Create) -> anyhow::Result<Created> {
    let file: SaleFile = read_params(&create.params)?;
    let key = settings.sender_key(&create.sender)?;
    let provider = settings.provider_with_key(&key).await?;
    let collection = file.collection;
    provider.require_code(collection, "the license collection of the sale").await?;
    let at = BlockId::latest();
    let name = provider.call(collection, &NodeLicense::nameCall {}, at).await?;
    let tier = |tier: &TierRow| Tier { price: tier.price.get(), count: tier.count };
    let params = SaleParams {
        collection,
        owner: file.owner,
        paymentToken: file.payment_token,
        startsAt: file.starts_at,
        endsAt: file.ends_at,
        walletCap: file.wallet_cap,
        allowlistRoot: file.allowlist_root,
        tiers: file.tiers.iter().map(tier).collect(),
    };
    let verification = Verification::license_sale();
    let arguments = params.abi_encode();
    let name = format!("the sale of {name}");
    let mut created =
        deploy(&provider, create, &name, &verification, &LicenseSale::BYTECODE, arguments).await?;
    created.notes.push(become_minter(&provider, collection, created.address).await?);
    Ok(created)
}

/// Makes the sale its collection's minter, if the sender may and it is not.
async fn become_minter(
    provider: &Provider,
    collection: Address,
    sale: Address,
) -> anyhow::Result<String> {
    let at = BlockId::latest();
    let minter = provider.call(collection, &NodeLicense::minterCall {}, at).await?;
    if minter == sale {
        return Ok("it is the collection's minter".to_owned());
    }
    let owner = provider.call(collection, &NodeLicense::ownerCall {}, at).await?;
    if provider.sender() != Some(owner) {
        return Ok(format!(
            "NOT YET open: the collection's owner {owner} has to send setMinter({sale})"
        ));
    }
    let contract = NodeLicense::new(collection, provider.rpc());
    let what = "making the sale the collection's minter";
    let receipt = provider.send(what, contract.setMinter(sale).into_transaction_request()).await?;
    Ok(format!("made the collection's minter in {}", receipt.transaction_hash))
}

/// Where a sale stands.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    sale: Address,
    collection: Address,
    owner: Address,
    payment_token: Option<Address>,
    /// Whether it can mint.
    is_minter: bool,
    paused: bool,
    starts_at: u64,
    ends_at: u64,
    wallet_cap: u32,
    allowlist_root: Option<B256>,
    sold: String,
    supply: String,
    price: String,
    left_at_price: String,
    proceeds: String,
    rewards_owed: String,
    tiers: Vec<TierRow>,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let coin = "the native coin".to_owned();
        let token = self.payment_token.map_or(coin, |token| token.to_string());
        let minter = if self.is_minter { "" } else { ", which it CANNOT mint: not the minter" };
        let paused = if self.paused { ", paused" } else { "" };
        writeln!(f, "sale          {}", self.sale)?;
        writeln!(f, "owner         {}", self.owner)?;
        writeln!(f, "collection    {}{minter}", self.collection)?;
        writeln!(f, "paid in       {token}")?;
        writeln!(
            f,
            "open          {} to {} (seconds since 1970){paused}",
            self.starts_at, self.ends_at
        )?;
        writeln!(f, "sold          {} of {}", self.sold, self.supply)?;
        writeln!(f, "price         {} for the next {}", self.price, self.left_at_price)?;
        match self.wallet_cap {
            0 => writeln!(f, "wallet cap    none")?,
            cap => writeln!(f, "wallet cap    {cap}")?,
        }
        match self.allowlist_root {
            None => writeln!(f, "allowlist     none")?,
            Some(root) => writeln!(f, "allowlist     {root}")?,
        }
        writeln!(f, "proceeds      {}", self.proceeds)?;
        write!(f, "rewards owed  {}", self.rewards_owed)?;
        for tier in &self.tiers {
            write!(f, "\ntier          {} at {}", tier.count, tier.price)?;
        }
        Ok(())
    }
}

/// Reads a sale.
pub(crate) async fn show(provider: &Provider, sale: Address) -> anyhow::Result<Shown> {
    let at = BlockId::latest();
    let (state, tiers, owner) = tokio::try_join!(
        provider.call(sale, &LicenseSale::stateCall {}, at),
        provider.call(sale, &LicenseSale::tiersCall {}, at),
        provider.call(sale, &LicenseSale::ownerCall {}, at),
    )?;
    let SaleState { collection, .. } = state;
    let minter = provider.call(collection, &NodeLicense::minterCall {}, at).await?;
    Ok(Shown {
        sale,
        collection,
        owner,
        payment_token: Some(state.paymentToken).filter(|token| !token.is_zero()),
        is_minter: minter == sale,
        paused: state.paused,
        starts_at: state.startsAt,
        ends_at: state.endsAt,
        wallet_cap: state.walletCap,
        allowlist_root: Some(state.allowlistRoot).filter(|root| !root.is_zero()),
        sold: state.sold.to_string(),
        supply: state.supply.to_string(),
        price: state.price.to_string(),
        left_at_price: state.leftAtPrice.to_string(),
        proceeds: state.proceeds.to_string(),
        rewards_owed: state.rewardsOwed.to_string(),
        tiers: tiers
            .iter()
            .map(|tier| TierRow { price: Amount::new(tier.price), count: tier.count })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_file_is_a_sale() {
        let text = include_str!("../sale.example.json");
        let file: SaleFile = serde_json::from_str(text).unwrap();
        assert_eq!(file.tiers.len(), 2);
        assert!(serde_json::from_str::<SaleFile>(&text.replace("wallet_cap", "cap")).is_err());
        // An amount is a decimal string: a JSON number would lose digits in other programs.
        let number = text.replace("\"100000000000000000\"", "100000000000000000");
        assert!(serde_json::from_str::<SaleFile>(&number).is_err());
    }
}

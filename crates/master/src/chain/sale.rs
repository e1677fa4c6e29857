//! `sale create|show`: the sale of a collection's licenses.
//!
//! `create` has two steps, each skipped where it is done: deploy the contract, and make it the
//! collection's minter. Only the collection's owner can do the second; for any other sender the
//! command names the owner's transaction.

use std::fmt;

use alloy::eips::BlockId;
use alloy::sol_types::SolValue as _;
use anyhow::bail;
use clap::Args;
use nodesys_chain::bindings::LicenseSale::{SaleParams, SaleState, Tier};
use nodesys_chain::bindings::{LicenseSale, NodeLicense};
use nodesys_chain::verification::Verification;
use nodesys_chain::{ChainError, Provider};
use nodesys_core::ids::Amount;
use nodesys_core::{Address, B256};
use serde::{Deserialize, Serialize};

use super::deploy::{Contract, DeployArgs, DeploymentView};
use super::tx::TxSender;

/// The parameter file of a sale; `docs/licenses.md` explains the fields.
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

/// A number of licenses at one price.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TierRow {
    price: Amount,
    count: u32,
}

/// Options of `sale create`.
#[derive(Debug, Args)]
pub struct SaleArgs {
    #[command(flatten)]
    pub(crate) deploy: DeployArgs,
    /// Put this sale in the place of the collection's present minter, which can sell nothing then.
    #[arg(long)]
    pub(crate) replace: bool,
}

/// Deploys a sale and makes it its collection's minter.
pub(crate) async fn create(
    tx: &TxSender,
    args: &SaleArgs,
    file: SaleFile,
) -> anyhow::Result<DeploymentView> {
    let SaleArgs { deploy: args, replace } = args;
    let (provider, collection) = (&tx.provider, file.collection);
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
    let contract = Contract {
        name: format!("the sale of {name}"),
        verification: Verification::license_sale(),
        arguments: params.abi_encode(),
    };
    if !replace {
        let fresh = contract.address(args, &LicenseSale::BYTECODE);
        refuse_to_unseat(provider, collection, fresh).await?;
    }
    let mut created = contract.deploy(tx, args, &LicenseSale::BYTECODE).await?;
    created.notes.push(become_minter(tx, collection, created.address).await?);
    Ok(created)
}

/// Fails where another sale sells the collection's licenses: a file that was changed gives another sale.
async fn refuse_to_unseat(
    provider: &Provider,
    collection: Address,
    fresh: Address,
) -> anyhow::Result<()> {
    let at = BlockId::latest();
    let minter = provider.call(collection, &NodeLicense::minterCall {}, at).await?;
    if minter == fresh || provider.code(minter).await?.is_empty() {
        return Ok(());
    }
    match provider.call(minter, &LicenseSale::stateCall {}, at).await {
        Ok(sale) if sale.collection == collection => bail!(
            "the sale {minter} sells this collection's licenses ({} of {} sold, open until {} in \
             seconds since 1970); these parameters give another sale, {fresh}, and only one can sell: \
             nothing was sent. Give --replace to end the running one",
            sale.sold,
            sale.supply,
            sale.endsAt
        ),
        // A Safe, or a sale of another kind: it would lose the right to mint all the same.
        Ok(_) | Err(ChainError::Reverted { .. } | ChainError::NoCode { .. }) => bail!(
            "the contract {minter} is the collection's minter, and would be so no longer: nothing \
             was sent. Give --replace to put this sale in its place"
        ),
        Err(error) => Err(error.into()),
    }
}

/// Makes the sale its collection's minter, unless it is or the sender may not. The answer is a note
/// for the command's output.
async fn become_minter(
    tx: &TxSender,
    collection: Address,
    sale: Address,
) -> anyhow::Result<String> {
    let minter = tx.read(collection, NodeLicense::minterCall {}).await?;
    if minter == sale {
        return Ok("the sale is the collection's minter already".to_owned());
    }
    let owner = tx.read(collection, NodeLicense::ownerCall {}).await?;
    if tx.account().is_some_and(|sender| sender != owner) {
        let left =
            format!("NOT YET open: the collection's owner {owner} has to send setMinter({sale})");
        tx.note(left.clone());
        return Ok(left);
    }
    let contract = NodeLicense::new(collection, tx.provider.rpc());
    let request = contract.setMinter(sale).into_transaction_request();
    let action = format!("make the sale {sale} the collection's minter");
    let sent = tx.send(&action, "making the sale the collection's minter", request).await?;
    tx.note(format!("the sender of the last one is the collection's owner {owner}"));
    Ok(sent.map_or(action, |sent| format!("the sale is now the collection's minter ({sent})")))
}

/// A sale's state on chain.
#[derive(Debug, Serialize)]
pub(crate) struct SaleView {
    sale: Address,
    collection: Address,
    owner: Address,
    payment_token: Option<Address>,
    /// Whether it is the collection's minter.
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

impl fmt::Display for SaleView {
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
pub(crate) async fn show(provider: &Provider, sale: Address) -> anyhow::Result<SaleView> {
    let at = BlockId::latest();
    let (state, tiers, owner) = tokio::try_join!(
        provider.call(sale, &LicenseSale::stateCall {}, at),
        provider.call(sale, &LicenseSale::tiersCall {}, at),
        provider.call(sale, &LicenseSale::ownerCall {}, at),
    )?;
    let SaleState { collection, .. } = state;
    let minter = provider.call(collection, &NodeLicense::minterCall {}, at).await?;
    Ok(SaleView {
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
    fn the_example_file_parses() {
        let text = include_str!("../../sale.example.json");
        let file: SaleFile = serde_json::from_str(text).unwrap();
        assert_eq!(file.tiers.len(), 2);
        assert!(serde_json::from_str::<SaleFile>(&text.replace("wallet_cap", "cap")).is_err());
        // An amount is a decimal string: a JSON number would lose digits in other programs.
        let number = text.replace("\"100000000000000000\"", "100000000000000000");
        assert!(serde_json::from_str::<SaleFile>(&number).is_err());
    }
}

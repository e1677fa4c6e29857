//! `project create|show|fund`: a project's contract on chain. [`super::timelock`] has the owner's
//! later decisions.
//!
//! The sender owns the project it creates, at an address that depends on all of its parameters, so a
//! second run finds it. That address is reserved before ([`super::reservation`]). Funding tops up to a
//! level, so a second run sends nothing.

use std::fmt;

use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::sol_types::SolValue as _;
use anyhow::{Context as _, bail, ensure};
use clap::Args;
use nodesys_chain::Provider;
use nodesys_chain::bindings::ProjectRegistry::{
    ProjectParams, createProjectCall, projectAddressCall,
};
use nodesys_chain::project::{by_name, of, state_of};
use nodesys_chain::standards::IERC20;
use nodesys_chain::verification::Verification;
use nodesys_core::ids::{Amount, Name};
use nodesys_core::{Address, B256, U256};
use serde::{Deserialize, Serialize};

use super::deploy::{Contract, DeployArgs, DeploymentView};
use super::listings::{self, ListingView};
use super::reservation::{Reservation, reserve};
use super::tx::{SendArgs, TxSender, call_request};
use crate::config::Settings;

/// A level up to which a project is funded.
#[derive(Debug, Args)]
pub struct FundArgs {
    /// Balance to reach, in the token's smallest unit; the missing part is transferred.
    #[arg(long, value_name = "WEI")]
    pub(crate) up_to: Amount,
    #[command(flatten)]
    pub(crate) send: SendArgs,
}

/// The parameter file of a project.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProjectFile {
    name: Name,
    token: Address,
    signer: Address,
    #[serde(default)]
    guardian: Address,
    daily_quota: Amount,
    delay_secs: u64,
    #[serde(default)]
    metadata_uri: String,
    #[serde(default)]
    claims_for_contracts: bool,
}

/// Creates a project.
pub(crate) async fn create(
    settings: &Settings,
    tx: &TxSender,
    args: &DeployArgs,
    file: ProjectFile,
) -> anyhow::Result<DeploymentView> {
    let registry = *Settings::need(&settings.registry, "--registry")?;
    let provider = &tx.provider;
    let creator = tx.need_account("the project's owner and address are given by who creates it")?;
    let params = ProjectParams {
        name: file.name.to_string(),
        token: file.token,
        signer: file.signer,
        guardian: file.guardian,
        dailyQuota: file.daily_quota.get(),
        delay: file.delay_secs,
        metadataURI: file.metadata_uri,
        claimsForContracts: file.claims_for_contracts,
        userSalt: args.salt,
    };
    let at = BlockId::latest();
    let call = projectAddressCall { creator, params: params.clone() };
    let address = provider.call(registry, &call, at).await?;
    let known = by_name(provider, registry, &file.name).await?;
    let mut reserved = None;
    let transaction = match known {
        Some(found) if found == address => None,
        Some(other) => bail!(
            "the name {} is taken by the project at {other}, whose parameters, owner or salt differ \
             from these (which give {address})",
            file.name
        ),
        None => {
            let call = createProjectCall { params: params.clone() };
            let creation = call_request(registry, &call);
            match reserve(tx, registry, (creator, address), &creation).await? {
                Reservation::Counts(transaction) => reserved = transaction,
                // A Safe sends what is in a file as one transaction, in which the reservation is too young.
                Reservation::Prepared if args.send.safe_batch.is_some() => {
                    tx.note(
                        "run the same command again five minutes after its block, and within seven \
                         days: it writes the creation, which shows the project's name"
                            .to_owned(),
                    );
                    return Ok(DeploymentView::planned(address));
                }
                Reservation::Prepared => tx.note(
                    "send the second five minutes after the block of the first, and within seven days; \
                     show it to nobody before, since it has the project's name"
                        .to_owned(),
                ),
            }
            let action = format!("create the project {} at {address}", file.name);
            let purpose = format!("creating the project {}", file.name);
            tx.send(&action, &purpose, creation).await?
        }
    };
    let contract = Contract {
        name: file.name.to_string(),
        verification: Verification::reward_distributor(),
        arguments: (registry, params).abi_encode_params(),
    };
    let mut view = contract.made(tx, args, address, transaction, known.is_some()).await?;
    view.notes.extend(reserved.map(|transaction| format!("reserved before ({transaction})")));
    Ok(view)
}

/// A project's state on chain.
#[derive(Debug, Serialize)]
pub(crate) struct ProjectView {
    project: Address,
    name: Name,
    owner: Address,
    signer: Address,
    token: Address,
    daily_quota: Amount,
    balance: String,
    /// Committed and not claimed yet.
    owed: String,
    epoch: u64,
    revision: u32,
    listings: Vec<ListingView>,
}

impl fmt::Display for ProjectView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "project      {} ({})", self.project, self.name)?;
        writeln!(f, "owner        {}", self.owner)?;
        if self.signer.is_zero() {
            writeln!(f, "signer       none: disabled")?;
        } else {
            writeln!(f, "signer       {}", self.signer)?;
        }
        writeln!(f, "token        {}", self.token)?;
        writeln!(f, "daily quota  {}", self.daily_quota)?;
        writeln!(f, "balance      {}", self.balance)?;
        writeln!(f, "owed         {}", self.owed)?;
        writeln!(f, "last epoch   {}", self.epoch)?;
        write!(f, "revision     {}", self.revision)?;
        self.listings.iter().try_for_each(|listing| write!(f, "\nlisted       {listing}"))
    }
}

/// A project as the registry records it.
pub(crate) struct RegisteredProject {
    pub(crate) registry: Address,
    /// Its `RewardDistributor`.
    pub(crate) address: Address,
    pub(crate) name: Name,
    pub(crate) owner: Address,
}

/// Finds the project of `--project` in the registry of `--registry`.
pub(crate) async fn find(
    settings: &Settings,
    provider: &Provider,
) -> anyhow::Result<RegisteredProject> {
    let registry = *Settings::need(&settings.registry, "--registry")?;
    let name = Settings::need(&settings.project, "--project")?;
    let address = by_name(provider, registry, name).await?.with_context(|| {
        format!(
            "the registry {registry} has no project {name}: check the name, or create it with \
             `project create`"
        )
    })?;
    let project = of(provider, registry, address)
        .await?
        .with_context(|| format!("the registry {registry} does not know {address}"))?;
    Ok(RegisteredProject { registry, address, name: project.name, owner: project.owner })
}

/// Reads a project.
pub(crate) async fn show(settings: &Settings) -> anyhow::Result<ProjectView> {
    let provider = settings.provider().await?;
    let project = find(settings, &provider).await?;
    let state = state_of(&provider, project.address, BlockNumberOrTag::Latest).await?;
    let first = settings.first_block.unwrap_or(0);
    let listings = listings::current(&provider, project.registry, project.address, first).await?;
    Ok(ProjectView {
        project: project.address,
        name: project.name,
        owner: project.owner,
        signer: state.signer,
        token: state.token,
        daily_quota: state.daily_quota,
        balance: state.balance.to_string(),
        owed: state.total.get().saturating_sub(state.paid.get()).to_string(),
        epoch: state.epoch,
        revision: state.revision,
        listings,
    })
}

/// A project's funding.
#[derive(Debug, Serialize)]
pub(crate) struct FundingView {
    project: Address,
    token: Address,
    sent: String,
    balance: String,
    transaction: Option<B256>,
}

impl fmt::Display for FundingView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "project      {}", self.project)?;
        writeln!(f, "token        {}", self.token)?;
        writeln!(f, "sent         {}", self.sent)?;
        write!(f, "balance      {}", self.balance)?;
        match self.transaction {
            Some(transaction) => write!(f, "\ntransaction  {transaction}"),
            None => write!(f, "\ntransaction  none: the balance is high enough"),
        }
    }
}

/// Tops a project's balance up to a level.
pub(crate) async fn fund(
    settings: &Settings,
    tx: &TxSender,
    up_to: Amount,
) -> anyhow::Result<FundingView> {
    let provider = &tx.provider;
    let project = find(settings, provider).await?.address;
    let state = state_of(provider, project, BlockNumberOrTag::Latest).await?;
    let missing = up_to.to_u256().saturating_sub(state.balance);
    let mut transaction = None;
    if !missing.is_zero() {
        if let Some(sender) = tx.account() {
            let own = tx.read(state.token, IERC20::balanceOfCall { account: sender }).await?;
            ensure!(
                own >= missing,
                "the project lacks {missing} of token {}, but {sender} has only {own}: nothing was \
                 sent",
                state.token
            );
        }
        let action = format!("transfer {missing} of token {} to the project", state.token);
        let call = IERC20::transferCall { to: project, amount: missing };
        let request = call_request(state.token, &call);
        transaction = tx.send(&action, "funding the project", request).await?;
    }
    let after = state_of(provider, project, BlockNumberOrTag::Latest).await?.balance;
    ensure!(
        after >= up_to.to_u256() || tx.only_prepares(),
        "the project holds {after} after the transfer, less than {up_to}: does the token take a fee?"
    );
    Ok(FundingView {
        project,
        token: state.token,
        sent: U256::to_string(&missing),
        balance: after.to_string(),
        transaction,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_file_parses() {
        let text = include_str!("../../project.example.json");
        let file: ProjectFile = serde_json::from_str(text).unwrap();
        assert_eq!((file.name.as_str(), file.delay_secs), ("acme", 86_400));
        assert!(serde_json::from_str::<ProjectFile>(&text.replace("guardian", "guard")).is_err());
    }
}

//! `project create|show|fund`: a project's rewards on chain. Its other verbs stand in [`crate::admin`].
//!
//! What stays true: the sender owns the project it creates, at an address that commits to all of its
//! parameters, so a second run finds it; funding tops up to a level, so a second run sends nothing.

use std::fmt;

use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::network::TransactionBuilder as _;
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::{SolCall as _, SolValue as _};
use anyhow::{Context as _, bail};
use clap::Subcommand;
use nodesys_contracts::Provider;
use nodesys_contracts::bindings::ProjectRegistry::{
    ProjectParams, createProjectCall, projectAddressCall,
};
use nodesys_contracts::project::{by_name, of, state_of};
use nodesys_contracts::standards::IERC20;
use nodesys_contracts::verification::Verification;
use nodesys_core::ids::{Amount, Name};
use nodesys_core::{Address, B256, U256};
use serde::{Deserialize, Serialize};

use crate::admin;
use crate::cli::{Format, Sender};
use crate::config::Settings;
use crate::deployments::{Deployed, record, standard_input};
use crate::license::{Create, Created, read_params};
use crate::registry::ListWorkload;

/// A project.
#[derive(Debug, Subcommand)]
pub enum ProjectCommand {
    /// Create a project, which the sender then owns; finding it created already is success.
    Create(Create),
    /// Show where the project of --project stands.
    Show {
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// List a license collection as a workload of --project, for good; finding it listed is success.
    ListWorkload(ListWorkload),
    /// Replace the reward signer of --project, or disable it at once.
    Signer(admin::Signer),
    /// Queue an action that waits for the timelock; finding it queued already is success.
    Queue(admin::Queue),
    /// Show what waits, and when it may be executed.
    Pending {
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Make a queued call whose wait is over.
    Execute(admin::Queued),
    /// Cancel a queued call. Owner, or the guardian unless it would replace the guardian.
    Cancel(admin::Queued),
    /// Do at once what lowers risk.
    Now(admin::Now),
    /// Send the project of --project reward tokens until it holds so many.
    Fund {
        /// What it should hold, in the token's smallest unit. It is sent what is missing.
        #[arg(long, value_name = "WEI")]
        up_to: Amount,
        /// Whose tokens are sent, and who pays the gas.
        #[command(flatten)]
        sender: Sender,
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
}

/// The parameter file of a project.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProjectFile {
    name: Name,
    token: Address,
    signer: Address,
    #[serde(default)]
    guardian: Address,
    daily_quota: Amount,
    delay_secs: u64,
    #[serde(default)]
    metadata_uri: String,
}

/// Makes a project.
pub(crate) async fn create(settings: &Settings, create: &Create) -> anyhow::Result<Created> {
    let file: ProjectFile = read_params(&create.params)?;
    let registry = *Settings::need(&settings.registry, "--registry")?;
    let key = settings.sender_key(&create.sender)?;
    let provider = settings.provider_with_key(&key).await?;
    let params = ProjectParams {
        name: file.name.to_string(),
        token: file.token,
        signer: file.signer,
        guardian: file.guardian,
        dailyQuota: file.daily_quota.get(),
        delay: file.delay_secs,
        metadataURI: file.metadata_uri,
        userSalt: create.salt,
    };
    let at = BlockId::latest();
    let call = projectAddressCall { creator: key.address(), params: params.clone() };
    let address = provider.call(registry, &call, at).await?;
    let transaction = match by_name(&provider, registry, &file.name).await? {
        Some(found) if found == address => None,
        Some(other) => bail!(
            "the name {} is taken by the project at {other}, which has other parameters, another \
             owner or another salt than these (they would give {address})",
            file.name
        ),
        None => {
            let call = createProjectCall { params: params.clone() };
            let request =
                TransactionRequest::default().with_to(registry).with_input(call.abi_encode());
            let what = format!("creating the project {}", file.name);
            Some(provider.send(&what, request).await?.transaction_hash)
        }
    };
    provider.require_code(address, "the project's distributor").await?;
    let verification = Verification::reward_distributor();
    let deployed = Deployed {
        contract: verification.contract.clone(),
        name: file.name.to_string(),
        address,
        salt: create.salt,
        constructor_arguments: (registry, params).abi_encode_params().into(),
        compiler: verification.compiler.clone(),
        standard_input: standard_input(&verification),
    };
    let record = record(&create.deployments, provider.chain_id(), &verification, &deployed)
        .with_context(|| format!("it is created at {address}, but not recorded: run it again"))?;
    Ok(Created { address, transaction, notes: Vec::new(), record })
}

/// Where a project stands.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
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
}

impl fmt::Display for Shown {
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
        write!(f, "revision     {}", self.revision)
    }
}

/// The project of the settings, with its name and owner.
pub(crate) async fn find(
    settings: &Settings,
    provider: &Provider,
) -> anyhow::Result<(Address, Name, Address)> {
    let registry = *Settings::need(&settings.registry, "--registry")?;
    let name = Settings::need(&settings.project, "--project")?;
    let distributor = by_name(provider, registry, name).await?.with_context(|| {
        format!("the registry {registry} has no project {name}: `project create` makes one")
    })?;
    let project = of(provider, registry, distributor)
        .await?
        .with_context(|| format!("the registry {registry} does not know {distributor}"))?;
    Ok((distributor, project.name, project.owner))
}

/// Reads a project.
pub(crate) async fn show(settings: &Settings) -> anyhow::Result<Shown> {
    let provider = settings.provider().await?;
    let (project, name, owner) = find(settings, &provider).await?;
    let state = state_of(&provider, project, BlockNumberOrTag::Latest).await?;
    Ok(Shown {
        project,
        name,
        owner,
        signer: state.signer,
        token: state.token,
        daily_quota: state.daily_quota,
        balance: state.balance.to_string(),
        owed: state.total.get().saturating_sub(state.paid.get()).to_string(),
        epoch: state.epoch,
        revision: state.revision,
    })
}

/// What a funding did.
#[derive(Debug, Serialize)]
pub(crate) struct Funded {
    project: Address,
    token: Address,
    sent: String,
    balance: String,
    transaction: Option<B256>,
}

impl fmt::Display for Funded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "project      {}", self.project)?;
        writeln!(f, "token        {}", self.token)?;
        writeln!(f, "sent         {}", self.sent)?;
        write!(f, "balance      {}", self.balance)?;
        match self.transaction {
            Some(transaction) => write!(f, "\ntransaction  {transaction}"),
            None => write!(f, "\ntransaction  none: it holds that much already"),
        }
    }
}

/// Sends a project what it lacks of an amount.
pub(crate) async fn fund(
    settings: &Settings,
    up_to: Amount,
    sender: &Sender,
) -> anyhow::Result<Funded> {
    let key = settings.sender_key(sender)?;
    let provider = settings.provider_with_key(&key).await?;
    let (project, ..) = find(settings, &provider).await?;
    let state = state_of(&provider, project, BlockNumberOrTag::Latest).await?;
    let missing = up_to.to_u256().saturating_sub(state.balance);
    let mut transaction = None;
    if !missing.is_zero() {
        let call = IERC20::balanceOfCall { account: key.address() };
        let own = provider.call(state.token, &call, BlockId::latest()).await?;
        if own < missing {
            bail!(
                "the project lacks {missing} of token {}, but {} has only {own}: nothing was sent",
                state.token,
                key.address()
            );
        }
        let call = IERC20::transferCall { to: project, amount: missing };
        let request =
            TransactionRequest::default().with_to(state.token).with_input(call.abi_encode());
        transaction = Some(provider.send("funding the project", request).await?.transaction_hash);
    }
    let after = state_of(&provider, project, BlockNumberOrTag::Latest).await?.balance;
    if after < up_to.to_u256() {
        bail!(
            "the project holds {after} after the transfer, less than {up_to}: is the token a plain one?"
        );
    }
    Ok(Funded {
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
    fn the_example_file_is_a_project() {
        let text = include_str!("../project.example.json");
        let file: ProjectFile = serde_json::from_str(text).unwrap();
        assert_eq!((file.name.as_str(), file.delay_secs), ("acme", 86_400));
        assert!(serde_json::from_str::<ProjectFile>(&text.replace("guardian", "guard")).is_err());
    }
}

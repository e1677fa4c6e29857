//! `rewards claim`: proof, the chain's word for the root, amount, gas, yes, transaction.

use std::fmt;

use alloy::eips::BlockId;
use alloy::network::TransactionBuilder as _;
use alloy::primitives::Bytes;
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use alloy::sol_types::{SolCall as _, SolEvent as _};
use anyhow::Context as _;
use nodesys_chain::Provider;
use nodesys_chain::bindings::RewardDistributor;
use nodesys_chain::gas::Gas;
use nodesys_chain::metadata::Token;
use nodesys_core::bundle::ProjectInfo;
use nodesys_core::ids::{Amount, Name};
use nodesys_core::signature::SigningKey;
use nodesys_core::time::UtcDay;
use nodesys_core::{Address, B256, U256};
use serde::Serialize;

use super::ClaimArgs;
use super::proof::token;
use super::source::{ProofSource, Proven};
use crate::ask;
use crate::exit::Exit;
use crate::output::{amount, decimal, moment, say};
use crate::setup::Setup;

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// In a block, paid.
    Claimed,
    /// There was nothing to pay, so nothing was sent.
    Nothing,
    /// Checked, not sent.
    DryRun,
    /// Printed for another wallet, not sent.
    Calldata,
}

/// A claim, printed. Amounts are in wei.
#[derive(Debug, Serialize)]
pub(super) struct Claimed {
    state: State,
    project: Name,
    distributor: Address,
    account: Address,
    recipient: Address,
    /// What this claim pays.
    amount: Amount,
    /// What the account has been paid before it.
    claimed_before: Amount,
    /// All that the root gives the account.
    cumulative: Option<Amount>,
    day: Option<UtcDay>,
    root: Option<B256>,
    token: Address,
    symbol: Option<String>,
    decimals: Option<u8>,
    gas_estimate: Option<u64>,
    gas_used: Option<u64>,
    transaction: Option<B256>,
    block_number: Option<String>,
    to: Option<Address>,
    data: Option<Bytes>,
    #[serde(skip)]
    unit: Token,
}

/// Who claims, and with which key where it is sent from here.
async fn claimant(
    setup: &Setup,
    args: &ClaimArgs,
) -> anyhow::Result<(Provider, Address, Option<SigningKey>)> {
    let key = match &args.keystore {
        Some(path) => Some(ask::open_keystore(path, args.password_file.as_deref())?),
        None => None,
    };
    let account = match (&key, args.account) {
        (Some(key), Some(account)) if key.address() != account => {
            return Err(Exit::Usage.because(format!(
                "--account is {account}, but the keystore's wallet is {}: rewards are claimed by \
                 the account itself, so leave one of the two out",
                key.address()
            )));
        }
        (Some(key), _) => key.address(),
        (None, Some(account)) if args.dry_run || args.calldata => account,
        (None, Some(_)) => {
            return Err(Exit::Usage.because(
                "--keystore is missing: a claim is signed by the account. With --dry-run or \
                 --calldata the --account alone will do",
            ));
        }
        (None, None) => {
            return Err(Exit::Usage
                .because("--keystore is missing (or --account with --dry-run or --calldata)"));
        }
    };
    let provider = match &key {
        Some(key) => setup.provider_with_key(key).await?,
        None => setup.provider().await?,
    };
    Ok((provider, account, key))
}

pub(super) async fn claim(setup: &Setup, args: &ClaimArgs) -> anyhow::Result<Claimed> {
    // Cheap questions first: before the keystore's password is asked for.
    let source = ProofSource::new(setup, &args.from)?;
    let (provider, account, _key) = claimant(setup, args).await?;
    let project = setup.project(&provider).await?;
    let (distributor, latest) = (project.distributor, BlockId::latest());
    let call = RewardDistributor::activeUntilCall {};
    let until = provider.call(distributor, &call, latest).await?;
    let found = source.newest_active(setup, &provider, &project, account, until).await?;
    if let Some(found) = &found {
        check_root(&provider, &project, found, until).await?;
    }
    let call = RewardDistributor::claimedCall { account };
    let before = provider.call(distributor, &call, latest).await?;
    let before = Amount::from_u256(before).context("the chain has paid 2^128 wei or more")?;
    let unit = token(&provider, &project).await?;
    let mut claimed = Claimed {
        state: State::Nothing,
        project: project.name,
        distributor,
        account,
        recipient: args.recipient.unwrap_or(account),
        amount: Amount::ZERO,
        claimed_before: before,
        cumulative: found.as_ref().map(|found| found.proof.cumulative),
        day: found.as_ref().map(|found| found.day),
        root: found.as_ref().map(|found| found.root),
        token: unit.address,
        symbol: unit.symbol.clone(),
        decimals: unit.decimals,
        gas_estimate: None,
        gas_used: None,
        transaction: None,
        block_number: None,
        to: None,
        data: None,
        unit,
    };
    let due = found.as_ref().and_then(|found| found.proof.cumulative.checked_sub(before));
    let (Some(found), Some(due)) = (found, due.filter(|due| *due > Amount::ZERO)) else {
        return Ok(claimed);
    };
    claimed.amount = due;
    let data = calldata(&found, claimed.recipient);
    let request = TransactionRequest::default().with_to(distributor).with_input(data.clone());
    let gas = provider.gas_for("estimating the claim", account, request.clone()).await?;
    claimed.gas_estimate = Some(gas.units);
    if args.calldata {
        claimed.state = State::Calldata;
        (claimed.to, claimed.data) = (Some(distributor), Some(data));
        return Ok(claimed);
    }
    if args.dry_run {
        claimed.state = State::DryRun;
        return Ok(claimed);
    }
    ask_and_check(&claimed, &gas, args.yes)?;
    let receipt = provider.send("claiming rewards", request).await?;
    claimed.state = State::Claimed;
    claimed.amount = paid(&receipt, distributor, account)?;
    claimed.gas_used = Some(receipt.gas_used);
    claimed.transaction = Some(receipt.transaction_hash);
    claimed.block_number = receipt.block_number.map(|number| number.to_string());
    Ok(claimed)
}

/// The chain itself must say that the root is active.
async fn check_root(
    provider: &Provider,
    project: &ProjectInfo,
    found: &Proven,
    until: u64,
) -> anyhow::Result<()> {
    let (distributor, root) = (project.distributor, found.root);
    let call = RewardDistributor::isActiveCall { root };
    if provider.call(distributor, &call, BlockId::latest()).await? {
        return Ok(());
    }
    let call = RewardDistributor::commitOfCall { root };
    let entry = provider.call(distributor, &call, BlockId::latest()).await?;
    Err(Exit::Failure.because(match entry.activatesAt {
        0 => format!(
            "the proof leads to root {root}, which the chain does not know: do not trust where it \
             comes from; take it from published bundles with --from"
        ),
        at => format!(
            "root {root} of {} becomes active at {}, and only roots up to {} are active now: claim \
             then",
            found.day,
            moment(at),
            moment(until)
        ),
    }))
}

fn calldata(found: &Proven, recipient: Address) -> Bytes {
    let call = RewardDistributor::claimCall {
        root: found.root,
        cumulative: found.proof.cumulative.to_u256(),
        proof: found.proof.path.clone(),
        recipient,
    };
    call.abi_encode().into()
}

/// Shows what is about to be sent, and takes a yes; the account must be able to pay the gas.
fn ask_and_check(claimed: &Claimed, gas: &Gas, yes: bool) -> anyhow::Result<()> {
    // Every EVM chain counts its own coin in 18 decimals.
    let coin = |value: U256| decimal(value, 18);
    say(format!(
        "claim      {} of project {}\naccount    {}\nrecipient  {}\nroot       {} (active)\n\
         gas        about {} units at {} wei, {} of the chain's coin",
        amount(claimed.amount, Some(&claimed.unit)),
        claimed.project,
        claimed.account,
        claimed.recipient,
        claimed.root.unwrap_or_default(),
        gas.units,
        gas.price,
        coin(gas.cost()),
    ));
    if gas.balance < gas.cost() {
        return Err(Exit::Failure.because(format!(
            "{} has {} of the chain's coin, the gas costs about {}: send it some first",
            claimed.account,
            coin(gas.balance),
            coin(gas.cost())
        )));
    }
    ask::confirm("Send this transaction?", yes)
}

/// What the distributor says that it paid.
fn paid(
    receipt: &TransactionReceipt,
    distributor: Address,
    account: Address,
) -> anyhow::Result<Amount> {
    let events = receipt.inner.logs().iter().filter(|log| log.address() == distributor);
    let claimed = events
        .filter_map(|log| RewardDistributor::Claimed::decode_log(&log.inner).ok())
        .find(|event| event.account == account);
    let amount = claimed.and_then(|event| Amount::from_u256(event.amount));
    amount.with_context(|| {
        let transaction = receipt.transaction_hash;
        format!("transaction {transaction} is in a block, but has no Claimed event of {account}")
    })
}

impl fmt::Display for Claimed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |value| amount(value, Some(&self.unit));
        if let (State::Calldata, Some(to), Some(data)) = (self.state, self.to, &self.data) {
            writeln!(f, "to          {to}")?;
            writeln!(f, "value       0")?;
            writeln!(f, "data        {data}")?;
        }
        let word = match self.state {
            State::Claimed => "claimed",
            State::Nothing => "nothing to claim",
            State::DryRun => "would claim",
            State::Calldata => "claims",
        };
        if self.state == State::Nothing {
            writeln!(f, "{word}: 0 of project {}", self.project)?;
        } else {
            writeln!(f, "{word:<11} {} of project {}", show(self.amount), self.project)?;
        }
        writeln!(f, "account     {}", self.account)?;
        if self.state != State::Nothing {
            writeln!(f, "recipient   {}", self.recipient)?;
        }
        write!(f, "paid before {}", show(self.claimed_before))?;
        match (self.cumulative, self.day) {
            (Some(cumulative), Some(day)) => {
                write!(f, "\nearned      {} up to and with {day}", show(cumulative))?;
            }
            _ => write!(f, "\nearned      nothing by any active root")?,
        }
        if let Some(transaction) = self.transaction {
            write!(f, "\ntransaction {transaction}")?;
        }
        match (self.gas_used, self.gas_estimate) {
            (Some(used), _) => write!(f, "\ngas used    {used}"),
            (None, Some(estimate)) => write!(f, "\ngas         about {estimate}"),
            (None, None) => Ok(()),
        }
    }
}

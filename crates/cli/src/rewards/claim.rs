//! A claim: the proof, the chain's word for its root, the amount, the gas, the transaction.

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
use nodesys_core::time::UtcDay;
use nodesys_core::{Address, B256};
use serde::Serialize;

use crate::exit::Exit;
use crate::output::moment;
use crate::rewards::source::{ProofSource, Proven};
use crate::rewards::token::token;
use crate::setup::Setup;

/// The state of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClaimState {
    /// In a block, paid.
    Claimed,
    /// There was nothing to pay, so nothing was sent.
    Nothing,
    /// Checked, not sent.
    DryRun,
    /// Printed for another wallet, not sent.
    Calldata,
}

/// Who sends a claim, and who is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payee {
    /// The account sends it, and is paid.
    Account,
    /// The account sends it, and this address is paid.
    Recipient(Address),
    /// Anyone sends it, for an account with code, which is paid itself.
    Contract,
}

/// A claim, printed. Amounts are in wei.
#[derive(Debug, Serialize)]
pub(crate) struct Claim {
    pub(crate) state: ClaimState,
    pub(crate) project: Name,
    pub(crate) distributor: Address,
    pub(crate) account: Address,
    pub(crate) recipient: Address,
    /// What the sender of a signed claim keeps of the amount.
    pub(crate) relayer_fee: Option<Amount>,
    /// The amount that this claim pays.
    pub(crate) amount: Amount,
    /// The amount that was paid before it.
    pub(crate) claimed_before: Amount,
    /// All that the root gives the account.
    pub(crate) cumulative: Option<Amount>,
    pub(crate) day: Option<UtcDay>,
    pub(crate) root: Option<B256>,
    pub(crate) token: Address,
    pub(crate) symbol: Option<String>,
    pub(crate) decimals: Option<u8>,
    pub(crate) gas_estimate: Option<u64>,
    pub(crate) gas_used: Option<u64>,
    pub(crate) transaction: Option<B256>,
    pub(crate) block_number: Option<String>,
    pub(crate) to: Option<Address>,
    pub(crate) data: Option<Bytes>,
    #[serde(skip)]
    pub(crate) unit: Token,
}

/// A claim that can be sent.
pub(crate) struct PreparedClaim {
    pub(super) request: TransactionRequest,
    /// The transaction's input.
    pub(crate) data: Bytes,
    pub(crate) gas: Gas,
}

/// Prepares a claim: finds the proof and checks its root against the chain.
pub(crate) async fn prepare(
    setup: &Setup,
    source: &ProofSource,
    provider: &Provider,
    account: Address,
    payee: Payee,
) -> anyhow::Result<(Claim, Option<PreparedClaim>)> {
    let project = setup.project(provider).await?;
    let recipient = if let Payee::Recipient(recipient) = payee { recipient } else { account };
    let found = newest(setup, source, provider, &project, account).await?;
    let (mut claim, found) = due(provider, &project, account, recipient, found).await?;
    let Some(found) = found else { return Ok((claim, None)) };
    let data = calldata(&found, &claim, payee);
    let to = claim.distributor;
    let request = TransactionRequest::default().with_to(to).with_input(data.clone());
    let sender = match payee {
        Payee::Contract => provider.sender().unwrap_or(account),
        Payee::Account | Payee::Recipient(_) => account,
    };
    let gas = provider.gas_for("estimating the claim", sender, request.clone()).await?;
    claim.gas_estimate = Some(gas.units);
    Ok((claim, Some(PreparedClaim { request, data, gas })))
}

/// The account's proof by the newest active root, which the chain itself says is active.
pub(super) async fn newest(
    setup: &Setup,
    source: &ProofSource,
    provider: &Provider,
    project: &ProjectInfo,
    account: Address,
) -> anyhow::Result<Option<Proven>> {
    let until = active_until(provider, project).await?;
    let found = source.newest_active(setup, provider, project, account, until).await?;
    if let Some(found) = &found {
        check_root(provider, project, found, until).await?;
    }
    Ok(found)
}

/// The time up to which commits have become active.
pub(super) async fn active_until(
    provider: &Provider,
    project: &ProjectInfo,
) -> anyhow::Result<u64> {
    let call = RewardDistributor::activeUntilCall {};
    Ok(provider.call(project.distributor, &call, BlockId::latest()).await?)
}

/// What a proof pays now; without the proof where that is nothing.
pub(super) async fn due(
    provider: &Provider,
    project: &ProjectInfo,
    account: Address,
    recipient: Address,
    found: Option<Proven>,
) -> anyhow::Result<(Claim, Option<Proven>)> {
    let distributor = project.distributor;
    let call = RewardDistributor::claimedCall { account };
    let before = provider.call(distributor, &call, BlockId::latest()).await?;
    let before = Amount::from_u256(before).context("the chain has paid 2^128 wei or more")?;
    let unit = token(provider, project).await?;
    let mut claim = Claim {
        state: ClaimState::Nothing,
        project: project.name.clone(),
        distributor,
        account,
        recipient,
        relayer_fee: None,
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
        return Ok((claim, None));
    };
    claim.amount = due;
    Ok((claim, Some(found)))
}

/// Sends a prepared claim and waits for its block.
pub(crate) async fn send(
    provider: &Provider,
    mut claim: Claim,
    prepared: PreparedClaim,
) -> anyhow::Result<Claim> {
    let receipt = provider.send("claiming rewards", prepared.request).await?;
    claim.state = ClaimState::Claimed;
    claim.amount = paid(&receipt, claim.distributor, claim.account)?;
    claim.gas_used = Some(receipt.gas_used);
    claim.transaction = Some(receipt.transaction_hash);
    claim.block_number = receipt.block_number.map(|number| number.to_string());
    Ok(claim)
}

/// The chain itself must say that the root is active.
pub(super) async fn check_root(
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

fn calldata(found: &Proven, claim: &Claim, payee: Payee) -> Bytes {
    let (root, proof) = (found.root, found.proof.path.clone());
    let cumulative = found.proof.cumulative.to_u256();
    let (account, recipient) = (claim.account, claim.recipient);
    match payee {
        Payee::Contract => {
            RewardDistributor::claimForCall { account, root, cumulative, proof }.abi_encode()
        }
        Payee::Account | Payee::Recipient(_) => {
            RewardDistributor::claimCall { root, cumulative, proof, recipient }.abi_encode()
        }
    }
    .into()
}

/// The amount that the distributor paid, by its event.
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

//! Claims that an account signs and somebody else sends.
//!
//! The file of one is the message as wallets are shown it (`eth_signTypedData_v4`), so a wallet elsewhere signs
//! just this file; a claim that was signed here has its `signature` beside the message.

use alloy::network::TransactionBuilder as _;
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::SolCall as _;
use nodesys_chain::Provider;
use nodesys_chain::bindings::RewardDistributor;
use nodesys_chain::wallet_signature::{WalletSignatureError, verify};
use nodesys_core::ids::Amount;
use nodesys_core::message::typed_data::typed_data;
use nodesys_core::message::{self, Domain, Message as _};
use nodesys_core::signature::WalletSignature;
use nodesys_core::{Address, B256};
use serde::Deserialize;
use serde_json::Value;

use super::claim::{Claim, ClaimState, PreparedClaim, active_until, check_root, due, newest};
use super::source::{ProofSource, Proven};
use crate::exit::Exit;
use crate::output::moment;
use crate::setup::Setup;

/// What an account grants by its signature.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grant {
    pub(crate) account: Address,
    pub(crate) recipient: Address,
    /// Who may send the claim; zero for anyone.
    pub(crate) relayer: Address,
    /// What the sender keeps.
    pub(crate) relayer_fee: Amount,
    pub(crate) valid_secs: u64,
}

/// A claim to be signed, with the domain of its signature.
pub(crate) struct ClaimMessage {
    pub(crate) claim: message::Claim,
    pub(crate) domain: Domain,
}

/// The message for what the account can claim now; without one where that is nothing.
pub(crate) async fn message_for(
    setup: &Setup,
    source: &ProofSource,
    provider: &Provider,
    grant: Grant,
) -> anyhow::Result<(Claim, Option<ClaimMessage>)> {
    let Grant { account, recipient, relayer, relayer_fee, valid_secs } = grant;
    let project = setup.project(provider).await?;
    let found = newest(setup, source, provider, &project, account).await?;
    let (mut shown, found) = due(provider, &project, account, recipient, found).await?;
    let Some(Proven { root, proof, .. }) = found else { return Ok((shown, None)) };
    if relayer_fee > shown.amount {
        return Err(Exit::Usage.because(format!(
            "--relayer-fee {relayer_fee} is more than the {} that the claim pays",
            shown.amount
        )));
    }
    (shown.state, shown.relayer_fee) = (ClaimState::DryRun, Some(relayer_fee));
    let now = provider.latest_block().await?.secs;
    let claim = message::Claim {
        account,
        root,
        cumulative: proof.cumulative,
        recipient,
        relayer,
        relayer_fee,
        deadline: now.saturating_add(valid_secs),
    };
    let domain = Domain::new(provider.chain_id(), project.distributor);
    Ok((shown, Some(ClaimMessage { claim, domain })))
}

impl ClaimMessage {
    /// The claim's file.
    pub(crate) fn file(&self, signature: Option<&WalletSignature>) -> Value {
        let mut file = typed_data(&self.claim, &self.domain);
        if let (Some(signature), Some(fields)) = (signature, file.as_object_mut()) {
            fields.insert("signature".to_owned(), Value::String(signature.as_bytes().to_string()));
        }
        file
    }
}

/// A claim's file, as it is read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClaimFile {
    primary_type: String,
    domain: FileDomain,
    message: FileClaim,
    pub(crate) signature: Option<WalletSignature>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileDomain {
    chain_id: u64,
    verifying_contract: Address,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FileClaim {
    account: Address,
    root: B256,
    cumulative: Amount,
    recipient: Address,
    relayer: Address,
    relayer_fee: Amount,
    #[serde(with = "nodesys_core::message::decimal")]
    deadline: u64,
}

impl ClaimFile {
    /// What was signed.
    fn signed(&self) -> anyhow::Result<ClaimMessage> {
        if self.primary_type != "Claim" {
            let kind = nodesys_core::text::line(&self.primary_type);
            return Err(
                Exit::Usage.because(format!("the file holds a message {kind}, not a Claim"))
            );
        }
        let FileClaim { account, root, cumulative, recipient, relayer, relayer_fee, deadline } =
            self.message;
        Ok(ClaimMessage {
            claim: message::Claim {
                account,
                root,
                cumulative,
                recipient,
                relayer,
                relayer_fee,
                deadline,
            },
            domain: Domain::new(self.domain.chain_id, self.domain.verifying_contract),
        })
    }
}

/// Prepares a signed claim for its sender. Everything that the contract will check is checked first, in
/// better words than its own.
pub(crate) async fn prepare_signed(
    setup: &Setup,
    source: &ProofSource,
    provider: &Provider,
    file: &ClaimFile,
    signature: &WalletSignature,
) -> anyhow::Result<(Claim, Option<PreparedClaim>)> {
    let ClaimMessage { claim, domain } = file.signed()?;
    let project = setup.project(provider).await?;
    let ours = Domain::new(provider.chain_id(), project.distributor);
    if domain != ours {
        return Err(Exit::Usage.because(format!(
            "the claim is signed for the distributor {} on chain {}, project {} has {} on chain {}",
            domain.verifying_contract(),
            domain.chain_id(),
            project.name,
            ours.verifying_contract(),
            ours.chain_id()
        )));
    }
    let (account, root) = (claim.account, claim.root);
    let found = source.of_root(setup, provider, &project, account, root).await?;
    let found = found.ok_or_else(|| {
        Exit::NotFound.because(format!(
            "the claim is signed for root {root}, by which nothing is known of {account}: the account \
             has to sign anew"
        ))
    })?;
    if found.proof.cumulative != claim.cumulative {
        return Err(Exit::Failure.because(format!(
            "the claim is signed for {} in all, root {root} gives {account} {}",
            claim.cumulative, found.proof.cumulative
        )));
    }
    let (mut shown, found) = due(provider, &project, account, claim.recipient, Some(found)).await?;
    shown.relayer_fee = Some(claim.relayer_fee);
    // Paid already, by this claim or another one: that is what was wanted.
    let Some(found) = found else { return Ok((shown, None)) };
    check_root(provider, &project, &found, active_until(provider, &project).await?).await?;
    check_terms(provider, &claim, shown.amount).await?;
    let signature = checked(provider, &claim, &domain, signature).await?;
    let call = RewardDistributor::claimWithSignatureCall {
        signedClaim: in_solidity(&claim),
        proof: found.proof.path,
        signature: signature.as_bytes().clone(),
    };
    let (to, data) = (shown.distributor, alloy::primitives::Bytes::from(call.abi_encode()));
    let request = TransactionRequest::default().with_to(to).with_input(data.clone());
    let named = (!claim.relayer.is_zero()).then_some(claim.relayer);
    let sender = provider.sender().or(named).unwrap_or(account);
    let gas = provider.gas_for("estimating the signed claim", sender, request.clone()).await?;
    shown.gas_estimate = Some(gas.units);
    Ok((shown, Some(PreparedClaim { request, data, gas })))
}

fn in_solidity(claim: &message::Claim) -> RewardDistributor::Claim {
    RewardDistributor::Claim {
        account: claim.account,
        root: claim.root,
        cumulative: claim.cumulative.to_u256(),
        recipient: claim.recipient,
        relayer: claim.relayer,
        relayerFee: claim.relayer_fee.to_u256(),
        deadline: claim.deadline,
    }
}

/// The account's own terms, by the chain's time.
async fn check_terms(
    provider: &Provider,
    claim: &message::Claim,
    amount: Amount,
) -> anyhow::Result<()> {
    let now = provider.latest_block().await?.secs;
    let problem = if now > claim.deadline {
        format!(
            "the claim was valid until {}: the account has to sign anew",
            moment(claim.deadline)
        )
    } else if let Some(other) =
        provider.sender().filter(|sender| !claim.relayer.is_zero() && *sender != claim.relayer)
    {
        format!("only {} may send this claim, the keystore's account is {other}", claim.relayer)
    } else if claim.relayer_fee > amount {
        format!(
            "the claim pays {amount} by now, less than the fee of {} that was signed: the account has \
             to sign anew",
            claim.relayer_fee
        )
    } else {
        return Ok(());
    };
    Err(Exit::Failure.because(problem))
}

/// The account's signature as the contract takes it.
async fn checked(
    provider: &Provider,
    claim: &message::Claim,
    domain: &Domain,
    signature: &WalletSignature,
) -> anyhow::Result<WalletSignature> {
    let (account, digest) = (claim.account, claim.digest(domain));
    let refused =
        |error: String| Exit::Failure.because(format!("the signature of {account}: {error}"));
    let spelled = signature.clone().spelled_for(digest, account);
    let spelled = spelled.map_err(|error| refused(error.to_string()))?;
    match verify(provider, account, digest, &spelled).await {
        Ok(()) => Ok(spelled),
        Err(WalletSignatureError::Chain(error)) => Err(error.into()),
        Err(error) => Err(refused(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_claim_is_read_as_it_was_signed() {
        let signed = ClaimMessage {
            claim: message::Claim {
                account: Address::repeat_byte(1),
                root: B256::repeat_byte(2),
                cumulative: Amount::new(u128::MAX),
                recipient: Address::repeat_byte(3),
                relayer: Address::ZERO,
                relayer_fee: Amount::new(5),
                deadline: u64::MAX,
            },
            domain: Domain::new(31_337, Address::repeat_byte(4)),
        };
        let signature = WalletSignature::new(vec![7; 65].into()).unwrap();
        for given in [None, Some(signature)] {
            let text = signed.file(given.as_ref()).to_string();
            let read: ClaimFile = serde_json::from_str(&text).unwrap();
            assert_eq!(read.signature, given);
            let again = read.signed().unwrap();
            assert_eq!((again.claim, again.domain), (signed.claim.clone(), signed.domain));
        }
        let other = signed.file(None).to_string().replace("\"Claim\",\"types\"", "\"X\",\"types\"");
        let read: ClaimFile = serde_json::from_str(&other).unwrap();
        assert!(read.signed().err().unwrap().to_string().contains("not a Claim"));
    }
}

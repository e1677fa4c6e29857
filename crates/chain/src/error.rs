//! What can go wrong between a program and a chain, in one type whose words say what to do.

use std::path::PathBuf;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::transports::{RpcError, TransportError, TransportErrorKind};

use crate::revert::Revert;
use crate::rpc_url::RpcUrl;

/// Why the chain did not answer, or what it answered instead.
///
/// *Those of a read*, as the functions of this crate say: [`Unreachable`](Self::Unreachable) where an RPC
/// does not answer in time, [`Rpc`](Self::Rpc) where it answers with an error or unreadably,
/// [`Differ`](Self::Differ) where of several no majority answers alike, [`Behind`](Self::Behind) where they
/// show less than is known to be final ([`crate::Provider::known_final`]), [`WrongChain`](Self::WrongChain)
/// where one turns out to serve another chain, [`NoCode`](Self::NoCode) where there is no contract at the
/// address, and [`Reverted`](Self::Reverted) where it refuses. Whatever else a function may answer, it
/// lists.
///
/// # Examples
///
/// ```
/// use nodesys_chain::ChainError;
///
/// let (what, rpcs) = ("reading block 7".to_owned(), "https://one.example".to_owned());
/// let error = ChainError::Differ { what, rpcs };
/// assert!(error.is_temporary(), "one of them may be behind: worth trying again");
/// assert!(!ChainError::NoSigner("posting".to_owned()).is_temporary());
/// ```
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// Nothing answers there, or not in time. Worth trying again.
    #[error("{what}: the RPC {rpc} does not answer ({problem}); is it up, and is the URL right?")]
    Unreachable {
        /// What was asked.
        what: String,
        /// Where, without path and credentials.
        rpc: RpcUrl,
        /// What the connection said.
        problem: String,
    },
    /// The RPC serves another chain.
    #[error(
        "the RPC {rpc} is on chain {found}, expected chain {expected}: check the RPC's URL and the \
         configured chain id"
    )]
    WrongChain {
        /// Where.
        rpc: RpcUrl,
        /// The chain that was configured.
        expected: u64,
        /// The chain that answers.
        found: u64,
    },
    /// The RPCs answered differently, and no majority of them alike. Worth trying again: one may be
    /// behind.
    #[error(
        "{what}: the RPCs {rpcs} do not agree: one of them is behind, or wrong; nothing is decided \
         until they do"
    )]
    Differ {
        /// What was asked.
        what: String,
        /// Which, without paths and credentials.
        rpcs: String,
    },
    /// The RPC is behind what is known to be final. Worth trying again: it may catch up.
    #[error(
        "the newest block of the RPC {rpc} is {newest}, and block {known} was final: it is behind, and \
         nothing is decided by what it shows"
    )]
    Behind {
        /// Which, without path and credentials.
        rpc: String,
        /// Its newest block.
        newest: u64,
        /// A block that was final.
        known: u64,
    },
    /// One RPC is configured twice, so that it would vouch for itself.
    #[error("the RPC {rpc} is given twice: give others, of other providers, to vouch for it")]
    SameRpc {
        /// Which.
        rpc: RpcUrl,
    },
    /// No contract at an address.
    #[error("no contract at {address}, which should be {what}: check the address and the chain")]
    NoCode {
        /// The empty address.
        address: Address,
        /// What was expected there.
        what: String,
    },
    /// The node answered with an error of its own, or with something unreadable.
    #[error("{what}: the RPC answered: {problem}")]
    Rpc {
        /// What was asked.
        what: String,
        /// The answer.
        problem: String,
    },
    /// A contract refused.
    #[error("{what}: refused by the contract: {reason}")]
    Reverted {
        /// What was tried.
        what: String,
        /// The contract's error, by name and values where its ABI is known.
        reason: Revert,
    },
    /// A transaction is sent but in no block yet.
    #[error(
        "{what}: transaction {transaction} is in no block after {waited_secs} s; it may still \
         come in, so look it up before sending again"
    )]
    NotMined {
        /// What was sent.
        what: String,
        /// Its transaction.
        transaction: B256,
        /// How long it was waited for.
        waited_secs: u64,
    },
    /// A transaction is sent and recorded, but in no block yet.
    #[error(
        "{what}: transaction {transaction} (nonce {nonce}) is in no block after {waited_secs} s and may \
         still come in: run the same command again, which goes on with it and sends no second one; to \
         give it up, send another transaction of that nonce from your wallet"
    )]
    StillWaits {
        /// What was sent.
        what: String,
        /// Its transaction.
        transaction: B256,
        /// Its nonce.
        nonce: u64,
        /// How long it was waited for.
        waited_secs: u64,
    },
    /// Transactions of the account wait that were sent from elsewhere.
    #[error(
        "{waiting} transactions of {account} wait that were not sent from here, and nothing is decided \
         before they are in a block: wait for them, or replace them in the wallet that sent them"
    )]
    OthersWait {
        /// The account.
        account: Address,
        /// How many.
        waiting: u64,
    },
    /// An account cannot pay the gas.
    #[error(
        "{what}: {account} has {balance} wei of the chain's coin and needs {needed} for gas and value: \
         nothing was sent; send it some first"
    )]
    NotEnough {
        /// What was to be sent.
        what: String,
        /// The account.
        account: Address,
        /// What it has.
        balance: U256,
        /// What it needs.
        needed: U256,
    },
    /// The record of sent transactions cannot be used.
    #[error("the record of sent transactions {path}: {problem}")]
    Record {
        /// Its file.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// A transaction without a key to sign it.
    #[error("{0}: this connection to the chain has no key to sign a transaction with")]
    NoSigner(String),
    /// The chain holds a value that this program cannot.
    #[error("{what}: the chain's value {value} is out of range")]
    OutOfRange {
        /// What was read.
        what: String,
        /// The value.
        value: String,
    },
}

impl ChainError {
    /// Whether the same call may succeed later without anything being changed by hand.
    pub const fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Rpc { .. }
                | Self::Differ { .. }
                | Self::Behind { .. }
                | Self::NotMined { .. }
                | Self::StillWaits { .. }
                | Self::OthersWait { .. }
        )
    }

    /// The revert, where the contract refused.
    pub const fn revert(&self) -> Option<&Revert> {
        match self {
            Self::Reverted { reason, .. } => Some(reason),
            _ => None,
        }
    }

    pub(crate) fn from_transport(rpc: &RpcUrl, what: &str, error: TransportError) -> Self {
        let what = what.to_owned();
        if let Some(data) = revert_data(&error) {
            return Self::Reverted { what, reason: Revert::decode(&data) };
        }
        match error {
            RpcError::ErrorResp(payload) => {
                Self::Rpc { what, problem: payload.message.to_string() }
            }
            // It answers, and says why not; a gateway before it, from 500 on, knows no reason.
            RpcError::Transport(kind) if http_status(&kind).is_some_and(|status| status < 500) => {
                Self::Rpc { what, problem: kind.to_string() }
            }
            RpcError::Transport(kind) => {
                Self::Unreachable { what, rpc: rpc.clone(), problem: innermost(&kind) }
            }
            RpcError::DeserError { err, .. } => {
                Self::Rpc { what, problem: format!("an unreadable answer ({err})") }
            }
            other => Self::Rpc { what, problem: other.to_string() },
        }
    }
}

/// The status of an answer that is no success.
const fn http_status(kind: &TransportErrorKind) -> Option<u16> {
    match kind {
        TransportErrorKind::HttpError(error)
        | TransportErrorKind::HttpErrorWithRetryAfter { error, .. } => Some(error.status),
        _ => None,
    }
}

/// The data of a revert, empty where the contract gave none; `None` for every other error.
pub(crate) fn revert_data(error: &TransportError) -> Option<Bytes> {
    let payload = error.as_error_resp()?;
    let message = payload.message.to_lowercase();
    // Code 3 is geth's and anvil's; other nodes say it in words alone.
    let execution = payload.code == 3
        || ["revert", "invalid opcode", "invalidfeopcode", "out of gas", "outofgas"]
            .iter()
            .any(|part| message.contains(part));
    execution.then(|| payload.as_revert_data().unwrap_or_default())
}

/// Whether a call ended for want of gas.
pub(crate) fn is_out_of_gas(error: &TransportError) -> bool {
    error.as_error_resp().is_some_and(|payload| {
        let message = payload.message.to_lowercase();
        message.contains("out of gas") || message.contains("outofgas")
    })
}

/// The last cause of an error: the outer ones of an HTTP client repeat the URL, credentials too.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

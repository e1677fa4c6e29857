//! What waits behind a project's timelock: the owner's actions that raise risk.
//!
//! An action is queued, executed and cancelled as the very same bytes. [`Waiting`] keeps the bytes
//! that were queued, so that executing or cancelling never depends on how they are read here. Times are
//! seconds since 1970, waits are seconds.
//!
//! # Examples
//!
//! ```
//! use nodesys_chain::timelock::{Action, Stage, Waiting};
//! use nodesys_core::ids::Amount;
//! use nodesys_core::keccak256;
//!
//! let action = Action::RaiseQuota(Amount::new(5_000));
//! let call = action.call();
//! assert_eq!(Action::of(&call), Some(action));
//!
//! let (ready_at, expires_at) = (1_767_225_600, 1_767_830_400);
//! let call_hash = keccak256(&call);
//! let waiting = Waiting { call_hash, call, action: Some(action), ready_at, expires_at };
//! assert_eq!(waiting.stage(ready_at - 1), Stage::Waits);
//! assert_eq!(waiting.stage(ready_at), Stage::Ready);
//! assert_eq!(waiting.stage(expires_at), Stage::Lapsed, "it has to be queued again");
//! ```

use std::collections::BTreeMap;
use std::fmt;

use alloy::eips::BlockId;
use alloy::network::TransactionBuilder as _;
use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::rpc::types::{Filter, TransactionRequest};
use alloy::sol_types::{SolCall, SolEvent as _};
use nodesys_core::ids::Amount;

use crate::bindings::RewardDistributor::{
    CallQueued, cancelCall, lowerDelayCall, lowerTimelockCall, queueCall, queuedCallCall,
    raiseQuotaCall, setGuardianCall, setSignerCall, withdrawUnallocatedCall,
};
use crate::blocks::BlockRef;
use crate::error::ChainError;
use crate::logs::events_matching;
use crate::provider::Provider;

/// An action that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Replaces the reward signer, or appoints one.
    SetSigner(Address),
    /// Replaces the guardian; zero for none.
    SetGuardian(Address),
    /// Raises the daily quota.
    RaiseQuota(Amount),
    /// Lowers the delay of commits, in seconds.
    LowerDelay(u64),
    /// Lowers the timelock itself, in seconds.
    LowerTimelock(u64),
    /// Takes tokens that are owed to nobody.
    WithdrawUnallocated {
        /// Who gets them.
        recipient: Address,
        /// How many, in the token's smallest unit.
        amount: U256,
    },
}

impl Action {
    /// The call, as it is queued.
    pub fn call(&self) -> Bytes {
        match *self {
            Self::SetSigner(signer) => setSignerCall { newSigner: signer }.abi_encode(),
            Self::SetGuardian(guardian) => setGuardianCall { newGuardian: guardian }.abi_encode(),
            Self::RaiseQuota(quota) => raiseQuotaCall { newQuota: quota.get() }.abi_encode(),
            Self::LowerDelay(secs) => lowerDelayCall { newDelay: secs }.abi_encode(),
            Self::LowerTimelock(secs) => lowerTimelockCall { newTimelock: secs }.abi_encode(),
            Self::WithdrawUnallocated { recipient, amount } => {
                withdrawUnallocatedCall { recipient, amount }.abi_encode()
            }
        }
        .into()
    }

    /// The action that these bytes are, and no others.
    pub fn of(call: &[u8]) -> Option<Self> {
        let action = if let Some(it) = read::<setSignerCall>(call) {
            Self::SetSigner(it.newSigner)
        } else if let Some(it) = read::<setGuardianCall>(call) {
            Self::SetGuardian(it.newGuardian)
        } else if let Some(it) = read::<raiseQuotaCall>(call) {
            Self::RaiseQuota(Amount::new(it.newQuota))
        } else if let Some(it) = read::<lowerDelayCall>(call) {
            Self::LowerDelay(it.newDelay)
        } else if let Some(it) = read::<lowerTimelockCall>(call) {
            Self::LowerTimelock(it.newTimelock)
        } else {
            let it = read::<withdrawUnallocatedCall>(call)?;
            Self::WithdrawUnallocated { recipient: it.recipient, amount: it.amount }
        };
        // The contract queues calls without bytes behind their arguments: these are from elsewhere.
        (*action.call() == *call).then_some(action)
    }
}

fn read<C: SolCall>(call: &[u8]) -> Option<C> {
    call.starts_with(&C::SELECTOR).then(|| C::abi_decode(call).ok()).flatten()
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetSigner(signer) => write!(f, "set the signer to {signer}"),
            Self::SetGuardian(guardian) if guardian.is_zero() => f.write_str("have no guardian"),
            Self::SetGuardian(guardian) => write!(f, "set the guardian to {guardian}"),
            Self::RaiseQuota(quota) => write!(f, "raise the daily quota to {quota}"),
            Self::LowerDelay(secs) => write!(f, "lower the delay to {secs} s"),
            Self::LowerTimelock(secs) => write!(f, "lower the timelock to {secs} s"),
            Self::WithdrawUnallocated { recipient, amount } => {
                write!(f, "withdraw {amount} of what is owed to nobody to {recipient}")
            }
        }
    }
}

/// Where a queued call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Its wait is not over.
    Waits,
    /// The owner may make it.
    Ready,
    /// It was not made in time, and has to be queued again.
    Lapsed,
}

/// A call that was queued, and neither executed nor cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Hash of the call.
    pub call_hash: B256,
    /// The call as it was queued.
    pub call: Bytes,
    /// What it does, where it is one of the known actions in their usual form.
    pub action: Option<Action>,
    /// From when on it may be made, seconds since 1970.
    pub ready_at: u64,
    /// Until just before when, seconds since 1970.
    pub expires_at: u64,
}

impl Waiting {
    /// Where it stands at a time.
    pub const fn stage(&self, at_secs: u64) -> Stage {
        if at_secs < self.ready_at {
            Stage::Waits
        } else if at_secs < self.expires_at {
            Stage::Ready
        } else {
            Stage::Lapsed
        }
    }
}

/// How a call stands at a block; `None` where it does not wait.
///
/// # Errors
///
/// Those of a read ([`ChainError`]).
pub async fn waiting_call(
    provider: &Provider,
    distributor: Address,
    call: &Bytes,
    at: BlockRef,
) -> Result<Option<Waiting>, ChainError> {
    let question = queuedCallCall { call: call.clone() };
    let found = provider.call(distributor, &question, BlockId::hash(at.hash)).await?;
    Ok((found.readyAt != 0).then(|| Waiting {
        call_hash: keccak256(call),
        call: call.clone(),
        action: Action::of(call),
        ready_at: found.readyAt,
        expires_at: found.expiresAt,
    }))
}

/// All calls that wait at a block, lapsed ones too, in the order of their times. What was queued
/// before the block `from` is not found.
///
/// # Errors
///
/// Those of a read ([`ChainError`]).
pub async fn waiting(
    provider: &Provider,
    distributor: Address,
    from: u64,
    at: BlockRef,
) -> Result<Vec<Waiting>, ChainError> {
    let filter = Filter::new().address(distributor).event_signature(CallQueued::SIGNATURE_HASH);
    let what = "reading what was queued";
    let queued = events_matching::<CallQueued>(provider, what, &filter, from, at.number).await?;
    // A call may have been queued more than once; the contract says how it stands.
    let calls: BTreeMap<B256, Bytes> =
        queued.into_iter().map(|logged| (logged.event.callHash, logged.event.call)).collect();
    let mut waiting = Vec::new();
    for call in calls.values() {
        waiting.extend(waiting_call(provider, distributor, call, at).await?);
    }
    waiting.sort_by_key(|one| (one.ready_at, one.call_hash));
    Ok(waiting)
}

/// The transaction that queues a call; the owner sends it.
pub fn queue_request(distributor: Address, call: Bytes) -> TransactionRequest {
    request(distributor, queueCall { call }.abi_encode())
}

/// The transaction that makes a call whose wait is over; the owner sends it.
pub fn execute_request(distributor: Address, call: Bytes) -> TransactionRequest {
    request(distributor, call.into())
}

/// The transaction that cancels a queued call; owner or guardian send it.
pub fn cancel_request(distributor: Address, call: Bytes) -> TransactionRequest {
    request(distributor, cancelCall { call }.abi_encode())
}

fn request(distributor: Address, input: Vec<u8>) -> TransactionRequest {
    TransactionRequest::default().with_to(distributor).with_input(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_the_action_that_made_it_and_nothing_else_is() {
        let account = Address::repeat_byte(7);
        let actions = [
            Action::SetSigner(account),
            Action::SetGuardian(account),
            Action::RaiseQuota(Amount::new(5)),
            Action::LowerDelay(86_400),
            Action::LowerTimelock(172_800),
            Action::WithdrawUnallocated { recipient: account, amount: U256::from(9) },
        ];
        for action in actions {
            let call = action.call();
            assert_eq!(Action::of(&call), Some(action));
            // The contract leaves out what is behind the arguments, so nothing longer is ever queued.
            assert_eq!(Action::of(&[&call[..], &[0]].concat()), None);
            assert_eq!(Action::of(&call[..call.len() - 1]), None);
        }
        assert_eq!(Action::of(&queueCall { call: Bytes::new() }.abi_encode()), None);
        assert_eq!(Action::of(&[]), None);
    }

    #[test]
    fn a_call_waits_is_ready_and_lapses() {
        let action = Action::LowerDelay(1);
        let call = action.call();
        let one = Waiting {
            call_hash: keccak256(&call),
            call,
            action: Some(action),
            ready_at: 10,
            expires_at: 20,
        };
        let stages = [9, 10, 19, 20].map(|at| one.stage(at));
        assert_eq!(stages, [Stage::Waits, Stage::Ready, Stage::Ready, Stage::Lapsed]);
    }
}

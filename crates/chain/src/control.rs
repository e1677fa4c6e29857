//! Who steers a distributor, and what its brakes are: read at one block.

use alloy::eips::BlockId;
use alloy::primitives::Address;

use crate::bindings::{ProjectRegistry, RewardDistributor};
use crate::blocks::BlockRef;
use crate::error::ChainError;
use crate::provider::Provider;

/// The control part of a distributor's state.
///
/// # Examples
///
/// ```
/// use nodesys_chain::BlockRef;
/// use nodesys_chain::control::Control;
/// use nodesys_core::{Address, B256};
///
/// let control = Control {
///     block: BlockRef { number: 9, hash: B256::ZERO, secs: 1_767_225_600 },
///     signer: Address::repeat_byte(3),
///     guardian: Address::repeat_byte(2),
///     owner: Address::repeat_byte(1),
///     pause_spent: true,
///     paused_from: 1_767_225_000,
///     paused_until: 1_768_089_000,
///     delay_secs: 86_400,
/// };
/// // While a pause runs, nothing becomes active that was not when it began.
/// assert_eq!(control.active_until(1_767_225_600), 1_767_225_000);
/// assert_eq!(control.active_until(1_768_089_000), 1_768_089_000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Control {
    /// The block.
    pub block: BlockRef,
    /// The reward signer, zero once disabled.
    pub signer: Address,
    /// The guardian, zero for none.
    pub guardian: Address,
    /// The project's owner.
    pub owner: Address,
    /// Whether the guardian has used the one pause of its appointment.
    pub pause_spent: bool,
    /// When the last pause began, seconds since 1970; zero before the first.
    pub paused_from: u64,
    /// When it ends, or ended, seconds since 1970.
    pub paused_until: u64,
    /// From post to activation, in seconds.
    pub delay_secs: u64,
}

impl Control {
    /// Whether a pause runs at a time.
    pub const fn is_paused(&self, at_secs: u64) -> bool {
        at_secs < self.paused_until
    }

    /// The time up to which commits count as active at a time, as the contract's `activeUntil`.
    pub const fn active_until(&self, at_secs: u64) -> u64 {
        if self.is_paused(at_secs) { self.paused_from } else { at_secs }
    }
}

/// The control of a distributor at the newest block.
///
/// # Errors
///
/// Those of a read ([`ChainError`]).
pub async fn control_of(
    provider: &Provider,
    registry: Address,
    distributor: Address,
) -> Result<Control, ChainError> {
    let block = provider.latest_block().await?;
    // One block for all: a pause must not be seen with the signer of another block.
    let at = BlockId::hash(block.hash);
    let owner = ProjectRegistry::projectOwnerCall { project: distributor };
    let (signer, guardian, owner, pause_spent, window, delay_secs) = tokio::try_join!(
        provider.call(distributor, &RewardDistributor::signerCall {}, at),
        provider.call(distributor, &RewardDistributor::guardianCall {}, at),
        provider.call(registry, &owner, at),
        provider.call(distributor, &RewardDistributor::guardianPauseSpentCall {}, at),
        provider.call(distributor, &RewardDistributor::pauseWindowCall {}, at),
        provider.call(distributor, &RewardDistributor::delayCall {}, at),
    )?;
    let (paused_from, paused_until) = (window.from, window.until);
    Ok(Control {
        block,
        signer,
        guardian,
        owner,
        pause_spent,
        paused_from,
        paused_until,
        delay_secs,
    })
}

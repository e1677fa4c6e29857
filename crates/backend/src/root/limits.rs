//! What a project's posts may cost: the reward signer may be a contract that burns what it gets, and that
//! answers an estimate otherwise than a transaction.

use clap::Args;
use nodesys_core::time::{Timestamp, doubled};

/// The first wait of a row that is parked; it doubles each time.
const FIRST_WAIT_MILLIS: u64 = 60_000;
/// The longest.
const LONGEST_WAIT_MILLIS: u64 = 6 * 3_600_000;

/// The poster's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct PostLimits {
    /// Most gas for one post. One takes some 81,000; the rest is for a signer that is a contract.
    #[arg(
        long = "post-gas",
        env = "NODESYS_POST_GAS",
        value_name = "GAS",
        default_value_t = 500_000
    )]
    pub gas: u64,
    /// Most gas that a project's failed posts may burn in a day; then they wait for the next one.
    #[arg(
        long = "post-gas-per-day",
        env = "NODESYS_POST_GAS_PER_DAY",
        value_name = "GAS",
        default_value_t = 2_000_000
    )]
    pub gas_per_day: u64,
    /// Most that is offered for a unit of gas; while it costs more, posts wait.
    #[arg(
        long = "post-fee-gwei",
        env = "NODESYS_POST_FEE_GWEI",
        value_name = "GWEI",
        default_value_t = 500
    )]
    pub fee_gwei: u64,
}

impl PostLimits {
    /// The most that is offered, in wei.
    pub(super) const fn fee_wei(&self) -> u128 {
        self.fee_gwei as u128 * 1_000_000_000
    }
}

/// Why a row is parked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct OverLimit(pub(super) String);

/// When a row is tried again that was parked this often before.
pub(super) fn next_try(now: Timestamp, failures: u32) -> Timestamp {
    now.plus_millis(doubled(FIRST_WAIT_MILLIS, failures, LONGEST_WAIT_MILLIS))
}

/// What to offer at these prices, as the most and the tip: `factor` times the usual, within the limit.
/// `None` where the next block takes more than the limit.
pub(super) fn offer(max_fee: u128, tip: u128, factor: u128, limit: u128) -> Option<(u128, u128)> {
    // The usual offer is twice the base fee and the tip.
    let next_block = max_fee.saturating_sub(tip) / 2 + tip;
    let most = max_fee.saturating_mul(factor).min(limit);
    (next_block <= limit).then(|| (most, tip.saturating_mul(factor).min(most)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_stays_within_the_limit() {
        assert_eq!(offer(210, 10, 1, 1_000), Some((210, 10)));
        assert_eq!(offer(210, 10, 2, 1_000), Some((420, 20)));
        assert_eq!(offer(210, 10, 1, 150), Some((150, 10)));
        // The next block takes 110.
        assert_eq!(offer(210, 10, 1, 110), Some((110, 10)));
        assert_eq!(offer(210, 10, 1, 109), None);
    }

    #[test]
    fn the_wait_doubles_and_ends() {
        let at = Timestamp::from_secs(0);
        let waits = [0, 1, 2, 40].map(|failures| next_try(at, failures).secs());
        assert_eq!(waits, [60, 120, 240, 21_600]);
    }
}

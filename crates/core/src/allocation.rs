//! Allocation: a day's pool divided by points, floor by license, the remainder carried.
//!
//! For every input, `sum(allocated) + carry_out == day_reward + carry_in`. All amounts are in wei.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};

use crate::files::RewardRow;
use crate::ids::{Amount, LicenseIndex, Points};

/// What a day has to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// What the project pays for the day.
    pub day_reward: Amount,
    /// What earlier days left over.
    pub carry_in: Amount,
    /// The most that the contract lets a day's total rise by.
    pub daily_quota: Amount,
}

/// One license's claim on the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The license.
    pub license: LicenseIndex,
    /// Who receives its part: the renter while a rental runs, else the holder.
    pub beneficiary: Address,
    /// Its points, already 0 where the beneficiary is zero or excluded.
    pub points: Points,
}

/// The pool, divided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocation {
    /// `min(day_reward + carry_in, daily_quota)`.
    pub pool: Amount,
    /// What each license got, in the order of the shares.
    pub allocated: Vec<Amount>,
    /// Sum of `allocated`.
    pub total: Amount,
    /// What the next day starts with.
    pub carry_out: Amount,
}

/// Amounts that leave 128 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AllocationError {
    /// `day_reward + carry_in` is 2^128 or more.
    #[error("day reward plus carry is 2^128 wei or more")]
    BudgetOverflow,
    /// An account's cumulative amount would be 2^128 or more.
    #[error("the cumulative amount of {0} would be 2^128 wei or more")]
    CumulativeOverflow(Address),
}

/// Divides the day's pool: license `i` gets `floor(pool * points_i / sum of points)`, in wei.
///
/// What the floors leave, and what is above the quota, is carried to the next day. With no points at
/// all everything is.
///
/// # Errors
///
/// [`AllocationError::BudgetOverflow`] where `day_reward + carry_in` is 2^128 wei or more.
///
/// # Examples
///
/// ```
/// use nodesys_core::Address;
/// use nodesys_core::allocation::{Budget, Share, allocate};
/// use nodesys_core::ids::{Amount, LicenseIndex, Points};
///
/// let share = |license, points| Share {
///     license: LicenseIndex(license),
///     beneficiary: Address::repeat_byte(0xa1),
///     points: Points::checked_new(points).expect("below 2^63"),
/// };
/// let budget = Budget {
///     day_reward: Amount::new(100),
///     carry_in: Amount::ZERO,
///     daily_quota: Amount::new(1000),
/// };
/// let day = allocate(&budget, &[share(0, 1440), share(1, 720), share(2, 1440)])?;
/// assert_eq!(day.allocated, [40, 20, 40].map(Amount::new));
///
/// let day = allocate(&budget, &[share(0, 1), share(1, 1), share(2, 1)])?;
/// assert_eq!((day.total, day.carry_out), (Amount::new(99), Amount::new(1)));
/// # Ok::<(), nodesys_core::allocation::AllocationError>(())
/// ```
pub fn allocate(budget: &Budget, shares: &[Share]) -> Result<Allocation, AllocationError> {
    let available =
        budget.day_reward.checked_add(budget.carry_in).ok_or(AllocationError::BudgetOverflow)?;
    let pool = available.min(budget.daily_quota);
    // At most 2^32 licenses with points below 2^63 each: the sum is below 2^95.
    let sum: u128 = shares.iter().map(|share| u128::from(share.points.get())).sum();
    let part = |share: &Share| {
        if sum == 0 {
            return Amount::ZERO;
        }
        // In 256 bits: the product is below 2^191.
        let exact = pool.to_u256() * U256::from(share.points.get()) / U256::from(sum);
        // points_i <= sum, so the quotient is at most the pool.
        Amount::from_u256(exact).expect("a part is at most the pool")
    };
    let allocated: Vec<Amount> = shares.iter().map(part).collect();
    let total = Amount::new(allocated.iter().map(|amount| amount.get()).sum());
    let carry_out = available.checked_sub(total).expect("floors add up to at most the pool");
    Ok(Allocation { pool, allocated, total, carry_out })
}

/// Adds a day's allocation to the cumulative amounts of the commit before.
///
/// An account that gets nothing and had nothing has no row; amounts never fall. `allocated` are the
/// amounts of [`Allocation::allocated`], in the order of `shares`.
///
/// # Errors
///
/// [`AllocationError::CumulativeOverflow`] where an account would have 2^128 wei or more in all.
///
/// # Examples
///
/// ```
/// use nodesys_core::Address;
/// use nodesys_core::allocation::{Share, accumulate};
/// use nodesys_core::files::RewardRow;
/// use nodesys_core::ids::{Amount, LicenseIndex, Points};
///
/// let alice = Address::repeat_byte(0xa1);
/// let share = |license| Share {
///     license: LicenseIndex(license),
///     beneficiary: alice,
///     points: Points::checked_new(1440).expect("below 2^63"),
/// };
/// let before = [RewardRow { account: alice, cumulative: Amount::new(500) }];
/// let after = accumulate(&before, &[share(0), share(1)], &[40, 60].map(Amount::new))?;
/// assert_eq!(after, [RewardRow { account: alice, cumulative: Amount::new(600) }]);
/// # Ok::<(), nodesys_core::allocation::AllocationError>(())
/// ```
pub fn accumulate(
    before: &[RewardRow],
    shares: &[Share],
    allocated: &[Amount],
) -> Result<Vec<RewardRow>, AllocationError> {
    // Sorted by account, as the file and the tree want them.
    let mut sums: BTreeMap<Address, Amount> =
        before.iter().map(|row| (row.account, row.cumulative)).collect();
    // No rows of zero, which a tree refuses.
    for (share, amount) in shares.iter().zip(allocated).filter(|(_, amount)| amount.get() > 0) {
        let sum = sums.entry(share.beneficiary).or_default();
        *sum = sum
            .checked_add(*amount)
            .ok_or(AllocationError::CumulativeOverflow(share.beneficiary))?;
    }
    Ok(sums.into_iter().map(|(account, cumulative)| RewardRow { account, cumulative }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn share(index: u32, account: u8, points: u64) -> Share {
        Share {
            license: LicenseIndex(index),
            beneficiary: Address::repeat_byte(account),
            points: Points::checked_new(points).unwrap(),
        }
    }

    fn budget(day_reward: u128, carry_in: u128, daily_quota: u128) -> Budget {
        Budget {
            day_reward: Amount::new(day_reward),
            carry_in: Amount::new(carry_in),
            daily_quota: Amount::new(daily_quota),
        }
    }

    #[test]
    fn thirds_leave_a_remainder() {
        let shares = [share(0, 1, 1), share(1, 2, 1), share(2, 3, 1)];
        let got = allocate(&budget(100, 0, 1000), &shares).unwrap();
        assert_eq!(got.allocated, [Amount::new(33); 3]);
        assert_eq!(got.carry_out, Amount::new(1));
        let next = allocate(&budget(100, got.carry_out.get(), 1000), &shares).unwrap();
        assert_eq!((next.pool.get(), next.carry_out.get()), (101, 2));
    }

    #[test]
    fn the_quota_caps_the_pool_and_the_rest_is_carried() {
        let got = allocate(&budget(100, 50, 60), &[share(0, 1, 5)]).unwrap();
        assert_eq!((got.pool.get(), got.total.get(), got.carry_out.get()), (60, 60, 90));
    }

    #[test]
    fn no_points_carry_everything() {
        for shares in [vec![], vec![share(0, 1, 0)]] {
            let got = allocate(&budget(100, 7, 1000), &shares).unwrap();
            assert_eq!((got.total.get(), got.carry_out.get()), (0, 107));
            assert_eq!(accumulate(&[], &shares, &got.allocated), Ok(vec![]));
        }
        let full = budget(u128::MAX, 1, 1);
        assert_eq!(allocate(&full, &[]), Err(AllocationError::BudgetOverflow));
    }

    fn any_shares() -> impl Strategy<Value = Vec<Share>> {
        let points = prop_oneof![Just(0u64), 1..10_000u64, 0..=i64::MAX as u64];
        proptest::collection::vec((0u8..5, points), 0..40)
            .prop_map(|rows| (0..).zip(rows).map(|(i, (a, p))| share(i, a, p)).collect())
    }

    proptest! {
        #[test]
        fn conservation(
            shares in any_shares(), reward in 0..u128::MAX / 2, carry in 0..u128::MAX / 2, quota: u128
        ) {
            let got = allocate(&budget(reward, carry, quota), &shares).unwrap();
            let sum: u128 = got.allocated.iter().map(|a| a.get()).sum();
            prop_assert_eq!(sum, got.total.get());
            prop_assert_eq!(sum + got.carry_out.get(), reward + carry);
            prop_assert!(sum <= quota);
            // A floor loses less than one wei per license that has points.
            if shares.iter().any(|s| s.points.get() > 0) {
                prop_assert!(got.pool.get() - sum < shares.len() as u128);
            }
        }

        #[test]
        fn more_points_never_earn_less(shares in any_shares(), reward in 0..u128::MAX / 2) {
            let got = allocate(&budget(reward, 0, u128::MAX), &shares).unwrap();
            for (a, x) in shares.iter().zip(&got.allocated) {
                for (b, y) in shares.iter().zip(&got.allocated) {
                    prop_assert!(a.points > b.points || x <= y);
                }
            }
        }

        #[test]
        fn cumulative_amounts_never_fall_and_order_does_not_matter(
            shares in any_shares(), reward in 0..u128::MAX / 4, seed: u64
        ) {
            let day = budget(reward, 0, u128::MAX);
            let one = allocate(&day, &shares).unwrap();
            let first = accumulate(&[], &shares, &one.allocated).unwrap();
            let second = accumulate(&first, &shares, &one.allocated).unwrap();
            for (a, b) in first.iter().zip(&second) {
                prop_assert!(a.account == b.account && b.cumulative >= a.cumulative);
            }
            let mut turned = shares.clone();
            turned.sort_by_key(|s| u64::from(s.license.0).wrapping_mul(seed | 1).rotate_left(17));
            let two = allocate(&day, &turned).unwrap();
            prop_assert_eq!(one.carry_out, two.carry_out);
            prop_assert_eq!(first, accumulate(&[], &turned, &two.allocated).unwrap());
        }
    }
}

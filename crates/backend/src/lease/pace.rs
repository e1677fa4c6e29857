//! How many leases a tick checks against the chain: all of them in a quarter of an hour, evenly, and no more
//! than a number of requests a minute allows. Pure.

use std::collections::BTreeMap;

use nodesys_core::Address;
use nodesys_core::ids::LicenseIndex;
use nodesys_core::time::Timestamp;

/// How long a round through all active leases takes.
const ROUND_MILLIS: u64 = 15 * 60_000;
/// Licenses whose facts one request carries; their code and delegations take others.
const LICENSES_A_REQUEST: usize = 100;

/// Where the round is, and what it is behind with.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The last license that was checked; none before the first of a round.
    pub(super) after: Option<LicenseIndex>,
    /// Leases to check now.
    owed: usize,
    /// Until when they are counted.
    counted: Option<Timestamp>,
}

impl Pace {
    /// Counts what has become due: at the start all that there is, then the share of the time that went by.
    pub(super) fn count(&mut self, active: usize, now: Timestamp) {
        let elapsed =
            self.counted.map_or(ROUND_MILLIS, |at| now.millis_since(at).min(ROUND_MILLIS));
        let share = (active as u128 * u128::from(elapsed)).div_ceil(u128::from(ROUND_MILLIS));
        // No more than all of them, however long they could not be checked.
        let share = usize::try_from(share).unwrap_or(active);
        self.owed = self.owed.saturating_add(share).min(active);
        self.counted = Some(now);
    }

    /// Makes all of them due.
    pub(super) fn count_all(&mut self, active: usize) {
        self.owed = active;
    }

    /// Leases that are due.
    pub(super) const fn owed(&self) -> usize {
        self.owed
    }

    /// Some were checked, up to this one.
    pub(super) fn checked(&mut self, leases: usize, last: LicenseIndex) {
        self.owed = self.owed.saturating_sub(leases);
        self.after = Some(last);
    }
}

/// How many of the leases, from the first on, a number of requests suffices for, and what they take: for each
/// collection one for its code, and one for each hundred licenses. At least one lease, or none would ever
/// be checked.
pub(super) fn within(
    requests: usize,
    collections: impl Iterator<Item = Address>,
) -> (usize, usize) {
    let (mut seen, mut taken, mut fit) = (BTreeMap::<Address, usize>::new(), 0_usize, 0_usize);
    for collection in collections {
        let licenses = seen.entry(collection).or_default();
        let more = usize::from(*licenses == 0) + usize::from(*licenses % LICENSES_A_REQUEST == 0);
        if taken + more > requests && fit > 0 {
            break;
        }
        *licenses += 1;
        taken += more;
        fit += 1;
    }
    (fit, taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_takes_a_quarter_of_an_hour_and_owes_nobody_twice() {
        let start = Timestamp::from_secs(1_000_000);
        let minute = |n: u64| start.plus_millis(n * 60_000);
        let mut pace = Pace::default();
        pace.count(1_000_000, start);
        assert_eq!(pace.owed(), 1_000_000, "nobody was checked before the start");
        pace.checked(1_000_000, LicenseIndex(7));
        let mut all = 0;
        for n in 1..=15 {
            pace.count(1_000_000, minute(n));
            assert_eq!(pace.owed(), 66_667);
            all += pace.owed();
            pace.checked(pace.owed(), LicenseIndex(7));
        }
        assert!(all >= 1_000_000);
        // After a long outage all of them are due, once.
        pace.count(10, minute(1000));
        pace.count(10, minute(2000));
        assert_eq!(pace.owed(), 10);
        pace.count_all(3);
        assert_eq!(pace.owed(), 3);
    }

    #[test]
    fn requests_bound_what_is_checked_and_many_small_collections_cost_more() {
        let of = |n: u8| Address::repeat_byte(n);
        assert_eq!(within(4, std::iter::repeat_n(of(1), 1_000)), (300, 4));
        assert_eq!(within(6, (1..=100).map(of)), (3, 6));
        assert_eq!(within(6, [1, 1, 2, 2].map(of).into_iter()), (4, 4));
        assert_eq!(within(0, [1, 2].map(of).into_iter()), (1, 2), "never stuck");
        assert_eq!(within(6, std::iter::empty()), (0, 0));
    }
}

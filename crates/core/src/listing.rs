//! The listing: which days of a license collection are a project's.
//!
//! The registry lists a collection for whole days of UTC, from one on and, once its owner has delisted it,
//! until before another. No two listings of a collection share a day. The registry's state tells the last
//! listing of a collection, its logs tell the earlier ones.
//!
//! # Examples
//!
//! ```
//! use nodesys_core::listing::ListedDays;
//! use nodesys_core::time::UtcDay;
//!
//! let days = ListedDays { from: UtcDay(20_000), until: Some(UtcDay(20_008)) };
//! assert!(days.include(UtcDay(20_007)));
//! assert!(!days.include(UtcDay(20_008)), "the first day that is not the project's");
//! ```

use alloy_primitives::Address;

use crate::ids::Name;
use crate::time::UtcDay;

/// The days of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedDays {
    /// The first.
    pub from: UtcDay,
    /// The first that is not listed any more; `None` while no end is announced.
    pub until: Option<UtcDay>,
}

impl ListedDays {
    /// Whether the day is one of them.
    pub fn include(self, day: UtcDay) -> bool {
        self.from <= day && self.until.is_none_or(|until| day < until)
    }
}

/// A collection's listing as the licenses of a project's workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Whose.
    pub project: Address,
    /// The ERC-721 contract.
    pub collection: Address,
    /// What its tokens license.
    pub workload: Name,
    /// When.
    pub days: ListedDays,
}

/// Whether a collection is a project's on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IsListed {
    /// It is.
    Yes,
    /// It is not, and the chain says so.
    No,
    /// The chain's state does not tell, and the logs that are known do not either.
    CannotTell,
}

/// Whether a collection is the project's on a day: by the last listing in the registry's state, which tells of
/// every day from its first on, and for the days before by `logged`, the listings that logs tell of, in chain
/// order. An absence of logs proves nothing.
pub fn is_listed(
    project: Address,
    collection: Address,
    day: UtcDay,
    last: Option<&Listing>,
    logged: &[Listing],
) -> IsListed {
    let Some(last) = last else { return IsListed::No };
    if last.days.from <= day {
        let listed = last.project == project && last.days.include(day);
        return if listed { IsListed::Yes } else { IsListed::No };
    }
    // One without an end that its logs tell ended at an unknown time: another followed it.
    let former = logged.iter().find(|one| {
        one.collection == collection && one.days.until.is_some() && one.days.include(day)
    });
    match former {
        Some(former) if former.project == project => IsListed::Yes,
        Some(_) => IsListed::No,
        None => IsListed::CannotTell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Address = Address::repeat_byte(1);
    const THEIRS: Address = Address::repeat_byte(2);
    const COLLECTION: Address = Address::repeat_byte(3);

    fn listing(project: Address, from: u32, until: Option<u32>) -> Listing {
        let days = ListedDays { from: UtcDay(from), until: until.map(UtcDay) };
        Listing { project, collection: COLLECTION, workload: "render".parse().unwrap(), days }
    }

    fn answers(last: Option<&Listing>, logged: &[Listing], days: [u32; 4]) -> [IsListed; 4] {
        days.map(|day| is_listed(OURS, COLLECTION, UtcDay(day), last, logged))
    }

    #[test]
    fn the_state_tells_of_every_day_since_the_last_listing() {
        use IsListed::{CannotTell, No, Yes};
        let open = listing(OURS, 10, None);
        assert_eq!(answers(Some(&open), &[], [9, 10, 11, 99]), [CannotTell, Yes, Yes, Yes]);
        let ended = listing(OURS, 10, Some(12));
        assert_eq!(answers(Some(&ended), &[], [9, 11, 12, 99]), [CannotTell, Yes, No, No]);
        let theirs = listing(THEIRS, 10, None);
        assert_eq!(answers(Some(&theirs), &[], [9, 10, 11, 99]), [CannotTell, No, No, No]);
        assert_eq!(answers(None, &[open], [9, 10, 11, 99]), [No; 4]);
    }

    #[test]
    fn logs_tell_of_the_days_before() {
        use IsListed::{CannotTell, No, Yes};
        let last = listing(THEIRS, 20, None);
        let logged = [listing(OURS, 3, Some(5)), listing(THEIRS, 5, Some(7)), last.clone()];
        assert_eq!(answers(Some(&last), &logged, [3, 4, 5, 6]), [Yes, Yes, No, No]);
        assert_eq!(
            answers(Some(&last), &logged, [2, 7, 19, 20]),
            [CannotTell, CannotTell, CannotTell, No]
        );
        // Its end has no log: which of these days was its last is not known.
        let unended = [listing(OURS, 3, None), last.clone()];
        assert_eq!(
            answers(Some(&last), &unended, [3, 4, 19, 20]),
            [CannotTell, CannotTell, CannotTell, No]
        );
        // Another collection's logs are not its own.
        let mut other = listing(OURS, 3, Some(5));
        other.collection = THEIRS;
        assert_eq!(answers(Some(&last), &[other], [3, 4, 5, 6]), [CannotTell; 4]);
    }
}

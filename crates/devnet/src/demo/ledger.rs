//! The story's record for its closing table: outages, takeovers, posts and claims.

use nodesys_core::api::CommitView;
use nodesys_core::ids::Amount;
use nodesys_core::time::UtcDay;
use nodesys_core::{Address, B256};

use crate::deploy::LicenseRef;

/// Minutes with a staged failure.
#[derive(Debug, Clone)]
pub(super) struct Outage {
    pub(super) day: UtcDay,
    pub(super) licenses: Vec<LicenseRef>,
    /// First minute of the day.
    pub(super) from: u16,
    /// The minute after the last.
    pub(super) to: u16,
    pub(super) why: String,
}

/// A license changed its node.
#[derive(Debug, Clone)]
pub(super) struct Takeover {
    pub(super) day: UtcDay,
    pub(super) license: LicenseRef,
    /// The minute of the day in which the backend moved the lease.
    pub(super) minute: u16,
    /// The new node.
    pub(super) to: String,
}

/// The record.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) outages: Vec<Outage>,
    /// In the order of time.
    pub(super) takeovers: Vec<Takeover>,
    /// Posted commits with the gas of the post.
    pub(super) posts: Vec<(CommitView, u64)>,
    /// Day, account, amount, transaction and gas of each claim.
    pub(super) claims: Vec<(UtcDay, Address, Amount, B256, u64)>,
}

impl Ledger {
    /// The reason for a run of missing minutes, in words.
    pub(super) fn why(&self, day: UtcDay, license: LicenseRef, from: u16, to: u16) -> String {
        let fits = |outage: &&Outage| {
            outage.day == day
                && outage.licenses.contains(&license)
                && outage.from < to
                && from < outage.to
        };
        let found = self.outages.iter().find(fits);
        found.map_or_else(|| "not known".to_owned(), |outage| outage.why.clone())
    }

    /// The nodes that ran a license on a day, in words; `first` had it at the beginning.
    pub(super) fn ran_on(&self, day: UtcDay, license: LicenseRef, first: &str) -> String {
        let of_license = || self.takeovers.iter().filter(|taken| taken.license == license);
        let before = of_license().rfind(|taken| taken.day < day);
        let mut words = before.map_or(first, |taken| &taken.to).to_owned();
        for taken in of_license().filter(|taken| taken.day == day) {
            words += &format!(", {} from {}", taken.to, clock(taken.minute));
        }
        words
    }
}

/// A minute of a day, as a clock shows it.
pub(super) fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_takeover_shows_on_its_day_and_after() {
        let license = LicenseRef { workload: 1, token: 1 };
        let taken = Takeover { day: UtcDay(5), license, minute: 721, to: "node 3".to_owned() };
        let ledger = Ledger { takeovers: vec![taken], ..Ledger::default() };
        let on = |day, license| ledger.ran_on(UtcDay(day), license, "node 1");
        assert_eq!(on(4, license), "node 1");
        assert_eq!(on(5, license), "node 1, node 3 from 12:01");
        assert_eq!(on(6, license), "node 3");
        assert_eq!(on(6, LicenseRef { workload: 0, token: 1 }), "node 1");
    }
}

//! What the story remembers for its closing table: outages, posts and claims.

use nodesys_core::api::CommitView;
use nodesys_core::ids::Amount;
use nodesys_core::time::UtcDay;
use nodesys_core::{Address, B256};

use crate::deploy::LicenseRef;

/// Minutes in which something was made to fail.
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

/// What happened.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) outages: Vec<Outage>,
    /// Posted commits with the gas of the post.
    pub(super) posts: Vec<(CommitView, u64)>,
    /// After which day, who, how much, by which transaction, for how much gas.
    pub(super) claims: Vec<(UtcDay, Address, Amount, B256, u64)>,
}

impl Ledger {
    /// Why a run of minutes is missing, in words.
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
}

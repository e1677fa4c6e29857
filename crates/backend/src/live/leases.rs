//! Active leases in the request path's memory, and their known ends.
//!
//! An ended lease is never put back by an older read of its row: ends are kept as the highest ended
//! fence. The number is that of the newest end up to which all are known; the database checks it
//! for each batch.

use std::collections::HashMap;
use std::sync::RwLock;

use nodesys_core::B256;
use nodesys_core::ids::{Fence, LicenseIndex};
use sqlx::{PgConnection, PgPool};

use super::lock::{read, write};
use super::pending::{Line, Pending};
use crate::db::active_lease::{self, LeaseEntry};
use crate::db::lease_end::{self, End};
use crate::error::ApiResult;

/// Active leases, from memory or their rows.
pub(crate) struct Leases {
    pool: PgPool,
    cache: RwLock<LeaseCache>,
}

impl Leases {
    pub(super) async fn load(pool: PgPool, conn: &mut PgConnection) -> anyhow::Result<Self> {
        // The number first: what ends from here on is learned later, if it was read as active.
        let seq = lease_end::newest(conn).await?;
        let leases = active_lease::all(conn).await?;
        Ok(Self { pool, cache: RwLock::new(LeaseCache::new(seq, leases)) })
    }

    /// A license's active lease, from memory if it fits, else from its row.
    pub(crate) async fn find(
        &self,
        license: B256,
        fits: impl Fn(&LeaseEntry) -> bool,
    ) -> ApiResult<Option<LeaseEntry>> {
        let known = read(&self.cache).get(license).filter(&fits);
        if known.is_some() {
            return Ok(known);
        }
        let mut conn = self.pool.acquire().await?;
        let found = active_lease::by_hash(&mut conn, license).await?;
        if let Some(entry) = found {
            self.granted(license, entry);
        }
        Ok(found.filter(fits))
    }

    /// Puts a granted lease into memory.
    pub(crate) fn granted(&self, license: B256, entry: LeaseEntry) {
        write(&self.cache).granted(license, entry);
    }

    /// Removes an ended lease, and every older one of the license.
    pub(crate) fn ended(&self, license: LicenseIndex, fence: Fence) {
        write(&self.cache).ended(license, fence);
    }

    /// Applies every end of a lease numbered by another replica.
    pub(crate) async fn learn_ends(&self, conn: &mut PgConnection) -> anyhow::Result<()> {
        let known = read(&self.cache).seq;
        let ends = lease_end::after(conn, known).await?;
        write(&self.cache).learn(&ends);
        Ok(())
    }

    /// Judges lines again by the ends known now; returns the number of the newest one.
    pub(crate) fn judge_again(&self, batch: &mut [Pending]) -> i64 {
        read(&self.cache).judge_again(batch)
    }
}

/// Leases by license.
#[derive(Default)]
struct LeaseCache {
    active: HashMap<B256, LeaseEntry>,
    /// For each license with an ended lease: its hash, if it was active here, and the highest ended
    /// fence.
    hashes: HashMap<LicenseIndex, B256>,
    over: HashMap<LicenseIndex, Fence>,
    /// Number of the newest end up to which all are known.
    seq: i64,
}

impl LeaseCache {
    /// `seq` must be read before the leases.
    fn new(seq: i64, leases: Vec<(B256, LeaseEntry)>) -> Self {
        let mut cache = Self { seq, ..Self::default() };
        for (hash, entry) in leases {
            cache.granted(hash, entry);
        }
        cache
    }

    fn get(&self, license: B256) -> Option<LeaseEntry> {
        self.active.get(&license).copied()
    }

    fn granted(&mut self, license: B256, entry: LeaseEntry) {
        let newer = self.get(license).is_some_and(|known| known.fence > entry.fence);
        if newer || self.is_over(entry.license, entry.fence) {
            return;
        }
        self.hashes.insert(entry.license, license);
        self.active.insert(license, entry);
    }

    fn ended(&mut self, license: LicenseIndex, fence: Fence) {
        let over = self.over.entry(license).or_insert(fence);
        *over = (*over).max(fence);
        if let Some(hash) = self.hashes.get(&license)
            && self.active.get(hash).is_some_and(|entry| entry.fence <= fence)
        {
            self.active.remove(hash);
        }
    }

    /// Applies numbered ends, in order. A known one changes nothing.
    fn learn(&mut self, ends: &[End]) {
        for end in ends {
            self.ended(end.license, end.fence);
            self.seq = self.seq.max(end.seq);
        }
    }

    /// Marks lines of ended leases as lost; returns the number that holds for all lines.
    fn judge_again(&self, batch: &mut [Pending]) -> i64 {
        for pending in batch {
            for (line, status) in pending.lines.iter_mut().zip(&pending.signed.message.leases) {
                if line.held.is_some_and(|license| self.is_over(license, status.fence)) {
                    *line = Line::LOST;
                }
            }
        }
        self.seq
    }

    fn is_over(&self, license: LicenseIndex, fence: Fence) -> bool {
        self.over.get(&license).is_some_and(|over| fence <= *over)
    }
}

#[cfg(test)]
mod tests {
    use nodesys_core::Address;
    use nodesys_core::time::Minute;

    use super::*;

    const HASH: B256 = B256::repeat_byte(7);
    const LICENSE: LicenseIndex = LicenseIndex(7);

    fn fence(number: u64) -> Fence {
        Fence::checked_new(number).unwrap()
    }

    fn entry(number: u64) -> LeaseEntry {
        let node_key = Address::repeat_byte(1);
        LeaseEntry { license: LICENSE, node_key, fence: fence(number), earns_from: Minute(0) }
    }

    #[test]
    fn an_ended_lease_never_comes_back() {
        let mut cache = LeaseCache::new(3, vec![(HASH, entry(1))]);
        assert_eq!(cache.get(HASH), Some(entry(1)));
        cache.learn(&[End { seq: 4, license: LICENSE, fence: fence(1) }]);
        assert_eq!((cache.get(HASH), cache.seq), (None, 4));
        // A row that was read before it ended.
        cache.granted(HASH, entry(1));
        assert_eq!(cache.get(HASH), None);
        cache.granted(HASH, entry(2));
        assert_eq!(cache.get(HASH), Some(entry(2)));
        // The old end, told once more, and an old row.
        cache.ended(LICENSE, fence(1));
        cache.granted(HASH, entry(1));
        assert_eq!(cache.get(HASH), Some(entry(2)));
        // Our own end, before it is numbered to us.
        cache.ended(LICENSE, fence(2));
        assert_eq!((cache.get(HASH), cache.seq), (None, 4));
        cache.learn(&[End { seq: 5, license: LICENSE, fence: fence(2) }]);
        assert_eq!(cache.seq, 5);
    }
}

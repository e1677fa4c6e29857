//! Active leases in the request path's memory, and their known ends.
//!
//! An ended lease is never put back by an older read of its row: ends are kept as the highest ended
//! fence. The number is that of the newest end up to which all are known; the database checks it
//! for each batch. All of this was read from rows, and `known` is the newest change of a lease that was
//! there with them: if the database does not have it, the memory is of another one and is read anew.

use std::collections::HashMap;
use std::sync::RwLock;

use nodesys_core::B256;
use nodesys_core::ids::{Fence, LicenseIndex};
use sqlx::{PgConnection, PgPool};

use super::lock::{read, write};
use super::pending::{Line, Pending};
use crate::db::active_lease::{self, LeaseEntry};
use crate::db::lease_end::{self, End};
use crate::db::lease_mark::{self, Mark};
use crate::db::listing;
use crate::error::ApiResult;

/// Active leases, from memory or their rows.
pub(crate) struct Leases {
    pool: PgPool,
    cache: RwLock<LeaseCache>,
}

impl Leases {
    pub(super) async fn load(pool: PgPool, conn: &mut PgConnection) -> anyhow::Result<Self> {
        Ok(Self { pool, cache: RwLock::new(LeaseCache::read(conn).await?) })
    }

    /// Forgets everything and reads it anew.
    pub(crate) async fn reload(&self, conn: &mut PgConnection) -> anyhow::Result<()> {
        let fresh = LeaseCache::read(conn).await?;
        *write(&self.cache) = fresh;
        Ok(())
    }

    /// The newest change of a lease that is known here.
    pub(crate) fn known(&self) -> Mark {
        read(&self.cache).known
    }

    /// The active leases of these licenses that fit, each by its place. Where one is not in memory the node's own are
    /// read, once: a stranger's lines cost no more rows than it has leases.
    pub(crate) async fn find(
        &self,
        node: u32,
        licenses: &[B256],
        fits: impl Fn(usize, &LeaseEntry) -> bool,
    ) -> ApiResult<Vec<Option<LeaseEntry>>> {
        let known = || -> Vec<Option<LeaseEntry>> {
            let cache = read(&self.cache);
            let fitting = |(place, license): (usize, &B256)| {
                cache.get(*license).filter(|entry| fits(place, entry))
            };
            licenses.iter().enumerate().map(fitting).collect()
        };
        let found = known();
        if found.iter().all(Option::is_some) {
            return Ok(found);
        }
        let mut conn = self.pool.acquire().await?;
        let held = active_lease::entries_of_node(&mut conn, node).await?;
        if held.is_empty() {
            return Ok(found);
        }
        let mark = lease_mark::newest(&mut conn).await?;
        {
            let mut cache = write(&self.cache);
            for (license, entry) in held {
                cache.granted(license, entry, mark);
            }
        }
        Ok(known())
    }

    /// Applies every end of a lease that is numbered, our own ones included. When the end of a listing was
    /// announced, which is seldom and days before, the leases are read anew with it.
    pub(crate) async fn learn_ends(&self, conn: &mut PgConnection) -> anyhow::Result<()> {
        let (known, known_listings) = {
            let cache = read(&self.cache);
            (cache.seq, cache.listing_ends)
        };
        let fresh = match listing::ends(conn).await? == known_listings {
            true => None,
            false => Some(LeaseCache::read(conn).await?),
        };
        let ends = lease_end::after(conn, known).await?;
        let mark = lease_mark::newest(conn).await?;
        let mut cache = write(&self.cache);
        if let Some(fresh) = fresh {
            cache.replace(fresh);
        }
        cache.learn(&ends, mark);
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
    /// The newest change of a lease that was there when all of this was read.
    known: Mark,
    /// The announced ends of listings that the leases were read with.
    listing_ends: listing::Ends,
}

impl LeaseCache {
    async fn read(conn: &mut PgConnection) -> anyhow::Result<Self> {
        // The number first: what ends from here on is learned later, if it was read as active. The mark
        // last: it covers all that was read.
        let seq = lease_end::newest(conn).await?;
        let listing_ends = listing::ends(conn).await?;
        let leases = active_lease::all(conn).await?;
        let cache = Self::new(seq, leases, lease_mark::newest(conn).await?);
        Ok(Self { listing_ends, ..cache })
    }

    /// `seq` must be read before the leases, and `known` after.
    fn new(seq: i64, leases: Vec<(B256, LeaseEntry)>, known: Mark) -> Self {
        let mut cache = Self { seq, ..Self::default() };
        for (hash, entry) in leases {
            cache.granted(hash, entry, known);
        }
        cache.known = known;
        cache
    }

    /// Takes what was read of the same database later, and keeps what is known to be over.
    fn replace(&mut self, fresh: Self) {
        let over = std::mem::take(&mut self.over);
        *self = fresh;
        for (license, fence) in over {
            self.ended(license, fence);
        }
    }

    fn saw(&mut self, mark: Mark) {
        if mark.seq > self.known.seq {
            self.known = mark;
        }
    }

    fn get(&self, license: B256) -> Option<LeaseEntry> {
        self.active.get(&license).copied()
    }

    fn granted(&mut self, license: B256, entry: LeaseEntry, mark: Mark) {
        self.saw(mark);
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
    fn learn(&mut self, ends: &[End], mark: Mark) {
        self.saw(mark);
        for end in ends {
            self.ended(end.license, end.fence);
            self.seq = self.seq.max(end.seq);
        }
    }

    /// Marks lines of leases that are not held any more as lost; returns the number that holds for all
    /// lines.
    fn judge_again(&self, batch: &mut [Pending]) -> i64 {
        for pending in batch {
            for (line, status) in pending.lines.iter_mut().zip(&pending.signed.message.leases) {
                // Every held lease is in memory until its end is known, or the memory was read anew.
                let held = self.active.get(&status.license).is_some_and(|entry| {
                    (entry.node_key, entry.fence) == (pending.signed.message.node_key, status.fence)
                });
                if line.held.is_some() && !held {
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
        LeaseEntry {
            license: LICENSE,
            node_key,
            fence: fence(number),
            earns_from: Minute(0),
            listed_until: None,
        }
    }

    #[test]
    fn an_ended_lease_never_comes_back() {
        let mut cache = LeaseCache::new(3, vec![(HASH, entry(1))], Mark::default());
        assert_eq!(cache.get(HASH), Some(entry(1)));
        cache.learn(&[End { seq: 4, license: LICENSE, fence: fence(1) }], Mark::default());
        assert_eq!((cache.get(HASH), cache.seq), (None, 4));
        // A row that was read before it ended.
        cache.granted(HASH, entry(1), Mark::default());
        assert_eq!(cache.get(HASH), None);
        cache.granted(HASH, entry(2), Mark::default());
        assert_eq!(cache.get(HASH), Some(entry(2)));
        // The old end, told once more, and an old row.
        cache.ended(LICENSE, fence(1));
        cache.granted(HASH, entry(1), Mark::default());
        assert_eq!(cache.get(HASH), Some(entry(2)));
        // Our own end, before it is numbered to us.
        cache.ended(LICENSE, fence(2));
        assert_eq!((cache.get(HASH), cache.seq), (None, 4));
        cache.learn(&[End { seq: 5, license: LICENSE, fence: fence(2) }], Mark::default());
        assert_eq!(cache.seq, 5);
        // Nor by reading all anew, from rows of a moment before.
        cache.replace(LeaseCache::new(4, vec![(HASH, entry(2))], Mark::default()));
        assert_eq!(cache.get(HASH), None);
        cache.granted(HASH, entry(2), Mark::default());
        assert_eq!(cache.get(HASH), None);
    }
}

//! The fold: batches of all writers, folded by union into day bitmaps and lease renewals.
//!
//! Built at start by replaying the open days' batches; updated by this replica's own commits and,
//! each minute, by other writers' batches above their watermarks. Setting a bit twice changes
//! nothing, so replaying is always safe.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nodesys_core::bitmap::DayBitmap;
use nodesys_core::ids::LicenseIndex;
use nodesys_core::message::Status;
use nodesys_core::time::{Timestamp, UtcDay};
use roaring::RoaringBitmap;
use sqlx::PgConnection;

use crate::db;
use crate::db::batch::StoredBatch;
use crate::db::evidence::Entry;

/// Most minutes credited while `updating`: for one release, and on one day.
const UPDATING_PER_RELEASE: u16 = 5;
const UPDATING_PER_DAY: u16 = 10;

/// Last renewals of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Renewed {
    /// By a heartbeat that carried it, with any status.
    pub(crate) carried: Option<Timestamp>,
    /// By a status other than `degraded` and `down`.
    pub(crate) fit: Option<Timestamp>,
}

/// What the last heartbeat that carried a lease said of its workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reported {
    pub(crate) at: Timestamp,
    pub(crate) status: Status,
    pub(crate) release: u64,
}

/// A line of a heartbeat for a lease that its node holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeldLine {
    pub(crate) license: u32,
    pub(crate) status: Status,
    pub(crate) release: u64,
}

/// Bits and renewals of the open days.
#[derive(Default)]
pub(crate) struct DayFold {
    days: BTreeMap<UtcDay, HashMap<u32, DayBitmap>>,
    /// Minutes in which a heartbeat carried a lease without credit.
    carried: BTreeMap<UtcDay, HashMap<u32, DayBitmap>>,
    renewed: HashMap<u32, Renewed>,
    /// What the last heartbeat said of each license's workload.
    reported: HashMap<u32, Reported>,
    /// Each node's last heartbeat, by `node.idx`.
    heard: HashMap<u32, Timestamp>,
    watermarks: HashMap<(UtcDay, i32), i64>,
    /// Minutes credited while updating, by (license, day) and by (license, release).
    updating_on_day: HashMap<(u32, UtcDay), u16>,
    updating_release: HashMap<(u32, u64), u16>,
}

/// A batch's contribution to the fold.
pub(crate) struct Added<'a> {
    pub(crate) day: UtcDay,
    pub(crate) minute_of_day: u16,
    pub(crate) licenses: &'a RoaringBitmap,
    pub(crate) carried: &'a RoaringBitmap,
    /// Carried as degraded or down.
    pub(crate) unfit: &'a RoaringBitmap,
    /// The nodes that sent the heartbeats.
    pub(crate) nodes: &'a [u32],
    pub(crate) server_time: Timestamp,
    /// The heartbeats' lines for leases that their nodes hold.
    pub(crate) lines: &'a [HeldLine],
}

impl DayFold {
    fn add(&mut self, added: &Added<'_>) {
        let day = self.days.entry(added.day).or_default();
        // A minute that is credited already counts no further, whoever stored it again.
        let credited = |line: &&HeldLine| {
            line.status == Status::Updating && added.licenses.contains(line.license)
        };
        for line in added.lines.iter().filter(credited) {
            if !day.entry(line.license).or_default().contains(added.minute_of_day) {
                *self.updating_on_day.entry((line.license, added.day)).or_default() += 1;
                *self.updating_release.entry((line.license, line.release)).or_default() += 1;
            }
        }
        for line in added.lines {
            let (at, status, release) = (added.server_time, line.status, line.release);
            let reported =
                self.reported.entry(line.license).or_insert(Reported { at, status, release });
            if reported.at <= at {
                *reported = Reported { at, status, release };
            }
        }
        for index in added.licenses {
            day.entry(index).or_default().set(added.minute_of_day);
        }
        let at = Some(added.server_time);
        for index in added.licenses | added.carried {
            let renewed = self.renewed.entry(index).or_default();
            (renewed.carried, renewed.fit) = (renewed.carried.max(at), renewed.fit.max(at));
        }
        let carried = self.carried.entry(added.day).or_default();
        for index in added.carried | added.unfit {
            carried.entry(index).or_default().set(added.minute_of_day);
        }
        for index in added.unfit {
            let renewed = self.renewed.entry(index).or_default();
            renewed.carried = renewed.carried.max(at);
        }
        for node in added.nodes {
            let heard = self.heard.entry(*node).or_default();
            *heard = (*heard).max(added.server_time);
        }
    }

    /// Whether one more `updating` minute may be credited.
    pub(crate) fn may_update(&self, index: LicenseIndex, day: UtcDay, release: u64) -> bool {
        let on_day = self.updating_on_day.get(&(index.0, day)).copied().unwrap_or(0);
        let of_release = self.updating_release.get(&(index.0, release)).copied().unwrap_or(0);
        on_day < UPDATING_PER_DAY && of_release < UPDATING_PER_RELEASE
    }

    /// A license's minutes of an open day.
    pub(crate) fn bitmap(&self, day: UtcDay, index: LicenseIndex) -> DayBitmap {
        self.days.get(&day).and_then(|day| day.get(&index.0)).copied().unwrap_or_default()
    }

    /// The minutes of an open day or yesterday in which a heartbeat carried its lease without credit.
    pub(crate) fn carried(&self, day: UtcDay, index: LicenseIndex) -> DayBitmap {
        self.carried.get(&day).and_then(|day| day.get(&index.0)).copied().unwrap_or_default()
    }

    /// Time of the last heartbeat that carried a license's lease.
    pub(crate) fn renewed_at(&self, index: LicenseIndex) -> Option<Timestamp> {
        self.renewed(index).carried
    }

    /// Last renewals of a license's lease.
    pub(crate) fn renewed(&self, index: LicenseIndex) -> Renewed {
        self.renewed.get(&index.0).copied().unwrap_or_default()
    }

    /// What the last heartbeat that carried a license's lease said.
    pub(crate) fn reported(&self, index: LicenseIndex) -> Option<Reported> {
        self.reported.get(&index.0).copied()
    }

    /// Time of a node's (`node.idx`) last accepted heartbeat.
    pub(crate) fn heard_at(&self, node: u32) -> Option<Timestamp> {
        self.heard.get(&node).copied()
    }

    fn drop_before(&mut self, first: UtcDay) {
        self.days.retain(|day, _| *day >= first);
        self.carried.retain(|day, _| *day >= first);
        self.watermarks.retain(|(day, _), _| *day >= first);
        self.updating_on_day.retain(|(_, day), _| *day >= first);
    }
}

/// The fold, shared. The lock is never held across a panic: no code under it can.
#[derive(Default)]
pub(crate) struct Fold(Mutex<DayFold>);

impl Fold {
    /// Reads the fold; quick reads only.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&DayFold) -> T) -> T {
        look(&self.lock())
    }

    /// Adds a stored batch.
    pub(crate) fn add(&self, added: &Added<'_>) {
        self.lock().add(added);
    }

    /// Reads the batches above the fold's watermarks, of all writers but `own`, today and
    /// yesterday.
    pub(crate) async fn follow(
        &self,
        conn: &mut PgConnection,
        own: Option<i32>,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let today = now.day();
        let first = today.previous().unwrap_or(today);
        let writers = db::writer::since(conn, first.start()).await?;
        for day in [first, today] {
            for writer in writers.iter().copied().filter(|writer| Some(*writer) != own) {
                let watermark = self.lock().watermarks.get(&(day, writer)).copied().unwrap_or(0);
                for batch in db::batch::after(conn, day, writer, watermark).await? {
                    self.add_stored(day, writer, &batch?);
                }
            }
        }
        self.lock().drop_before(first);
        Ok(())
    }

    /// Forgets everything, so that the next follow-up reads all.
    pub(crate) fn forget_all(&self) {
        *self.lock() = DayFold::default();
    }

    fn add_stored(&self, day: UtcDay, writer: i32, batch: &StoredBatch) {
        let nodes: Vec<u32> = batch.entries.iter().map(|entry| entry.node).collect();
        let lines: Vec<HeldLine> = batch
            .entries
            .iter()
            .flat_map(Entry::held)
            .filter_map(|(license, status, release)| {
                Some(HeldLine { license, status: Status::from_u8(status)?, release })
            })
            .collect();
        let added = Added {
            day,
            minute_of_day: batch.minute_of_day,
            licenses: &batch.licenses,
            carried: &batch.carried,
            unfit: &batch.unfit,
            nodes: &nodes,
            server_time: batch.server_time,
            lines: &lines,
        };
        let mut fold = self.lock();
        fold.add(&added);
        fold.watermarks.insert((day, writer), batch.wseq);
    }

    fn lock(&self) -> MutexGuard<'_, DayFold> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(fold: &mut DayFold, minute: u16, updating: &[(u32, u64)]) {
        let lines: Vec<_> = updating
            .iter()
            .map(|(license, release)| HeldLine {
                license: *license,
                status: Status::Updating,
                release: *release,
            })
            .collect();
        let licenses = RoaringBitmap::from_iter([7]);
        fold.add(&Added {
            day: UtcDay(1),
            minute_of_day: minute,
            licenses: &licenses,
            carried: &RoaringBitmap::from_iter([9]),
            unfit: &RoaringBitmap::from_iter([11]),
            nodes: &[2],
            server_time: UtcDay(1).start().plus_millis(u64::from(minute) * 60_000),
            lines: &lines,
        });
    }

    #[test]
    fn union_is_idempotent_and_carried_leases_renew_without_credit() {
        let mut fold = DayFold::default();
        for minute in [3, 3, 5] {
            add(&mut fold, minute, &[]);
        }
        assert_eq!(fold.bitmap(UtcDay(1), LicenseIndex(7)).runs(), [(3, 4), (5, 6)]);
        assert_eq!(fold.bitmap(UtcDay(1), LicenseIndex(9)), DayBitmap::EMPTY);
        for (index, runs) in [(7, vec![]), (9, vec![(3, 4), (5, 6)]), (11, vec![(3, 4), (5, 6)])] {
            assert_eq!(fold.carried(UtcDay(1), LicenseIndex(index)).runs(), runs, "{index}");
        }
        let at = UtcDay(1).start().plus_millis(300_000);
        assert_eq!(fold.renewed_at(LicenseIndex(9)), Some(at));
        assert_eq!(fold.renewed_at(LicenseIndex(8)), None);
        assert_eq!(fold.renewed(LicenseIndex(9)).fit, Some(at));
        assert_eq!(fold.renewed(LicenseIndex(11)), Renewed { carried: Some(at), fit: None });
        assert_eq!((fold.heard_at(2), fold.heard_at(3)), (Some(at), None));
    }

    #[test]
    fn updating_is_bounded_by_release_and_day() {
        let mut fold = DayFold::default();
        let may = |fold: &DayFold, release| fold.may_update(LicenseIndex(7), UtcDay(1), release);
        for minute in 0..5 {
            assert!(may(&fold, 1));
            add(&mut fold, minute, &[(7, 1)]);
            // The same minute by another replica, or read back.
            add(&mut fold, minute, &[(7, 1)]);
        }
        assert!(!may(&fold, 1) && may(&fold, 2));
        for minute in 5..10 {
            add(&mut fold, minute, &[(7, 2)]);
        }
        assert!(!may(&fold, 3) && fold.may_update(LicenseIndex(7), UtcDay(2), 3));
    }
}

//! The fold: batches of all writers, folded by union into day bitmaps and lease renewals.
//!
//! Built at start by replaying the open days' batches, kept up by this replica's own commits and,
//! each minute, by what other writers have added above their watermarks. Setting a bit twice
//! changes nothing, so replaying is always safe.

use std::collections::{BTreeMap, HashMap};

use anyhow::Context;
use nodesys_core::bitmap::DayBitmap;
use nodesys_core::ids::LicenseIndex;
use nodesys_core::message::Status;
use nodesys_core::time::{Timestamp, UtcDay};
use roaring::RoaringBitmap;
use sqlx::PgConnection;

use super::evidence;
use crate::lease::Renewed;

/// Most minutes credited while `updating`: for one release, and on one day.
const UPDATING_PER_RELEASE: u16 = 5;
const UPDATING_PER_DAY: u16 = 10;

/// Bits and renewals of the days not yet folded away.
#[derive(Default)]
pub(crate) struct DayFold {
    days: BTreeMap<UtcDay, HashMap<u32, DayBitmap>>,
    renewed: HashMap<u32, Renewed>,
    /// When each node was last heard, by `node.idx`.
    heard: HashMap<u32, Timestamp>,
    watermarks: HashMap<(UtcDay, i32), i64>,
    /// Minutes credited while updating, by (license, day) and by (license, release).
    updating_on_day: HashMap<(u32, UtcDay), u16>,
    updating_release: HashMap<(u32, u64), u16>,
}

/// What a batch adds to the fold.
pub(super) struct Added<'a> {
    pub(super) day: UtcDay,
    pub(super) minute_of_day: u16,
    pub(super) licenses: &'a RoaringBitmap,
    pub(super) carried: &'a RoaringBitmap,
    /// Carried as degraded or down.
    pub(super) unfit: &'a RoaringBitmap,
    /// Whose heartbeats they are.
    pub(super) nodes: &'a [u32],
    pub(super) server_time: Timestamp,
    /// (license, release) of credited `updating` lines.
    pub(super) updating: &'a [(u32, u64)],
}

impl DayFold {
    pub(super) fn add(&mut self, added: &Added<'_>) {
        let day = self.days.entry(added.day).or_default();
        // A minute that is credited already counts no further, whoever stored it again.
        for (index, release) in added.updating {
            if !day.entry(*index).or_default().contains(added.minute_of_day) {
                *self.updating_on_day.entry((*index, added.day)).or_default() += 1;
                *self.updating_release.entry((*index, *release)).or_default() += 1;
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
    pub(super) fn may_update(&self, index: LicenseIndex, day: UtcDay, release: u64) -> bool {
        let on_day = self.updating_on_day.get(&(index.0, day)).copied().unwrap_or(0);
        let of_release = self.updating_release.get(&(index.0, release)).copied().unwrap_or(0);
        on_day < UPDATING_PER_DAY && of_release < UPDATING_PER_RELEASE
    }

    /// A license's minutes of an open day.
    pub(crate) fn bitmap(&self, day: UtcDay, index: LicenseIndex) -> DayBitmap {
        self.days.get(&day).and_then(|day| day.get(&index.0)).copied().unwrap_or_default()
    }

    /// When a heartbeat last carried a license's lease.
    pub(crate) fn renewed_at(&self, index: LicenseIndex) -> Option<Timestamp> {
        self.renewed(index).carried
    }

    /// When a license's lease was last renewed.
    pub(crate) fn renewed(&self, index: LicenseIndex) -> Renewed {
        self.renewed.get(&index.0).copied().unwrap_or_default()
    }

    /// When a heartbeat of a node (`node.idx`) was last accepted.
    pub(crate) fn heard_at(&self, node: u32) -> Option<Timestamp> {
        self.heard.get(&node).copied()
    }

    fn drop_before(&mut self, first: UtcDay) {
        self.days.retain(|day, _| *day >= first);
        self.watermarks.retain(|(day, _), _| *day >= first);
        self.updating_on_day.retain(|(_, day), _| *day >= first);
    }
}

/// Reads what is new since the fold's watermarks, of all writers but `own`, today and yesterday.
pub(super) async fn follow(
    fold: &std::sync::Mutex<DayFold>,
    conn: &mut PgConnection,
    own: Option<i32>,
    today: UtcDay,
) -> anyhow::Result<()> {
    let first = today.previous().unwrap_or(today);
    let since = crate::sql::signed(first.start().millis())?;
    let writers = sqlx::query_scalar!(
        r#"select writer as "writer!" from writer where alive_at::bigint >= $1"#,
        since
    )
    .fetch_all(&mut *conn)
    .await?;
    for day in [first, today] {
        for writer in writers.iter().copied().filter(|writer| Some(*writer) != own) {
            let watermark = lock(fold).watermarks.get(&(day, writer)).copied().unwrap_or(0);
            let number = i32::try_from(day.0).context("a day beyond the calendar")?;
            let rows = sqlx::query!(
                r#"select wseq as "wseq!", minute as "minute!", licenses as "licenses!", carried,
                          unfit, body as "body!", server_time::bigint as "server_time!"
                   from heartbeat_batch where day = $1 and writer = $2 and wseq > $3 order by wseq"#,
                number,
                writer,
                watermark
            )
            .fetch_all(&mut *conn)
            .await?;
            for row in rows {
                let licenses = bitmap(&row.licenses)?;
                let carried = row.carried.as_deref().map(bitmap).transpose()?.unwrap_or_default();
                let unfit = row.unfit.as_deref().map(bitmap).transpose()?.unwrap_or_default();
                let entries = evidence::decode(&row.body)?;
                let nodes: Vec<u32> = entries.iter().map(|entry| entry.node).collect();
                let updating: Vec<(u32, u64)> = entries
                    .iter()
                    .flat_map(evidence::Entry::held)
                    .filter(|(index, status, _)| {
                        *status == Status::Updating as u8 && licenses.contains(*index)
                    })
                    .map(|(index, _, release)| (index, release))
                    .collect();
                let added = Added {
                    day,
                    minute_of_day: u16::try_from(row.minute)?,
                    licenses: &licenses,
                    carried: &carried,
                    unfit: &unfit,
                    nodes: &nodes,
                    server_time: Timestamp::from_millis(crate::sql::unsigned(row.server_time)?),
                    updating: &updating,
                };
                let mut fold = lock(fold);
                fold.add(&added);
                fold.watermarks.insert((day, writer), row.wseq);
            }
        }
    }
    lock(fold).drop_before(first);
    Ok(())
}

/// Reads a stored roaring bitmap.
pub(crate) fn bitmap(bytes: &[u8]) -> anyhow::Result<RoaringBitmap> {
    RoaringBitmap::deserialize_from(bytes).context("a stored roaring bitmap does not read")
}

/// The lock is never held across a panic: no code under it can.
pub(super) fn lock(fold: &std::sync::Mutex<DayFold>) -> std::sync::MutexGuard<'_, DayFold> {
    fold.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(fold: &mut DayFold, minute: u16, updating: &[(u32, u64)]) {
        let licenses = RoaringBitmap::from_iter([7]);
        fold.add(&Added {
            day: UtcDay(1),
            minute_of_day: minute,
            licenses: &licenses,
            carried: &RoaringBitmap::from_iter([9]),
            unfit: &RoaringBitmap::from_iter([11]),
            nodes: &[2],
            server_time: UtcDay(1).start().plus_millis(u64::from(minute) * 60_000),
            updating,
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

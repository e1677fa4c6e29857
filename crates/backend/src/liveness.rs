//! The backend's liveness and its own downtime: one definition for everything that counts time.
//!
//! Each process records every minute in which it is alive. A minute is downtime when no process can
//! have been alive in any part of it; a process may have lived for one period after its last
//! record. A day's close excuses exactly these minutes, and they are not counted for a lease, a
//! standby or an outage. The close sets the definition, because it pays: excused minutes are signed
//! with the day and become points, and an excused minute cannot cost a lease.

use std::ops::RangeInclusive;
use std::time::Duration;

use nodesys_core::bitmap::DayBitmap;
use nodesys_core::time::{MINUTES_PER_DAY, Minute, Timestamp, UtcDay};
use sqlx::PgConnection;

use crate::db;

/// Interval of a process's records.
pub(crate) const PERIOD: Duration = Duration::from_secs(60);
const PERIOD_MILLIS: u64 = 60_000;
/// A record later than this begins a new stretch of life. Any value from one period to two would
/// do: so short a gap has no whole minute of downtime, whether it is noticed or not.
pub(crate) const LATE_MILLIS: u64 = 90_000;
/// A node or workload that is silent for longer is down.
pub(crate) const DOWN_MILLIS: u64 = 300_000;
/// Period for which liveness is read: an older lease has expired in any case.
const HORIZON_MILLIS: u64 = 30 * 86_400_000;

/// The minutes in which a process was alive.
#[derive(Debug, Clone, Default)]
pub(crate) struct Liveness {
    /// Minutes since 1970, in order; no range touches the next.
    lived: Vec<RangeInclusive<u64>>,
}

impl Liveness {
    /// `signs` has the first and last record of each stretch of life, in any order.
    pub(crate) fn new(signs: &[(Timestamp, Timestamp)]) -> Self {
        let mut stretches: Vec<(u64, u64)> = signs
            .iter()
            .map(|(first, last)| (first.minute().0, last.plus_millis(PERIOD_MILLIS).minute().0))
            .collect();
        stretches.sort_unstable();
        let mut lived: Vec<RangeInclusive<u64>> = Vec::new();
        for (first, last) in stretches {
            match lived.last_mut() {
                Some(range) if first <= range.end() + 1 => {
                    *range = *range.start()..=last.max(*range.end());
                }
                _ => lived.push(first..=last),
            }
        }
        Self { lived }
    }

    /// Of the time up to now.
    pub(crate) async fn until(conn: &mut PgConnection, now: Timestamp) -> anyhow::Result<Self> {
        let from = Timestamp::from_millis(now.millis().saturating_sub(HORIZON_MILLIS));
        Ok(Self::new(&db::writer::signs(conn, from, now.plus_millis(1)).await?))
    }

    /// Of a day.
    pub(crate) async fn of_day(conn: &mut PgConnection, day: UtcDay) -> anyhow::Result<Self> {
        let from = Timestamp::from_millis(day.start().millis().saturating_sub(PERIOD_MILLIS));
        Ok(Self::new(&db::writer::signs(conn, from, day.end()).await?))
    }

    /// The minutes of a day that are downtime.
    pub(crate) fn excused(&self, day: UtcDay) -> DayBitmap {
        let mut excused = DayBitmap::EMPTY;
        for of_day in 0..MINUTES_PER_DAY {
            let minute = day.first_minute().0 + u64::from(of_day);
            if !self.lived.iter().any(|range| range.contains(&minute)) {
                excused.set(of_day);
            }
        }
        excused
    }

    /// The moment `millis` ago, not counting downtime. The current minute counts, and so does all
    /// time before the first record, since no grant or heartbeat is that old.
    pub(crate) fn earlier(&self, now: Timestamp, millis: u64) -> Timestamp {
        let back = |at: Timestamp, by: u64| Timestamp::from_millis(at.millis().saturating_sub(by));
        let (mut at, mut left) = (now, millis);
        // The first of the minutes that are counted already.
        let mut counted = now.minute();
        for range in self.lived.iter().rev() {
            let lived_until = Minute(range.end() + 1);
            if lived_until < counted {
                let passed = at.millis_since(counted.start());
                if passed >= left {
                    break;
                }
                left -= passed;
                at = lived_until.start();
            }
            counted = counted.min(Minute(*range.start()));
        }
        back(at, left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;
    const DAY: UtcDay = UtcDay(20_454);

    fn at(minute: u64) -> Timestamp {
        DAY.start().plus_millis(minute * MINUTE)
    }

    fn liveness(minutes: &[(u64, u64)]) -> Liveness {
        let signs: Vec<_> = minutes.iter().map(|(from, to)| (at(*from), at(*to))).collect();
        Liveness::new(&signs)
    }

    fn earlier_minutes(now: u64, minutes: u64, alive: &[(u64, u64)]) -> u64 {
        let earlier = liveness(alive).earlier(at(now), minutes * MINUTE);
        earlier.millis_since(DAY.start()) / MINUTE
    }

    #[test]
    fn only_whole_minutes_without_a_writer_are_excused() {
        assert_eq!(liveness(&[(0, 1440)]).excused(DAY), DayBitmap::EMPTY);
        assert_eq!(liveness(&[]).excused(DAY), DayBitmap::FULL);
        let restarted = [(at(0), at(100)), (at(110).plus_millis(30_000), at(1440))];
        // Alive at 100:00 counts through 101:00; up again at 110:30, so minute 110 is not whole.
        assert_eq!(Liveness::new(&restarted).excused(DAY).runs(), [(102, 110)]);
        // To the second: a sign 40 seconds into a minute counts for the next minute, no longer.
        let restarted = [(at(0), at(100).plus_millis(40_000)), (at(110), at(1440))];
        assert_eq!(Liveness::new(&restarted).excused(DAY).runs(), [(102, 110)]);
        assert_eq!(liveness(&[(0, 100), (50, 1440)]).excused(DAY), DayBitmap::EMPTY);
    }

    #[test]
    fn time_stands_still_while_no_writer_lives() {
        assert_eq!(earlier_minutes(100, 10, &[(0, 100)]), 90);
        // Down from 42:00 to 80:00.
        let restarted = [(80, 100), (0, 40)];
        assert_eq!(earlier_minutes(100, 20, &restarted), 80);
        assert_eq!(earlier_minutes(100, 21, &restarted), 41);
        assert_eq!(earlier_minutes(100, 30, &restarted), 32);
        // Another replica lived through it.
        assert_eq!(earlier_minutes(100, 30, &[(0, 40), (30, 90), (80, 100)]), 70);
        // Twice.
        assert_eq!(earlier_minutes(100, 30, &[(0, 40), (50, 60), (90, 100)]), 34);
    }

    #[test]
    fn a_writer_that_fell_silent_counts_no_longer() {
        // The database cannot be written: the last sign is 30 minutes old.
        assert_eq!(earlier_minutes(70, 2, &[(0, 40)]), 40);
        assert_eq!(earlier_minutes(70, 12, &[(0, 40)]), 30);
        assert_eq!(earlier_minutes(41, 12, &[(0, 40)]), 29);
    }

    #[test]
    fn before_the_first_writer_time_runs() {
        assert_eq!(earlier_minutes(100, 30, &[(90, 100)]), 70);
        assert_eq!(earlier_minutes(100, 30, &[]), 70);
        let first_minutes = Timestamp::from_millis(5 * MINUTE);
        assert_eq!(liveness(&[]).earlier(first_minutes, 30 * MINUTE).millis(), 0);
    }

    /// Whatever second the backend stops and starts at: a lease's time passes in a minute exactly
    /// when the close does not excuse it.
    #[test]
    fn leases_count_the_minutes_that_are_not_excused_and_no_others() {
        let now = at(20);
        for stop_secs in 300..420 {
            for down_secs in [61, 90, 119, 120, 121, 150, 180, 200, 299] {
                let stop = DAY.start().plus_millis(stop_secs * 1000);
                let start = stop.plus_millis(down_secs * 1000);
                let liveness = Liveness::new(&[(at(0), stop), (start, now)]);
                let excused = liveness.excused(DAY);
                let mut passed = 0;
                for minute in (0..20).rev().filter(|minute| !excused.contains(*minute)) {
                    passed += MINUTE;
                    let from = liveness.earlier(now, passed);
                    assert_eq!(from, at(u64::from(minute)), "{stop_secs} {down_secs}");
                }
            }
        }
    }

    #[test]
    fn where_a_late_sign_begins_a_new_stretch_changes_no_minute() {
        for stop_secs in 300..360 {
            for late in [60_000, LATE_MILLIS, 2 * PERIOD_MILLIS] {
                let stop = DAY.start().plus_millis(stop_secs * 1000);
                let apart = Liveness::new(&[(at(0), stop), (stop.plus_millis(late), at(1440))]);
                assert_eq!(apart.excused(DAY), DayBitmap::EMPTY, "{stop_secs} {late}");
            }
        }
    }
}

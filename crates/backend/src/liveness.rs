//! Time as leases count it: minutes that are excused as the backend's own downtime do not pass.
//!
//! Every writer records that it lives, each minute. A whole minute in which none lived, one
//! liveness period after the last sign included, is downtime: nobody could be heard in it.

use nodesys_core::bitmap::DayBitmap;
use nodesys_core::time::{MINUTES_PER_DAY, Minute, Timestamp, UtcDay};
use sqlx::PgConnection;

use crate::db;

/// The longest gap between two liveness records that still counts as being up.
pub(crate) const ALIVE_GAP_MILLIS: u64 = 90_000;
/// How far back liveness is read: a lease older than that is over whatever happened.
const HORIZON_MILLIS: u64 = 30 * 86_400_000;

/// The moment from which `millis` have passed until `now`. `alive` holds each writer's first and
/// last sign of life, in any order.
pub(crate) fn earlier(now: Timestamp, millis: u64, alive: &[(Timestamp, Timestamp)]) -> Timestamp {
    let back = |at: Timestamp, by: u64| Timestamp::from_millis(at.millis().saturating_sub(by));
    let (mut at, mut left) = (now, millis);
    for (from, to) in downtimes(now, alive).into_iter().rev() {
        let passed = at.millis_since(to);
        if passed >= left {
            break;
        }
        left -= passed;
        at = from;
    }
    back(at, left)
}

/// The stretches of whole minutes before `now` in which no writer lived, in order.
fn downtimes(now: Timestamp, alive: &[(Timestamp, Timestamp)]) -> Vec<(Timestamp, Timestamp)> {
    let mut alive = alive.to_vec();
    alive.sort_unstable();
    let mut downtimes = Vec::new();
    let Some(&(_, first)) = alive.first() else { return downtimes };
    let mut up_to = first.plus_millis(ALIVE_GAP_MILLIS);
    for (from, to) in alive.into_iter().chain([(now, now)]) {
        let begins = Minute(up_to.millis().div_ceil(60_000)).start();
        let ends = from.minute().start();
        if begins < ends {
            downtimes.push((begins, ends));
        }
        up_to = up_to.max(to.plus_millis(ALIVE_GAP_MILLIS));
    }
    downtimes
}

/// When writers were alive.
pub(crate) async fn intervals(
    conn: &mut PgConnection,
    now: Timestamp,
) -> anyhow::Result<Vec<(Timestamp, Timestamp)>> {
    let since = Timestamp::from_millis(now.millis().saturating_sub(HORIZON_MILLIS));
    db::writer::signs(conn, since, now.plus_millis(1)).await
}

/// Liveness is recorded each minute; twice that is still being alive.
const DAY_GAP_MILLIS: u64 = 60_000;

/// The minutes of a day in which no writer was alive.
pub(crate) async fn excused(conn: &mut PgConnection, day: UtcDay) -> anyhow::Result<DayBitmap> {
    let since = Timestamp::from_millis(day.start().millis().saturating_sub(DAY_GAP_MILLIS));
    Ok(downtime(day, &db::writer::signs(conn, since, day.end()).await?, DAY_GAP_MILLIS))
}

/// The minutes of a day in which no writer was alive.
///
/// `alive` holds each writer's first and last sign of life; a minute is excused when none of it
/// lies in any of them, one liveness period after the last sign included.
fn downtime(day: UtcDay, alive: &[(Timestamp, Timestamp)], gap_millis: u64) -> DayBitmap {
    let mut excused = DayBitmap::EMPTY;
    for minute in 0..MINUTES_PER_DAY {
        let start = day.start().plus_millis(u64::from(minute) * 60_000);
        let end = start.plus_millis(60_000);
        let lived = |(from, to): &(Timestamp, Timestamp)| {
            *from < end && to.plus_millis(gap_millis) >= start
        };
        if !alive.iter().any(lived) {
            excused.set(minute);
        }
    }
    excused
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    fn at(minutes: u64) -> Timestamp {
        Timestamp::from_millis(minutes * MINUTE)
    }

    fn earlier_minutes(now: u64, minutes: u64, alive: &[(u64, u64)]) -> u64 {
        let alive: Vec<_> = alive.iter().map(|(from, to)| (at(*from), at(*to))).collect();
        earlier(at(now), minutes * MINUTE, &alive).millis() / MINUTE
    }

    const DAY: UtcDay = UtcDay(20_454);

    fn minute_of_day(minute: u64) -> Timestamp {
        DAY.start().plus_millis(minute * MINUTE)
    }

    #[test]
    fn only_whole_minutes_without_a_writer_are_excused() {
        let gap = 60_000;
        assert_eq!(
            downtime(DAY, &[(minute_of_day(0), minute_of_day(1440))], gap),
            DayBitmap::EMPTY
        );
        assert_eq!(downtime(DAY, &[], gap), DayBitmap::FULL);
        let restarted = [
            (minute_of_day(0), minute_of_day(100)),
            (minute_of_day(110).plus_millis(30_000), minute_of_day(1440)),
        ];
        // Alive at 100:00 counts through 101:00; up again at 110:30, so minute 110 is not whole.
        assert_eq!(downtime(DAY, &restarted, gap).runs(), [(102, 110)]);
        let replica =
            [(minute_of_day(0), minute_of_day(100)), (minute_of_day(50), minute_of_day(1440))];
        assert_eq!(downtime(DAY, &replica, gap), DayBitmap::EMPTY);
    }

    #[test]
    fn time_stands_still_while_no_writer_lives() {
        assert_eq!(earlier_minutes(100, 10, &[(0, 100)]), 90);
        // Down from 41:30 to 80:00: the whole minutes from 42 on do not count.
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
        assert_eq!(earlier_minutes(5, 30, &[]), 0);
    }
}

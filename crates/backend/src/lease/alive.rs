//! Time as leases count it: minutes that are excused as the backend's own downtime do not pass.
//!
//! Every writer records that it lives, each minute. A whole minute in which none lived, one
//! liveness period after the last sign included, is downtime: nobody could be heard in it.

use nodesys_core::time::{Minute, Timestamp};
use sqlx::PgConnection;

use crate::sql;

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
    let since = sql::signed(now.millis().saturating_sub(HORIZON_MILLIS))?;
    let rows = sqlx::query!(
        r#"select started_at::bigint as "started_at!", alive_at::bigint as "alive_at!" from writer
           where alive_at::bigint >= $1"#,
        since
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let at = |millis| sql::unsigned(millis).map(Timestamp::from_millis);
            Ok((at(row.started_at)?, at(row.alive_at)?))
        })
        .collect()
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

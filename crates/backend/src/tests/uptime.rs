//! A license's days in numbers, and why minutes are missing.

use nodesys_core::api::{DayCount, MinuteCounts, MissingCause};
use nodesys_core::message::Status;
use nodesys_core::time::UtcDay;
use nodesys_testing::chain::{DAY, alice};
use sqlx::PgPool;

use super::support::World;
use super::support::node::{healthy, line};
use crate::periodic::Periodic as _;
use crate::uptime::Count;

async fn count(world: &World) {
    Count::new(world.replica.app.clone()).tick().await.unwrap();
}

async fn days(world: &World, from: UtcDay, to: UtcDay) -> Vec<DayCount> {
    let license = world.chain.a1();
    let range = (from, to);
    world.client().license_days(license.collection, license.token_id, range).await.unwrap().days
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_closed_day_is_counted_once_and_read_by_offset(pool: PgPool) {
    let mut world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let license = world.chain.a1();
    let lease = world.lease(&node, &license).await;
    for _ in 0..3 {
        node.beat(&world, &[healthy(&lease)]).await.unwrap();
        world.live(1).await;
    }
    let counts = MinuteCounts { minutes: 3, expected: 4, excused: 0 };
    let open = DayCount { day: DAY, closed: false, counts: Some(counts) };
    assert_eq!(days(&world, UtcDay(DAY.0 - 300), DAY.next()).await, [open]);
    // No replica lives until the day's end: from the minute after the last record on it is excused.
    world.close_day(DAY).await;
    let uncounted = DayCount { day: DAY, closed: true, counts: None };
    assert_eq!(days(&world, DAY, DAY).await, [uncounted]);
    count(&world).await;
    let whole =
        world.client().license_day(license.collection, license.token_id, DAY).await.unwrap();
    let excused = world.client().day(DAY).await.unwrap().excused.unwrap();
    assert!(excused.count() > 1000, "{excused:?}");
    let counts = MinuteCounts {
        minutes: whole.minutes,
        expected: whole.expected,
        excused: (excused & !whole.bitmap & nodesys_core::bitmap::DayBitmap::from_minute_on(30))
            .count(),
    };
    let closed = DayCount { day: DAY, closed: true, counts: Some(counts) };
    assert_eq!(days(&world, DAY, DAY).await, [closed]);
    // Another license of the same day, that nobody ran; and one beyond the row's end.
    let other = world.chain.license(world.chain.beta, 2);
    let range = (DAY, DAY);
    let of_other =
        world.client().license_days(other.collection, other.token_id, range).await.unwrap();
    assert_eq!(of_other.days[0].counts, Some(MinuteCounts::default()));
    // What is there is not made again; what is lost is.
    let rows = world.rows().await["uptime_count"].clone();
    count(&world).await;
    assert_eq!(world.rows().await["uptime_count"], rows);
    sqlx::query("delete from uptime_count").execute(&world.pool).await.unwrap();
    count(&world).await;
    assert_eq!(world.rows().await["uptime_count"], rows);
    // It is forgotten after 400 days; the day's file stays.
    world.go_without_chain(UtcDay(DAY.0 + 401).start()).await;
    count(&world).await;
    assert!(!world.rows().await["uptime_count"].contains(&rows));
    assert!(world.client().uptime(world.chain.distributor, DAY).await.is_ok());
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn days_are_asked_for_in_a_bounded_range_and_sent_once(pool: PgPool) {
    let mut world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    world.lease(&node, &world.chain.a1()).await;
    world.close_day(DAY).await;
    count(&world).await;
    let license = world.chain.a1();
    let route = format!("/v1/licenses/{}/{}/uptime", license.collection, license.token_id);
    for bad in ["from=2026-01-02&to=2026-01-01", "from=2020-01-01", "to=2026-02-30", "from=x"] {
        let answer = world.get_raw(&format!("{route}?{bad}")).await;
        assert_eq!((answer.status, answer.problem().code.as_str()), (400, "bad_request"), "{bad}");
    }
    let nobodys = format!("/v1/licenses/{}/77/uptime", license.collection);
    assert_eq!(world.get_raw(&nobodys).await.problem().code, "unknown_license");
    // Of a day to come nothing is expected, and so nothing missing.
    let (collection, token) = (license.collection, license.token_id);
    let to_come = UtcDay(world.now().day().0 + 2);
    let day = world.client().license_day(collection, token, to_come).await.unwrap();
    assert_eq!((day.expected, day.missing), (0, vec![]));
    // A range before the network began has no days.
    assert_eq!(days(&world, UtcDay(DAY.0 - 9), UtcDay(DAY.0 - 8)).await, []);
    let http = reqwest::Client::new();
    let url = format!("{}{route}?from={DAY}&to={DAY}", world.replica.base);
    let tag = http.get(&url).send().await.unwrap().headers()["etag"].clone();
    let again = http.get(&url).header("if-none-match", tag).send().await.unwrap();
    assert_eq!(again.status(), 304);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_missing_minute_has_its_cause(pool: PgPool) {
    let mut world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let license = world.chain.a1();
    let lease = world.lease(&node, &license).await;
    let ill = || line(lease.license_hash, lease.fence, Status::Down);
    // Minutes 30 to 34: credited, ill, silent, ill, credited.
    for lines in [Some(healthy(&lease)), Some(ill()), None, Some(ill()), Some(healthy(&lease))] {
        if let Some(line) = lines {
            node.beat(&world, &[line]).await.unwrap();
        }
        world.live(1).await;
    }
    world.client().revoke_node(&node.revocation(&world, 2)).await.unwrap();
    world.live(10).await;
    let day = world.client().license_day(license.collection, license.token_id, DAY).await.unwrap();
    let told: Vec<_> = day.missing.iter().map(|one| (one.from, one.to, one.cause)).collect();
    assert_eq!(
        told,
        [
            (31, 32, MissingCause::NotHealthy),
            (32, 33, MissingCause::Silent),
            (33, 34, MissingCause::NotHealthy),
            // The running minute is 45, and may still be credited, as the one before may.
            (35, 44, MissingCause::Revoked),
        ]
    );
    world.close_day(DAY).await;
    let day = world.client().license_day(license.collection, license.token_id, DAY).await.unwrap();
    let last = day.missing.last().unwrap();
    assert_eq!((last.to, last.cause), (1440, MissingCause::Excused), "{:?}", day.missing);
    assert_eq!(day.missing[0].cause, MissingCause::NotHealthy, "kept for today and yesterday");
    let minutes: u16 = day.missing.iter().map(|one| one.to - one.from).sum();
    assert_eq!(minutes, day.expected - day.minutes);
}

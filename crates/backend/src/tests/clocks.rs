//! Clocks: nobody's single clock closes a day or ends a lease.

use std::sync::atomic::Ordering;
use std::time::Duration;

use nodesys_core::api::{LeaseState, LineResult};
use nodesys_core::time::UtcDay;
use sqlx::PgPool;

use super::support::World;
use super::support::node::healthy;
use crate::periodic::Periodic as _;
use nodesys_testing::chain::{DAY, alice};

const HOUR: i64 = 3_600_000;

async fn closed_days(world: &World) -> i64 {
    let count = "select count(*) from day where closed_at is not null";
    sqlx::query_scalar(count).fetch_one(&world.pool).await.unwrap()
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_replica_whose_clock_is_moved_decides_nothing(pool: PgPool) {
    let mut world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let lease = world.lease(&node, &world.chain.a1()).await;
    node.beat(&world, &[healthy(&lease)]).await.unwrap();
    let (mut wrong, ahead_millis) = world.with_a_clock_of_its_own().await;

    // Far enough for a close, for an expiry, and just too far; and behind.
    for off in [25 * HOUR, HOUR, 700_000, 2_500, -2_500, -HOUR] {
        ahead_millis.store(off, Ordering::Relaxed);
        let rows = world.rows().await;
        // At once, before anybody was asked again: it takes nothing.
        assert!(wrong.client.session(node.address()).await.is_err(), "{off}");
        assert!(
            wrong.client.heartbeat(&node.signed(&world, &[healthy(&lease)]).await).await.is_err()
        );
        assert!(
            wrong
                .client
                .request_lease(&world.lease_request(&node, &world.chain.a1()))
                .await
                .is_err()
        );
        assert!(wrong.client.ready().await.is_err(), "{off}");
        wrong.alive.tick().await.unwrap();
        assert!(wrong.close_or_not().await.is_err(), "{off}");
        assert!(wrong.expire_or_not().await.is_err(), "{off}");
        assert_eq!(world.rows().await, rows, "{off}");
    }
    assert_eq!(closed_days(&world).await, 0);
    let seen = world.client().lease(lease.license_hash).await.unwrap();
    assert_eq!(seen.state, LeaseState::Active);

    // Set right, it works again.
    ahead_millis.store(0, Ordering::Relaxed);
    wrong.alive.tick().await.unwrap();
    wrong.client.ready().await.unwrap();
    let receipt =
        wrong.client.heartbeat(&node.signed(&world, &[healthy(&lease)]).await).await.unwrap();
    assert_eq!(receipt.results, [LineResult::Credited]);
    world.close_day(DAY).await;
    assert_eq!(closed_days(&world).await, 1);
}

/// Its minutes are excused, when no other replica lives.
#[sqlx::test(migrations = "../../migrations/backend")]
async fn minutes_with_a_wrong_clock_are_excused(pool: PgPool) {
    let world = World::new(pool).await;
    let (mut wrong, ahead_millis) = world.with_a_clock_of_its_own().await;
    let from = world.now().minute().of_day();
    ahead_millis.store(HOUR, Ordering::Relaxed);
    // The replica of the world stands still.
    for _ in 0..10 {
        world.go_without_chain(world.now().minute().next().start()).await;
        wrong.alive.tick().await.unwrap();
    }
    ahead_millis.store(0, Ordering::Relaxed);
    wrong.alive.tick().await.unwrap();
    world.go(DAY.end().plus_millis(61 * 60_000)).await;
    wrong.alive.tick().await.unwrap();
    wrong.close().await;
    let excused = world.client().day(DAY).await.unwrap().excused.unwrap();
    let first = excused.runs().iter().copied().find(|(start, _)| *start > from).unwrap();
    assert_eq!(first, (from + 2, from + 10));
}

/// What Postgres and the other replicas say of the time.
#[sqlx::test(migrations = "../../migrations/backend")]
async fn postgres_tells_its_time_and_that_of_the_other_replicas(pool: PgPool) {
    use nodesys_clock::Clock;
    let mut conn = pool.acquire().await.unwrap();
    let clock = Clock::system();
    let (ours, theirs) = {
        let (now, later) = (clock.now(), clock.now().plus_millis(60_000));
        let ours = crate::db::writer::register(&mut conn, now).await.unwrap();
        let theirs = crate::db::writer::register(&mut conn, later).await.unwrap();
        (ours, theirs)
    };
    // Who has recorded nothing says nothing.
    let seen = crate::db::writer::clocks(&mut conn, &[ours]).await.unwrap();
    assert!(seen.skews.is_empty());
    let later = clock.now().plus_millis(60_000);
    assert!(crate::db::writer::record_alive(&mut conn, ours, clock.now()).await.unwrap());
    assert!(crate::db::writer::record_alive(&mut conn, theirs, later).await.unwrap());
    assert!(!crate::db::writer::record_alive(&mut conn, 999, later).await.unwrap());
    let seen = crate::db::writer::clocks(&mut conn, &[ours]).await.unwrap();
    let off = seen.postgres.millis().abs_diff(clock.now().millis());
    assert!(Duration::from_millis(off) < Duration::from_secs(30), "{off}");
    let [skew] = seen.skews[..] else { panic!("{:?}", seen.skews) };
    assert!((30_000..=90_000).contains(&skew), "{skew}");
    assert_eq!(clock.now().day(), UtcDay(u32::try_from(clock.now().secs() / 86_400).unwrap()));
}

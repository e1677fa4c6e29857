//! Days: they close once, on evidence, and for good.

use nodesys_core::B256;
use nodesys_core::api::{LeaseState, LineResult};
use nodesys_core::bitmap::DayBitmap;
use nodesys_core::files::{UptimeRow, write_file};
use nodesys_core::merkle::MerkleTree;
use nodesys_core::message::Message as _;
use nodesys_core::time::{MINUTES_PER_DAY, Minute, UtcDay};
use nodesys_core::{Address, keccak256};
use sqlx::PgPool;

use super::support::World;
use super::support::node::healthy;
use crate::periodic::Periodic as _;
use nodesys_testing::chain::{DAY, alice, bob, receipt_key};

async fn is_closed(world: &World, day: UtcDay) -> bool {
    world.client().day(day).await.unwrap().closed.is_some()
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn it_closes_on_evidence_of_the_next_day(pool: PgPool) {
    let mut world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let lease = world.lease(&node, &world.chain.a1()).await;
    node.beat(&world, &[healthy(&lease)]).await.unwrap();
    let project = world.chain.distributor;
    let refusal = world.refused("day_open", world.client().uptime(project, DAY)).await;
    assert!(refusal.detail.contains("2026-01-01"), "{refusal:?}");
    // The last minute, five seconds late, still belongs to the day.
    world.go_without_chain(Minute(DAY.next().first_minute().0 - 1).start()).await;
    world.replica.alive.tick().await.unwrap();
    let last = node.signed(&world, &[healthy(&lease)]).await;
    world.go_without_chain(DAY.end().plus_millis(4_000)).await;
    world.client().heartbeat(&last).await.unwrap();

    world.go_without_chain(DAY.end().plus_millis(5 * 60_000)).await;
    world.replica.close().await;
    assert!(!is_closed(&world, DAY).await, "nothing shows that ingest lived past the day");
    node.beat(&world, &[healthy(&lease)]).await.unwrap();
    world.replica.close().await;
    assert!(is_closed(&world, DAY).await);
    let license = world.chain.a1();
    let day = world.client().license_day(license.collection, license.token_id, DAY).await.unwrap();
    assert_eq!(day.bitmap.runs(), [(30, 31), (1439, 1440)]);
    assert!(!is_closed(&world, DAY.next()).await);
    // Once and for all: another close changes nothing.
    let rows = world.rows().await;
    world.replica.close().await;
    assert_eq!(world.rows().await, rows);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn it_waits_for_five_minutes_and_at_most_an_hour(pool: PgPool) {
    let mut world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    world.go_without_chain(DAY.end().plus_millis(60_000)).await;
    world.replica.alive.tick().await.unwrap();
    node.beat(&world, &[]).await.unwrap();
    world.go_without_chain(DAY.end().plus_millis(5 * 60_000 - 1)).await;
    world.replica.close().await;
    assert!(!is_closed(&world, DAY).await);
    world.go_without_chain(DAY.end().plus_millis(5 * 60_000)).await;
    world.replica.close().await;
    assert!(is_closed(&world, DAY).await);

    let silent = DAY.next();
    world.go_without_chain(silent.end().plus_millis(60 * 60_000 - 1)).await;
    world.replica.close().await;
    assert!(!is_closed(&world, silent).await);
    world.go_without_chain(silent.end().plus_millis(60 * 60_000)).await;
    world.replica.close().await;
    assert!(is_closed(&world, silent).await);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn the_closed_day_is_the_union_of_all_replicas_signed(pool: PgPool) {
    let mut world = World::new(pool).await;
    let mut other = world.another().await;
    let node = world.node(&alice(), 1).await;
    let bobs = world.node(&bob(), 2).await;
    let lease = world.lease(&node, &world.chain.a1()).await;
    let mut receipts = Vec::new();
    receipts.push(node.beat(&world, &[healthy(&lease)]).await.unwrap());
    world.live(3).await;
    other.alive.tick().await.unwrap();
    // The second license is leased from here on; its heartbeats go to the other replica.
    let b2 = world.chain.license(world.chain.beta, 2);
    let second = world.lease(&bobs, &b2).await;
    for _ in 0..2 {
        let signed = bobs.signed(&world, &[healthy(&second)]).await;
        receipts.push(other.client.heartbeat(&signed).await.unwrap());
        world.live(1).await;
    }
    receipts.push(node.beat(&world, &[healthy(&lease)]).await.unwrap());
    world.go(DAY.end().plus_millis(61 * 60_000)).await;
    world.replica.mirror.tick().await.unwrap();
    // Both at once: one closes, the other finds it closed.
    tokio::join!(world.replica.close(), other.close());

    let bits = |minutes: &[u16]| {
        let mut bitmap = DayBitmap::EMPTY;
        for minute in minutes {
            bitmap.set(*minute);
        }
        bitmap
    };
    let row = |lease: &nodesys_core::api::LeaseView, minutes: &[u16], from: u16| UptimeRow {
        license: lease.index,
        collection: lease.license.collection,
        token_id: lease.license.token_id,
        minutes: u16::try_from(minutes.len()).unwrap(),
        expected: MINUTES_PER_DAY - from,
        bitmap: bits(minutes),
    };
    let mut rows = vec![row(&lease, &[30, 35], 30), row(&second, &[33, 34], 33)];
    rows.sort_by_key(|row| row.license);
    let project = world.chain.distributor;
    let csv = world.client().uptime(project, DAY).await.unwrap();
    assert_eq!(csv, write_file(&rows).into_bytes());
    let route = format!("{}/v1/uptime/acme/{DAY}", world.replica.base);
    let again = reqwest::Client::new()
        .get(route)
        .header("if-none-match", format!("\"{}\"", keccak256(&csv)))
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), 304);

    let word = world.client().closed_uptime(project, DAY).await.unwrap();
    word.verify(world.domain(), project, DAY).unwrap();
    assert_eq!((word.receipt_key, word.uptime_csv), (receipt_key().address(), keccak256(&csv)));
    word.verify(world.domain(), Address::ZERO, DAY).unwrap_err();
    word.verify(world.domain(), project, DAY.next()).unwrap_err();
    // What the day's receipts were signed over is what the day is signed over.
    let in_order = [&receipts[0], &receipts[3], &receipts[1], &receipts[2]];
    let leaves: Vec<B256> =
        in_order.iter().map(|receipt| receipt.batch.message.struct_hash()).collect();
    assert_eq!(word.closed.message.evidence_root, MerkleTree::from_leaf_hashes(leaves).root());
    let view = world.client().day(DAY).await.unwrap();
    assert_eq!((view.closed, view.excused), (Some(word.closed), Some(word.excused)));
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_replica_that_starts_reads_the_day_back(pool: PgPool) {
    let mut world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let license = world.chain.a1();
    let lease = world.lease(&node, &license).await;
    for _ in 0..3 {
        node.beat(&world, &[healthy(&lease)]).await.unwrap();
        world.live(1).await;
    }
    let old = world.replica.app.live.fold.read(|fold| fold.bitmap(DAY, lease.index));
    let other = world.another().await;
    let (bitmap, renewed) = other
        .app
        .live
        .fold
        .read(|fold| (fold.bitmap(DAY, lease.index), fold.renewed_at(lease.index)));
    assert_eq!((bitmap, bitmap.count()), (old, 3));
    assert_eq!(renewed, Some(Minute(world.now().minute().0 - 1).start()));
    let day = other.client.license_day(license.collection, license.token_id, DAY).await.unwrap();
    assert_eq!((day.closed, day.minutes, day.expected), (false, 3, 4));
    // It knows the leases: the heartbeat is credited.
    let signed = node.signed(&world, &[healthy(&lease)]).await;
    assert_eq!(other.client.heartbeat(&signed).await.unwrap().accepted.credited, 1);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn the_backends_own_absence_is_excused(pool: PgPool) {
    let mut world = World::new(pool).await;
    world.live(10).await;
    // Twenty minutes without any replica; a new one starts at 01:00:30.
    world.go_without_chain(DAY.start().plus_millis(60 * 60_000 + 30_000)).await;
    world.replica = world.another().await;
    // It lives on, as its rows say it.
    world.go_without_chain(DAY.end().plus_millis(61 * 60_000)).await;
    sqlx::query("update writer set alive_at = $1 where writer = (select max(writer) from writer)")
        .bind(i64::try_from(world.now().millis()).unwrap())
        .execute(&world.pool)
        .await
        .unwrap();
    world.replica.close().await;
    let excused = world.client().day(DAY).await.unwrap().excused.unwrap();
    // Alive at 00:40 counts through 00:41, the chain's first half hour had no backend at all.
    assert_eq!(excused.runs(), [(0, 30), (42, 60)]);
}

/// The seconds matter: the last sign of life is 40 seconds into its minute.
#[sqlx::test(migrations = "../../migrations/backend")]
async fn no_lease_time_passes_in_the_minutes_that_the_day_excuses(pool: PgPool) {
    let mut world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let lease = world.lease(&node, &world.chain.a1()).await;
    let at = |minute: u64, second: u64| DAY.start().plus_millis((minute * 60 + second) * 1000);
    assert_eq!(world.now(), at(30, 10));
    node.beat(&world, &[healthy(&lease)]).await.unwrap();
    world.go_without_chain(at(30, 40)).await;
    world.replica.alive.tick().await.unwrap();
    world.go_without_chain(at(50, 0)).await;
    world.replica = world.another().await;
    // Of the 10 minutes and 30 seconds, 1:50 passed before minute 32, and 8:40 pass after minute 50.
    world.live(8).await;
    for (second, state) in [(30, LeaseState::Active), (50, LeaseState::Ended)] {
        world.go_without_chain(at(58, second)).await;
        world.replica.expire().await;
        let now = world.client().lease(lease.license_hash).await.unwrap();
        assert_eq!(now.state, state, "00:58:{second}");
    }
    world.replica.alive.tick().await.unwrap();
    world.go_without_chain(DAY.end().plus_millis(61 * 60_000)).await;
    world.replica.close().await;
    let excused = world.client().day(DAY).await.unwrap().excused.unwrap();
    assert_eq!(excused.runs(), [(0, 30), (32, 50), (60, 1440)]);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn days_that_nobody_opened_are_closed_all_the_same(pool: PgPool) {
    let mut world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let lease = world.lease(&node, &world.chain.a1()).await;
    node.beat(&world, &[healthy(&lease)]).await.unwrap();
    // Nothing runs for three days.
    let back = UtcDay(DAY.0 + 4);
    world.go(back.start().plus_millis(61 * 60_000)).await;
    world.replica.alive.tick().await.unwrap();
    world.replica.close().await;
    for number in DAY.0..back.0 {
        assert!(is_closed(&world, UtcDay(number)).await, "{number}");
    }
    let excused = world.client().day(UtcDay(DAY.0 + 2)).await.unwrap().excused;
    assert_eq!(excused, Some(DayBitmap::FULL));
    assert!(!is_closed(&world, back).await);
    node.beat(&world, &[healthy(&lease)]).await.unwrap();
}

/// A backup reads the table for an hour, midnight in it: neither days nor heartbeats wait.
#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_backup_over_midnight_stops_nothing(pool: PgPool) {
    let mut world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let lease = world.lease(&node, &world.chain.a1()).await;
    let mut backup = world.pool.begin().await.unwrap();
    // What pg_dump takes, on every table.
    for table in ["heartbeat_batch", "day", "writer", "lease"] {
        let lock = format!("lock table {table} in access share mode");
        sqlx::query(sqlx::AssertSqlSafe(lock)).execute(&mut *backup).await.unwrap();
    }
    let opened = async |world: &World| -> i64 {
        sqlx::query_scalar("select max(day)::bigint from day").fetch_one(&world.pool).await.unwrap()
    };
    assert_eq!(opened(&world).await, i64::from(DAY.0) + 7);
    world.go(DAY.end().plus_millis(1_000)).await;
    world.replica.alive.tick().await.unwrap();
    assert_eq!(opened(&world).await, i64::from(DAY.0) + 8, "a week ahead, beside the backup");
    let receipt = node.beat(&world, &[healthy(&lease)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::Credited]);
    backup.rollback().await.unwrap();
}

/// Who locks the table for good is not waited for, and heartbeats do not wait behind us.
#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_day_that_cannot_be_opened_is_tried_again(pool: PgPool) {
    let mut world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let lease = world.lease(&node, &world.chain.a1()).await;
    let mut vacuum = world.pool.begin().await.unwrap();
    let lock = "lock table heartbeat_batch in share update exclusive mode";
    sqlx::query(lock).execute(&mut *vacuum).await.unwrap();
    world.go(DAY.end().plus_millis(1_000)).await;
    // The tick ends in time, alive, and what is open takes heartbeats.
    world.replica.alive.tick().await.unwrap();
    let receipt = node.beat(&world, &[healthy(&lease)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::Credited]);
    vacuum.rollback().await.unwrap();
    world.live(1).await;
    let opened: i64 = sqlx::query_scalar("select max(day)::bigint from day")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(opened, i64::from(DAY.0) + 8);
}

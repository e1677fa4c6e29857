//! Failovers that lose the tail: what was granted or ended is gone, and its numbers come again.

use std::process::{Command, Stdio};

use nodesys_core::api::{LeaseState, LineResult};
use sqlx::PgPool;

use super::support::node::healthy;
use super::support::{World, soon};
use crate::db::connect::asynchronous_standbys;
use crate::periodic::Periodic as _;
use nodesys_testing::chain::{alice, bob};

/// Postgres as it was before these statements' rows: what a failover to a standby that lagged, or a
/// restore, does.
async fn lose(pool: &PgPool, statements: &[&str]) {
    let mut conn = pool.acquire().await.unwrap();
    // No trigger takes part in a lost tail.
    sqlx::query("set session_replication_role = replica").execute(&mut *conn).await.unwrap();
    for statement in statements {
        sqlx::query(sqlx::AssertSqlSafe(*statement)).execute(&mut *conn).await.unwrap();
    }
    sqlx::query("set session_replication_role = origin").execute(&mut *conn).await.unwrap();
}

/// The newest end, and all that followed.
const LOST_END: [&str; 3] = [
    "update lease set ended_at = null, end_reason = null
     where (license_idx, fence) in (select license_idx, fence from lease_end order by seq desc limit 1)",
    "delete from lease_end where seq = (select max(seq) from lease_end)",
    "delete from lease_mark where seq = (select max(seq) from lease_mark)",
];

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_lost_end_is_taken_back_and_its_number_credits_nobody(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (node, other) = (world.node(&alice(), 1).await, world.node(&bob(), 2).await);
    let first = world.lease(&node, &world.chain.a1()).await;
    let second = world.lease(&other, &world.chain.license(world.chain.alpha, 2)).await;
    node.beat(&world, &[healthy(&first)]).await.unwrap();
    // The node is revoked, and its lease ends; every replica knows.
    world.client().revoke_node(&node.revocation(&world, 1)).await.unwrap();
    world.replica.alive.tick().await.unwrap();
    lose(&world.pool, &LOST_END).await;
    sqlx::query("update node set revoked_at = null").execute(&world.pool).await.unwrap();

    // The same replica, without a restart: the next heartbeat is taken, by the rows as they are.
    world.live(1).await;
    let receipt = other.beat(&world, &[healthy(&second)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::Credited]);
    let receipt = node.beat(&world, &[healthy(&first)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::Credited], "it never ended");

    // The number is used again, by the other lease's end, while a second replica remembers neither.
    let replica = world.another().await;
    world.client().revoke_node(&other.revocation(&world, 1)).await.unwrap();
    world.live(1).await;
    let signed = other.signed(&world, &[healthy(&second)]).await;
    assert!(replica.client.heartbeat(&signed).await.is_err(), "its node is revoked");
    assert_eq!(world.client().lease(second.license_hash).await.unwrap().state, LeaseState::Ended);
}

/// A lease that ended in the database as it is now, under the number of an end that was lost.
#[sqlx::test(migrations = "../../migrations/backend")]
async fn an_ended_lease_is_not_credited_by_a_memory_of_another_database(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (node, other) = (world.node(&alice(), 1).await, world.node(&bob(), 2).await);
    let first = world.lease(&node, &world.chain.a1()).await;
    let second = world.lease(&other, &world.chain.license(world.chain.alpha, 2)).await;
    other.beat(&world, &[healthy(&second)]).await.unwrap();
    world.client().revoke_node(&node.revocation(&world, 1)).await.unwrap();
    world.replica.alive.tick().await.unwrap();
    // Its end is lost; then, at another replica, the second lease ends: the same number.
    lose(&world.pool, &LOST_END).await;
    let end = "update lease set ended_at = 1, end_reason = 'expired' where license_idx = $1";
    let idx = i32::try_from(second.index.0).unwrap();
    sqlx::query(end).bind(idx).execute(&world.pool).await.unwrap();
    let newest: i64 =
        sqlx::query_scalar("select max(seq) from lease_end").fetch_one(&world.pool).await.unwrap();
    assert_eq!(newest, 1, "the number is used again");

    world.go_without_chain(world.now().minute().next().start()).await;
    let receipt = other.beat(&world, &[healthy(&second)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::LeaseLost]);
    drop(first);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_lost_grants_fence_is_another_nodes(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (node, bobs) = (world.node(&alice(), 1).await, world.node(&bob(), 2).await);
    let license = world.chain.a1();
    let lost = world.lease(&node, &license).await;
    node.beat(&world, &[healthy(&lost)]).await.unwrap();
    // The grant was lost; bob buys the license, and his node is granted the same fence.
    let lose_grant = ["delete from lease", "delete from lease_mark", "delete from heartbeat_batch"];
    lose(&world.pool, &lose_grant).await;
    world.sell(&license, &alice(), &bob()).await;
    let replica = world.another().await;
    let request = world.lease_request(&bobs, &license);
    let granted = replica.client.request_lease(&request).await.unwrap();
    assert_eq!((granted.state, granted.fence), (LeaseState::Active, lost.fence));

    world.live(1).await;
    let receipt = node.beat(&world, &[healthy(&lost)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::LeaseLost]);
    let receipt = bobs.beat(&world, &[healthy(&granted)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::Credited]);
}

/// The row of the writer itself may be lost.
#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_lost_writer_writes_under_a_new_number(pool: PgPool) {
    let mut world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let lease = world.lease(&node, &world.chain.a1()).await;
    node.beat(&world, &[healthy(&lease)]).await.unwrap();
    let pool = world.pool.clone();
    let newest = async || -> i32 {
        sqlx::query_scalar("select max(writer) from writer").fetch_one(&pool).await.unwrap()
    };
    let lost = newest().await;
    lose(&world.pool, &["delete from heartbeat_batch", "delete from writer"]).await;
    world.live(1).await;
    let receipt = node.beat(&world, &[healthy(&lease)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::Credited]);
    assert!(newest().await > lost);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn old_marks_are_dropped(pool: PgPool) {
    let mut world = World::new(pool).await;
    let far = "insert into lease_mark (seq, mark) values (1, 1), (2, 2), (1000001, 3)";
    sqlx::query(far).execute(&world.pool).await.unwrap();
    let node = world.node(&alice(), 1).await;
    let lease = world.lease(&node, &world.chain.a1()).await;
    let kept: Vec<i64> = sqlx::query_scalar("select seq from lease_mark order by seq")
        .fetch_all(&world.pool)
        .await
        .unwrap();
    assert_eq!(kept, [1_000_001, 1_000_002]);
    // A memory that knows none of them is read anew.
    world.live(1).await;
    let receipt = node.beat(&world, &[healthy(&lease)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::Credited]);
}

/// A standby that acknowledges nothing is found by the start; one that is not there is not missed.
#[sqlx::test(migrations = "../../migrations/backend")]
async fn an_asynchronous_standby_is_found(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    assert_eq!(asynchronous_standbys(&mut conn).await.unwrap(), 0);
    let folder = tempfile::tempdir().unwrap();
    let options = pool.connect_options();
    let socket = options.get_socket().map_or("localhost".into(), |path| path.display().to_string());
    let bin = std::env::var("NODESYS_PG_BIN").expect("scripts/test sets it");
    let stream = |name: &str| {
        Command::new(format!("{bin}/pg_receivewal"))
            .arg("-D")
            .arg(folder.path())
            .arg("-d")
            .arg(format!("host={socket} user=postgres application_name={name}"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut standby = stream("a_standby");
    soon("the standby", async {
        while asynchronous_standbys(&mut conn).await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    standby.kill().unwrap();
    standby.wait().unwrap();
}

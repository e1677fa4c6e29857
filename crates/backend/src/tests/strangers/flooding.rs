//! A collection with more logs in a block than the RPC gives: it alone waits, and leaves no hole.

use alloy::primitives::Address;
use nodesys_chain::bindings::NodeLicense;
use nodesys_core::api::LeaseState;
use serde_json::Value;
use sqlx::PgPool;

use super::of_another_project;
use crate::db::mirror_source::{self, Kind, SourceRow};
use crate::periodic::Periodic as _;
use crate::tests::commit::run_day;
use crate::tests::support::World;
use crate::tests::support::wire::Line;
use nodesys_testing::chain::{DAY, alice, bob, owner};
use nodesys_testing::lying::{LyingRpc, refusal};

/// Refuses every page with a log of this collection, as a provider does whose limit it exceeds.
fn too_many_logs_of(rpc: &LyingRpc, collection: Address) {
    let collection = Value::from(format!("{collection:#x}"));
    rpc.lies(move |call, truth| {
        let logs = truth["result"].as_array().into_iter().flatten();
        let its = |log: &Value| log["address"] == collection;
        if call["method"] == "eth_getLogs" && { logs }.any(its) {
            return refusal(call, "query returned more than 10000 results");
        }
        truth
    });
}

async fn source(world: &World, kind: Kind, address: Address) -> SourceRow {
    let mut conn = world.pool.acquire().await.unwrap();
    let all = mirror_source::all(&mut conn).await.unwrap();
    all.into_iter().find(|source| (source.kind, source.address) == (kind, address)).unwrap()
}

async fn licenses(world: &World, collection: Address) -> i64 {
    sqlx::query_scalar("select count(*) from license where collection = $1")
        .bind(collection.to_vec())
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

async fn mint(world: &World, collection: Address) {
    let collection = NodeLicense::new(collection, world.chain.provider.rpc());
    let call = collection.mint(bob().address());
    world.chain.send(owner().address(), call.into_transaction_request()).await;
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_collection_that_floods_is_set_aside_alone_and_catches_up(pool: PgPool) {
    let mut world = World::new(pool).await;
    let rpc = LyingRpc::start(world.chain.anvil.addr).await;
    world.wire.lay(Line::To(rpc.addr));
    let (project, gamma) = of_another_project(&world).await;
    let _ = world.replica.mirror.tick().await;
    world.replica.mirror.tick().await.unwrap();
    assert_eq!(licenses(&world, gamma).await, 2);
    let token = world.chain.license(gamma, 1);
    let (node, bobs) = (world.node(&alice(), 1).await, world.node(&bob(), 2).await);
    let (held, sold) =
        (world.lease(&node, &token).await, world.lease(&node, &world.chain.a1()).await);

    too_many_logs_of(&rpc, gamma);
    let before = source(&world, Kind::Collection, gamma).await;
    mint(&world, gamma).await;
    world.sell(&world.chain.a1(), &alice(), &bob()).await;
    world.sell(&token, &alice(), &bob()).await;
    world.chain.finalize().await;
    world.replica.mirror.tick().await.unwrap();

    // The others went on, and what they said counts.
    let last = world.chain.provider.finalized_block(0).await.unwrap().number;
    let passed = |source: SourceRow| source.cursor.unwrap().0;
    assert_eq!(passed(source(&world, Kind::Collection, world.chain.alpha).await), last);
    assert_eq!(passed(source(&world, Kind::Registry, world.chain.registry).await), last);
    let client = world.client().clone();
    let lease = async |hash| client.lease(hash).await.unwrap().state;
    assert_eq!(lease(sold.license_hash).await, LeaseState::Ended);
    // It keeps its place and its leases; it gets none, and its day waits.
    let aside = source(&world, Kind::Collection, gamma).await;
    assert_eq!(aside.cursor, before.cursor);
    assert!(aside.set_aside.is_some());
    assert_eq!(lease(held.license_hash).await, LeaseState::Active);
    let request = world.lease_request(&bobs, &token);
    let refusal = world.refused("chain_unavailable", world.client().request_lease(&request)).await;
    assert!(refusal.detail.contains(&gamma.to_string()), "{refusal:?}");
    let mut conn = world.pool.acquire().await.unwrap();
    let behind = mirror_source::behind(&mut conn, project, world.chain.registry, DAY, last).await;
    let behind: Vec<Address> = behind.unwrap().iter().map(|source| source.address).collect();
    assert_eq!(behind, [gamma]);
    let ours = world.chain.distributor;
    let ours = mirror_source::behind(&mut conn, ours, world.chain.registry, DAY, last).await;
    assert_eq!(ours.unwrap(), []);
    drop(conn);
    let ready = world.get_raw("/readyz").await;
    assert!(
        ready.status == 200 && ready.body.contains(&format!("collection {gamma}")),
        "{ready:?}"
    );

    // It is tried again when its time has come, and leaves no hole.
    rpc.tells_the_truth();
    world.replica.mirror.tick().await.unwrap();
    assert_eq!(licenses(&world, gamma).await, 2, "not before its time");
    world.go_without_chain(world.now().plus_millis(61_000)).await;
    world.replica.mirror.tick().await.unwrap();
    let back = source(&world, Kind::Collection, gamma).await;
    assert_eq!((passed(back.clone()), back.set_aside, back.failures), (last, None, 0));
    assert_eq!(licenses(&world, gamma).await, 3);
    assert_eq!(world.get_raw("/readyz").await.body, "ready\n");
    // What it said meanwhile counts now.
    assert_eq!(lease(held.license_hash).await, LeaseState::Ended);
    world.lease(&bobs, &token).await;
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_day_waits_for_each_source_of_its_project_and_for_no_others(pool: PgPool) {
    let mut world = World::new(pool).await;
    let rpc = LyingRpc::start(world.chain.anvil.addr).await;
    let (_, gamma) = of_another_project(&world).await;
    world.replica.mirror.tick().await.unwrap();
    world.wire.lay(Line::To(rpc.addr));
    let _ = world.replica.mirror.tick().await;
    too_many_logs_of(&rpc, gamma);
    mint(&world, gamma).await;
    run_day(&mut world).await;
    assert!(source(&world, Kind::Collection, gamma).await.set_aside.is_some());
    world.commit(DAY).await;

    // The same of a collection of the project: its next day waits, and says for whom.
    let alpha = world.chain.alpha;
    too_many_logs_of(&rpc, alpha);
    mint(&world, alpha).await;
    world.close_day(DAY.next()).await;
    let points = nodesys_core::files::write_file(&world.points(DAY.next()).await);
    let terms = crate::tests::support::books::terms();
    let refusal =
        world.refused("chain_unavailable", world.upload(DAY.next(), &terms, &points)).await;
    assert!(refusal.detail.contains(&format!("collection {alpha}")), "{refusal:?}");
    rpc.tells_the_truth();
    world.go(world.now().plus_millis(61_000)).await;
    world.replica.mirror.tick().await.unwrap();
    world.commit(DAY.next()).await;
}

//! An RPC that loses logs, and a chain that replaces final blocks.

use nodesys_chain::bindings::NodeLicense;
use serde_json::json;
use sqlx::PgPool;

use crate::chain::mirror::{self, Place};
use crate::periodic::Periodic as _;
use crate::tests::support::wire::Line;
use crate::tests::support::{Replica, World};
use nodesys_core::api::LeaseState;
use nodesys_testing::anvil::ask;
use nodesys_testing::chain::{DAY, alice, bob, owner};
use nodesys_testing::lying::{LyingRpc, result};

/// Answers every question for logs with none, as a node does that is behind or has pruned them.
fn loses_logs(rpc: &LyingRpc) {
    rpc.lies(|call, truth| match call["method"] == "eth_getLogs" {
        true => result(call, &json!([])),
        false => truth,
    });
}

async fn mint(world: &World) {
    let collection = NodeLicense::new(world.chain.alpha, world.chain.provider.rpc());
    let call = collection.mint(bob().address());
    world.chain.send(owner().address(), call.into_transaction_request()).await;
    world.chain.finalize().await;
}

async fn count(world: &World, text: &'static str) -> i64 {
    sqlx::query_scalar(text).fetch_one(&world.pool).await.unwrap()
}

async fn licenses(world: &World) -> i64 {
    count(world, "select count(*) from license").await
}

/// The lowest cursor of all sources.
async fn cursor(world: &World) -> u64 {
    let lowest = count(world, "select min(cursor_block) from mirror_source").await;
    u64::try_from(lowest).unwrap()
}

async fn last(world: &World) -> u64 {
    world.chain.provider.finalized_block(0).await.unwrap().number
}

async fn ticks(world: &World, replica: &mut Replica, minutes: u64) {
    for _ in 0..minutes {
        world.go_without_chain(world.now().plus_millis(60_000)).await;
        replica.mirror.tick().await.unwrap();
    }
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn an_empty_answer_moves_no_cursor_past_a_mint(pool: PgPool) {
    let world = World::new(pool).await;
    let rpc = LyingRpc::start(world.chain.anvil.addr).await;
    world.wire.lay(Line::To(rpc.addr));
    let mut replica = world.that_vouches().await;
    let _ = replica.mirror.tick().await;
    let (before, known) = (cursor(&world).await, licenses(&world).await);

    loses_logs(&rpc);
    mint(&world).await;
    ticks(&world, &mut replica, 3).await;
    assert_eq!((cursor(&world).await, licenses(&world).await), (before, known));
    // The second reading shows it: at once, and the cursor waits for a third.
    rpc.tells_the_truth();
    ticks(&world, &mut replica, 8).await;
    assert_eq!((cursor(&world).await, licenses(&world).await), (before, known + 1));
    ticks(&world, &mut replica, 11).await;
    assert_eq!(cursor(&world).await, last(&world).await);
    assert_eq!(licenses(&world).await, known + 1);

    // What a first reading shows counts at once, for leases; the cursor waits, and days with it.
    mint(&world).await;
    let before = cursor(&world).await;
    ticks(&world, &mut replica, 1).await;
    assert_eq!((cursor(&world).await, licenses(&world).await), (before, known + 2));
    ticks(&world, &mut replica, 10).await;
    assert_eq!(cursor(&world).await, last(&world).await);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn what_was_missed_is_found_and_put_in(pool: PgPool) {
    let mut world = World::new(pool).await;
    let rpc = LyingRpc::start(world.chain.anvil.addr).await;
    world.wire.lay(Line::To(rpc.addr));
    let _ = world.replica.mirror.tick().await;
    let known = licenses(&world).await;
    let a1 = world.chain.a1();
    let node = world.node(&alice(), 1).await;
    let lease = world.lease(&node, &a1).await;

    // By a check of its own, and the lease that was sold meanwhile ends.
    loses_logs(&rpc);
    mint(&world).await;
    world.sell(&a1, &alice(), &bob()).await;
    world.chain.finalize().await;
    world.replica.mirror.tick().await.unwrap();
    assert_eq!((cursor(&world).await, licenses(&world).await), (last(&world).await, known));
    rpc.tells_the_truth();
    world.replica.mirror.tick().await.unwrap();
    assert_eq!(licenses(&world).await, known + 1);
    let found = world.client().lease(lease.license_hash).await.unwrap();
    assert_eq!(found.state, LeaseState::Ended);

    // On demand.
    loses_logs(&rpc);
    mint(&world).await;
    world.replica.mirror.tick().await.unwrap();
    let events = count(&world, "select count(*) from license_event").await;
    rpc.tells_the_truth();
    let place = Place::of(&world.replica.app);
    let rescan =
        async |from, only| mirror::rescan(&place, &world.pool, from, only, |_| ()).await.unwrap();
    let beta = rescan(None, Some(world.chain.beta)).await;
    assert_eq!((beta.missing, beta.surplus), (0, 0));
    let all = rescan(Some(1), None).await;
    assert_eq!((all.missing, all.surplus), (1, 0));
    assert_eq!(count(&world, "select count(*) from license_event").await, events + 1);
    let again = rescan(None, None).await;
    assert_eq!((again.missing, again.surplus), (0, 0));
    // What the RPC has lost stays, and is told.
    loses_logs(&rpc);
    let lost = rescan(None, None).await;
    assert_eq!((lost.missing, lost.surplus), (0, u64::try_from(events).unwrap() + 1));
    assert_eq!(count(&world, "select count(*) from license_event").await, events + 1);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn final_blocks_that_are_replaced_stop_the_mirror_until_it_is_rewound(pool: PgPool) {
    let mut world = World::new(pool).await;
    let start = last(&world).await;
    let provider = world.chain.provider.clone();
    let before = licenses(&world).await;
    let id: serde_json::Value = {
        use alloy::providers::Provider as _;
        provider.rpc().raw_request("evm_snapshot".into(), ()).await.unwrap()
    };
    let node = world.node(&bob(), 1).await;
    mint(&world).await;
    world.replica.mirror.tick().await.unwrap();
    let token = world.chain.license(world.chain.alpha, 3);
    let lease = world.lease(&node, &token).await;
    assert_eq!(licenses(&world).await, before + 1);

    // The chain goes back before the mint, and on without it.
    ask(&provider, "evm_revert", [id]).await;
    ask(&provider, "anvil_mine", json!(["0x14", "0x2"])).await;
    let rows = world.rows().await;
    let error = format!("{:#}", world.replica.mirror.tick().await.unwrap_err());
    assert!(error.contains("nodesys-backend mirror rewind --to"), "{error}");
    assert_eq!(world.rows().await, rows, "nothing is done by itself");
    let ready = world.get_raw("/readyz").await;
    assert!(ready.status == 200 && ready.body.contains("the mirror has stopped"), "{ready:?}");

    let place = Place::of(&world.replica.app);
    let done = mirror::rewind(&place, &world.pool, start).await.unwrap();
    assert_eq!((done.rewound.license_events, done.built_on_gone.len()), (1, 0));
    let mut anew = world.another().await;
    anew.mirror.tick().await.unwrap();
    assert_eq!(cursor(&world).await, last(&world).await);
    assert_eq!(world.client().lease(lease.license_hash).await.unwrap().state, LeaseState::Ended);
    let readable = world.client().day(DAY).await.unwrap();
    assert!(readable.closed.is_none());
}

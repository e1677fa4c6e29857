//! A collection that burns all the gas that it is given: its own rights are unknown, the others' are read.

use alloy::primitives::Address;
use nodesys_chain::bindings::Multicall3;
use nodesys_core::api::LeaseState;
use serde_json::json;
use sqlx::PgPool;

use super::of_another_project;
use crate::periodic::Periodic as _;
use crate::tests::support::World;
use nodesys_testing::anvil::ask;
use nodesys_testing::chain::{alice, bob};

/// A loop without end: JUMPDEST, PUSH1 0, JUMP.
const BURNS: &str = "0x5b600056";
const MULTICALL3: &str = "0xcA11bde05977b3631167028862bE2a173976CA11";

async fn set_code(world: &World, at: impl ToString, code: &str) {
    ask(&world.chain.provider, "anvil_setCode", json!([at.to_string(), code])).await;
}

async fn others_go_on(mut world: World) {
    let (_, gamma) = of_another_project(&world).await;
    world.replica.mirror.tick().await.unwrap();
    let token = world.chain.license(gamma, 1);
    let (node, bobs) = (world.node(&alice(), 1).await, world.node(&bob(), 2).await);
    let held = world.lease(&node, &token).await;
    let sold = world.lease(&node, &world.chain.a1()).await;

    let code = world.chain.provider.code(gamma).await.unwrap();
    set_code(&world, gamma, BURNS).await;
    world.sell(&world.chain.a1(), &alice(), &bob()).await;
    // All leases, as each quarter of an hour.
    world.go(world.now().plus_millis(16 * 60_000)).await;
    world.replica.mirror.tick().await.unwrap();
    let client = world.client().clone();
    let lease = async |hash| client.lease(hash).await.unwrap();
    assert_eq!(lease(sold.license_hash).await.state, LeaseState::Ended);
    assert_eq!(
        lease(held.license_hash).await.state,
        LeaseState::Active,
        "what is unknown is no no"
    );
    let request = world.lease_request(&bobs, &token);
    world.refused("chain_unavailable", world.client().request_lease(&request)).await;
    let ready = world.get_raw("/readyz").await.body;
    assert!(ready.contains(&format!("rights cannot be read: collection {gamma}")), "{ready}");
    world.lease(&bobs, &world.chain.a1()).await;

    // Once it can be read again it is checked at once.
    set_code(&world, gamma, &code.to_string()).await;
    world.sell(&token, &alice(), &bob()).await;
    world.replica.mirror.tick().await.unwrap();
    assert_eq!(lease(held.license_hash).await.state, LeaseState::Ended);
    assert_eq!(world.get_raw("/readyz").await.body, "ready\n");
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_collection_that_burns_gas_stops_no_others_check(pool: PgPool) {
    others_go_on(World::new(pool).await).await;
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn nor_within_multicall3(pool: PgPool) {
    let world = World::new(pool).await;
    set_code(&world, MULTICALL3, &Multicall3::DEPLOYED_BYTECODE.to_string()).await;
    let multicall: Address = MULTICALL3.parse().unwrap();
    assert!(!world.chain.provider.code(multicall).await.unwrap().is_empty());
    others_go_on(world).await;
}

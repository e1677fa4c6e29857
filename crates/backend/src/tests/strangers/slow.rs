//! An RPC with few requests to spare: the check of all leases is spread, goes on where it was, and is complete.

use nodesys_chain::bindings::NodeLicense;
use nodesys_core::api::LeaseState;
use nodesys_core::license::LicenseId;
use sqlx::PgPool;

use crate::periodic::Periodic as _;
use crate::tests::support::World;
use crate::tests::support::wire::Line;
use nodesys_testing::chain::{alice, bob};

async fn active(world: &World, licenses: &[LicenseId]) -> usize {
    let mut active = 0;
    for license in licenses {
        let lease = world.client().lease(license.hash()).await.unwrap();
        active += usize::from(lease.state == LeaseState::Active);
    }
    active
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn few_requests_a_minute_check_all_leases_in_turn(pool: PgPool) {
    let world = World::new(pool).await;
    let chain = &world.chain;
    let licenses = [chain.license(chain.alpha, 2), chain.license(chain.beta, 2)];
    let until = world.now().secs() + 3600;
    let node = world.node(&alice(), 1).await;
    // Rights that end without an event: bob lets his to alice for an hour.
    for license in &licenses {
        let collection = NodeLicense::new(license.collection, chain.provider.rpc());
        let call = collection.setUser(license.token_id, alice().address(), until);
        chain.send(bob().address(), call.into_transaction_request()).await;
        world.lease(&node, license).await;
    }
    // Two requests a minute suffice for one collection.
    let mut slow = world.that_checks_slowly(2).await;
    world.go(world.now().plus_millis(60_000)).await;
    slow.mirror.tick().await.unwrap();
    slow.mirror.tick().await.unwrap();
    assert_eq!(active(&world, &licenses).await, 2);

    world.go(world.now().plus_millis(61 * 60_000)).await;
    slow.mirror.tick().await.unwrap();
    assert_eq!(active(&world, &licenses).await, 1);
    // The RPC fails: the round waits where it is.
    world.wire.lay(Line::Cut);
    assert!(slow.mirror.tick().await.is_err());
    world.wire.lay(Line::To(world.chain.anvil.addr));
    slow.mirror.tick().await.unwrap();
    assert_eq!(active(&world, &licenses).await, 0);
}

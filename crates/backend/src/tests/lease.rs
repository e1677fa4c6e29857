//! Leases: one node at a time, by the chain's word, until the heartbeats stop.

use nodesys_chain::bindings::NodeLicense;
use nodesys_core::api::{LeaseState, LineResult};
use nodesys_core::message::{LeaseRequest, Signed};
use sqlx::PgPool;

use super::support::World;
use super::support::node::healthy;
use crate::periodic::Periodic as _;
use nodesys_testing::chain::{alice, bob};
use nodesys_testing::key;

/// How long a lease lives without a heartbeat: ten minutes and half of one.
const TTL_MILLIS: u64 = 630_000;

#[sqlx::test(migrations = "../../migrations/backend")]
async fn only_who_may_run_it_and_one_at_a_time(pool: PgPool) {
    let world = World::new(pool).await;
    let (client, chain) = (world.client(), &world.chain);
    let node = world.node(&alice(), 1).await;
    let second = world.node(&alice(), 2).await;
    let bobs = world.node(&bob(), 3).await;

    let request = world.lease_request(&bobs, &chain.a1());
    let refusal = world.refused("not_entitled", client.request_lease(&request)).await;
    assert!(refusal.detail.contains(&bob().address().to_string()), "{refusal:?}");
    let unminted = world.lease_request(&node, &chain.license(chain.alpha, 99));
    world.refused("unknown_license", client.request_lease(&unminted)).await;
    world.refused("unknown_license", client.lease(chain.license(chain.alpha, 99).hash())).await;
    world.refused("not_leased", client.lease(chain.a1().hash())).await;
    let message = LeaseRequest {
        node_key: node.address(),
        license: chain.a1().hash(),
        nonce: world.now().millis(),
    };
    let forged = Signed::new(message.clone(), world.domain(), &key(9));
    world.refused("bad_signature", client.request_lease(&forged)).await;
    let endless = LeaseRequest { nonce: u64::MAX, ..message.clone() };
    let endless = Signed::new(endless, world.domain(), &node.key);
    world.refused("clock_wrong", client.request_lease(&endless)).await;
    // One minute of a clock that is ahead locks nobody out until then.
    let ahead = LeaseRequest { nonce: message.nonce + 3_600_000, ..message.clone() };
    let ahead = Signed::new(ahead, world.domain(), &node.key);
    let refusal = world.refused("clock_wrong", client.request_lease(&ahead)).await;
    assert!(refusal.detail.contains("60 minutes ahead of ours"), "{refusal:?}");

    let request = world.lease_request(&node, &chain.a1());
    let lease = client.request_lease(&request).await.unwrap();
    assert_eq!((lease.state, lease.fence.get()), (LeaseState::Active, 1));
    // The same bytes again, and a new request: the same lease.
    assert_eq!(client.request_lease(&request).await.unwrap(), lease);
    assert_eq!(world.lease(&node, &chain.a1()).await, lease);
    // One that was taken from such a clock in earlier times is forgotten.
    let future = i64::try_from(world.now().millis()).unwrap() + 86_400_000;
    let taken = "update node set lease_nonce = $1 where node_key = $2";
    let key = node.address();
    let taken = sqlx::query(taken).bind(future).bind(key.as_slice()).execute(&world.pool).await;
    assert_eq!(taken.unwrap().rows_affected(), 1);
    assert_eq!(world.lease(&node, &chain.a1()).await, lease);
    // An older request is a replay.
    let old = Signed::new(
        LeaseRequest { nonce: message.nonce - 1, ..message },
        world.domain(),
        &node.key,
    );
    world.refused("nonce_stale", client.request_lease(&old)).await;

    let waiting = world.lease(&second, &chain.a1()).await;
    assert_eq!((waiting.state, waiting.fence), (LeaseState::Standby, lease.fence));
    assert_eq!(client.lease(chain.a1().hash()).await.unwrap(), lease);
    let receipt = second.beat(&world, &[healthy(&waiting)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::LeaseLost]);
    assert_eq!(client.node(second.address()).await.unwrap().leases, [waiting]);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn one_license_of_a_workload_on_one_node(pool: PgPool) {
    let mut world = World::new(pool).await;
    let of_bob = world.chain.license(world.chain.alpha, 2);
    world.sell(&of_bob, &bob(), &alice()).await;
    world.chain.finalize().await;
    world.replica.mirror.tick().await.unwrap();
    let node = world.node(&alice(), 1).await;
    world.lease(&node, &world.chain.a1()).await;
    let second = world.lease_request(&node, &of_bob);
    let refusal = world.refused("workload_taken", world.client().request_lease(&second)).await;
    assert!(refusal.detail.contains("alpha"), "{refusal:?}");
    let other_workload = world.chain.license(world.chain.beta, 1);
    assert_eq!(world.lease(&node, &other_workload).await.state, LeaseState::Active);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_license_sold_in_mid_day_changes_hands(pool: PgPool) {
    let mut world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let bobs = world.node(&bob(), 2).await;
    let license = world.chain.a1();
    let lease = world.lease(&node, &license).await;
    node.beat(&world, &[healthy(&lease)]).await.unwrap();
    world.sell(&license, &alice(), &bob()).await;
    // Not before the block is final.
    world.replica.mirror.tick().await.unwrap();
    assert_eq!(world.client().lease(license.hash()).await.unwrap().state, LeaseState::Active);
    world.chain.finalize().await;
    world.replica.mirror.tick().await.unwrap();
    let ended = world.client().lease(license.hash()).await.unwrap();
    assert_eq!((ended.state, ended.fence), (LeaseState::Ended, lease.fence));
    let receipt = node.beat(&world, &[healthy(&lease)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::LeaseLost]);
    let request = world.lease_request(&node, &license);
    world.refused("not_entitled", world.client().request_lease(&request)).await;

    let now = world.lease(&bobs, &license).await;
    assert_eq!((now.state, now.fence.get()), (LeaseState::Active, lease.fence.get() + 1));
    // The minute is credited to Alice's node.
    let receipt = bobs.beat(&world, &[healthy(&now)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::NewLease]);
    world.live(1).await;
    let receipt = bobs.beat(&world, &[healthy(&now)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::Credited]);
    let holder = world.client().license(license.collection, license.token_id).await.unwrap().holder;
    assert_eq!(holder, Some(bob().address()));
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_renter_takes_over_at_once(pool: PgPool) {
    let mut world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let bobs = world.node(&bob(), 2).await;
    let license = world.chain.a1();
    let lease = world.lease(&node, &license).await;
    let until = world.now().secs() + 7200;
    let rpc = world.chain.provider.rpc().clone();
    let collection = NodeLicense::new(license.collection, &rpc);
    let call = collection.setUser(license.token_id, bob().address(), until);
    world.chain.send(alice().address(), call.into_transaction_request()).await;

    // The renter's request reads the chain itself and does not wait for the mirror.
    let rented = world.lease(&bobs, &license).await;
    assert_eq!((rented.state, rented.fence.get()), (LeaseState::Active, lease.fence.get() + 1));
    let receipt = node.beat(&world, &[healthy(&lease)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::LeaseLost]);

    // The rental runs out without an event; the quarter-hourly check finds it.
    world.go(nodesys_core::time::Timestamp::from_secs(until + 60)).await;
    world.replica.mirror.tick().await.unwrap();
    assert_eq!(world.client().lease(license.hash()).await.unwrap().state, LeaseState::Ended);
    let back = world.lease(&node, &license).await;
    assert_eq!((back.state, back.fence.get()), (LeaseState::Active, rented.fence.get() + 1));
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_lease_expires_half_a_minute_after_its_time(pool: PgPool) {
    let mut world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let silent = world.node(&bob(), 2).await;
    let license = world.chain.a1();
    let of_bob = world.chain.license(world.chain.alpha, 2);
    let lease = world.lease(&node, &license).await;
    world.lease(&silent, &of_bob).await;
    world.live(2).await;
    node.beat(&world, &[healthy(&lease)]).await.unwrap();
    let renewed = world.now();
    let state = async |world: &World, license: &nodesys_core::license::LicenseId| {
        world.client().lease(license.hash()).await.unwrap().state
    };
    world.live(10).await;
    world.go_without_chain(renewed.plus_millis(TTL_MILLIS)).await;
    world.replica.expire().await;
    assert_eq!(state(&world, &license).await, LeaseState::Active);
    assert_eq!(state(&world, &of_bob).await, LeaseState::Ended);

    world.go_without_chain(renewed.plus_millis(TTL_MILLIS + 1)).await;
    world.replica.expire().await;
    assert_eq!(state(&world, &license).await, LeaseState::Ended);
    let receipt = node.beat(&world, &[healthy(&lease)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::LeaseLost]);
    assert_eq!(world.lease(&node, &license).await.fence.get(), lease.fence.get() + 1);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn lease_time_stands_still_while_the_backend_is_away(pool: PgPool) {
    let mut world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let license = world.chain.a1();
    let lease = world.lease(&node, &license).await;
    node.beat(&world, &[healthy(&lease)]).await.unwrap();
    // The database cannot be written for half an hour; no node can be heard, none is to blame.
    world.go_without_chain(world.now().plus_millis(30 * 60_000)).await;
    world.replica.expire().await;
    world.replica.alive.tick().await.unwrap();
    world.replica.expire().await;
    world.live(5).await;
    world.replica.expire().await;
    assert_eq!(world.client().lease(license.hash()).await.unwrap().state, LeaseState::Active);
    let receipt = node.beat(&world, &[healthy(&lease)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::Credited]);

    // From then on silence counts again; another replica may be the one that acts.
    world.live(12).await;
    let mut other = world.another().await;
    other.expire().await;
    assert_eq!(world.client().lease(license.hash()).await.unwrap().state, LeaseState::Ended);
    other.alive.tick().await.unwrap();
    world.replica.alive.tick().await.unwrap();
    let receipt = node.beat(&world, &[healthy(&lease)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::LeaseLost]);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn two_nodes_that_ask_at_once_get_one_lease(pool: PgPool) {
    let world = World::new(pool).await;
    let other = world.another().await;
    let (a, b) = (world.node(&alice(), 1).await, world.node(&alice(), 2).await);
    let license = world.chain.a1();
    let (ra, rb) = (world.lease_request(&a, &license), world.lease_request(&b, &license));
    let (first, second) =
        tokio::join!(world.client().request_lease(&ra), other.client.request_lease(&rb));
    let mut states = [first.unwrap().state, second.unwrap().state];
    states.sort_by_key(|state| *state == LeaseState::Standby);
    assert_eq!(states, [LeaseState::Active, LeaseState::Standby]);
}

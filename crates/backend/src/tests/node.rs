//! Authorisations: their operator, their end, and the finality of a revocation.

use nodesys_core::api::{LeaseState, LineResult};
use nodesys_core::message::{MAX_AUTHORIZATION_SECS, Message as _, SignedAuthorization, Status};
use nodesys_core::signature::WalletSignature;
use sqlx::PgPool;

use super::heartbeat::high_s;
use super::support::node::{healthy, line};
use super::support::{Node, World, problem};
use crate::periodic::Periodic as _;
use nodesys_testing::chain::{alice, bob};
use nodesys_testing::key;

#[sqlx::test(migrations = "../../migrations/backend")]
async fn it_takes_the_wallet_and_the_node(pool: PgPool) {
    let world = World::new(pool).await;
    let node = Node::new(&alice(), 1);
    let good = node.authorization(&world, 1);
    let digest = good.authorization.digest(world.domain());
    let client = world.client();

    let by_wallet_alone =
        SignedAuthorization { node_signature: alice().sign(digest), ..good.clone() };
    let refusal = world.refused("bad_signature", client.authorize_node(&by_wallet_alone)).await;
    assert!(refusal.detail.starts_with("node key"), "{refusal:?}");
    let by_node_alone =
        SignedAuthorization { operator_signature: node.key.sign(digest).into(), ..good.clone() };
    let refusal = world.refused("bad_signature", client.authorize_node(&by_node_alone)).await;
    assert!(refusal.detail.starts_with("operator's wallet"), "{refusal:?}");
    let other_root = high_s(alice().sign(digest).as_bytes()).parse().unwrap();
    let high = SignedAuthorization {
        operator_signature: WalletSignature::new(other_root).unwrap(),
        ..good.clone()
    };
    let refusal = world.refused("bad_signature", client.authorize_node(&high)).await;
    assert!(refusal.detail.contains("low-S"), "{refusal:?}");
    // Signed for another network.
    let mut elsewhere = good.clone();
    elsewhere.authorization.nonce += nodesys_core::U256::from(1);
    world.refused("bad_signature", client.authorize_node(&elsewhere)).await;

    let view = client.authorize_node(&good).await.unwrap();
    assert_eq!((view.authorization, view.revoked), (good.authorization.clone(), false));
    // The same again gives the same answer and changes nothing.
    let rows = world.rows().await;
    assert_eq!(client.authorize_node(&good).await.unwrap().authorization, good.authorization);
    assert_eq!(world.rows().await, rows);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_higher_nonce_replaces_and_ninety_days_are_the_most(pool: PgPool) {
    let world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let client = world.client();
    let now = world.now().secs();
    let longest = node.authorization_until(&world, 5, now + MAX_AUTHORIZATION_SECS);
    let view = client.authorize_node(&longest).await.unwrap();
    assert_eq!(view.authorization.not_after, now + MAX_AUTHORIZATION_SECS);
    for nonce in [1, 4, 5] {
        let lower = node.authorization(&world, nonce);
        world.refused("authorization_replaced", client.authorize_node(&lower)).await;
    }
    let longer = node.authorization_until(&world, 6, now + MAX_AUTHORIZATION_SECS + 1);
    let refusal = world.refused("authorization_expired", client.authorize_node(&longer)).await;
    assert!(refusal.detail.contains("90 days"), "{refusal:?}");
    let ahead = node.authorization(&world, world.now().millis() + 15 * 60_000);
    let refusal = world.refused("clock_wrong", client.authorize_node(&ahead)).await;
    assert!(refusal.detail.contains("15 minutes ahead of ours"), "{refusal:?}");
    let over = node.authorization_until(&world, 6, now - 1);
    world.refused("authorization_expired", client.authorize_node(&over)).await;
    world.refused("unknown_node", client.node(key(9).address())).await;
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn an_authorisation_ends_at_its_second_and_may_be_renewed(pool: PgPool) {
    let world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let lease = world.lease(&node, &world.chain.a1()).await;
    let other = world.another().await;
    let short = node.authorization_until(&world, 2, world.now().secs() + 90);
    world.client().authorize_node(&short).await.unwrap();

    world.go_without_chain(world.now().plus_millis(90_000)).await;
    node.beat(&world, &[healthy(&lease)]).await.unwrap();
    world.go_without_chain(world.now().plus_millis(1_000)).await;
    let signed = node.signed(&world, &[healthy(&lease)]).await;
    world.refused("authorization_expired", world.client().heartbeat(&signed)).await;
    let request = world.lease_request(&node, &world.chain.a1());
    world.refused("authorization_expired", world.client().request_lease(&request)).await;

    // Renewed at one replica, it holds at the other, which had refused it.
    problem(other.client.heartbeat(&signed).await);
    world.client().authorize_node(&node.authorization(&world, 3)).await.unwrap();
    let receipt = other.client.heartbeat(&signed).await.unwrap();
    assert_eq!(receipt.results, [LineResult::Credited]);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_revocation_ends_leases_at_once_and_for_good(pool: PgPool) {
    let world = World::new(pool).await;
    let first = Node::new(&alice(), 1).authorization(&world, 1);
    let node = world.node(&alice(), 1).await;
    let lease = world.lease(&node, &world.chain.a1()).await;
    node.beat(&world, &[healthy(&lease)]).await.unwrap();
    let mut other = world.another().await;
    other.client.session(node.address()).await.unwrap();
    let client = world.client();

    // Only its operator may, and not with an older nonce.
    let bobs = Node::new(&bob(), 1).revocation(&world, 9);
    world.refused("unknown_node", client.revoke_node(&bobs)).await;
    let mut forged = node.revocation(&world, 1);
    forged.operator_signature = node.key.sign(forged.revocation.digest(world.domain())).into();
    world.refused("bad_signature", client.revoke_node(&forged)).await;
    let old = node.revocation(&world, 0);
    world.refused("authorization_replaced", client.revoke_node(&old)).await;

    let signed = node.signed(&world, &[healthy(&lease)]).await;
    let revocation = node.revocation(&world, 1);
    let view = client.revoke_node(&revocation).await.unwrap();
    assert!(view.revoked && view.leases.is_empty(), "{view:?}");
    assert_eq!(client.lease(lease.license_hash).await.unwrap().state, LeaseState::Ended);
    world.refused("authorization_revoked", client.heartbeat(&signed)).await;
    let request = world.lease_request(&node, &world.chain.a1());
    world.refused("authorization_revoked", client.request_lease(&request)).await;
    // The replica that does not know of it yet reads the row before it grants anything.
    world.refused("authorization_revoked", other.client.request_lease(&request)).await;
    other.alive.tick().await.unwrap();
    problem(other.client.heartbeat(&signed).await);

    // Again: the same answer. The authorisation that was revoked does not come back.
    let rows = world.rows().await;
    assert!(client.revoke_node(&revocation).await.unwrap().revoked);
    assert_eq!(world.rows().await, rows);
    let refusal = world.refused("authorization_revoked", client.authorize_node(&first)).await;
    assert!(refusal.detail.contains("higher"), "{refusal:?}");
    // A new one does, with a new lease and a higher fence.
    client.authorize_node(&node.authorization(&world, 2)).await.unwrap();
    let again = world.lease(&node, &world.chain.a1()).await;
    assert_eq!(again.fence.get(), lease.fence.get() + 1);
    let receipt =
        node.beat(&world, &[line(lease.license_hash, lease.fence, Status::Healthy)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::LeaseLost]);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn another_operator_takes_the_node_without_its_leases(pool: PgPool) {
    let world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let lease = world.lease(&node, &world.chain.a1()).await;
    let bobs = Node::new(&bob(), 1);
    world.client().authorize_node(&bobs.authorization(&world, 2)).await.unwrap();
    let receipt = bobs.beat(&world, &[healthy(&lease)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::LeaseLost]);
    let request = world.lease_request(&bobs, &world.chain.a1());
    world.refused("not_entitled", world.client().request_lease(&request)).await;
}

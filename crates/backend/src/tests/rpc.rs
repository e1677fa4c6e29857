//! The RPC goes away, or becomes another chain's: nothing is decided, nothing is lost.

use nodesys_core::api::{LeaseState, LineResult};
use sqlx::PgPool;

use super::support::Node;
use super::support::World;
use super::support::node::healthy;
use super::support::wire::Line;
use crate::periodic::Periodic as _;
use nodesys_testing::chain::{alice, bob, start_anvil};

#[sqlx::test(migrations = "../../migrations/backend")]
async fn without_the_chain_heartbeats_go_on_and_nothing_is_decided(pool: PgPool) {
    let mut world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let bobs = world.node(&bob(), 2).await;
    let license = world.chain.a1();
    let lease = world.lease(&node, &license).await;
    world.sell(&license, &alice(), &bob()).await;
    world.chain.finalize().await;
    assert_eq!(world.get_raw("/readyz").await.status, 200);

    let another_chain = start_anvil(31_338);
    for round in ["nobody answers", "another chain answers"] {
        if round == "nobody answers" {
            world.wire.lay(Line::Cut);
        } else {
            world.wire.lay(Line::To(another_chain.addr));
        }
        let rows = world.rows().await;
        assert!(world.replica.mirror.tick().await.is_err(), "{round}");
        // A balancer that took every replica out would lose minutes; the probe costs no call.
        let ready = world.get_raw("/readyz").await;
        assert_eq!(ready.status, 200);
        assert!(
            ready.body.contains("degraded: the chain has not been followed since"),
            "{ready:?}"
        );
        assert_eq!(world.get_raw("/healthz").await.status, 200);
        assert_eq!(world.rows().await, rows, "{round}");

        // Unknown right: the request is neither granted nor denied.
        for asking in [&node, &bobs] {
            let request = world.lease_request(asking, &license);
            let refusal =
                world.refused("chain_unavailable", world.client().request_lease(&request)).await;
            for secret in ["127.0.0.1", "http", &world.wire.url()] {
                assert!(!refusal.detail.contains(secret), "{refusal:?}");
            }
        }
        // A wallet may be a contract, so its signature needs the chain.
        let authorization = Node::new(&alice(), 7).authorization(&world, 1);
        let client = world.client();
        world.refused("chain_unavailable", client.authorize_node(&authorization)).await;
        let project = world.chain.distributor;
        world.refused("chain_unavailable", world.client().roots(project)).await;
        world.refused("chain_unavailable", world.client().rewards(alice().address())).await;

        // A held lease stays held.
        let receipt = node.beat(&world, &[healthy(&lease)]).await.unwrap();
        assert_eq!(receipt.results, [LineResult::Credited], "{round}");
        world.replica.expire().await;
        assert_eq!(world.client().lease(license.hash()).await.unwrap().state, LeaseState::Active);
    }

    // It is back: the mirror takes up where it was, and the sale counts.
    world.wire.lay(Line::To(world.chain.anvil.addr));
    // A kept connection that was cut fails once.
    let _ = world.replica.mirror.tick().await;
    world.replica.mirror.tick().await.unwrap();
    assert_eq!(world.get_raw("/readyz").await.body, "ready\n");
    assert_eq!(world.client().lease(license.hash()).await.unwrap().state, LeaseState::Ended);
    let mirrored: i64 = sqlx::query_scalar("select block_number from chain_cursor")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    let last = world.chain.provider.finalized_block(0).await.unwrap().number;
    assert_eq!(u64::try_from(mirrored).unwrap(), last);
    assert_eq!(world.lease(&bobs, &license).await.fence.get(), lease.fence.get() + 1);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_chain_of_the_same_number_that_is_not_the_same_is_found_out(pool: PgPool) {
    let mut world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let lease = world.lease(&node, &world.chain.a1()).await;
    // A development chain begun anew: same number, other blocks.
    let anew = start_anvil(31_337);
    world.wire.lay(Line::To(anew.addr));
    let rows = world.rows().await;
    let error = world.replica.mirror.tick().await.unwrap_err().to_string();
    assert!(error.contains("another chain") || error.contains("it is behind"), "{error}");
    assert_eq!(world.rows().await, rows);
    let receipt = node.beat(&world, &[healthy(&lease)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::Credited]);
}

//! An RPC whose newest block lies far behind what is final: what it shows ends and grants nothing.

use nodesys_core::api::LeaseState;
use sqlx::PgPool;

use crate::periodic::Periodic as _;
use crate::tests::support::World;
use crate::tests::support::wire::Line;
use nodesys_testing::anvil::ask;
use nodesys_testing::chain::{alice, bob};
use nodesys_testing::lying::LyingRpc;

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_head_older_than_what_is_final_decides_nothing(pool: PgPool) {
    let mut world = World::new(pool).await;
    let rpc = LyingRpc::start(world.chain.anvil.addr).await;
    let before = world.chain.provider.latest_block().await.unwrap().number;
    // Bob buys A1 and runs it; the mirror has passed all that.
    world.sell(&world.chain.a1(), &alice(), &bob()).await;
    ask(&world.chain.provider, "anvil_mine", ["0xc8"]).await;
    world.chain.finalize().await;
    world.replica.mirror.tick().await.unwrap();
    let bobs = world.node(&bob(), 2).await;
    let lease = world.lease(&bobs, &world.chain.a1()).await;
    let alices = world.node(&alice(), 1).await;

    world.wire.lay(Line::To(rpc.addr));
    rpc.lags(before);
    world.go_without_chain(world.now().plus_millis(16 * 60_000)).await;
    // The lease would be silent for too long, which is no matter of the chain.
    for _ in 0..2 {
        let failed = world.replica.mirror.tick().await.unwrap_err();
        let failed = format!("{failed:#}");
        assert!(failed.contains("behind") || failed.contains("does not answer"), "{failed}");
    }
    let found = world.client().lease(lease.license_hash).await.unwrap();
    assert_eq!((found.state, found.fence), (LeaseState::Active, lease.fence));
    // Who sold it gets nothing, though this RPC still shows it as hers.
    let request = world.lease_request(&alices, &world.chain.a1());
    let refused = world.refused("chain_unavailable", world.client().request_lease(&request)).await;
    assert!(refused.detail.contains("is final"), "{refused:?}");
    let project = world.chain.distributor;
    world.refused("chain_unavailable", world.client().roots(project)).await;
    // A replica that starts now has not read these blocks itself, and knows them from the others.
    let mut other = world.another().await;
    assert!(other.mirror.tick().await.is_err());
    let request = world.lease_request(&alices, &world.chain.a1());
    assert!(other.client.request_lease(&request).await.is_err());

    rpc.tells_the_truth();
    world.replica.mirror.tick().await.unwrap();
    let found = world.client().lease(lease.license_hash).await.unwrap();
    assert_eq!(found.state, LeaseState::Active);
}

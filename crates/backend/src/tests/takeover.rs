//! Takeover: a silent, sold or denied lease goes to a standby, and no minute is ever credited to
//! two nodes, whichever replicas they talk to.

use nodesys_chain::bindings::NodeLicense;
use nodesys_core::Address;
use nodesys_core::api::{LeaseState, LeaseView, LineResult, Receipt};
use nodesys_core::license::LicenseId;
use nodesys_core::message::{Heartbeat, Message as _, Signed, Status};
use sqlx::PgPool;

use super::support::node::{check_receipt, healthy, line};
use super::support::wire::Line;
use super::support::{Node, Replica, World};
use crate::periodic::Periodic as _;
use nodesys_testing::chain::{DAY, alice, bob};

async fn current(world: &World, license: &LicenseId) -> LeaseView {
    world.client().lease(license.hash()).await.unwrap()
}

/// One minute passes; at its second each of `asking` asks for the license.
async fn minute(world: &mut World, asking: &[&Node], license: &LicenseId) {
    world.live(1).await;
    for node in asking {
        world.lease(node, license).await;
    }
}

async fn send(world: &World, to: &Replica, signed: &Signed<Heartbeat>) -> Receipt {
    let receipt = to.client.heartbeat(signed).await.unwrap();
    check_receipt(world, signed, &receipt);
    receipt
}

/// The minutes of the first day that are credited to a license.
async fn credited(world: &World, license: &LicenseId) -> Vec<(u16, u16)> {
    let day = world.client().license_day(license.collection, license.token_id, DAY).await.unwrap();
    day.bitmap.runs()
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn who_waits_takes_over_and_the_old_node_stands_by(pool: PgPool) {
    let mut world = World::new(pool).await;
    let license = world.chain.a1();
    let (old, first, second) = (
        world.node(&alice(), 1).await,
        world.node(&alice(), 2).await,
        world.node(&alice(), 3).await,
    );
    let lease = world.lease(&old, &license).await;
    old.beat(&world, &[healthy(&lease)]).await.unwrap();
    let silent_since = world.now();
    // The order is that of the first request, whoever asks first each minute.
    world.lease(&first, &license).await;
    minute(&mut world, &[&second, &first], &license).await;
    // A request after ten and a half minutes settles it, like the job.
    while world.now().millis_since(silent_since) < 9 * 60_000 {
        minute(&mut world, &[&second, &first], &license).await;
    }
    world.replica.expire().await;
    assert_eq!(current(&world, &license).await.node_key, old.address());
    world.go_without_chain(silent_since.plus_millis(630_001)).await;
    world.replica.expire().await;
    let moved = current(&world, &license).await;
    assert_eq!((moved.state, moved.node_key), (LeaseState::Active, first.address()));
    assert_eq!(moved.fence.get(), lease.fence.get() + 1);

    // It learns of its promotion by asking, and earns from the next minute.
    assert_eq!(world.lease(&first, &license).await, moved);
    let receipt = first.beat(&world, &[healthy(&moved)]).await.unwrap();
    assert_eq!((receipt.results[0], receipt.accepted.credited), (LineResult::NewLease, 0));
    minute(&mut world, &[&second], &license).await;
    let receipt = first.beat(&world, &[healthy(&moved)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::Credited]);

    // The old node comes back.
    let receipt = old.beat(&world, &[healthy(&lease)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::LeaseLost]);
    let waiting = world.lease(&old, &license).await;
    assert_eq!((waiting.state, waiting.fence), (LeaseState::Standby, moved.fence));
    assert_eq!(waiting.node_key, old.address());
    // Behind the one that still waits.
    let silent_since = world.now();
    while world.now().millis_since(silent_since) < 11 * 60_000 {
        minute(&mut world, &[&old, &second], &license).await;
    }
    world.replica.expire().await;
    assert_eq!(current(&world, &license).await.node_key, second.address());
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_standby_that_stops_asking_is_forgotten(pool: PgPool) {
    let mut world = World::new(pool).await;
    let license = world.chain.a1();
    let (old, gone, patient) = (
        world.node(&alice(), 1).await,
        world.node(&alice(), 2).await,
        world.node(&alice(), 3).await,
    );
    let lease = world.lease(&old, &license).await;
    old.beat(&world, &[healthy(&lease)]).await.unwrap();
    world.lease(&gone, &license).await;
    for _ in 0..11 {
        minute(&mut world, &[&patient], &license).await;
    }
    assert_eq!(world.client().node(gone.address()).await.unwrap().leases.len(), 1);
    world.replica.expire().await;
    assert_eq!(current(&world, &license).await.node_key, patient.address());
    assert_eq!(world.client().node(gone.address()).await.unwrap().leases, []);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn down_and_degraded_keep_a_lease_only_while_nobody_waits(pool: PgPool) {
    let mut world = World::new(pool).await;
    let license = world.chain.a1();
    let (sick, fit) = (world.node(&alice(), 1).await, world.node(&alice(), 2).await);
    let lease = world.lease(&sick, &license).await;
    let statuses = [Status::Down, Status::Degraded];
    let beat = async |world: &World, i: usize| {
        let lines = [line(lease.license_hash, lease.fence, statuses[i % 2])];
        sick.beat(world, &lines).await.unwrap().results[0]
    };
    for i in 0..13 {
        assert_eq!(beat(&world, i).await, LineResult::NotHealthy);
        world.live(1).await;
        world.replica.expire().await;
    }
    assert_eq!(current(&world, &license).await.state, LeaseState::Active);
    for i in 0..10 {
        minute(&mut world, &[&fit], &license).await;
        assert_eq!(beat(&world, i).await, LineResult::NotHealthy, "{i}");
        // Read back as another replica reads it.
        world.another().await.expire().await;
    }
    minute(&mut world, &[&fit], &license).await;
    minute(&mut world, &[&fit], &license).await;
    world.replica.expire().await;
    assert_eq!(current(&world, &license).await.node_key, fit.address());
    assert_eq!(beat(&world, 0).await, LineResult::LeaseLost);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_sale_in_mid_day_credits_each_minute_to_one_node(pool: PgPool) {
    let mut world = World::new(pool).await;
    let license = world.chain.a1();
    let (alices, bobs) = (world.node(&alice(), 1).await, world.node(&bob(), 2).await);
    // Two nodes of Alice's: the one that waits is not entitled after the sale.
    let waiting = world.node(&alice(), 3).await;
    let lease = world.lease(&alices, &license).await;
    world.lease(&waiting, &license).await;
    alices.beat(&world, &[healthy(&lease)]).await.unwrap();
    world.sell(&license, &alice(), &bob()).await;
    let bought = world.lease(&bobs, &license).await;
    assert_eq!((bought.state, bought.fence.get()), (LeaseState::Active, lease.fence.get() + 1));
    // This minute is the old node's.
    let receipt = bobs.beat(&world, &[healthy(&bought)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::NewLease]);
    world.live(1).await;
    let receipt = bobs.beat(&world, &[healthy(&bought)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::Credited]);
    assert_eq!(credited(&world, &license).await, [(30, 32)]);
    world
        .refused(
            "not_entitled",
            world.client().request_lease(&world.lease_request(&waiting, &license)),
        )
        .await;

    // Back to Alice: her waiting node takes over by the mirror alone.
    world.sell(&license, &bob(), &alice()).await;
    world.lease(&waiting, &license).await;
    let back = current(&world, &license).await;
    assert_eq!(back.node_key, waiting.address());
    let receipt = bobs.beat(&world, &[healthy(&bought)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::LeaseLost]);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn the_mirror_promotes_who_waits(pool: PgPool) {
    let mut world = World::new(pool).await;
    let license = world.chain.a1();
    let (alices, bobs) = (world.node(&alice(), 1).await, world.node(&bob(), 2).await);
    let until = world.now().secs() + 600;
    let collection = NodeLicense::new(license.collection, world.chain.provider.rpc().clone());
    let rent = collection.setUser(license.token_id, bob().address(), until);
    world.chain.send(alice().address(), rent.into_transaction_request()).await;
    let rented = world.lease(&bobs, &license).await;
    assert_eq!(rented.state, LeaseState::Active);
    world
        .refused(
            "not_entitled",
            world.client().request_lease(&world.lease_request(&alices, &license)),
        )
        .await;

    // Given back before its time: Alice's node asks, the chain is read, the renter's lease ends.
    let back = collection.setUser(license.token_id, Address::ZERO, 0);
    world.chain.send(bob().address(), back.into_transaction_request()).await;
    let lease = world.lease(&alices, &license).await;
    assert_eq!((lease.state, lease.fence.get()), (LeaseState::Active, rented.fence.get() + 1));

    // Sold while Bob's node stands by for it, as a renter's would at the end of a rental.
    sqlx::query(
        "insert into standby (license_idx, node_idx, requested_at, asked_at)
                 select $1, idx, $3, $3 from node where node_key = $2",
    )
    .bind(i32::try_from(lease.index.0).unwrap())
    .bind(bobs.address().as_slice())
    .bind(i64::try_from(world.now().millis()).unwrap())
    .execute(&world.pool)
    .await
    .unwrap();
    world.sell(&license, &alice(), &bob()).await;
    world.chain.finalize().await;
    world.replica.mirror.tick().await.unwrap();
    let sold = current(&world, &license).await;
    assert_eq!((sold.state, sold.node_key), (LeaseState::Active, bobs.address()));
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_replica_that_has_not_heard_of_it_credits_nobody_twice(pool: PgPool) {
    let mut world = World::new(pool).await;
    let license = world.chain.a1();
    let other = world.another().await;
    let (alices, bobs) = (world.node(&alice(), 1).await, world.node(&bob(), 2).await);
    let lease = world.lease(&alices, &license).await;
    alices.beat(&world, &[healthy(&lease)]).await.unwrap();
    world.sell(&license, &alice(), &bob()).await;
    // At the other replica; this one still has the old lease in memory.
    let request = world.lease_request(&bobs, &license);
    let bought = other.client.request_lease(&request).await.unwrap();
    assert_eq!(bought.state, LeaseState::Active);
    world.go_without_chain(world.now().minute().next().start()).await;
    let late = alices.signed(&world, &[healthy(&lease)]).await;
    let receipt = send(&world, &world.replica, &late).await;
    assert_eq!((receipt.results[0], receipt.accepted.credited), (LineResult::LeaseLost, 0));
    let signed = bobs.signed(&world, &[healthy(&bought)]).await;
    assert_eq!(send(&world, &other, &signed).await.results, [LineResult::Credited]);
    // The same bytes again, at the other replica.
    assert_eq!(send(&world, &other, &late).await.results, [LineResult::LeaseLost]);
    world.live(1).await;
    assert_eq!(credited(&world, &license).await, [(30, 32)]);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_batch_on_its_way_to_the_disk_while_the_lease_moves(pool: PgPool) {
    let world = World::new(pool).await;
    let license = world.chain.a1();
    let other = world.another().await;
    let (alices, bobs) = (world.node(&alice(), 1).await, world.node(&bob(), 2).await);
    let lease = world.lease(&alices, &license).await;
    world.sell(&license, &alice(), &bob()).await;

    // Judged and sealed with its credit, it waits for the day's row.
    let mut hold = world.pool.begin().await.unwrap();
    sqlx::query("select from day for update").execute(&mut *hold).await.unwrap();
    let signed = alices.signed(&world, &[healthy(&lease)]).await;
    let client = world.client().clone();
    let sent = {
        let signed = signed.clone();
        tokio::spawn(async move { client.heartbeat(&signed).await })
    };
    let waiting = "select exists (select from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock')";
    while !sqlx::query_scalar::<_, bool>(waiting).fetch_one(&world.pool).await.unwrap() {}
    let request = world.lease_request(&bobs, &license);
    let bought = other.client.request_lease(&request).await.unwrap();
    assert_eq!(bought.state, LeaseState::Active);
    hold.rollback().await.unwrap();
    let receipt = sent.await.unwrap().unwrap();
    check_receipt(&world, &signed, &receipt);
    assert_eq!((receipt.results[0], receipt.accepted.credited), (LineResult::LeaseLost, 0));
    assert_eq!(receipt.accepted.heartbeat_hash, signed.message.struct_hash());
    assert_eq!(credited(&world, &license).await, []);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn an_end_waits_for_the_batches_that_were_first(pool: PgPool) {
    let world = World::new(pool).await;
    let license = world.chain.a1();
    let other = world.another().await;
    let (alices, bobs) = (world.node(&alice(), 1).await, world.node(&bob(), 2).await);
    world.lease(&alices, &license).await;
    world.sell(&license, &alice(), &bob()).await;
    let mut batch = world.pool.begin().await.unwrap();
    crate::db::lease_end::hold(&mut batch).await.unwrap();
    let request = world.lease_request(&bobs, &license);
    let client = other.client.clone();
    let asking = tokio::spawn(async move { client.request_lease(&request).await });
    let waiting = "select exists (select from pg_stat_activity
         where datname = current_database() and wait_event = 'advisory')";
    while !sqlx::query_scalar::<_, bool>(waiting).fetch_one(&world.pool).await.unwrap() {}
    assert!(!asking.is_finished());
    assert_eq!(current(&world, &license).await.node_key, alices.address());
    batch.commit().await.unwrap();
    assert_eq!(asking.await.unwrap().unwrap().state, LeaseState::Active);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn without_the_chain_a_silent_lease_ends_and_nobody_is_promoted(pool: PgPool) {
    let mut world = World::new(pool).await;
    let license = world.chain.a1();
    let (old, next) = (world.node(&alice(), 1).await, world.node(&alice(), 2).await);
    let lease = world.lease(&old, &license).await;
    for _ in 0..10 {
        minute(&mut world, &[&next], &license).await;
    }
    world.wire.lay(Line::Cut);
    world.live(1).await;
    world.replica.expire().await;
    let ended = current(&world, &license).await;
    assert_eq!((ended.state, ended.node_key), (LeaseState::Ended, old.address()));
    world.wire.lay(Line::To(world.chain.anvil.addr));
    // Back within two minutes of the end, the former node comes first.
    let back = world.lease(&old, &license).await;
    assert_eq!((back.state, back.fence.get()), (LeaseState::Active, lease.fence.get() + 1));
    let receipt = old.beat(&world, &[healthy(&back)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::Credited], "the minute was its own before, too");
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_newcomer_waits_two_minutes_for_the_former_node(pool: PgPool) {
    let mut world = World::new(pool).await;
    let license = world.chain.a1();
    let (old, newcomer) = (world.node(&alice(), 1).await, world.node(&alice(), 2).await);
    world.lease(&old, &license).await;
    world.live(11).await;
    world.replica.expire().await;
    assert_eq!(current(&world, &license).await.state, LeaseState::Ended);
    let waits = world.lease(&newcomer, &license).await;
    assert_eq!((waits.state, waits.node_key), (LeaseState::Standby, newcomer.address()));
    for _ in 0..2 {
        world.replica.expire().await;
        assert_eq!(current(&world, &license).await.state, LeaseState::Ended);
        minute(&mut world, &[], &license).await;
    }
    world.live(1).await;
    // Promoted by time alone.
    world.replica.expire().await;
    let taken = current(&world, &license).await;
    assert_eq!((taken.state, taken.node_key), (LeaseState::Active, newcomer.address()));
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_standby_that_is_revoked_or_busy_is_passed_over(pool: PgPool) {
    let mut world = World::new(pool).await;
    let of_bob = world.chain.license(world.chain.alpha, 2);
    let license = world.chain.a1();
    world.sell(&of_bob, &bob(), &alice()).await;
    let old = world.node(&alice(), 1).await;
    let (revoked, busy, free) = (
        world.node(&alice(), 2).await,
        world.node(&alice(), 3).await,
        world.node(&alice(), 4).await,
    );
    world.lease(&old, &license).await;
    for node in [&revoked, &busy, &free] {
        assert_eq!(world.lease(node, &license).await.state, LeaseState::Standby);
    }
    world.client().revoke_node(&revoked.revocation(&world, 1)).await.unwrap();
    assert_eq!(world.client().node(revoked.address()).await.unwrap().leases, []);
    // Takes another license of the same workload while it waits.
    let taken = world.lease(&busy, &of_bob).await;
    for _ in 0..11 {
        world.live(1).await;
        busy.beat(&world, &[healthy(&taken)]).await.unwrap();
        world.lease(&free, &license).await;
        world
            .refused(
                "workload_taken",
                world.client().request_lease(&world.lease_request(&busy, &license)),
            )
            .await;
    }
    world.replica.expire().await;
    assert_eq!(current(&world, &license).await.node_key, free.address());
}

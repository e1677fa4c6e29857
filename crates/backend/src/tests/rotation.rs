//! The receipt key: unknown to the registry, another one at another replica, rotated at noon and at midnight. Receipts are
//! real, and judged by the registry; days are audited.

use nodesys_chain::bindings::ProjectRegistry;
use nodesys_chain::project::receipt_key_validity;
use nodesys_core::Address;
use nodesys_core::api::{LeaseView, LineResult, Receipt};
use nodesys_core::ids::Seq;
use nodesys_core::message::{Heartbeat, Message as _};
use nodesys_core::signature::SigningKey;
use nodesys_core::time::Timestamp;
use nodesys_sdk::audit::{AuditRange, Verdict, audit_project};
use nodesys_sdk::bundles::BundleSource;
use sqlx::PgPool;

use super::support::node::healthy;
use super::support::{Node, Replica, World, problem};
use crate::measure::Measure;
use crate::periodic::Periodic as _;
use nodesys_testing::chain::{DAY, alice, owner, receipt_key};
use nodesys_testing::key;

/// The key that replaces the world's.
fn next_key() -> SigningKey {
    key(0x77)
}

/// Records a key; 0 means now, and for a key that has begun its beginning.
async fn record(world: &World, key: &SigningKey, from: u64, until: u64) {
    let registry = ProjectRegistry::new(world.chain.registry, world.chain.provider.rpc());
    let call = registry.setReceiptKey(Address::ZERO, key.address(), from, until);
    world.chain.send(owner().address(), call.into_transaction_request()).await;
}

/// Whether auditors believe a receipt: signed by a key that the registry has for its time.
async fn is_believed(world: &World, receipt: &Receipt) -> bool {
    let batch = &receipt.batch;
    let signer = batch.signature.recover(batch.message.digest(world.domain())).unwrap();
    receipt.verify(world.domain(), signer, receipt.accepted.heartbeat_hash).unwrap();
    let (provider, registry) = (&world.chain.provider, world.chain.registry);
    let valid = receipt_key_validity(provider, registry, None, signer).await.unwrap();
    let at = batch.message.server_time_millis / 1000;
    valid.iter().any(|range| range.contains(&at))
}

/// A node that takes its challenges from receipts alone, whoever signed them.
struct Chained {
    node: Node,
    lease: LeaseView,
    last: Receipt,
}

impl Chained {
    async fn start(world: &World) -> Self {
        let node = world.node(&alice(), 1).await;
        let lease = world.lease(&node, &world.chain.a1()).await;
        let last = node.beat(world, &[healthy(&lease)]).await.unwrap();
        Self { node, lease, last }
    }

    /// This minute's heartbeat to a replica; its receipt is by that key, and believed.
    async fn beat(&mut self, world: &World, replica: &Replica, key: &SigningKey) {
        let heartbeat = Heartbeat {
            node_key: self.node.address(),
            minute: world.now().minute(),
            seq: Seq::checked_new(self.node.next_number()).unwrap(),
            challenge: self.last.accepted.next_challenge,
            leases: vec![healthy(&self.lease)],
        };
        let hash = heartbeat.struct_hash();
        let signed = self.node.sign(world, heartbeat);
        self.last = replica.client.heartbeat(&signed).await.unwrap();
        self.last.verify(world.domain(), key.address(), hash).unwrap();
        assert_eq!(self.last.results, [LineResult::Credited]);
        assert!(is_believed(world, &self.last).await);
    }
}

/// Moves on with the chain, and with a heartbeat's challenge still good.
async fn minute(world: &World, replicas: &mut [&mut Replica]) {
    world.go(world.now().minute().next().start()).await;
    for replica in replicas {
        replica.alive.tick().await.unwrap();
    }
}

/// The job that reads the record, as often as an answer needs to count.
async fn read_record(replica: &Replica) {
    let mut measure = Measure::new(replica.app.clone(), None);
    measure.tick().await.unwrap();
    measure.tick().await.unwrap();
}

/// The owner and the backend agree on the day, it is posted, and an auditor finds that it holds.
async fn is_audited(world: &World) {
    let checked = world.computed(DAY).await;
    world.client().commit(&world.signed(&checked.commit)).await.unwrap();
    world.replica.poster().tick().await.unwrap();
    world.chain.finalize().await;
    let places = BundleSource::Server(Box::new(world.client().clone())).into();
    let (provider, registry) = (&world.chain.provider, world.chain.registry);
    let (project, range) = (world.chain.distributor, AuditRange::default());
    let report = audit_project(provider, registry, project, &places, range).await.unwrap();
    assert_eq!(report.verdict, Verdict::Holds, "{report:#?}");
}

async fn signer_of_day(world: &World) -> Address {
    let closed = world.client().closed_uptime(world.chain.distributor, DAY).await.unwrap();
    closed.receipt_key
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_receipt_key_that_the_registry_does_not_know_is_refused_at_the_start(pool: PgPool) {
    let world = World::new(pool).await;
    let refusal = async |key: SigningKey| match world.with_receipt_key(key).await {
        Ok(_) => panic!("it has started"),
        Err(error) => error.to_string(),
    };
    let words = refusal(next_key()).await;
    assert!(words.contains("does not know the receipt key"), "{words}");
    assert!(words.contains("nodesys-master registry receipt-key --key"), "{words}");
    // One that counts from tomorrow, and one that was ended.
    record(&world, &next_key(), DAY.end().secs(), u64::MAX).await;
    let words = refusal(next_key()).await;
    assert!(words.contains("is not valid now"), "{words}");
    let ended = key(0x79);
    record(&world, &ended, 0, u64::MAX).await;
    world.go(world.now().plus_millis(600_000)).await;
    record(&world, &ended, 0, 0).await;
    let words = refusal(ended).await;
    assert!(words.contains("is not valid now"), "{words}");
    world.with_receipt_key(receipt_key()).await.unwrap();
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn replicas_with_different_receipt_keys_take_each_others_challenges(pool: PgPool) {
    let world = World::new(pool).await;
    record(&world, &next_key(), 0, u64::MAX).await;
    let mut old = world.with_receipt_key(receipt_key()).await.unwrap();
    let mut new = world.with_receipt_key(next_key()).await.unwrap();
    let mut node = Chained::start(&world).await;
    for round in 0..6 {
        minute(&world, &mut [&mut old, &mut new]).await;
        let (replica, key) =
            if round % 2 == 0 { (&new, next_key()) } else { (&old, receipt_key()) };
        node.beat(&world, replica, &key).await;
    }
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_receipt_key_is_rotated_in_mid_day(pool: PgPool) {
    let mut world = World::new(pool).await;
    let mut old = world.with_receipt_key(receipt_key()).await.unwrap();
    let mut node = Chained::start(&world).await;
    minute(&world, &mut [&mut old]).await;
    node.beat(&world, &old, &receipt_key()).await;
    let morning = node.last.clone();

    // Both count for some minutes; then the old one is ended.
    record(&world, &next_key(), 0, u64::MAX).await;
    let mut new = world.with_receipt_key(next_key()).await.unwrap();
    for _ in 0..2 {
        minute(&world, &mut [&mut old, &mut new]).await;
        node.beat(&world, &new, &next_key()).await;
        minute(&world, &mut [&mut old, &mut new]).await;
        node.beat(&world, &old, &receipt_key()).await;
    }
    record(&world, &receipt_key(), 0, 0).await;
    minute(&world, &mut [&mut old, &mut new]).await;
    read_record(&old).await;
    read_record(&new).await;
    assert!(is_believed(&world, &morning).await, "what it signed while it counted holds");

    // The replica with the old key takes nothing, is not ready, and records no minute of its own.
    let signed = node.node.signed(&world, &[healthy(&node.lease)]).await;
    let refusal = problem(old.client.heartbeat(&signed).await);
    assert_eq!((refusal.status, refusal.code.as_str()), (503, "busy"));
    assert!(refusal.detail.contains("receipt key counts no more"), "{refusal:?}");
    assert!(old.client.ready().await.is_err());
    let alive = "select max(alive_at::bigint) from writer where writer = any($1)";
    let own = old.app.reference.own();
    let before: i64 = sqlx::query_scalar(alive).bind(&own).fetch_one(&world.pool).await.unwrap();
    minute(&world, &mut [&mut old, &mut new]).await;
    let after: i64 = sqlx::query_scalar(alive).bind(&own).fetch_one(&world.pool).await.unwrap();
    assert_eq!(before, after);
    node.beat(&world, &new, &next_key()).await;

    // It closes no day either; the other one does, and an auditor believes the day.
    world.go(DAY.end().plus_millis(61 * 60_000)).await;
    let refused = old.close_or_not().await.unwrap_err();
    assert!(refused.to_string().contains("waits for a replica with the present key"), "{refused}");
    new.alive.tick().await.unwrap();
    new.mirror.tick().await.unwrap();
    world.replica.mirror.tick().await.unwrap();
    new.close().await;
    assert_eq!(signer_of_day(&world).await, next_key().address());
    is_audited(&world).await;
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_receipt_key_is_rotated_at_midnight(pool: PgPool) {
    let mut world = World::new(pool).await;
    let midnight = DAY.end();
    // The old one counts until midnight, the new one from then on; nobody may do it the other way round.
    record(&world, &receipt_key(), 0, midnight.secs()).await;
    record(&world, &next_key(), midnight.secs(), u64::MAX).await;
    let mut old = world.with_receipt_key(receipt_key()).await.unwrap();
    let mut node = Chained::start(&world).await;
    world.go(Timestamp::from_millis(midnight.millis() - 120_000)).await;
    old.alive.tick().await.unwrap();
    // Its lease has not expired: nobody was there to end it.
    node.last.accepted.next_challenge =
        old.client.session(node.node.address()).await.unwrap().challenge;
    node.beat(&world, &old, &receipt_key()).await;
    assert!(world.with_receipt_key(next_key()).await.is_err(), "its time has not come");
    minute(&world, &mut [&mut old]).await;
    node.beat(&world, &old, &receipt_key()).await;
    let last = node.last.clone();

    minute(&world, &mut [&mut old]).await;
    assert_eq!(world.now(), midnight);
    let signed = node.node.signed(&world, &[healthy(&node.lease)]).await;
    assert_eq!(
        problem(old.client.heartbeat(&signed).await).code,
        "busy",
        "its time is over, by itself"
    );
    let mut new = world.with_receipt_key(next_key()).await.unwrap();
    new.alive.tick().await.unwrap();
    node.beat(&world, &new, &next_key()).await;
    assert!(is_believed(&world, &last).await && is_believed(&world, &node.last).await);

    world.go(midnight.plus_millis(6 * 60_000)).await;
    assert!(old.close_or_not().await.is_err(), "it ended with the day");
    new.mirror.tick().await.unwrap();
    world.replica.mirror.tick().await.unwrap();
    new.close().await;
    assert_eq!(signer_of_day(&world).await, next_key().address());
    is_audited(&world).await;
}

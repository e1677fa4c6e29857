//! Points and commits: only the result of the published data, once for each day.

use futures::future::join;
use nodesys_chain::bindings::{NodeLicense, RewardDistributor};
use nodesys_core::api::{CommitState, PointsChecked};
use nodesys_core::bundle::{BUNDLE_JSON, ProjectInfo, Terms};
use nodesys_core::files::{PointsRow, Row, write_file};
use nodesys_core::ids::{Amount, LicenseIndex, Points};
use nodesys_core::message::{Message as _, RewardCommit};
use nodesys_core::time::UtcDay;
use nodesys_core::{B256, keccak256};
use nodesys_sdk::bundles::BundleSource;
use nodesys_sdk::day::DayBuilder;
use sqlx::PgPool;

use super::support::World;
use super::support::books::terms;
use super::support::node::healthy;
use super::support::wire::Line;
use crate::periodic::Periodic as _;
use nodesys_testing::anvil::CHAIN_ID;
use nodesys_testing::chain::{DAY, DELAY_SECS, QUOTA, alice, bob, owner};
use nodesys_testing::key;

/// alice and bob ran A1 and A2 for two and one minutes of the first day, which is closed.
pub(crate) async fn closed_day(pool: PgPool) -> World {
    let mut world = World::new(pool).await;
    run_day(&mut world).await;
    world
}

/// What they do on that day.
pub(crate) async fn run_day(world: &mut World) {
    let node = world.node(&alice(), 1).await;
    let bobs = world.node(&bob(), 2).await;
    let first = world.lease(&node, &world.chain.a1()).await;
    let second = world.lease(&bobs, &world.chain.license(world.chain.alpha, 2)).await;
    node.beat(world, &[healthy(&first)]).await.unwrap();
    bobs.beat(world, &[healthy(&second)]).await.unwrap();
    world.live(1).await;
    node.beat(world, &[healthy(&first)]).await.unwrap();
    world.close_day(DAY).await;
}

pub(crate) fn builder(world: &World) -> DayBuilder {
    DayBuilder {
        backend: world.client().clone(),
        provider: world.chain.provider.clone(),
        project: ProjectInfo {
            chain_id: CHAIN_ID,
            registry: world.chain.registry,
            distributor: world.chain.distributor,
            name: "acme".parse().unwrap(),
        },
        terms: terms(),
        bundles: BundleSource::Server(Box::new(world.client().clone())).into(),
        finality_depth: 0,
        logs_from: 0,
        second_opinion: false,
    }
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn the_owner_and_the_backend_come_to_the_same_commit(pool: PgPool) {
    let mut world = closed_day(pool).await;
    let project = world.chain.distributor;
    let built = builder(&world).build(DAY).await.unwrap();
    let checked = world.computed(DAY).await;
    let share = Amount::new(QUOTA);
    let dust = checked.carry_out;
    assert_eq!(checked.commit, built.commit);
    assert_eq!(checked.allocated.checked_add(dust), Some(share));
    assert_eq!(world.client().points(project, DAY).await.unwrap(), built.files[PointsRow::FILE]);
    let rewards = world.client().computed_rewards(project, DAY).await.unwrap();
    assert_eq!(rewards, built.files["rewards.csv"]);
    world.refused("not_found", world.client().commit_of(project, DAY)).await;

    let request = world.signed(&built.commit);
    let view = world.client().commit(&request).await.unwrap();
    assert_eq!((view.state, view.commit_hash), (CommitState::Accepted, built.commit.struct_hash()));
    // The same again: the same answer, and nothing more stored.
    let rows = world.rows().await;
    assert_eq!(world.client().commit(&request).await.unwrap(), view);
    assert_eq!(world.client().commit_of(project, DAY).await.unwrap(), view);
    assert_eq!(world.client().roots(project).await.unwrap(), std::slice::from_ref(&view));
    assert_eq!(world.rows().await, rows);
    for (name, bytes) in &built.files {
        let served = world.client().bundle_file(project, DAY, name).await.unwrap();
        assert_eq!(&served[..], &bytes[..], "{name}");
    }
    world.refused("bad_request", world.client().bundle_file(project, DAY, "../etc")).await;
    world.refused("not_found", world.client().bundle_file(project, DAY, "etc")).await;

    // Posted, final, active, claimed.
    let mut poster = world.replica.poster();
    poster.tick().await.unwrap();
    world.chain.finalize().await;
    world.replica.mirror.tick().await.unwrap();
    poster.tick().await.unwrap();
    let posted = world.client().commit_of(project, DAY).await.unwrap();
    assert_eq!(posted.state, CommitState::Posted);
    world.refused("not_found", world.client().proof(project, alice().address(), None)).await;
    world.go(world.now().plus_millis((DELAY_SECS + 60) * 1000)).await;
    let proof = world.client().proof(project, alice().address(), None).await.unwrap();
    assert_eq!((proof.state, proof.root), (CommitState::Active, built.commit.root));
    let distributor = RewardDistributor::new(project, world.chain.provider.rpc());
    let amount = proof.cumulative.to_u256();
    let call = distributor.claim(proof.root, amount, proof.path, alice().address());
    world.chain.send(alice().address(), call.into_transaction_request()).await;
    world.chain.finalize().await;
    world.replica.mirror.tick().await.unwrap();
    let earned = world.client().rewards(alice().address()).await.unwrap().remove(0);
    assert_eq!((earned.cumulative, earned.active, earned.claimed), {
        let all = proof.cumulative;
        (all, all, all)
    });
    assert_eq!(proof.cumulative, Amount::new(QUOTA / 3 * 2 + u128::from(QUOTA % 3 * 2 >= 3)));
    world.refused("not_found", world.client().proof(project, key(9).address(), None)).await;
    assert_eq!(world.client().rewards(key(9).address()).await.unwrap(), []);

    // The next day follows.
    world.close_day(DAY.next()).await;
    let next = builder(&world).build(DAY.next()).await.unwrap();
    assert_eq!(next.commit.previous, built.commit.struct_hash());
    assert_eq!(world.commit(DAY.next()).await.signed.commit, next.commit);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn points_that_do_not_hold_are_named(pool: PgPool) {
    let world = closed_day(pool).await;
    let rows = world.points(DAY).await;
    let good = write_file(&rows);
    let points = |n: u64| Points::checked_new(n).unwrap();
    let header = <PointsRow as Row>::HEADER;
    let stranger = PointsRow { license: LicenseIndex(99), points: points(1) };
    let with_stranger = write_file(&[&rows[..], &[stranger]].concat());
    for (csv, says) in [
        (with_stranger.as_str(), "unknown license 99"),
        (&write_file(&rows[..1]), "no row"),
        (&good.replace('\n', "\r\n"), "header"),
        (&good[..good.len() - 1], "line feed"),
        (&format!("{good}{}\n", good.lines().last().unwrap()), "duplicate"),
        (&format!("{header}\n0,9223372036854775808\n"), "line 2"),
        (&format!("{header}\n0,-1\n"), "line 2"),
        (&format!("{header}\n0\n"), "columns"),
        ("", "line feed"),
    ] {
        let refusal = world.refused("points_invalid", world.upload(DAY, &terms(), csv)).await;
        assert!(refusal.detail.contains(says), "{csv:?}: {refusal:?}");
    }
    let mut wrong = rows.clone();
    wrong[1].points = points(rows[1].points.get() + 1);
    let (terms, altered) = (terms(), write_file(&wrong));
    let upload = world.upload(DAY, &terms, &altered);
    let refusal = world.refused("points_invalid", upload).await;
    let difference = refusal.difference.unwrap();
    assert_eq!((difference.file.as_str(), difference.line), ("points.csv", 3));
    assert_eq!(difference.given.as_deref(), altered.lines().nth(2));
    assert_eq!(difference.computed.as_deref(), good.lines().nth(2));

    let stranger = key(9);
    let upload = world.upload_by(&stranger, DAY, &terms, &good);
    let refusal = world.refused("bad_signature", upload).await;
    assert!(refusal.detail.starts_with("reward signer"), "{refusal:?}");
    world.refused("day_open", world.upload(DAY.next(), &terms, &good)).await;
    let project = world.chain.distributor;
    world.refused("not_found", world.client().points(project, DAY)).await;
    world.refused("not_found", world.client().computed_rewards(project, DAY)).await;
    world.refused("unknown_project", world.client().points(world.chain.alpha, DAY)).await;
    for (query, code) in [
        ("terms=e30&signature=0x", "bad_request"),
        ("terms=***&signature=0x", "bad_request"),
        ("signature=0x", "bad_request"),
    ] {
        let route = format!("{}/v1/points/acme/{DAY}?{query}", world.replica.base);
        let answer = reqwest::Client::new().put(route).body("x").send().await.unwrap();
        let refusal: nodesys_core::api::Problem = answer.json().await.unwrap();
        assert_eq!(refusal.code, code, "{query}");
    }
    world.upload(DAY, &terms, &good).await.unwrap();
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_commit_is_taken_field_for_field_or_not_at_all(pool: PgPool) {
    let world = closed_day(pool).await;
    let client = world.client();
    let zero = RewardCommit {
        epoch: DAY.epoch(),
        revision: 0,
        previous: B256::ZERO,
        root: B256::ZERO,
        total: Amount::ZERO,
        data_hash: B256::ZERO,
    };
    let refusal = world.refused("points_invalid", client.commit(&world.signed(&zero))).await;
    assert!(refusal.detail.contains("PUT /v1/points"), "{refusal:?}");
    let good = world.computed(DAY).await.commit;
    let more = |wei: u128| good.total.checked_add(Amount::new(wei)).unwrap();
    let (next, before, never) =
        (DAY.next().epoch(), DAY.previous().unwrap().epoch(), u64::from(u32::MAX));
    for (commit, code) in [
        (RewardCommit { total: more(1), ..good.clone() }, "root_differs"),
        (RewardCommit { total: more(QUOTA), ..good.clone() }, "quota_exceeded"),
        (RewardCommit { root: B256::repeat_byte(1), ..good.clone() }, "root_differs"),
        (RewardCommit { data_hash: B256::repeat_byte(1), ..good.clone() }, "root_differs"),
        (RewardCommit { previous: B256::repeat_byte(1), ..good.clone() }, "wrong_previous"),
        (RewardCommit { revision: 1, ..good.clone() }, "wrong_previous"),
        (RewardCommit { epoch: next, ..good.clone() }, "day_open"),
        (RewardCommit { epoch: before, ..good.clone() }, "day_open"),
        (RewardCommit { epoch: never, ..good.clone() }, "bad_request"),
        (RewardCommit { epoch: u64::MAX, ..good.clone() }, "bad_request"),
    ] {
        world.refused(code, client.commit(&world.signed(&commit))).await;
    }
    world.refused("bad_signature", client.commit(&world.signed_by(&key(9), &good))).await;
    let mut elsewhere = world.signed(&good);
    elsewhere.project = world.chain.alpha;
    world.refused("unknown_project", client.commit(&elsewhere)).await;
    client.commit(&world.signed(&good)).await.unwrap();

    // One commit a day, and the points behind it stay.
    let other = RewardCommit { root: B256::repeat_byte(1), ..good.clone() };
    let refusal = world.refused("committed", client.commit(&world.signed(&other))).await;
    assert_eq!(refusal.status, 409);
    let less = Terms { day_reward: Amount::new(QUOTA / 2), ..terms() };
    let csv = write_file(&world.points(DAY).await);
    world.refused("committed", world.upload(DAY, &less, &csv)).await;
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn days_are_committed_one_after_the_other(pool: PgPool) {
    let mut world = closed_day(pool).await;
    world.close_day(DAY.next()).await;
    let csv = write_file(&world.points(DAY.next()).await);
    let refusal = world.refused("out_of_order", world.upload(DAY.next(), &terms(), &csv)).await;
    assert!(refusal.detail.contains(&DAY.to_string()), "{refusal:?}");
    world.commit(DAY).await;
    let second = world.commit(DAY.next()).await;
    // Its `previous` is not the previous day's commit.
    world.close_day(UtcDay(DAY.0 + 2)).await;
    let third = world.computed(UtcDay(DAY.0 + 2)).await.commit;
    assert_eq!(third.previous, second.signed.commit.struct_hash());
    let skipping = RewardCommit { previous: second.signed.commit.previous, ..third };
    world.refused("wrong_previous", world.client().commit(&world.signed(&skipping))).await;
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn the_snapshot_must_be_final_and_mirrored(pool: PgPool) {
    let mut world = closed_day_without_chain(pool).await;
    let csv = write_file(&world.points(DAY).await);
    let refusal = world.refused("day_open", world.upload(DAY, &terms(), &csv)).await;
    assert!(refusal.detail.contains("final"), "{refusal:?}");
    world.chain.mine_at(DAY.end().secs()).await;
    world.refused("day_open", world.upload(DAY, &terms(), &csv)).await;
    world.chain.finalize().await;
    let refusal = world.refused("chain_unavailable", world.upload(DAY, &terms(), &csv)).await;
    assert!(refusal.detail.contains("mirror"), "{refusal:?}");
    world.replica.mirror.tick().await.unwrap();
    world.upload(DAY, &terms(), &csv).await.unwrap();
}

async fn closed_day_without_chain(pool: PgPool) -> World {
    let mut world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let lease = world.lease(&node, &world.chain.a1()).await;
    node.beat(&world, &[healthy(&lease)]).await.unwrap();
    world.go_without_chain(DAY.end().plus_millis(61 * 60_000)).await;
    world.replica.alive.tick().await.unwrap();
    world.replica.close().await;
    world
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn the_holder_at_the_days_end_earns_and_a_renter_before_it(pool: PgPool) {
    let mut world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let lease = world.lease(&node, &world.chain.a1()).await;
    node.beat(&world, &[healthy(&lease)]).await.unwrap();
    world.sell(&world.chain.a1(), &alice(), &bob()).await;
    let license = world.chain.a1();
    let collection = NodeLicense::new(license.collection, world.chain.provider.rpc());
    let call = collection.setUser(license.token_id, key(0xca).address(), DAY.end().secs() + 7200);
    world.chain.send(bob().address(), call.into_transaction_request()).await;
    world.close_day(DAY).await;
    world.commit(DAY).await;
    let proof = world
        .client()
        .proof(world.chain.distributor, key(0xca).address(), Some(DAY))
        .await
        .unwrap();
    assert_eq!(proof.cumulative, Amount::new(QUOTA));
    let of_alice = world.client().proof(world.chain.distributor, alice().address(), Some(DAY));
    world.refused("not_found", of_alice).await;
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn what_cannot_be_paid_is_not_taken(pool: PgPool) {
    let world = closed_day(pool).await;
    let PointsChecked { commit, .. } = world.computed(DAY).await;
    world.chain.drain().await;
    let refusal = world.refused("underfunded", world.client().commit(&world.signed(&commit))).await;
    assert!(refusal.detail.contains("holds 0 wei"), "{refusal:?}");
    world.chain.fund(QUOTA).await;
    world.client().commit(&world.signed(&commit)).await.unwrap();

    // The table refuses sums that do not add up, whoever writes them.
    for change in ["carry_out = carry_out + 1", "allocated = allocated - 1", "day_reward = 0"] {
        let statement = format!("update reward_commit set {change}");
        let error = sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&world.pool).await;
        let error = error.unwrap_err();
        let constraint = error.as_database_error().and_then(|error| error.constraint());
        assert_eq!(constraint, Some("reward_commit_conserves"), "{error}");
    }
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_disabled_signer_signs_nothing_and_voids_what_is_not_posted(pool: PgPool) {
    let mut world = closed_day(pool).await;
    world.commit(DAY).await;
    let project = world.chain.distributor;
    let distributor = RewardDistributor::new(project, world.chain.provider.rpc());
    let call = distributor.disableSigner();
    world.chain.send(owner().address(), call.into_transaction_request()).await;
    let csv = write_file(&world.points(DAY).await);
    let refusal = world.refused("bad_signature", world.upload(DAY, &terms(), &csv)).await;
    assert!(refusal.detail.contains("disabled"), "{refusal:?}");
    assert!(world.replica.poster().tick().await.is_err());
    world.chain.finalize().await;
    world.replica.mirror.tick().await.unwrap();
    let roots = world.client().roots(project).await.unwrap();
    assert_eq!(roots[0].state, CommitState::Revoked);
    // Its outbox row is not tried any more.
    let rows = world.rows().await;
    world.replica.poster().tick().await.unwrap();
    assert_eq!(world.rows().await, rows);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn the_same_commit_at_two_replicas_at_once_is_one(pool: PgPool) {
    let world = closed_day(pool).await;
    let other = world.another().await;
    let request = world.signed(&world.computed(DAY).await.commit);
    let (a, b) = join(world.client().commit(&request), other.client.commit(&request)).await;
    assert_eq!(a.unwrap(), b.unwrap());
    let commits: i64 =
        sqlx::query_scalar("select count(*) from outbox").fetch_one(&world.pool).await.unwrap();
    assert_eq!(commits, 1);
    let bundle =
        world.client().bundle_file(world.chain.distributor, DAY, BUNDLE_JSON).await.unwrap();
    assert_eq!(keccak256(&bundle), request.signed.commit.data_hash);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn who_waits_for_the_chain_holds_no_connection(pool: PgPool) {
    let world = closed_day(pool).await;
    let csv = write_file(&world.points(DAY).await);
    let checked = world.computed(DAY).await;
    let node = world.node(&alice(), 5).await;
    let small = world.with_pool(1).await;
    let signed = node.signed(&world, &[]).await;
    world.wire.lay(Line::Silent);
    let (commit, request) =
        (world.signed(&checked.commit), world.lease_request(&node, &world.chain.a1()));
    let authorization = node.authorization(&world, 2);
    let waiting = async {
        let project = world.chain.distributor;
        let slow = small.client.clone();
        let terms = terms();
        let upload = world.upload_to(&slow, DAY, &terms, &csv);
        tokio::join!(
            upload,
            slow.commit(&commit),
            slow.request_lease(&request),
            slow.authorize_node(&authorization),
            slow.roots(project),
            slow.computed_rewards(project, DAY),
        )
    };
    let working = async {
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        let receipt = small.client.heartbeat(&signed).await.unwrap();
        assert_eq!(receipt.results, []);
        assert_eq!(small.client.day(DAY).await.unwrap().day, DAY);
        world.wire.lay(Line::Cut);
    };
    let (answers, ()) = tokio::join!(waiting, working);
    let codes = [
        super::support::problem(answers.0).code,
        super::support::problem(answers.1).code,
        super::support::problem(answers.2).code,
        super::support::problem(answers.3).code,
        super::support::problem(answers.4).code,
        super::support::problem(answers.5).code,
    ];
    assert_eq!(codes, ["chain_unavailable"; 6]);
}

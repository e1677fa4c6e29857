//! A project that posts what another one posts: the same six fields, and so the same struct hash.

use nodesys_chain::bindings::RewardDistributor;
use nodesys_chain::project::{on_chain, post_request};
use nodesys_chain::timelock::Action;
use nodesys_core::api::{CommitRequest, CommitState};
use nodesys_core::message::{Domain, Message as _, SignedCommit};
use nodesys_core::{Address, B256};
use sqlx::PgPool;

use crate::periodic::Periodic as _;
use crate::tests::commit::{closed_day, run_day};
use crate::tests::support::World;
use nodesys_testing::anvil::CHAIN_ID;
use nodesys_testing::chain::{DAY, QUOTA, bob, owner};
use nodesys_testing::key;

async fn state(world: &World) -> CommitState {
    world.client().commit_of(world.chain.distributor, DAY).await.unwrap().state
}

/// The same commit for another project, signed by that project's own signer.
fn twin_of(request: &CommitRequest, project: Address) -> CommitRequest {
    let commit = request.signed.commit.clone();
    let domain = Domain::new(CHAIN_ID, project);
    let signature = key(0x77).sign(commit.digest(&domain)).into();
    CommitRequest { project, signed: SignedCommit { commit, signature } }
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_twin_projects_post_and_revocation_touch_only_its_own_rows(pool: PgPool) {
    let mut world = World::new(pool).await;
    let twin = world.chain.project("twin", bob().address(), key(0x77).address()).await;
    world.chain.fund_project(twin, 5 * QUOTA).await;
    run_day(&mut world).await;
    let request = world.commit(DAY).await;
    let copied = twin_of(&request, twin);
    assert_eq!(copied.signed.commit.struct_hash(), request.signed.commit.struct_hash());

    // Handed in for the twin it is judged as the twin's, whose day is another.
    world.refused("points_invalid", world.client().commit(&copied)).await;

    world.chain.send(bob().address(), post_request(twin, &copied.signed)).await;
    world.chain.finalize().await;
    world.replica.mirror.tick().await.unwrap();
    assert_eq!(state(&world).await, CommitState::Accepted, "posted by another's distributor");
    let open: i64 = sqlx::query_scalar("select count(*) from outbox where done_block is null")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(open, 1, "another's post ended ours");

    let none = RewardDistributor::RewardCommit {
        epoch: 0,
        revision: 0,
        previous: B256::ZERO,
        root: B256::ZERO,
        total: on_chain(&request.signed.commit).total - on_chain(&request.signed.commit).total,
        dataHash: B256::ZERO,
    };
    let distributor = RewardDistributor::new(twin, world.chain.provider.rpc());
    let call = distributor.revoke(vec![on_chain(&copied.signed.commit)], none);
    world.chain.send(bob().address(), call.into_transaction_request()).await;
    world.chain.finalize().await;
    world.replica.mirror.tick().await.unwrap();
    assert_eq!(state(&world).await, CommitState::Accepted, "revoked by another's distributor");

    for _ in 0..2 {
        world.replica.poster().tick().await.unwrap();
        world.chain.finalize().await;
    }
    world.replica.mirror.tick().await.unwrap();
    assert_eq!(state(&world).await, CommitState::Posted);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_new_signer_voids_what_waits_and_the_outbox_goes_on(pool: PgPool) {
    let mut world = closed_day(pool).await;
    let before = world.commit(DAY).await;
    let distributor = world.chain.distributor;
    let call = Action::SetSigner(key(0x78).address()).call();
    let contract = RewardDistributor::new(distributor, world.chain.provider.rpc());
    let queued = contract.queue(call.clone()).into_transaction_request();
    world.chain.send(owner().address(), queued).await;
    let wait = contract.timelock().call().await.unwrap();
    world.chain.pass(wait + 1).await;
    let set = contract.setSigner(key(0x78).address()).into_transaction_request();
    world.chain.send(owner().address(), set).await;
    world.chain.finalize().await;
    // What was signed for the old revision can be posted by nobody.
    assert!(world.replica.poster().tick().await.is_err());
    world.replica.mirror.tick().await.unwrap();
    let gone = world.client().roots(distributor).await.unwrap();
    assert_eq!(gone[0].state, CommitState::Revoked);
    world.replica.poster().tick().await.unwrap();

    let csv = nodesys_core::files::write_file(&world.points(DAY).await);
    let terms = crate::tests::support::books::terms();
    let checked = world.upload_by(&key(0x78), DAY, &terms, &csv).await.unwrap();
    assert_eq!(checked.commit.revision, before.signed.commit.revision + 1);
    let again = world.signed_by(&key(0x78), &checked.commit);
    world.client().commit(&again).await.unwrap();
    for _ in 0..2 {
        world.replica.poster().tick().await.unwrap();
        world.chain.finalize().await;
    }
    assert_eq!(state(&world).await, CommitState::Posted);
}

/// What the schema refuses, whoever writes it.
#[sqlx::test(migrations = "../../migrations/backend")]
async fn the_schema_refuses_a_file_tree_or_post_of_another_projects_commit(pool: PgPool) {
    let world = closed_day(pool).await;
    let request = world.commit(DAY).await;
    let (ours, theirs) = (world.chain.distributor.to_vec(), Address::repeat_byte(7).to_vec());
    let hash = request.signed.commit.struct_hash().to_vec();
    sqlx::query("insert into project (project, name, owner, token, first_day) values ($1, 'other', $1, $1, 1)")
        .bind(&theirs)
        .execute(&world.pool)
        .await
        .unwrap();
    for (constraint, text) in [
        ("tree_commit", "insert into tree (project, commit_hash, bytes) values ($1, $2, '')"),
        (
            "bundle_file_commit",
            "insert into bundle_file (project, commit_hash, name, bytes) values ($1, $2, 'tree.json', '')",
        ),
        (
            "outbox_commit",
            "insert into outbox (to_address, commit_hash, calldata, created_at) values ($1, $2, '', 0)",
        ),
    ] {
        let refused = sqlx::query(text).bind(&theirs).bind(&hash).execute(&world.pool).await;
        let refused = refused.unwrap_err();
        let found = refused.as_database_error().and_then(|error| error.constraint());
        assert_eq!(found, Some(constraint));
    }
    // A replica of the version before names no project: its row is the only one it can be.
    let removed = sqlx::query("delete from tree where project = $1 and commit_hash = $2");
    removed.bind(&ours).bind(&hash).execute(&world.pool).await.unwrap();
    let old = sqlx::query("insert into tree (commit_hash, bytes) values ($1, '')");
    old.bind(&hash).execute(&world.pool).await.unwrap();
    let owner: Vec<u8> =
        sqlx::query_scalar("select project::bytea from tree").fetch_one(&world.pool).await.unwrap();
    assert_eq!(owner, ours);
}

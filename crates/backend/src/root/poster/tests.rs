//! Posting on a real chain, with a crash between any two steps.

use nodesys_chain::bindings::RewardDistributor;
use nodesys_chain::project::on_chain;
use nodesys_core::B256;
use nodesys_core::api::{CommitRequest, CommitState};
use nodesys_core::message::Message as _;
use nodesys_sdk::commit::Post;
use sqlx::PgPool;

use super::*;
use crate::tests::commit::closed_day;
use crate::tests::support::{World, soon};
use nodesys_testing::chain::{DAY, owner, poster_key};

/// Transactions that the poster has in blocks.
async fn sent(world: &World) -> u64 {
    let rpc = world.chain.provider.rpc();
    rpc.get_transaction_count(poster_key().address()).await.unwrap()
}

async fn state(world: &World) -> CommitState {
    world.client().commit_of(world.chain.distributor, DAY).await.unwrap().state
}

/// The outbox, in any state of its rows.
async fn outbox_rows(world: &World) -> Vec<(Option<Vec<u8>>, i32, Option<String>, Option<i64>)> {
    sqlx::query_as("select raw_tx, attempts, last_error, done_block from outbox order by id")
        .fetch_all(&world.pool)
        .await
        .unwrap()
}

async fn posted(world: &World, request: &CommitRequest) -> bool {
    let hash = request.signed.commit.struct_hash();
    let project = world.chain.distributor;
    chain::posted_at(&world.chain.provider, project, hash, 0).await.unwrap().is_some()
}

/// Waits until it is in a block: anvil answers a send a moment before it mines.
async fn comes_in(world: &World, request: &CommitRequest) {
    soon("the post", async {
        while !posted(world, request).await {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Waits for a transaction's block; whether it succeeded there.
async fn succeeded(world: &World, transaction: B256) -> bool {
    let mined = async {
        loop {
            let receipt = world.chain.provider.rpc().get_transaction_receipt(transaction).await;
            if let Some(receipt) = receipt.unwrap() {
                return receipt.status();
            }
        }
    };
    soon("the transaction's block", mined).await
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_poster_killed_between_signing_and_sending_sends_the_same_bytes(pool: PgPool) {
    let mut world = closed_day(pool).await;
    let request = world.commit(DAY).await;
    // The row is there before anything is signed or sent.
    assert_eq!(outbox_rows(&world).await, [(None, 0, None, None)]);
    assert!(!posted(&world, &request).await);

    let poster = world.replica.poster();
    let mut conn = world.pool.acquire().await.unwrap();
    let row = outbox::open(&mut conn).await.unwrap().remove(0);
    let signed = poster.sign(&row, 0, 1).await.unwrap();
    outbox::set_signed(&mut conn, row.id, &signed, world.now()).await.unwrap();
    drop((conn, poster));
    assert_eq!(sent(&world).await, 0);

    world.replica.poster().tick().await.unwrap();
    assert!(succeeded(&world, signed.hash).await);
    assert!(posted(&world, &request).await);
    assert_eq!(outbox_rows(&world).await[0].0.as_ref(), Some(&signed.raw));
    // In a block that is not final: it waits. In a final one: done, once.
    world.replica.poster().tick().await.unwrap();
    assert_eq!(outbox_rows(&world).await[0].3, None);
    assert_eq!(state(&world).await, CommitState::Accepted);
    world.chain.finalize().await;
    world.replica.poster().tick().await.unwrap();
    assert!(outbox_rows(&world).await[0].3.is_some());
    assert_eq!(state(&world).await, CommitState::Posted);
    world.replica.mirror.tick().await.unwrap();
    world.replica.poster().tick().await.unwrap();
    assert_eq!((sent(&world).await, state(&world).await), (1, CommitState::Posted));
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn two_posters_at_once_send_one_post(pool: PgPool) {
    let world = closed_day(pool).await;
    let request = world.commit(DAY).await;
    let other = world.another().await;
    let (mut a, mut b) = (world.replica.poster(), other.poster());
    for _ in 0..3 {
        let (a, b) = tokio::join!(a.tick(), b.tick());
        a.unwrap();
        b.unwrap();
    }
    comes_in(&world, &request).await;
    assert_eq!(sent(&world).await, 1);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn finding_it_posted_is_success(pool: PgPool) {
    let world = closed_day(pool).await;
    let request = world.commit(DAY).await;
    post_by_owner(&world, &request).await;
    world.chain.finalize().await;
    world.replica.poster().tick().await.unwrap();
    assert_eq!((sent(&world).await, state(&world).await), (0, CommitState::Posted));
    let (provider, project) = (owners(&world).await, world.chain.distributor);
    let again = nodesys_sdk::commit::post(&provider, project, &request.signed, 0).await.unwrap();
    assert!(matches!(again, Post::Found { .. }));
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_commit_posted_before_it_is_handed_in_is_posted(pool: PgPool) {
    let mut world = closed_day(pool).await;
    let request = world.signed(&world.computed(DAY).await.commit);
    post_by_owner(&world, &request).await;
    world.chain.finalize().await;
    // The mirror passes the block without knowing the commit, and will not read it again.
    world.replica.mirror.tick().await.unwrap();
    let view = world.client().commit(&request).await.unwrap();
    assert_eq!(view.state, CommitState::Posted);
    world.replica.poster().tick().await.unwrap();
    assert_eq!(sent(&world).await, 0);
}

async fn owners(world: &World) -> nodesys_chain::Provider {
    let url = world.chain.anvil.url.clone();
    nodesys_chain::Provider::connect_with_key(&url, None, &owner()).await.unwrap()
}

async fn post_by_owner(world: &World, request: &CommitRequest) {
    let provider = owners(world).await;
    let project = world.chain.distributor;
    let post = nodesys_sdk::commit::post(&provider, project, &request.signed, 0).await.unwrap();
    assert!(matches!(post, Post::Sent { .. }));
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_transaction_that_reverts_is_made_anew_when_it_can_be(pool: PgPool) {
    let world = closed_day(pool).await;
    let request = world.commit(DAY).await;
    let poster = world.replica.poster();
    let mut conn = world.pool.acquire().await.unwrap();
    let row = outbox::open(&mut conn).await.unwrap().remove(0);
    let signed = poster.sign(&row, 0, 1).await.unwrap();
    outbox::set_signed(&mut conn, row.id, &signed, world.now()).await.unwrap();
    drop(conn);
    // Between signing and sending the project pauses.
    let distributor = RewardDistributor::new(world.chain.distributor, world.chain.provider.rpc());
    world.chain.send(owner().address(), distributor.pause().into_transaction_request()).await;
    world.replica.poster().tick().await.unwrap();
    assert!(!succeeded(&world, signed.hash).await);
    // Forgotten, and parked for a minute; a new one is not even sent, and the row says why.
    let error = format!("{:#}", world.replica.poster().tick().await.unwrap_err());
    assert!(error.contains("failed in a block"), "{error}");
    world.replica.poster().tick().await.unwrap();
    world.go_without_chain(world.now().plus_millis(61_000)).await;
    let error = format!("{:#}", world.replica.poster().tick().await.unwrap_err());
    assert!(error.contains("refuses the post"), "{error}");
    let (raw, _, last_error, done) = outbox_rows(&world).await.remove(0);
    assert_eq!((raw, done, sent(&world).await), (None, None, 1));
    assert!(last_error.unwrap().contains("PostPaused"), "the reason is not kept");
    assert_eq!(state(&world).await, CommitState::Accepted);

    let window = distributor.pauseWindow().call().await.unwrap();
    world.chain.mine_at(window.until).await;
    world.replica.poster().tick().await.unwrap();
    comes_in(&world, &request).await;
    assert_eq!(sent(&world).await, 2);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn without_the_chain_the_signed_bytes_wait(pool: PgPool) {
    let world = closed_day(pool).await;
    let request = world.commit(DAY).await;
    world.wire.lay(crate::tests::support::wire::Line::Cut);
    assert!(world.replica.poster().tick().await.is_err());
    let (_, attempts, last_error, _) = outbox_rows(&world).await.remove(0);
    assert_eq!(attempts, 1);
    assert!(last_error.is_some());
    world.wire.lay(crate::tests::support::wire::Line::To(world.chain.anvil.addr));
    world.replica.poster().tick().await.unwrap();
    comes_in(&world, &request).await;
}

/// A project whose contract takes no post, before the real one's row.
async fn hopeless_row(world: &World) {
    sqlx::query(
        "with p as (
            insert into project (project, name, owner, token, first_day)
            values ($1, 'hopeless', $1, $1, $2) returning project
        ), c as (
            insert into reward_commit (project, day, revision, commit_hash, previous, root, total,
                data_hash, signature, day_reward, carry_in, carry_out, allocated, accepted_at)
            select project, $2, 0, $3, $3, $3, 0, $3, '', 0, 0, 0, 0, 0 from p returning commit_hash
        )
        insert into outbox (commit_hash, to_address, calldata, created_at)
        select commit_hash, $1, '\\x01020304', 0 from c",
    )
    .bind(world.chain.registry.to_vec())
    .bind(i32::try_from(DAY.0).unwrap())
    .bind(B256::repeat_byte(0x66).to_vec())
    .execute(&world.pool)
    .await
    .unwrap();
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn one_projects_trouble_holds_up_no_other(pool: PgPool) {
    let world = closed_day(pool).await;
    hopeless_row(&world).await;
    let request = world.commit(DAY).await;
    let error = format!("{:#}", world.replica.poster().tick().await.unwrap_err());
    assert!(error.contains("refuses the post"), "{error}");
    comes_in(&world, &request).await;
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_revoked_day_is_committed_again_and_what_built_on_it_is_void(pool: PgPool) {
    let mut world = closed_day(pool).await;
    let third_day = DAY.next().next();
    world.close_day(DAY.next()).await;
    world.close_day(third_day).await;
    let first = world.commit(DAY).await;
    world.replica.poster().tick().await.unwrap();
    comes_in(&world, &first).await;
    let second = world.commit(DAY.next()).await;
    world.replica.poster().tick().await.unwrap();
    comes_in(&world, &second).await;
    world.chain.finalize().await;
    world.replica.mirror.tick().await.unwrap();
    // The second is taken back; the third was accepted on top of it.
    let third = world.commit(third_day).await;
    let distributor = RewardDistributor::new(world.chain.distributor, world.chain.provider.rpc());
    let call =
        distributor.revoke(vec![on_chain(&second.signed.commit)], on_chain(&first.signed.commit));
    world.chain.send(owner().address(), call.into_transaction_request()).await;
    assert!(world.replica.poster().tick().await.is_err(), "the third day's commit has no ground");
    world.chain.finalize().await;
    world.replica.mirror.tick().await.unwrap();
    let roots = world.client().roots(world.chain.distributor).await.unwrap();
    let states: Vec<CommitState> = roots.iter().map(|view| view.state).collect();
    assert_eq!(states, [CommitState::Posted, CommitState::Revoked, CommitState::Revoked]);
    let rows = world.rows().await;
    world.replica.poster().tick().await.unwrap();
    assert_eq!(world.rows().await, rows, "a void post is tried again");

    // The same days again, in the new revision.
    let again = world.commit(DAY.next()).await;
    assert_eq!(again.signed.commit.revision, 1);
    let third_again = world.commit(third_day).await;
    assert_ne!(third_again.signed.commit, third.signed.commit);
    // The third is refused until the second is in a block.
    soon("the third day's post", async {
        while !posted(&world, &third_again).await {
            let _ = world.replica.poster().tick().await;
        }
    })
    .await;
    assert!(posted(&world, &again).await && posted(&world, &third_again).await);
}

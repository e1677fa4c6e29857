//! A reward signer that is a contract and burns what it gets: the poster's loss has limits, and other
//! projects are posted.

use alloy::primitives::Address;
use alloy::providers::Provider as _;
use nodesys_chain::project::post_request;
use nodesys_core::message::{Message as _, RewardCommit, SignedCommit};
use nodesys_core::signature::WalletSignature;
use serde_json::json;
use sqlx::PgPool;

use crate::periodic::Periodic as _;
use crate::root::PostLimits;
use crate::tests::commit::run_day;
use crate::tests::support::{LIMITS, World};
use nodesys_testing::anvil::ask;
use nodesys_testing::chain::{DAY, QUOTA, bob, poster_key};

/// ERC-1271's yes to everything.
const SAYS_YES: &str = "7f1626ba7e00000000000000000000000000000000000000000000000000000000\
                        60005260206000f3";
const SIGNER: Address = Address::repeat_byte(0x5c);

/// Says yes where there is no price, as in an estimate, and else loops without end.
fn burns_by_price() -> String {
    // GASPRICE, PUSH1 45, JUMPI; the yes; 45: JUMPDEST, PUSH1 45, JUMP.
    format!("0x3a602d57{SAYS_YES}5b602d56")
}

async fn signer_is(world: &World, code: &str) {
    ask(&world.chain.provider, "anvil_setCode", json!([SIGNER, code])).await;
}

/// A row that posts the day of a project whose signer is a contract, before the real one's.
async fn costly(world: &World, project: Address, commit: &RewardCommit) {
    let signature = WalletSignature::new(vec![1; 65].into()).unwrap();
    let signed = SignedCommit { commit: commit.clone(), signature };
    let request = post_request(project, &signed);
    sqlx::query(
        "with c as (
            insert into reward_commit (project, day, revision, commit_hash, previous, root, total,
                data_hash, signature, day_reward, carry_in, carry_out, allocated, accepted_at)
            values ($1, $2, 0, $3, $3, $3, 0, $3, '', 0, 0, 0, 0, 0) returning commit_hash
        )
        insert into outbox (commit_hash, to_address, calldata, created_at)
        select commit_hash, $1, $4, 0 from c",
    )
    .bind(project.to_vec())
    .bind(i32::try_from(DAY.0).unwrap())
    .bind(commit.struct_hash().to_vec())
    .bind(request.input.input().unwrap().to_vec())
    .execute(&world.pool)
    .await
    .unwrap();
}

async fn sent(world: &World) -> u64 {
    let rpc = world.chain.provider.rpc();
    rpc.get_transaction_count(poster_key().address()).await.unwrap()
}

/// Of the costly row: how often it was parked, why, and what it has burned in all.
async fn row(world: &World, project: Address) -> (i32, Option<String>, i64) {
    sqlx::query_as(
        "select failures, last_error, coalesce((select sum(gas)::bigint from post_gas
             where project = $1), 0) from outbox where to_address = $1",
    )
    .bind(project.to_vec())
    .fetch_one(&world.pool)
    .await
    .unwrap()
}

/// The other project, and the real one's day, computed and not yet handed in.
async fn ready(pool: PgPool) -> (World, Address, RewardCommit) {
    let mut world = World::new(pool).await;
    let project = world.chain.project("costly", bob().address(), SIGNER).await;
    world.chain.fund_project(project, 5 * QUOTA).await;
    run_day(&mut world).await;
    let commit = world.computed(DAY).await.commit;
    (world, project, commit)
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_signer_that_burns_by_price_costs_nothing_and_stops_nobody(pool: PgPool) {
    let (world, project, commit) = ready(pool).await;
    costly(&world, project, &commit).await;
    signer_is(&world, &burns_by_price()).await;
    world.commit(DAY).await;
    for _ in 0..3 {
        let error = format!("{:#}", world.replica.poster().tick().await.unwrap_err());
        assert!(error.contains("refuses the post"), "{error}");
        world.go_without_chain(world.now().plus_millis(61_000)).await;
    }
    // The other's is sent; this one's is not, and says why.
    assert_eq!(sent(&world).await, 1);
    let (failures, reason, burned) = row(&world, project).await;
    assert_eq!((failures, burned), (0, 0));
    assert!(reason.unwrap().contains("InvalidSignature"));
    // It is posted once it can be.
    signer_is(&world, &format!("0x{SAYS_YES}")).await;
    world.replica.poster().tick().await.unwrap();
    assert_eq!(sent(&world).await, 2);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_post_that_takes_too_much_gas_is_parked_longer_each_time(pool: PgPool) {
    let (world, ..) = ready(pool).await;
    world.commit(DAY).await;
    let project = world.chain.distributor;
    let limits = PostLimits { gas: 60_000, ..LIMITS };
    let error = format!("{:#}", world.replica.poster_within(limits).tick().await.unwrap_err());
    assert!(error.contains("takes more than 60000 gas (--post-gas)"), "{error}");
    let (failures, reason, burned) = row(&world, project).await;
    assert_eq!((failures, burned, sent(&world).await), (1, 0, 0));
    assert!(reason.unwrap().contains("--post-gas"));
    // Not before its time.
    world.replica.poster_within(limits).tick().await.unwrap();
    assert_eq!(row(&world, project).await.0, 1);
    world.go_without_chain(world.now().plus_millis(61_000)).await;
    assert!(world.replica.poster_within(limits).tick().await.is_err());
    assert_eq!(row(&world, project).await.0, 2);
    world.go_without_chain(world.now().plus_millis(61_000)).await;
    world.replica.poster().tick().await.unwrap();
    assert_eq!(sent(&world).await, 0);
    world.go_without_chain(world.now().plus_millis(61_000)).await;
    world.replica.poster().tick().await.unwrap();
    assert_eq!(sent(&world).await, 1);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn what_failed_posts_burn_in_a_day_has_a_limit(pool: PgPool) {
    let (world, project, commit) = ready(pool).await;
    costly(&world, project, &commit).await;
    let limits = PostLimits { gas_per_day: 600_000, ..LIMITS };
    signer_is(&world, &format!("0x{SAYS_YES}")).await;
    // It says yes until the transaction is on its way.
    ask(&world.chain.provider, "evm_setAutomine", [false]).await;
    world.replica.poster_within(limits).tick().await.unwrap();
    signer_is(&world, &burns_by_price()).await;
    ask(&world.chain.provider, "evm_setAutomine", [true]).await;
    world.chain.finalize().await;
    assert_eq!(sent(&world).await, 1);
    let error = format!("{:#}", world.replica.poster_within(limits).tick().await.unwrap_err());
    assert!(error.contains("failed in a block and burned"), "{error}");
    let (failures, _, burned) = row(&world, project).await;
    assert!(failures == 1 && (100_001..=500_000).contains(&burned), "{burned}");

    // It says yes again, and has had its share of today.
    signer_is(&world, &format!("0x{SAYS_YES}")).await;
    world.go_without_chain(world.now().plus_millis(61_000)).await;
    let error = format!("{:#}", world.replica.poster_within(limits).tick().await.unwrap_err());
    assert!(error.contains("--post-gas-per-day"), "{error}");
    assert_eq!(sent(&world).await, 1);
    world.go_without_chain(world.now().day().end()).await;
    world.replica.poster_within(limits).tick().await.unwrap();
    assert_eq!(sent(&world).await, 2);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_price_over_the_limit_is_waited_out(pool: PgPool) {
    let (world, ..) = ready(pool).await;
    world.commit(DAY).await;
    let limits = PostLimits { fee_gwei: 0, ..LIMITS };
    let error = format!("{:#}", world.replica.poster_within(limits).tick().await.unwrap_err());
    assert!(error.contains("--post-fee-gwei"), "{error}");
    assert_eq!(sent(&world).await, 0);
    world.go_without_chain(world.now().plus_millis(61_000)).await;
    world.replica.poster().tick().await.unwrap();
    assert_eq!(sent(&world).await, 1);
}

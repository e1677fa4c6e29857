//! A collection whose logs contradict themselves, or its state: that license counts for nobody, the day is
//! paid to the others, and auditors find that it holds.

use alloy::network::TransactionBuilder as _;
use alloy::primitives::{Address, B256, keccak256};
use alloy::rpc::types::TransactionRequest;
use nodesys_core::B256 as Hash;
use nodesys_core::bundle::{Bundle, Format};
use nodesys_core::holders::Uncounted;
use nodesys_core::ids::Amount;
use nodesys_sdk::audit::{AuditRange, Verdict, audit_project};
use nodesys_sdk::bundles::{BundleSource, Places};
use nodesys_sdk::day::{DayBuilder, DayError};
use serde_json::json;
use sqlx::PgPool;

use crate::periodic::Periodic as _;
use crate::tests::commit::{builder, run_day};
use crate::tests::support::World;
use crate::tests::support::node::healthy;
use nodesys_testing::anvil::ask;
use nodesys_testing::chain::{DAY, QUOTA, alice, bob, owner};

/// Logs its call data: four topics.
const LOGS: &str = "0x60603560403560203560003560006000a400";

/// A `Transfer` log of the collection, behind which there is no transfer.
async fn logs_transfer(world: &World, from: Address, to: Address, token: u64) {
    let (chain, collection) = (&world.chain, world.chain.alpha);
    let code = chain.provider.code(collection).await.unwrap();
    ask(&chain.provider, "anvil_setCode", json!([collection.to_string(), LOGS])).await;
    let words = [
        keccak256("Transfer(address,address,uint256)"),
        from.into_word(),
        to.into_word(),
        B256::left_padding_from(&token.to_be_bytes()),
    ];
    let request = TransactionRequest::default().with_to(collection).with_input(words.concat());
    chain.send(owner().address(), request).await;
    let code = code.to_string();
    ask(&chain.provider, "anvil_setCode", json!([collection.to_string(), code])).await;
    chain.finalize().await;
}

/// Answers every call with one address, that of whoever the collection likes.
fn says(holder: Address) -> String {
    format!("0x73{}60005260206000f3", alloy::hex::encode(holder))
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_collection_that_lies_about_its_holders_moves_no_reward(pool: PgPool) {
    let mut world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let lease = world.lease(&node, &world.chain.a1()).await;
    node.beat(&world, &[healthy(&lease)]).await.unwrap();
    let carol = says(Address::repeat_byte(0xca));
    let alpha = world.chain.alpha.to_string();
    ask(&world.chain.provider, "anvil_setCode", json!([alpha, carol])).await;
    world.close_day(DAY).await;

    let alone = builder(&world);
    let refused = alone.build(DAY).await.unwrap_err();
    assert!(matches!(refused, DayError::HoldersDisagree { .. }), "{refused}");
    let built = DayBuilder { second_opinion: true, ..alone }.build(DAY).await.unwrap();
    let paid: Vec<Address> = built.rewards.iter().map(|row| row.account).collect();
    assert_eq!(paid, [alice().address()], "logs decide");
    assert_eq!(built.files["uncounted.csv"], b"license,reason\n");
    assert_eq!(world.computed(DAY).await.commit, built.commit);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_license_whose_logs_contradict_themselves_stops_no_payday(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (project, carol) = (world.chain.distributor, Address::repeat_byte(0xca));
    // Token 2 is bob's, and stays so; a log says that carol gave it away.
    logs_transfer(&world, carol, Address::repeat_byte(0xda), 2).await;
    run_day(&mut world).await;

    // One RPC might have lost the log that gave it to her: nobody signs by it alone.
    let alone = builder(&world);
    let refused = alone.build(DAY).await.unwrap_err();
    assert!(matches!(refused, DayError::HoldersDisagree { .. }), "{refused}");
    assert!(refused.to_string().contains("name a second RPC"), "{refused}");
    let owner = DayBuilder { second_opinion: true, ..alone };
    let built = owner.build(DAY).await.unwrap();
    assert_eq!(built.bundle.format, Format::Two);
    assert_eq!(built.files["uncounted.csv"], b"license,reason\n1,taken_from_another\n");
    let paid: Vec<(Address, Amount)> =
        built.rewards.iter().map(|row| (row.account, row.cumulative)).collect();
    assert_eq!(paid, [(alice().address(), Amount::new(QUOTA))], "the others share it all");

    // The backend comes to the same, and serves it.
    let checked = world.computed(DAY).await;
    assert_eq!(checked.commit, built.commit);
    world.client().commit(&world.signed(&built.commit)).await.unwrap();
    let license = world.client().license(world.chain.alpha, 2.try_into().unwrap()).await.unwrap();
    assert_eq!(license.uncounted, Some(Uncounted::TakenFromAnother));
    world.replica.poster().tick().await.unwrap();
    world.chain.finalize().await;

    let places: Places = BundleSource::Server(Box::new(world.client().clone())).into();
    let json = places.fresh().bundle_of(project, DAY, None::<Hash>).await.unwrap().1;
    assert_eq!(Bundle::parse(&json).unwrap(), built.bundle);
    let (provider, registry) = (&world.chain.provider, world.chain.registry);
    let range = AuditRange::default();
    let report = audit_project(provider, registry, project, &places, range).await.unwrap();
    assert_eq!(report.verdict, Verdict::Holds, "{report:#?}");
    assert_ne!(bob().address(), carol);
}

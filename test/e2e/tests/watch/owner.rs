//! The owner's commit over an RPC with pruned logs: nothing is built on it.

use nodesys_chain::Provider;
use nodesys_core::bundle::{Beneficiary, Terms};
use nodesys_core::files::{HolderRow, Row as _, UptimeRow, parse_file};
use nodesys_core::ids::Amount;
use nodesys_core::points::Rule;
use nodesys_devnet::rpc_proxy::{Fault, RpcProxy};
use nodesys_sdk::bundles::{BundleSource, Places};
use nodesys_sdk::client::Client;
use nodesys_sdk::day::{DayBuilder, DayError};

use crate::scenarios::Scenario;
use crate::world::FIRST_DAY;

#[tokio::test(flavor = "multi_thread")]
async fn a_pruned_rpc_is_found_out_before_anything_is_signed() {
    let world = Scenario::Honest.world().await.unwrap();
    let proxy = RpcProxy::start(world.chain.url.expose().as_str()).await.unwrap();
    let backend = Client::new("http://127.0.0.1:1").unwrap();
    let builder = DayBuilder {
        bundles: Places::from(BundleSource::Folder(world.store.clone())),
        backend,
        provider: Provider::connect(&proxy.url().parse().unwrap(), None).await.unwrap(),
        project: world.project.clone(),
        terms: Terms {
            day_reward: Amount::new(1),
            rule: Rule::default(),
            beneficiary: Beneficiary::Renter,
            excluded: Vec::new(),
        },
        finality_depth: 0,
        logs_from: 0,
        second_opinion: false,
    };
    let file = |name: &str| {
        world.store.file(world.distributor(), FIRST_DAY, name).unwrap().expect("it is published")
    };
    let rows = parse_file::<UptimeRow>(&file(UptimeRow::FILE)).unwrap();
    let published = parse_file::<HolderRow>(&file(HolderRow::FILE)).unwrap();
    let snapshot = builder.snapshot(FIRST_DAY).await.unwrap();
    assert_eq!(builder.holders(FIRST_DAY, &rows, snapshot).await.unwrap().rows, published);

    // Its logs begin after the mints, and old state is gone: by the logs nobody holds anything.
    let newest = world.chain.reader.latest_block().await.unwrap();
    proxy.set(Fault::Pruned { below: newest.number - 1 });
    let refused = builder.holders(FIRST_DAY, &rows, snapshot).await.unwrap_err();
    assert!(matches!(refused, DayError::HoldersDisagree { .. }), "{refused}");
    world.chain.stop().await.unwrap();
}

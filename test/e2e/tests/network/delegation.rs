//! delegate.xyz v2: delegates of holder and renter run licenses, until the delegation is revoked.

use nodesys_core::api::{LeaseState, LineResult};
use nodesys_core::message::Domain;
use nodesys_core::time::Timestamp;
use nodesys_devnet::Person;
use nodesys_devnet::deploy::{delegate, rent_out};
use nodesys_e2e::short_day::{A1, DAY};
use nodesys_e2e::{RawNode, ShortDay};

async fn node(day: &ShortDay, operator: &Person) -> RawNode {
    let domain: Domain = day.domain();
    let now = day.net.now().await;
    RawNode::new(&day.net.client(0).unwrap(), domain, &operator.key, now).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_holders_and_the_renters_delegates() {
    let day = ShortDay::start_with(2, |options| {
        options.start = Timestamp::from_secs(DAY.end().secs() - 3600);
    })
    .await;
    let license = day.license(A1);
    let (one, two) = (day.net.client(0).unwrap(), day.net.client(1).unwrap());
    let (people, chain) = (&day.net.people, &day.net.chain);
    let (alice, bob, carol) = (&people.alice, &people.bob, &people.carol);
    let mut carols = node(&day, carol).await;
    let refused = carols.ask(&one, license).await.unwrap_err();
    assert_eq!(refused.code(), Some("not_entitled"));

    // The holder's delegate.
    delegate(chain, alice, &license, carol.address(), true).await.unwrap();
    let lease = carols.ask(&one, license).await.unwrap();
    assert_eq!((lease.state, lease.fence.get()), (LeaseState::Active, 1));
    for _ in 0..3 {
        let receipt = carols.beat(&two, day.minute().await).await.unwrap();
        assert_eq!(receipt.results, [LineResult::Credited]);
        day.pass_minutes(1).await;
    }

    // Taken back in mid-day: the event ends the lease once its block is final.
    delegate(chain, alice, &license, carol.address(), false).await.unwrap();
    let receipt = carols.beat(&two, day.minute().await).await.unwrap();
    assert_eq!(receipt.results, [LineResult::Credited], "not final yet");
    day.pass_minutes(4).await;
    assert_eq!(one.lease(license.hash()).await.unwrap().state, LeaseState::Ended);
    let receipt = carols.beat(&two, day.minute().await).await.unwrap();
    assert_eq!(receipt.results, [LineResult::LeaseLost]);
    let refused = carols.ask(&two, license).await.unwrap_err();
    assert_eq!(refused.code(), Some("not_entitled"));

    // While a rental runs, the renter's delegate may, the holder's may not.
    delegate(chain, alice, &license, carol.address(), true).await.unwrap();
    let until = day.net.now().await.secs() + 6 * 60;
    rent_out(chain, alice, &license, bob.address(), until).await.unwrap();
    let refused = carols.ask(&one, license).await.unwrap_err();
    assert_eq!(refused.code(), Some("not_entitled"));
    delegate(chain, bob, &license, carol.address(), true).await.unwrap();
    let lease = carols.ask(&one, license).await.unwrap();
    assert_eq!((lease.state, lease.fence.get()), (LeaseState::Active, 2));
    delegate(chain, alice, &license, carol.address(), false).await.unwrap();
    for _ in 0..4 {
        let receipt = carols.beat(&one, day.minute().await).await.unwrap();
        assert_eq!(receipt.results, [LineResult::Credited]);
        day.pass_minutes(1).await;
    }
    // The rental runs out and takes the renter's delegate with it; there is no event, so it is
    // the quarter-hourly check that finds it.
    for _ in 0..18 {
        carols.beat(&one, day.minute().await).await.unwrap();
        day.pass_minutes(1).await;
    }
    assert_eq!(two.lease(license.hash()).await.unwrap().state, LeaseState::Ended);
    let receipt = carols.beat(&two, day.minute().await).await.unwrap();
    assert_eq!(receipt.results, [LineResult::LeaseLost]);
    // The holder runs it herself.
    let mut alices = node(&day, alice).await;
    assert_eq!(alices.ask(&two, license).await.unwrap().state, LeaseState::Active);
    day.net.stop().await.unwrap();
}

//! Takeover over two replicas: a node dies and another runs its license; a license is sold and
//! rented in mid-day; no minute is credited to two nodes.

use std::collections::BTreeSet;

use nodesys_core::api::{LeaseState, LineResult};
use nodesys_core::license::LicenseId;
use nodesys_core::message::Status;
use nodesys_core::time::Minute;
use nodesys_devnet::deploy::{rent_out, transfer};
use nodesys_e2e::short_day::{A1, DAY};
use nodesys_e2e::{RawNode, ShortDay};
use nodesys_sdk::client::Client;

/// A day with an hour left.
async fn long_day() -> ShortDay {
    ShortDay::start_with(2, |options| {
        options.start = nodesys_core::time::Timestamp::from_secs(DAY.end().secs() - 3600);
    })
    .await
}

async fn raw(day: &ShortDay, of_bob: bool) -> RawNode {
    let people = &day.net.people;
    let operator = if of_bob { &people.bob } else { &people.alice };
    let now = day.net.now().await;
    RawNode::new(&day.net.client(0).unwrap(), day.domain(), &operator.key, now).await
}

async fn holder(backend: &Client, license: &LicenseId) -> (LeaseState, nodesys_core::Address, u64) {
    let lease = backend.lease(license.hash()).await.unwrap();
    (lease.state, lease.node_key, lease.fence.get())
}

/// The closed day has every minute credited by a receipt, and no minute is credited to two nodes.
async fn assert_no_minute_twice(day: &ShortDay, license: &LicenseId, nodes: &[&RawNode]) {
    day.assert_receipts_kept(nodes).await;
    let mut seen: BTreeSet<Minute> = BTreeSet::new();
    for node in nodes {
        for minute in node.credited(license) {
            assert!(seen.insert(minute), "minute {} was credited to two nodes", minute.0);
        }
    }
    let of_day = seen.iter().filter(|minute| minute.day() == DAY).count();
    let bitmap = day.closed_bitmap(license).await;
    assert_eq!(usize::from(bitmap.count()), of_day, "bits without a receipt");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_dies_and_another_takes_over() {
    let mut day = long_day().await;
    let license = day.license(A1);
    let first = day.net.add_node(|people| &people.alice, &[A1]).await.unwrap();
    day.pass_minutes(2).await;
    let second = day.net.add_node(|people| &people.alice, &[A1]).await.unwrap();
    let client = day.net.client(1).unwrap();
    day.pass_minutes(6).await;
    let (old, new) = (day.net.nodes[first].node_key, day.net.nodes[second].node_key);
    assert_eq!(holder(&client, &license).await, (LeaseState::Active, old, 1));
    let waits = client.node(new).await.unwrap().leases;
    assert_eq!(waits.iter().map(|lease| lease.state).collect::<Vec<_>>(), [LeaseState::Standby]);

    day.net.nodes[first].kill().await.unwrap();
    let killed = day.net.now().await;
    loop {
        day.pass_minutes(1).await;
        let (state, node_key, fence) = holder(&client, &license).await;
        let passed = day.net.now().await.millis_since(killed) / 60_000;
        if node_key == new {
            assert_eq!((state, fence), (LeaseState::Active, 2));
            assert!((10..=11).contains(&passed), "after {passed} minutes");
            break;
        }
        assert!(passed < 11, "nobody has taken over");
    }
    // It learns of the lease at its next request, and runs the license alone.
    day.pass_minutes(4).await;
    let credited = async || {
        let (collection, token) = (license.collection, license.token_id);
        client.license_day(collection, token, DAY).await.unwrap()
    };
    let before = credited().await.minutes;

    // The old node comes back, is told, and stands by.
    let network = day.net.network.clone();
    day.net.nodes[first].start(&network).await.unwrap();
    day.pass_minutes(5).await;
    assert_eq!(holder(&client, &license).await, (LeaseState::Active, new, 2));
    let waits = client.node(old).await.unwrap().leases;
    assert_eq!(waits[0].state, LeaseState::Standby);
    let after = credited().await;
    assert_eq!(after.minutes, before + 5);
    // Six to eight minutes; then ten without a word, in which the lease is held, and up to three more.
    let dark = after.bitmap.runs();
    assert_eq!(dark.len(), 2, "{dark:?}");
    let gap = dark[1].0 - dark[0].1;
    assert!((10..=13).contains(&gap), "{dark:?}");
    day.net.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_heartbeat_at_the_other_replica_credits_nobody_twice() {
    let day = long_day().await;
    let license = day.license(A1);
    let (one, two) = (day.net.client(0).unwrap(), day.net.client(1).unwrap());
    let (mut old, mut new) = (raw(&day, false).await, raw(&day, false).await);
    old.ask(&one, license).await.unwrap();
    assert_eq!(old.beat(&one, day.minute().await).await.unwrap().accepted.credited, 1);
    // Silent from here on; the other asks at the other replica, each minute.
    let taken = loop {
        let lease = new.ask(&two, license).await.unwrap();
        if lease.state == LeaseState::Active {
            break lease;
        }
        day.pass_minutes(1).await;
    };
    assert_eq!(taken.fence.get(), 2);
    // In the very minute of the takeover and after it, the old node speaks at both replicas.
    for _ in 0..3 {
        let minute = day.minute().await;
        let late = old.sign(&one, minute).await.unwrap();
        let (first, new_beat, again) = {
            let fresh = new.sign(&two, minute).await.unwrap();
            let (a, b, c) =
                tokio::join!(one.heartbeat(&late), two.heartbeat(&fresh), two.heartbeat(&late));
            (a.unwrap(), b.unwrap(), c.unwrap())
        };
        for receipt in [&first, &again] {
            assert_eq!(receipt.results, [LineResult::LeaseLost]);
            assert_eq!(receipt.accepted.credited, 0);
        }
        assert!(new_beat.results[0] != LineResult::LeaseLost);
        // Kept, so that the day can be checked against it.
        let signed = new.sign(&two, minute).await.unwrap();
        new.send(&two, &signed).await.unwrap();
        day.pass_minutes(1).await;
    }
    assert_eq!(new.credited(&license).len(), 2, "all but the minute in which it changed hands");
    let back = old.ask(&one, license).await.unwrap();
    assert_eq!((back.state, back.fence.get()), (LeaseState::Standby, 2));
    day.close(&mut new).await;
    assert_no_minute_twice(&day, &license, &[&old, &new]).await;
    day.net.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sold_and_rented_in_mid_day() {
    let day = long_day().await;
    let license = day.license(A1);
    let (one, two) = (day.net.client(0).unwrap(), day.net.client(1).unwrap());
    let (mut alice, mut bob) = (raw(&day, false).await, raw(&day, true).await);
    alice.ask(&one, license).await.unwrap();
    alice.beat(&one, day.minute().await).await.unwrap();
    day.pass_minutes(1).await;

    // Rented: the renter's node takes over at once, whatever Alice's goes on saying.
    let until = day.net.now().await.secs() + 8 * 60;
    let (chain, people) = (&day.net.chain, &day.net.people);
    alice.beat(&one, day.minute().await).await.unwrap();
    rent_out(chain, &people.alice, &license, people.bob.address(), until).await.unwrap();
    let rented = bob.ask(&two, license).await.unwrap();
    assert_eq!((rented.state, rented.fence.get()), (LeaseState::Active, 2));
    let results = async |node: &mut RawNode, backend: &Client| {
        node.beat(backend, day.minute().await).await.unwrap().results
    };
    assert_eq!(results(&mut alice, &one).await, [LineResult::LeaseLost]);
    assert_eq!(results(&mut bob, &two).await, [LineResult::NewLease]);
    let refused = alice.ask(&one, license).await.unwrap_err();
    assert_eq!(refused.code(), Some("not_entitled"));
    for _ in 0..7 {
        day.pass_minutes(1).await;
        assert_eq!(results(&mut bob, &one).await, [LineResult::Credited]);
    }
    // The rental runs out without an event; Alice's node asks and pre-empts.
    day.pass_minutes(2).await;
    let back = alice.ask(&two, license).await.unwrap();
    assert_eq!((back.state, back.fence.get()), (LeaseState::Active, 3));
    assert_eq!(results(&mut bob, &one).await, [LineResult::LeaseLost]);
    day.pass_minutes(1).await;
    assert_eq!(results(&mut alice, &two).await, [LineResult::Credited]);

    // Given away: the lease ends by the event alone, though the node goes on.
    transfer(chain, &people.alice, &license, people.carol.address()).await.unwrap();
    day.pass_minutes(4).await;
    assert_eq!(holder(&one, &license).await.0, LeaseState::Ended);
    assert_eq!(results(&mut alice, &two).await, [LineResult::LeaseLost]);
    day.close(&mut alice).await;
    assert_no_minute_twice(&day, &license, &[&alice, &bob]).await;
    day.net.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sick_node_gives_way_to_a_healthy_one() {
    let day = long_day().await;
    let license = day.license(A1);
    let (one, two) = (day.net.client(0).unwrap(), day.net.client(1).unwrap());
    let (mut sick, mut fit) = (raw(&day, false).await, raw(&day, false).await);
    sick.ask(&one, license).await.unwrap();
    for minute in 0..24 {
        let signed = sick.sign_as(&one, day.minute().await, Status::Down).await.unwrap();
        let receipt = sick.send(&one, &signed).await.unwrap();
        let lost = receipt.results == [LineResult::LeaseLost];
        if minute < 12 {
            // Without a standby, it is not urgent.
            assert!(!lost, "minute {minute}");
        } else if fit.ask(&two, license).await.unwrap().state == LeaseState::Active {
            assert!((10..=12).contains(&(minute - 12)), "after {} minutes", minute - 12);
            let signed = sick.sign_as(&one, day.minute().await, Status::Down).await.unwrap();
            assert_eq!(sick.send(&one, &signed).await.unwrap().results, [LineResult::LeaseLost]);
            day.net.stop().await.unwrap();
            return;
        }
        day.pass_minutes(1).await;
    }
    panic!("the healthy node never got the lease");
}

//! The backend is killed at every moment that matters: each time exactly one post per epoch is on
//! chain, no acknowledged heartbeat is lost, and the closed files are those of a day without a
//! crash.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeMap;

use nodesys_contracts::project::{DistributorEvent, distributor_events};
use nodesys_core::bundle::Bundle;
use nodesys_core::time::Minute;
use nodesys_e2e::short_day::{A1, B1, DAY};
use nodesys_e2e::{RawNode, ShortDay};
use nodesys_sdk::client::Error;

/// How often the backend may crash before the test gives up on it: once.
const FAILPOINT: &str = "NODESYS_FAILPOINT";

/// Starts the backend again if it has ended, without the failpoint; true if it had.
async fn revive(day: &mut ShortDay) -> bool {
    if !day.net.backend_has_ended(0).unwrap() {
        return false;
    }
    day.net.backend_env.clear();
    day.net.start_backend(0).await.unwrap();
    true
}

/// The minute's heartbeat; the same bytes again when the backend died over it.
async fn beat(day: &mut ShortDay, node: &mut RawNode, minute: Minute) -> bool {
    let client = day.net.client(0).unwrap();
    let mut crashed = revive(day).await;
    let signed = match node.sign(&client, minute).await {
        Ok(signed) => signed,
        Err(_) => {
            day.net.backend_ends(0).await.unwrap();
            crashed |= revive(day).await;
            node.sign(&client, minute).await.unwrap()
        }
    };
    match node.send(&client, &signed).await {
        Ok(_) => crashed,
        Err(Error::Transport { .. }) => {
            day.net.backend_ends(0).await.unwrap();
            assert!(revive(day).await);
            node.send(&client, &signed).await.unwrap();
            true
        }
        Err(error) => panic!("{error}"),
    }
}

/// The day's files that follow from heartbeats, chain and rule: all but signatures and batches.
fn facts(day: &ShortDay) -> BTreeMap<String, Vec<u8>> {
    let mut files = day.published(DAY);
    let bundle = Bundle::parse(&files["bundle.json"]).unwrap();
    files.retain(|name, _| name.ends_with(".csv") || name == "tree.json");
    files.insert("root".to_owned(), bundle.root.to_vec());
    files.insert("excused".to_owned(), bundle.uptime.excused.as_bytes().to_vec());
    files
}

/// A short day, its commit and its post, with the backend dying at `failpoint`.
async fn live_through(failpoint: Option<&str>) -> BTreeMap<String, Vec<u8>> {
    let mut day = ShortDay::start(1).await;
    day.start_master().await;
    let mut node = day.node().await;
    let mut crashed = false;
    for i in 0..10 {
        if i == 3
            && let Some(name) = failpoint
        {
            // From here on it runs with the failpoint set.
            day.net.stop_backends().await.unwrap();
            day.net.backend_env.push((FAILPOINT, name.to_owned()));
            day.net.start_backend(0).await.unwrap();
        }
        let minute = day.minute().await;
        crashed |= beat(&mut day, &mut node, minute).await;
        day.pass_minutes(1).await;
    }
    // Close, commit, post and confirm take some minutes; the crash may come in any of them.
    let project = day.net.network.deployed.distributor;
    let mut confirmed = false;
    for _ in 0..30 {
        let minute = day.minute().await;
        crashed |= beat(&mut day, &mut node, minute).await;
        day.pass_minutes(1).await;
        crashed |= revive(&mut day).await;
        let view = day.net.client(0).unwrap().commit_of(project, DAY).await;
        confirmed = view.is_ok_and(|view| view.transaction.is_some());
        if confirmed {
            break;
        }
    }
    assert!(confirmed, "{failpoint:?}: the day is not posted");
    assert_eq!(crashed, failpoint.is_some(), "{failpoint:?} must be reached");
    day.assert_receipts_kept(&[&node]).await;
    for license in [A1, B1] {
        assert_eq!(day.closed_bitmap(&day.license(license)).await.count(), 10);
    }
    let newest = day.net.chain.reader.latest_block().await.unwrap().number;
    let events = distributor_events(&day.net.chain.reader, project, 0, newest).await.unwrap();
    let posts = events.iter().filter(|logged| matches!(logged.event, DistributorEvent::Posted(_)));
    assert_eq!(posts.count(), 1, "{failpoint:?}: one post on chain");
    let facts = facts(&day);
    day.net.stop().await.unwrap();
    facts
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_moment() {
    let undisturbed = live_through(None).await;
    for name in nodesys_backend::failpoint::NAMES {
        eprintln!("failpoint {name}");
        assert_eq!(live_through(Some(name)).await, undisturbed, "{name}");
    }
}

//! The backend is killed at every critical point: each time exactly one post per epoch is on chain,
//! no acknowledged heartbeat is lost, and the closed files equal those of a day without a crash.

use std::collections::BTreeMap;

use nodesys_chain::project::{DistributorEvent, distributor_events};
use nodesys_core::bundle::Bundle;
use nodesys_core::message::Message as _;
use nodesys_devnet::run;
use nodesys_e2e::short_day::{A1, B1, DAY};
use nodesys_e2e::{RawNode, ShortDay};
use nodesys_failpoint::{BACKEND, MASTER};
use nodesys_sdk::bundles::commit_of;
use nodesys_sdk::client::Error;

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

/// The minute's heartbeat; the same bytes again if the backend died.
async fn beat(day: &mut ShortDay, node: &mut RawNode) -> bool {
    let minute = day.minute().await;
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

/// Number of posts on chain.
async fn posts(day: &ShortDay) -> usize {
    let project = day.net.network.deployed.distributor;
    let newest = day.net.chain.reader.latest_block().await.unwrap().number;
    let events = distributor_events(&day.net.chain.reader, project, 0, newest).await.unwrap();
    events.iter().filter(|logged| matches!(logged.event, DistributorEvent::Posted(_))).count()
}

/// The day's deterministic files, from heartbeats, chain and rule: all but signatures and batches.
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
        crashed |= beat(&mut day, &mut node).await;
        day.pass_minutes(1).await;
    }
    // Close, commit, post and confirm take some minutes; the crash may come in any of them.
    let project = day.net.network.deployed.distributor;
    let mut confirmed = false;
    for _ in 0..30 {
        crashed |= beat(&mut day, &mut node).await;
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
    assert_eq!(posts(&day).await, 1, "{failpoint:?}: one post on chain");
    let facts = facts(&day);
    day.net.stop().await.unwrap();
    facts
}

async fn live_through_each(names: &[&str]) {
    let undisturbed = live_through(None).await;
    for name in names {
        eprintln!("failpoint {name}");
        assert_eq!(live_through(Some(name)).await, undisturbed, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_until_the_commit_is_taken() {
    live_through_each(&BACKEND[..6]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_until_the_post_is_confirmed() {
    live_through_each(&BACKEND[6..]).await;
}

/// The master dies around the signature: it submits exactly the commit it signed, once.
#[tokio::test(flavor = "multi_thread")]
async fn the_master_killed_around_the_signature() {
    for name in MASTER {
        eprintln!("failpoint {name}");
        let mut day = ShortDay::start(1).await;
        day.net.master_env.push((FAILPOINT, name.to_owned()));
        day.start_master().await;
        let mut node = day.node().await;
        for _ in 0..10 {
            beat(&mut day, &mut node).await;
            day.pass_minutes(1).await;
        }
        let project = day.net.network.deployed.distributor;
        let client = day.net.client(0).unwrap();
        let mut died = false;
        let mut posted = None;
        for _ in 0..30 {
            beat(&mut day, &mut node).await;
            day.pass_minutes(1).await;
            if !died && day.net.master_has_ended().unwrap() {
                died = true;
                day.net.master_env.clear();
                day.start_master().await;
            }
            posted = client.commit_of(project, DAY).await.ok().filter(|v| v.transaction.is_some());
            if posted.is_some() {
                break;
            }
        }
        assert!(died, "{name} must be reached");
        let posted = posted.unwrap();
        let published = day.published(DAY);
        let bundle = Bundle::parse(&published["bundle.json"]).unwrap();
        let commit = commit_of(&bundle, &published["bundle.json"]);
        assert_eq!(posted.commit_hash, commit.struct_hash(), "{name}: one commit, published");
        // Signing anything else for that epoch and revision is refused for good.
        let mut again = day.net.master_command(&["commit", "--day"]);
        again.arg(DAY.to_string());
        let said = run(again).await.unwrap();
        assert_eq!(said.code, Some(0), "{name}: the same commit again: {}", said.stderr);
        assert_eq!(posts(&day).await, 1, "{name}");
        day.net.stop().await.unwrap();
    }
}

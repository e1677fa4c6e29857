//! The reward signer's key is stolen, and a watch with the guardian's key is running.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy::eips::BlockNumberOrTag;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use nodesys_chain::bindings::RewardDistributor;
use nodesys_chain::project::state_of;
use nodesys_core::B256;
use nodesys_core::ids::Amount;
use nodesys_core::message::{Domain, RewardCommit};
use nodesys_core::tree::{Leaf, RewardTree};
use nodesys_core::webhook::{ID_HEADER, SIGNATURE_HEADER, Secret, TIMESTAMP_HEADER};
use nodesys_devnet::deploy::{TOKEN, wallet};
use nodesys_e2e::ShortDay;
use nodesys_e2e::short_day::DAY;
use nodesys_sdk::commit;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

type Heard = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// A webhook's receiver.
async fn receiver() -> (String, Heard) {
    let heard = Heard::default();
    let kept = heard.clone();
    let hear = move |headers: HeaderMap, body: Bytes| async move {
        kept.lock().unwrap().push((headers, body));
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let router = axum::Router::new().route("/hook", post(hear));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, heard)
}

/// The watch's events, as they come.
fn events(child: &mut Child) -> Arc<Mutex<Vec<Value>>> {
    let events = Arc::<Mutex<Vec<Value>>>::default();
    let (kept, stdout) = (events.clone(), child.stdout.take().unwrap());
    tokio::spawn(async move {
        let mut lines = BufReader::new(stdout).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            kept.lock().unwrap().push(serde_json::from_str(&line).unwrap());
        }
    });
    events
}

fn of_kind(events: &Mutex<Vec<Value>>, kind: &str) -> Vec<Value> {
    let events = events.lock().unwrap();
    events.iter().filter(|event| event["type"] == kind).cloned().collect()
}

/// The events of a kind, once there are some: another process writes them, in its own time.
async fn awaited(events: &Mutex<Vec<Value>>, kind: &str) -> Vec<Value> {
    const TRIES: u32 = 3_000;
    for _ in 0..TRIES {
        let found = of_kind(events, kind);
        if !found.is_empty() {
            return found;
        }
        tokio::task::yield_now().await;
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("no {kind}: {events:?}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_with_the_guardians_key_pulls_the_brake() {
    let day = ShortDay::start(1).await;
    let (chain, people) = (&day.net.chain, &day.net.people);
    let distributor = day.net.network.deployed.distributor;
    let mut node = day.node().await;
    day.close(&mut node).await;

    // Where the owner publishes; this day's bundle never comes.
    std::fs::create_dir_all(day.net.bundles()).unwrap();
    let (url, heard) = receiver().await;
    let secret = Secret::from_random(rand::random());
    let secret_file = day.net.path("hook.secret");
    std::fs::write(&secret_file, secret.expose().as_str()).unwrap();
    let arguments = ["audit", "--watch", "-o", "json", "--webhook", &url, "--webhook-secret-file"];
    let mut watch = day.net.nodesys(&people.carol, &arguments).unwrap();
    watch.arg(&secret_file).arg("--bundles").arg(day.net.bundles());
    watch.arg("--guardian-keystore").arg(&people.guardian.keystore);
    watch.arg("--guardian-password-file").arg(&people.guardian.password_file);
    // What it says beside its events is shown where the test fails.
    watch.stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
    let mut watch = watch.spawn().unwrap();
    let events = events(&mut watch);
    awaited(&events, "watch.alive").await;

    // The thief takes the largest amount that the quota lets through, for himself.
    let thief = people.bob.address();
    let loot = Amount::new(1_100 * TOKEN);
    let tree = RewardTree::build([Leaf { account: thief, cumulative: loot }]).unwrap();
    let forged = RewardCommit {
        epoch: DAY.epoch(),
        revision: 0,
        previous: B256::ZERO,
        root: tree.root(),
        total: loot,
        data_hash: B256::repeat_byte(0xbd),
    };
    let domain = Domain::new(31_337, distributor);
    let signed = commit::sign(&forged, &domain, &people.signer.key);
    let stolen = wallet(chain, &people.bob).await.unwrap();
    commit::post(&stolen, distributor, &signed, 0).await.unwrap();
    let state = state_of(&chain.reader, distributor, BlockNumberOrTag::Latest).await.unwrap();
    assert_eq!(state.total, loot);

    // No bundle is published. That is told at once; half the delay of ten minutes is waited.
    day.pass_minutes(4).await;
    let doubts = awaited(&events, "commit.doubtful").await;
    assert_eq!(doubts.len(), 1, "{events:?}");
    assert_eq!(doubts[0]["post"]["day"], DAY.to_string());
    assert!(of_kind(&events, "guardian.acted").is_empty(), "the owner may still publish");
    let mut minutes = 0;
    while of_kind(&events, "guardian.acted").is_empty() && minutes < 5 {
        day.pass_minutes(1).await;
        minutes += 1;
    }
    let acted = awaited(&events, "guardian.acted").await;
    assert_eq!((acted.len(), &acted[0]["steps"][0]["step"]), (1, &"pause".into()), "{events:?}");

    // The delay passes, and the root does not become active; nor can the thief post another day.
    day.pass_minutes(15).await;
    let bound = RewardDistributor::new(distributor, chain.reader.rpc());
    assert!(!bound.isActive(tree.root()).call().await.unwrap());
    assert!(bound.isPaused().call().await.unwrap());
    let next = RewardCommit { epoch: forged.epoch + 1, previous: state.head, ..forged };
    let signed = commit::sign(&next, &domain, &people.signer.key);
    let refused = commit::post(&stolen, distributor, &signed, 0).await.unwrap_err();
    let name = refused.revert().and_then(|revert| revert.name().map(str::to_owned));
    assert_eq!(name.as_deref(), Some("PostPaused"), "{refused}");
    assert!(watch.try_wait().unwrap().is_none(), "the watch goes on");
    watch.kill().await.unwrap();

    // The webhook was told of each once, in messages that only the watch can have signed.
    let heard = heard.lock().unwrap().clone();
    let header = |headers: &HeaderMap, name: &str| headers[name].to_str().unwrap().to_owned();
    let mut told = Vec::new();
    for (headers, body) in &heard {
        let timestamp = header(headers, TIMESTAMP_HEADER).parse().unwrap();
        let expected = secret.sign(&header(headers, ID_HEADER), timestamp, body);
        assert_eq!(header(headers, SIGNATURE_HEADER), expected);
        let event: Value = serde_json::from_slice(body).unwrap();
        told.push(event["type"].as_str().unwrap().to_owned());
    }
    for kind in ["commit.doubtful", "guardian.acted"] {
        assert_eq!(told.iter().filter(|one| *one == kind).count(), 1, "{told:?}");
    }
    drop(node);
    day.net.stop().await.unwrap();
}

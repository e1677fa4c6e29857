//! The reward signer's key is stolen, and a watcher with the guardian's key stands by.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use alloy::eips::BlockNumberOrTag;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use nodesys_contracts::bindings::RewardDistributor;
use nodesys_contracts::project::state_of;
use nodesys_core::B256;
use nodesys_core::ids::Amount;
use nodesys_core::message::{Domain, RewardCommit};
use nodesys_core::tree::{Leaf, RewardTree};
use nodesys_core::webhook::{ID_HEADER, SIGNATURE_HEADER, Secret, TIMESTAMP_HEADER};
use nodesys_devnet::deploy::{TOKEN, wallet};
use nodesys_e2e::ShortDay;
use nodesys_e2e::short_day::DAY;
use nodesys_sdk::commit;

type Heard = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// Somebody who wants to be told.
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

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_with_the_guardians_key_takes_it_back() {
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
    let mut watcher = day.net.nodesys(&people.carol, &arguments).unwrap();
    watcher.arg(&secret_file).arg("--bundles").arg(day.net.bundles());
    watcher.arg("--guardian-keystore").arg(&people.guardian.keystore);
    watcher.arg("--guardian-password-file").arg(&people.guardian.password_file);
    watcher.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let watcher = tokio::spawn(watcher.spawn().unwrap().wait_with_output());

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

    // No bundle is published. It is waited for, half the delay of ten minutes, and not longer.
    day.pass_minutes(4).await;
    if watcher.is_finished() {
        panic!("the owner may still publish: {:?}", watcher.await.unwrap().unwrap());
    }
    let mut minutes = 0;
    while !watcher.is_finished() && minutes < 5 {
        day.pass_minutes(1).await;
        minutes += 1;
    }
    let output = watcher.await.unwrap().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(8), "{words}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["day"], DAY.to_string());
    assert!(report["stopped"]["revoked"].is_string(), "{report}");
    assert!(report["stopped"]["disabled"].is_string(), "{report}");

    // The chain has taken it back, and the key signs nothing any more.
    let state = state_of(&chain.reader, distributor, BlockNumberOrTag::Latest).await.unwrap();
    assert_eq!((state.head, state.total), (B256::ZERO, Amount::ZERO));
    assert!(state.signer.is_zero());
    day.pass_minutes(15).await;
    let bound = RewardDistributor::new(distributor, chain.reader.rpc());
    assert!(!bound.isActive(tree.root()).call().await.unwrap());
    let again = RewardCommit { revision: state.revision, ..forged };
    let signed = commit::sign(&again, &domain, &people.signer.key);
    let refused = commit::post(&stolen, distributor, &signed, 0).await.unwrap_err();
    let name = refused.revert().and_then(|revert| revert.name().map(str::to_owned));
    assert_eq!(name.as_deref(), Some("SignerIsDisabled"), "{refused}");

    // The webhook was told once, in a message that only the watcher can have signed.
    let heard = heard.lock().unwrap().clone();
    let [(headers, body)] = heard.as_slice() else { panic!("{} messages", heard.len()) };
    let header = |name: &str| headers[name].to_str().unwrap();
    let timestamp = header(TIMESTAMP_HEADER).parse().unwrap();
    assert_eq!(header(SIGNATURE_HEADER), secret.sign(header(ID_HEADER), timestamp, body));
    let told: serde_json::Value = serde_json::from_slice(body).unwrap();
    assert_eq!((&told["type"], &told["day"]), (&"commit.differs".into(), &report["day"]));
    drop(node);
    day.net.stop().await.unwrap();
}

//! A node moves to another machine: `nodesys backup` on the old one, `nodesys restore` on the new
//! one. The old key loses all rights at once, and the new one runs the license.

use std::path::Path;

use nodesys_chain::keystore;
use nodesys_core::api::LeaseState;
use nodesys_core::message::{LeaseRequest, Signed};
use nodesys_core::signature::SigningKey;
use nodesys_e2e::ShortDay;
use nodesys_e2e::short_day::A1;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_node_takes_the_place_of_the_old_one() {
    let mut day = ShortDay::start(1).await;
    let license = day.license(A1);
    let first = day.net.add_node(|people| &people.alice, &[A1]).await.unwrap();
    day.pass_minutes(2).await;
    let (old, old_home) = (day.net.nodes[first].node_key, day.net.nodes[first].home.clone());
    let client = day.net.client(0).unwrap();
    assert_eq!(client.lease(license.hash()).await.unwrap().node_key, old);

    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let nodesys = async |home: &Path, words: &[&str]| {
        let output = day.net.network.nodesys(home, words).output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    nodesys(&old_home, &["backup", &path("node.backup")]).await;
    keystore::create(Path::new(&path("wallet.json")), &day.net.people.alice.key, "secret").unwrap();
    std::fs::write(path("password"), "secret").unwrap();
    let (backup, wallet, password) = (path("node.backup"), path("wallet.json"), path("password"));
    let restore = [
        "restore",
        &backup,
        "--yes",
        "--keystore",
        &wallet,
        "--password-file",
        &password,
        "-o",
        "json",
    ];
    let home = folder.path().join("home");
    let restored: Value = serde_json::from_str(&nodesys(&home, &restore).await).unwrap();
    assert_eq!(restored["moved"], true);
    let view = client.node(old).await.unwrap();
    assert!(view.revoked && view.leases.iter().all(|lease| lease.state != LeaseState::Active));

    // The old machine still runs, and gets nothing; the new key gets the lease at once.
    let key = std::fs::read_to_string(home.join("node.key")).unwrap();
    let key = SigningKey::from_hex(&key).unwrap();
    assert_eq!(restored["node_key"], serde_json::json!(key.address()));
    let view = client.node(key.address()).await.unwrap();
    assert_eq!(view.authorization.operator, day.net.people.alice.address());
    let nonce = day.net.now().await.millis();
    let request = LeaseRequest { node_key: key.address(), license: license.hash(), nonce };
    let lease = client.request_lease(&Signed::new(request, &day.domain(), &key)).await.unwrap();
    assert_eq!(
        (lease.state, lease.node_key, lease.fence.get()),
        (LeaseState::Active, key.address(), 2)
    );

    // The same again ends with the same.
    let again: Value = serde_json::from_str(&nodesys(&home, &restore).await).unwrap();
    assert_eq!((&again["moved"], &again["node_key"]), (&restored["moved"], &restored["node_key"]));
    day.net.stop().await.unwrap();
}

//! A network is started, and a project recorded in its registry, by commands alone.

use nodesys_chain::bindings::{DevToken, ProjectRegistry};
use nodesys_core::Address;
use nodesys_core::signature::SigningKey;
use serde_json::{Value, json};

use crate::{OTHER, Stage, text};

/// A network from nothing, by commands alone: registry, receipt key, project, workload, release key.
#[tokio::test]
async fn a_network_is_started_on_a_new_chain() {
    let stage = Stage::start().await;
    let file = stage.write("registry.json", &json!({ "operator": stage.owner }));
    let create = ["registry", "create", "--params", text(&file)];
    let first = stage.run(&create);
    let registry = Stage::address(&first).to_string();
    assert!(first["transaction"].is_string());
    let nonce = stage.nonce().await;
    // Whoever runs it again finds it.
    assert_eq!(stage.run_as("other", &create)["transaction"], Value::Null);
    assert_eq!(stage.run(&create)["address"], first["address"]);
    assert_eq!(stage.nonce().await, nonce);
    let record = std::fs::read(stage.path("deployments/31337.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    let entry = &record["contracts"][0];
    assert_eq!(entry["contract"], "contracts/src/ProjectRegistry.sol:ProjectRegistry");
    assert!(stage.path("deployments/ProjectRegistry.standard-input.json").exists());

    let at = ["--registry", &registry];
    assert_eq!(
        stage.run(&[&["registry", "show"], &at[..]].concat())["operator"],
        json!(stage.owner)
    );
    let key = Address::repeat_byte(7).to_string();
    let record = ["registry", "receipt-key", "--key", &key];
    let record = [&record[..], &at].concat();
    let printed = stage.run(&[&record[..], &["--calldata"]].concat());
    assert_eq!(printed["transactions"][0]["to"], first["address"]);
    let words = String::from_utf8(stage.output("other", &record).stderr).unwrap();
    assert!(words.contains("NotNetworkOperator"), "{words}");
    assert!(stage.run(&record)["transaction"].is_string());
    assert_eq!(stage.run(&record)["transaction"], Value::Null);
    let bound = ProjectRegistry::new(Stage::address(&first), stage.provider.rpc());
    let known = bound.receiptKeyOf(Address::ZERO, Address::repeat_byte(7)).call().await.unwrap();
    assert!(known.validFrom > 0 && known.validUntil == u64::MAX, "{known:?}");
    let past = [&record[..], &["--from", "2020-01-01"]].concat();
    assert!(stage.refused(&past).contains("no key becomes valid for a time that has passed"));
    let backwards = [&record[..], &["--from", "2090-01-02", "--until", "2090-01-01"]].concat();
    assert!(stage.refused(&backwards).contains("is not after --from"));
    stage.pass(1).await;
    assert!(stage.run(&[&record[..], &["--end"]].concat())["transaction"].is_string());
    assert_eq!(stage.run(&[&record[..], &["--end"]].concat())["transaction"], Value::Null);
    // A key that has not begun is taken back too.
    let later = Address::repeat_byte(8);
    let record = ["registry", "receipt-key", "--key", &later.to_string(), "--registry", &registry];
    stage.run(&[&record[..], &["--from", "2090-01-01"]].concat());
    let ended = stage.run(&[&record[..], &["--end"]].concat());
    assert!(ended["what"].as_str().unwrap().ends_with("for its first minute alone"), "{ended}");
    assert_eq!(stage.run(&[&record[..], &["--end"]].concat())["transaction"], Value::Null);
    let known = bound.receiptKeyOf(Address::ZERO, later).call().await.unwrap();
    assert_eq!(known.validUntil, known.validFrom + 60);

    let guardian = Address::repeat_byte(9).to_string();
    let appoint = [&["registry", "guardian", &guardian], &at[..]].concat();
    assert!(stage.run(&appoint)["transaction"].is_string());
    assert_eq!(stage.run(&appoint)["transaction"], Value::Null);
    let network_file = |first_block: &str| {
        json!({
            "format": "nodesys-network-1", "name": "net", "chain_id": "31337", "registry": registry,
            "first_block": first_block, "backends": ["https://backend.example/"],
        })
    };
    for (bad, part) in [
        (json!("1"), "is not a network file"),
        (
            {
                let mut other = network_file("1");
                other["chain_id"] = json!("1");
                other
            },
            "is of the network eip155:1:",
        ),
    ] {
        let file = stage.write("bad.json", &bad);
        let file = ["registry", "network-file", "--file", self::text(&file), "--uri", "ipfs://net"];
        let words = stage.refused(&[&file[..], &at].concat());
        assert!(words.contains(part), "{words}");
    }
    for (first_block, from) in [("1", "at once"), ("2", "7 days from now")] {
        let file = stage.write("network.json", &network_file(first_block));
        let file = ["registry", "network-file", "--file", self::text(&file), "--uri", "ipfs://net"];
        let file = [&file[..], &at].concat();
        let told = stage.run(&file);
        assert!(told["what"].as_str().unwrap().ends_with(from), "{told}");
        assert_eq!(stage.run(&file)["transaction"], Value::Null);
    }
    let shown = stage.run(&[&["registry", "show"], &at[..]].concat());
    assert_eq!(shown["guardian"], json!(guardian));
    assert_ne!(shown["file"]["hash"], shown["waiting_file"]["hash"]);
    let cancel = [&["registry", "cancel-network-file"], &at[..]].concat();
    assert!(stage.run(&cancel)["transaction"].is_string());
    assert_eq!(stage.run(&cancel)["transaction"], Value::Null);

    let (rpc, name) = (stage.provider.rpc(), "Reward".to_owned());
    let token = DevToken::deploy_builder(rpc, name, "RWD".to_owned(), stage.owner);
    let token = stage.deploy(token.into_transaction_request()).await;
    let params = json!({
        "name": "acme", "token": token, "signer": stage.owner,
        "daily_quota": "1000", "delay_secs": 3600,
    });
    let file = stage.write("project.json", &params);
    stage.run(&[&["project", "create", "--params", text(&file)], &at[..]].concat());
    let named = [&at[..], &["--project", "acme"]].concat();

    // A collection of the owner's, and one of somebody else's, who consents first.
    let own = stage.license_file("license.json", Address::ZERO);
    let own =
        Stage::address(&stage.run(&["license", "create", "--params", text(&own)])).to_string();
    let list = |name, collection| {
        [&["project", "list-workload", name, "--collection", collection], &named[..]].concat()
    };
    assert!(stage.run(&list("render", &own))["transaction"].is_string());
    assert_eq!(stage.run(&list("render", &own))["transaction"], Value::Null);
    let other = SigningKey::from_hex(OTHER).unwrap().address();
    let file = json!({ "name": "Other", "symbol": "OTH", "owner": other });
    let file = stage.write("other.json", &file);
    let theirs = stage.run(&["license", "create", "--params", text(&file)]);
    let theirs = Stage::address(&theirs).to_string();
    assert!(stage.refused(&list("render", &theirs)).contains("choose another name"));
    assert!(stage.refused(&list("store", &theirs)).contains("has to consent first"));
    let consent = ["license", "consent", "--collection", &theirs, "--workload", "store"];
    let consent = [&consent[..], &named[..]].concat();
    assert!(stage.refused(&consent).contains("NotCollectionOwner"));
    assert!(stage.run_as("other", &consent)["transaction"].is_string());
    assert_eq!(stage.run_as("other", &consent)["transaction"], Value::Null);
    // The consent is withdrawn, and given again.
    let withdraw = [&consent[..], &["--withdraw"]].concat();
    assert!(stage.run_as("other", &withdraw)["transaction"].is_string());
    assert_eq!(stage.run_as("other", &withdraw)["transaction"], Value::Null);
    assert!(stage.refused(&list("store", &theirs)).contains("has to consent first"));
    assert!(stage.run_as("other", &consent)["transaction"].is_string());
    assert!(stage.run(&list("store", &theirs))["transaction"].is_string());
    // Its owner alone delists it; it is told when that ends, and nothing is sent twice.
    let delist = [&["license", "delist", "--collection", &theirs], &at[..]].concat();
    assert!(stage.refused(&delist).contains("NotCollectionOwner"));
    let told = stage.run_as("other", &delist);
    assert!(told["transaction"].is_string(), "{told}");
    let what = told["what"].as_str().unwrap();
    assert!(what.contains("is listed through"), "{what}");
    let again = stage.run_as("other", &delist);
    assert_eq!(again["transaction"], Value::Null);
    let shown = stage.run(&[&["project", "show"], &named[..]].concat());
    let ends: Vec<bool> = shown["listings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|listing| listing["until"].is_string())
        .collect();
    assert_eq!(ends, [false, true], "{shown}");
    let until = shown["listings"][1]["until"].as_str().unwrap();
    assert!(again["what"].as_str().unwrap().ends_with(until), "{again}");
    // The registry is a contract, and has no owner().
    assert!(stage.refused(&list("other", &registry)).contains("names no owner"));

    let release = |key, more: &[&'static str]| {
        let arguments: Vec<&str> = [&["release", "key", key], more, &named[..]].concat();
        arguments
    };
    let mine = stage.owner.to_string();
    assert!(stage.refused(&release(&mine, &["--delay", "3600"])).contains("the owner's key"));
    assert!(stage.refused(&release(&key, &[])).contains("--delay is needed"));
    assert!(stage.run(&release(&key, &["--delay", "86400"]))["transaction"].is_string());
    assert_eq!(stage.run(&release(&key, &["--delay", "86400"]))["transaction"], Value::Null);

    // After its first announcement, a new key waits seven days; the delay plays no role.
    let announcer = other.to_string();
    assert!(stage.run(&release(&announcer, &["--delay", "86400"]))["transaction"].is_string());
    let tombstone = ["release", "tombstone", "render", "--version", "1"];
    stage.run_as("other", &[&tombstone[..], &named].concat());
    let queued = stage.run(&release(&key, &[]));
    assert!(queued["what"].as_str().unwrap().ends_with("seven days from now"), "{queued}");
    assert!(queued["transaction"].is_string());
    let again = stage.run(&release(&key, &["--delay", "86400"]));
    assert!(again["what"].as_str().unwrap().ends_with(" on"), "{again}");
    assert_eq!(again["transaction"], Value::Null);
    let refused = stage.refused(&release(&key, &["--delay", "90000"]));
    assert!(refused.contains("is not set together with the key"), "{refused}");
    let in_force = async || {
        let show = ["release", "show", "render"];
        stage.run(&[&show[..], &named].concat())["release_key"].clone()
    };
    stage.pass(7 * 86_400 - 60).await;
    assert_eq!(in_force().await, json!(other));
    stage.pass(120).await;
    assert_eq!(in_force().await, json!(key));
    let done = stage.run(&release(&key, &[]));
    assert!(done["what"].as_str().unwrap().ends_with(&format!("release key of acme is {key}")));
    assert_eq!(done["transaction"], Value::Null);
}

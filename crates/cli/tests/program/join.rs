//! A network is joined by the hash that its registry announces, on a real anvil, through the program itself.

use alloy::primitives::keccak256;
use nodesys_chain::bindings::ProjectRegistry;
use nodesys_testing::anvil::CHAIN_ID;
use nodesys_testing::chain::{Chain, owner};
use serde_json::{Value, json};

use crate::home::Home;

const IMAGE: &str = "registry.example/manager@sha256:";
const WEEK_SECS: u64 = 7 * 86_400;

fn network(chain: &Chain, change: impl FnOnce(&mut Value)) -> String {
    let mut value = json!({
        "format": "nodesys-network-1", "name": "acme", "chain_id": CHAIN_ID.to_string(),
        "registry": chain.registry, "first_block": "1", "backends": ["https://b.example/"],
        "manager_image": format!("{IMAGE}{}", "ab".repeat(32)),
    });
    change(&mut value);
    value.to_string()
}

async fn announce(chain: &Chain, text: &str, uri: &str) {
    let registry = ProjectRegistry::new(chain.registry, chain.provider.rpc());
    let call = registry.setNetworkFile(keccak256(text), uri.to_owned());
    chain.send(owner().address(), call.into_transaction_request()).await;
}

#[tokio::test]
async fn a_network_is_joined_by_its_hash_and_followed_by_the_operators_yes() {
    let chain = Chain::start().await;
    let id = format!("eip155:{CHAIN_ID}:{}", chain.registry);
    let first = network(&chain, |_| ());
    let home = Home::new();
    let rpc = format!("--rpc {}", chain.anvil.url);
    let join = |more: &str| home.run(&format!("join {more}"));

    // Nothing is known yet, and everything that is missing is named.
    join("").fails(2, "which network?");
    join(&id).fails(2, "--rpc is missing");
    join(&format!("acme {rpc}")).fails(2, "expected eip155:");
    join(&format!("eip155:1:{} {rpc}", chain.registry)).fails(2, "is on chain 31337");
    let nobody = "0x00000000000000000000000000000000000000aa";
    join(&format!("eip155:{CHAIN_ID}:{nobody} {rpc}")).fails(3, "no contract at");
    join(&format!("{id} {rpc}")).fails(3, "announces no network file");
    let started = format!(
        "start --driver existing --kubeconfig x --manager-image {IMAGE}{}",
        "ab".repeat(32)
    );
    home.run(&started).fails(2, "settings are missing: chain_id, registry, backend, rpc");

    // The announced bytes are taken from wherever they are, and no others.
    announce(&chain, &first, "https://127.0.0.1:9/network.json").await;
    home.write(
        "altered.json",
        &network(&chain, |it| it["backends"] = json!(["https://e.example/"])),
    );
    join(&format!("{id} {rpc} --from altered.json --yes")).fails(7, "other bytes");
    assert!(!home.path("network.json").exists() && !home.path("config.json").exists());
    home.write("mirror.json", &first);
    let from = "--from altered.json --from mirror.json";
    join(&format!("{id} {rpc} {from}")).fails(2, "give --yes");
    let shown = join(&format!("{id} {rpc} {from} --dry-run -o json")).json(0);
    assert_eq!((&shown["done"], &shown["changes"]), (&json!(false), &Value::Null), "{shown}");
    assert!(!home.path("network.json").exists() && !home.path("config.json").exists());
    let joined = join(&format!("{id} {rpc} {from} --yes")).expect(0);
    assert!(joined.contains("written: chain_id, registry, first_block, backend, rpc"), "{joined}");
    assert_eq!(home.read("network.json"), first);
    assert_eq!(home.run("config get backend").expect(0).trim(), "https://b.example/");
    assert_eq!(home.run("config get chain_id").expect(0).trim(), CHAIN_ID.to_string());

    // Safe to re-run, without a question, and for one network only.
    let again = join("-o json").json(0);
    assert_eq!((&again["changes"], &again["written"]), (&json!([]), &json!([])), "{again}");
    join(&format!("eip155:{CHAIN_ID}:{nobody}")).fails(2, "belongs to the network");

    // A URL has waited, and is taken; what runs here needs a yes.
    let moved = network(&chain, |it| it["backends"] = json!(["https://c.example/"]));
    announce(&chain, &moved, "ipfs://moved").await;
    home.write("moved.json", &moved);
    let waits = join("").expect(0);
    assert!(waits.contains("waiting") && waits.contains("ipfs://moved"), "{waits}");
    chain.pass(WEEK_SECS + 1).await;
    join("").fails(7, "is not fetched here");
    let doctor = home.run("doctor -o json").stdout;
    assert!(doctor.contains("is not fetched here"), "{doctor}");
    let taken = join("--from moved.json -o json").json(0);
    assert_eq!(taken["changes"][0]["what"], "backends", "{taken}");
    assert_eq!(home.run("config get backend").expect(0).trim(), "https://c.example/");

    let image = format!("{IMAGE}{}", "cd".repeat(32));
    let other = network(&chain, |it| {
        it["backends"] = json!(["https://c.example/"]);
        it["manager_image"] = json!(image);
    });
    announce(&chain, &other, "ipfs://other").await;
    home.write("other.json", &other);
    chain.pass(WEEK_SECS + 1).await;
    join("--from other.json").fails(2, "give --yes");
    assert_eq!(home.read("network.json"), moved);
    assert!(join("--from other.json --yes").expect(0).contains(&image));

    // A choice of the operator's own stays.
    home.run("config set backend https://own.example/").expect(0);
    let kept = join("-o json").json(0);
    let doctor = home.run("doctor").stdout;
    assert!(doctor.contains("acme, as announced"), "{doctor}");
    assert_eq!(kept["kept"], json!(["backend"]), "{kept}");
}

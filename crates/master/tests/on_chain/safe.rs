//! An owner who is a Safe: what the commands prepare is sent by the Safe's address as it stands in the
//! batch file, and then the same commands find it done.

use alloy::primitives::{Bytes, U256};
use alloy::providers::{PendingTransactionBuilder, Provider as _};
use alloy::rpc::types::TransactionRequest;
use nodesys_chain::bindings::{DevToken, ProjectRegistry};
use nodesys_core::Address;
use serde_json::{Value, json};

use super::{Stage, text};

const SAFE: Address = Address::repeat_byte(0x5a);

/// Runs a command for the Safe, and returns what it prints.
fn prepare(stage: &Stage, command: &[&str], options: &[&str]) -> Value {
    let safe = SAFE.to_string();
    stage.run(&[command, &["--sender", &safe], options].concat())
}

/// Runs a command for the Safe, and sends what the batch file has as the Safe does.
async fn send_batch(stage: &Stage, command: &[&str], count: usize) {
    let path = stage.path("batch.json");
    let printed = prepare(stage, command, &["--safe-batch", text(&path)]);
    let batch: Value =
        serde_json::from_slice(&std::fs::read(&path).expect("a batch")).expect("JSON");
    std::fs::remove_file(&path).expect("removed");
    assert_eq!((&batch["version"], &batch["chainId"]), (&json!("1.0"), &json!("31337")));
    assert_eq!(batch["meta"]["createdFromSafeAddress"], json!(SAFE.to_string()));
    let calls = batch["transactions"].as_array().expect("a list");
    assert_eq!(calls.len(), count, "{printed}");
    let rpc = stage.provider.rpc();
    for (call, printed) in calls.iter().zip(printed["transactions"].as_array().expect("a list")) {
        assert_eq!(call["value"], "0");
        let data: Bytes = serde_json::from_value(call["data"].clone()).expect("bytes");
        let to: Address = call["to"].as_str().and_then(|to| to.parse().ok()).expect("an address");
        assert_eq!((&printed["to"], &printed["data"]), (&json!(to), &json!(data)));
        let request = json!({ "from": SAFE, "to": to, "data": data, "gas": "0x1c9c380" });
        let hash = rpc.raw_request("eth_sendTransaction".into(), (request,)).await.expect("sent");
        let waiting = PendingTransactionBuilder::new(rpc.root().clone(), hash);
        assert!(waiting.get_receipt().await.expect("mined").status(), "{printed}");
    }
}

/// The same; returns what the same command says then, when there is nothing left to send.
async fn carry_out(stage: &Stage, command: &[&str], count: usize) -> Value {
    send_batch(stage, command, count).await;
    let path = stage.path("batch.json");
    let done = prepare(stage, command, &["--safe-batch", text(&path)]);
    assert!(done["transactions"].as_array().is_none_or(Vec::is_empty), "{done}");
    assert!(!path.exists(), "a batch of nothing");
    done
}

#[tokio::test]
async fn a_safe_owns_a_project_from_its_creation_on() {
    let stage = Stage::start().await;
    let rpc = stage.provider.rpc();
    let _: Value = rpc.raw_request("anvil_impersonateAccount".into(), (SAFE,)).await.unwrap();
    let balance = U256::from(10).pow(U256::from(20));
    let _: Value = rpc.raw_request("anvil_setBalance".into(), (SAFE, balance)).await.unwrap();
    let builder = ProjectRegistry::deploy_builder(rpc, stage.owner);
    let registry = stage.deploy(builder.into_transaction_request()).await.to_string();
    let (name, symbol) = ("Reward".to_owned(), "RWD".to_owned());
    let builder = DevToken::deploy_builder(rpc, name, symbol, stage.owner);
    let token = stage.deploy(builder.into_transaction_request()).await;
    let mint: TransactionRequest =
        DevToken::new(token, rpc).mint(SAFE, U256::from(5000)).into_transaction_request();
    stage.provider.send("minting", mint).await.unwrap();

    // The address is the creator's own, so it has to be known.
    let params = json!({
        "name": "acme", "token": token, "signer": stage.owner, "daily_quota": "1000", "delay_secs": 0,
    });
    let file = stage.write("project.json", &params);
    let at = ["--registry", &registry];
    let create = [&["project", "create", "--params", text(&file)], &at[..]].concat();
    let words = stage.refused(&[&create[..], &["--calldata"]].concat());
    assert!(words.contains("--sender is missing"), "{words}");
    let words = stage.refused(&[&create[..], &["--sender", &SAFE.to_string()]].concat());
    assert!(words.contains("give --calldata or --safe-batch too"), "{words}");
    // Calldata for a wallet that sends one after the other; a Safe sends a file at once, so the creation is in
    // one of its own.
    let printed = prepare(&stage, &create, &["--calldata"]);
    assert_eq!(printed["transactions"].as_array().unwrap().len(), 2, "{printed}");
    assert!(printed["notes"][0].as_str().unwrap().contains("five minutes"), "{printed}");
    send_batch(&stage, &create, 1).await;
    let project = carry_out(&stage, &create, 1).await;
    assert!(stage.path("deployments/31337.json").exists());
    let at = [&at[..], &["--project", "acme"]].concat();
    let show = [&["project", "show"], &at[..]].concat();
    let shown = stage.run(&show);
    assert_eq!((&shown["project"], &shown["owner"]), (&project["address"], &json!(SAFE)));

    let file = stage.write(
        "license.json",
        &json!({ "name": "Acme Node", "symbol": "ACME", "owner": SAFE, "max_supply": 2000 }),
    );
    let made = carry_out(&stage, &["license", "create", "--params", text(&file)], 1).await;
    let collection = made["address"].as_str().unwrap();
    let list = ["project", "list-workload", "render", "--collection", collection];
    carry_out(&stage, &[&list[..], &at].concat(), 1).await;

    // The sale and its right to mint: the second call has the address of the first one's contract.
    let params = json!({
        "collection": collection, "owner": SAFE, "starts_at": 0, "ends_at": 4_000_000_000_u64,
        "tiers": [{"price": "100", "count": 2}],
    });
    let file = stage.write("sale.json", &params);
    let sale = carry_out(&stage, &["sale", "create", "--params", text(&file)], 2).await;
    let sale = sale["address"].as_str().unwrap();
    assert_eq!(stage.run(&["sale", "show", "--sale", sale])["is_minter"], true);

    carry_out(&stage, &[&["project", "fund", "--up-to", "3000"], &at[..]].concat(), 1).await;
    assert_eq!(stage.run(&show)["balance"], "3000");
    let more = [&["project", "fund", "--up-to", "9000", "--calldata"], &at[..]].concat();
    let words = stage.refused(&[&more[..], &["--sender", &SAFE.to_string()]].concat());
    assert!(words.contains("has only 2000"), "{words}");

    // What the contract refuses is told before anybody signs.
    let pause = [&["project", "now", "--pause"], &at[..]].concat();
    let stranger = Address::repeat_byte(9).to_string();
    let words = stage.refused(&[&pause[..], &["--calldata", "--sender", &stranger]].concat());
    assert!(words.contains("OwnerOrGuardian"), "{words}");

    // To another owner, who has a key here.
    let owner = stage.owner.to_string();
    let accept = [&["project", "accept"], &at[..]].concat();
    let words = stage.refused(&accept);
    assert!(words.contains("is offered to nobody"), "{words}");
    carry_out(&stage, &[&["project", "transfer", "--to", &owner], &at[..]].concat(), 1).await;
    assert!(stage.run(&accept)["transaction"].is_string());
    assert_eq!(stage.run(&accept)["transaction"], Value::Null);
    assert_eq!(stage.run(&show)["owner"], json!(stage.owner));
}

#[tokio::test]
async fn a_safe_mints_in_the_order_of_its_batch() {
    let stage = Stage::start().await;
    let rpc = stage.provider.rpc();
    let _: Value = rpc.raw_request("anvil_impersonateAccount".into(), (SAFE,)).await.unwrap();
    let balance = U256::from(10).pow(U256::from(20));
    let _: Value = rpc.raw_request("anvil_setBalance".into(), (SAFE, balance)).await.unwrap();
    let file = stage.license_file("license.json", SAFE);
    let made = stage.run(&["license", "create", "--params", text(&file)]);
    let (collection, holder) = (made["address"].as_str().unwrap(), stage.owner.to_string());
    let mint = ["license", "mint", "--collection", collection, "--to", &holder];
    let mint = [&mint[..], &["--first", "1", "--count", "1500"]].concat();
    assert_eq!(carry_out(&stage, &mint, 2).await["already"], 1500);
}

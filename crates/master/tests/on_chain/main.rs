//! `project`, `license` and `sale` of the real program against a real anvil: each command twice, since
//! each has to be safe to repeat.

mod docs;
mod network;
mod safe;
mod terms;
mod waiting;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use alloy::eips::BlockId;
use alloy::network::TransactionBuilder as _;
use alloy::primitives::{Bytes, keccak256};
use alloy::providers::Provider as _;
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::SolCall as _;
use nodesys_chain::bindings::LicenseSale::{Order, buyCall};
use nodesys_chain::bindings::{DevToken, NodeLicense, ProjectRegistry};
use nodesys_chain::deterministic::DEPLOYMENT_PROXY;
use nodesys_chain::{Provider, RpcUrl, keystore};
use nodesys_core::signature::SigningKey;
use nodesys_core::{Address, U256};
use nodesys_testing::anvil::{Anvil, CHAIN_ID, funded};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The second of anvil's funded accounts ("test test test ... junk").
const OTHER: &str = "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";

struct Stage {
    _anvil: Anvil,
    url: RpcUrl,
    chain_id: u64,
    folder: TempDir,
    owner: Address,
    provider: Provider,
    /// Settings in the environment.
    settings: Vec<(&'static str, String)>,
}

impl Stage {
    async fn start() -> Self {
        Self::on(Anvil::start(&[])).await
    }

    async fn on(anvil: Anvil) -> Self {
        Self::on_chain(anvil, CHAIN_ID).await
    }

    async fn on_chain(anvil: Anvil, chain_id: u64) -> Self {
        let url = anvil.url.clone();
        let folder = tempfile::tempdir().expect("a folder");
        let other = SigningKey::from_hex(OTHER).expect("a key");
        for (name, key) in [("owner", funded()), ("other", other)] {
            keystore::create(&folder.path().join(name), &key, "secret").expect("a keystore");
        }
        std::fs::write(folder.path().join("password"), "secret\n").expect("a password");
        let key = funded();
        let provider = Provider::connect_with_key(&url, Some(chain_id), &key).await;
        let provider = provider.expect("it answers");
        let (owner, settings) = (funded().address(), Vec::new());
        Self { _anvil: anvil, url, chain_id, folder, owner, provider, settings }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, value: &Value) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, value.to_string()).expect("a parameter file");
        path
    }

    fn output(&self, who: &str, arguments: &[&str]) -> Output {
        self.command(who, arguments).output().expect("the program runs")
    }

    fn command(&self, who: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nodesys-master"));
        command
            .current_dir(self.folder.path())
            .args(arguments)
            .args(["--rpc", self.url.expose().as_str()])
            .args(["--chain-id", &self.chain_id.to_string()])
            .env("NODESYS_SENDER_KEYSTORE", self.path(who))
            .env("NODESYS_SENDER_PASSWORD_FILE", self.path("password"))
            .env("NODESYS_TRANSACTIONS", self.path("transactions"))
            .envs(self.settings.iter().map(|(name, value)| (*name, value.as_str())));
        command
    }

    /// Runs a command that has to succeed, with its JSON.
    fn run(&self, arguments: &[&str]) -> Value {
        self.run_as("owner", arguments)
    }

    fn run_as(&self, who: &str, arguments: &[&str]) -> Value {
        let output = self.output(who, &[arguments, &["-o", "json"]].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Runs a command that has to fail, with its error.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.output("owner", arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(output.stdout.is_empty());
        String::from_utf8(output.stderr).expect("words")
    }

    /// Advances the chain's time.
    async fn pass(&self, secs: u64) {
        let rpc = self.provider.rpc();
        let _: Value = rpc.raw_request("evm_increaseTime".into(), (secs,)).await.expect("passed");
        let _: Value = rpc.raw_request("evm_mine".into(), ()).await.expect("a block");
    }

    /// A registry with the project acme, whose owner and signer is the owner and whose guardian is
    /// the other; the arguments that name it.
    async fn project(&self) -> Named {
        let rpc = self.provider.rpc();
        let builder = ProjectRegistry::deploy_builder(rpc, self.owner);
        let registry = self.deploy(builder.into_transaction_request()).await.to_string();
        let (name, symbol) = ("Reward".to_owned(), "RWD".to_owned());
        let builder = DevToken::deploy_builder(rpc, name, symbol, self.owner);
        let token = self.deploy(builder.into_transaction_request()).await;
        let guardian = SigningKey::from_hex(OTHER).expect("a key").address();
        let params = json!({
            "name": "acme", "token": token, "signer": self.owner, "guardian": guardian,
            "daily_quota": "1000", "delay_secs": 3600,
        });
        let file = self.write("project.json", &params);
        self.run(&["project", "create", "--params", text(&file), "--registry", &registry]);
        Named(["--registry", &registry, "--project", "acme"].map(str::to_owned))
    }

    async fn nonce(&self) -> u64 {
        self.provider.rpc().get_transaction_count(self.owner).await.expect("a nonce")
    }

    async fn deploy(&self, request: TransactionRequest) -> Address {
        let receipt = self.provider.send("deploying", request).await.expect("deployed");
        receipt.contract_address.expect("an address")
    }

    fn license_file(&self, name: &str, minter: Address) -> PathBuf {
        let file = json!({
            "name": "Acme Node", "symbol": "ACME", "owner": self.owner, "minter": minter,
            "max_supply": 2000,
        });
        self.write(name, &file)
    }

    /// The address of a command's answer.
    fn address(answer: &Value) -> Address {
        serde_json::from_value(answer["address"].clone()).expect("an address")
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

#[tokio::test]
async fn a_collection_is_made_once_and_minted_once() {
    let stage = Stage::start().await;
    let file = stage.license_file("license.json", stage.owner);
    let create = ["license", "create", "--params", text(&file)];
    let first = stage.run(&create);
    let collection = Stage::address(&first);
    assert!(first["transaction"].is_string());
    let name = NodeLicense::nameCall {};
    let name = stage.provider.call(collection, &name, BlockId::latest()).await.unwrap();
    assert_eq!(name, "Acme Node");

    let nonce = stage.nonce().await;
    let record = std::fs::read(stage.path("deployments/31337.json")).unwrap();
    let again = stage.run(&create);
    assert_eq!(Stage::address(&again), collection);
    assert!(again["transaction"].is_null());
    // Another sender finds the same, another salt makes another, a lost folder comes back.
    assert_eq!(Stage::address(&stage.run_as("other", &create)), collection);
    std::fs::remove_dir_all(stage.path("deployments")).unwrap();
    stage.run(&create);
    assert_eq!(std::fs::read(stage.path("deployments/31337.json")).unwrap(), record);
    assert_eq!(stage.nonce().await, nonce);
    let salt = format!("0x{:064x}", 7);
    let other = stage.run(&[&create[..], &["--salt", &salt]].concat());
    assert_ne!(Stage::address(&other), collection);

    // What is recorded is what an explorer needs: the arguments are those of the creation.
    let record: Value = serde_json::from_slice(&record).unwrap();
    assert_eq!(record["chain_id"], 31_337);
    let entry = &record["contracts"][0];
    assert_eq!(entry["contract"], "contracts/src/NodeLicense.sol:NodeLicense");
    let arguments: Bytes = serde_json::from_value(entry["constructor_arguments"].clone()).unwrap();
    let init_code = [NodeLicense::BYTECODE.as_ref(), &arguments].concat();
    let expected = DEPLOYMENT_PROXY.create2([0; 32], keccak256(init_code));
    assert_eq!(expected, collection);
    let input = stage.path("deployments").join(entry["standard_input"].as_str().unwrap());
    let input: Value = serde_json::from_slice(&std::fs::read(input).unwrap()).unwrap();
    assert_eq!(input["language"], "Solidity");

    let (collection, owner) = (collection.to_string(), stage.owner.to_string());
    let mint = ["license", "mint", "--collection", &collection, "--to", &owner];
    let minted = stage.run(&[&mint[..], &["--first", "1", "--count", "1500"]].concat());
    assert_eq!(minted["transactions"].as_array().unwrap().len(), 2);
    let minted = stage.run(&[&mint[..], &["--first", "1", "--count", "1500"]].concat());
    assert_eq!(minted["already"], 1500);
    assert_eq!(minted["transactions"], json!([]));
    let minted = stage.run(&[&mint[..], &["--first", "1", "--count", "1600"]].concat());
    assert_eq!(minted["already"], 1500);
    let shown = stage.run(&["license", "show", "--collection", &collection]);
    assert_eq!(shown["licenses"], "1600");
    assert_eq!(shown["next"], "1601");

    let words = stage.refused(&[&mint[..], &["--first", "1700", "--count", "1"]].concat());
    assert!(words.contains("--first 1601"), "{words}");
    let words = stage.refused(&[&mint[..], &["--first", "1601", "--count", "401"]].concat());
    assert!(words.contains("SupplyExceeded"), "{words}");
    assert!(words.contains("maxSupply 2000"), "{words}");
    let to_another = ["license", "mint", "--collection", &collection, "--to", &collection];
    let words = stage.refused(&[&to_another[..], &["--first", "5", "--count", "1"]].concat());
    assert!(words.contains("nothing was minted"), "{words}");
}

#[tokio::test]
async fn a_sale_is_made_once_and_sells() {
    let stage = Stage::start().await;
    let file = stage.license_file("license.json", Address::ZERO);
    let collection = Stage::address(&stage.run(&["license", "create", "--params", text(&file)]));
    let mut params = json!({
        "collection": collection, "owner": stage.owner, "starts_at": 0, "ends_at": 4_000_000_000_u64,
        "tiers": [{"price": "100", "count": 2}, {"price": "250", "count": 10}],
    });
    let file = stage.write("sale.json", &params);
    let create = ["sale", "create", "--params", text(&file)];

    // A sender that does not own the collection does its part and says what is left.
    let by_other = stage.run_as("other", &create);
    let sale = Stage::address(&by_other);
    assert!(by_other["notes"][0].as_str().unwrap().contains("NOT YET open"), "{by_other}");
    let sale_text = sale.to_string();
    let show = ["sale", "show", "--sale", &sale_text];
    assert_eq!(stage.run(&show)["is_minter"], false);
    let by_owner = stage.run(&create);
    assert_eq!(Stage::address(&by_owner), sale);
    assert!(by_owner["transaction"].is_null());
    assert_eq!(stage.run(&show)["is_minter"], true);
    let nonce = stage.nonce().await;
    stage.run(&create);
    assert_eq!(stage.nonce().await, nonce);

    let order = Order {
        recipient: stage.owner,
        count: U256::from(3),
        maxCost: U256::from(450),
        code: String::new(),
        allowance: U256::ZERO,
        proof: Vec::new(),
    };
    let request = TransactionRequest::default()
        .with_to(sale)
        .with_value(U256::from(1000))
        .with_input(buyCall { order }.abi_encode());
    stage.provider.send("buying", request.clone()).await.unwrap();
    let shown = stage.run(&show);
    assert_eq!(shown["sold"], "3");
    assert_eq!(shown["proceeds"], "450");
    assert_eq!(shown["price"], "250");
    assert_eq!(shown["left_at_price"], "9");
    let error = stage.provider.send("buying", request).await.unwrap_err().to_string();
    assert!(error.contains("CostAboveMax (cost 750, maxCost 450)"), "{error}");

    // A changed file gives another sale, which would end this one.
    params["tiers"][1]["price"] = json!("300");
    stage.write("sale.json", &params);
    let words = stage.refused(&create);
    assert!(words.contains(&sale_text) && words.contains("3 of 12 sold"), "{words}");
    assert_eq!(stage.run(&show)["is_minter"], true);
    let replaced = stage.run(&[&create[..], &["--replace"]].concat());
    assert_ne!(Stage::address(&replaced), sale);
    assert_eq!(stage.run(&show)["is_minter"], false);

    params["tiers"][1]["price"] = json!("100");
    stage.write("sale.json", &params);
    let words = stage.refused(&[&create[..], &["--replace"]].concat());
    assert!(words.contains("InvalidTier (index 1, price 100"), "{words}");
    params["tiers"][1]["price"] = json!(100);
    stage.write("sale.json", &params);
    assert!(stage.refused(&create).contains("sale.json"));
}

#[tokio::test]
async fn a_project_is_made_once_and_funded_to_a_level() {
    let stage = Stage::start().await;
    let rpc = stage.provider.rpc();
    let builder = ProjectRegistry::deploy_builder(rpc, stage.owner);
    let registry = stage.deploy(builder.into_transaction_request()).await;
    let (name, symbol) = ("Reward".to_owned(), "RWD".to_owned());
    let builder = DevToken::deploy_builder(rpc, name, symbol, stage.owner);
    let token = stage.deploy(builder.into_transaction_request()).await;
    let bound = DevToken::new(token, rpc);
    let mint = bound.mint(stage.owner, U256::from(5000));
    stage.provider.send("minting", mint.into_transaction_request()).await.unwrap();

    let mut params = json!({
        "name": "acme", "token": token, "signer": stage.owner, "daily_quota": "1000",
        "delay_secs": 0,
    });
    let file = stage.write("project.json", &params);
    let registry = registry.to_string();
    let create = ["project", "create", "--params", text(&file), "--registry", &registry];
    let first = stage.run(&create);
    assert!(first["transaction"].is_string());
    assert!(first["notes"][0].as_str().unwrap().starts_with("reserved before (0x"), "{first}");
    let again = stage.run(&create);
    assert_eq!(again["address"], first["address"]);
    assert!(again["transaction"].is_null());
    // What would be refused is not reserved either.
    let nonce = stage.nonce().await;
    params["daily_quota"] = json!("1001");
    stage.write("project.json", &params);
    let words = stage.refused(&create);
    assert!(words.contains("the name acme is taken"), "{words}");
    params["name"] = json!("zero");
    params["daily_quota"] = json!("0");
    stage.write("project.json", &params);
    let words = stage.refused(&create);
    assert!(words.contains("InvalidQuota"), "{words}");
    assert_eq!(stage.nonce().await, nonce);

    let project = ["--registry", registry.as_str(), "--project", "acme"];
    let fund = |up_to| [&["project", "fund", "--up-to", up_to], &project[..]].concat();
    assert_eq!(stage.run(&fund("3000"))["sent"], "3000");
    let second = stage.run(&fund("3000"));
    assert_eq!(second["sent"], "0");
    assert!(second["transaction"].is_null());
    assert_eq!(stage.run(&fund("3500"))["sent"], "500");
    let words = stage.refused(&fund("9000"));
    assert!(words.contains("has only 1500: nothing was sent"), "{words}");
    let shown = stage.run(&[&["project", "show"], &project[..]].concat());
    assert_eq!(shown["balance"], "3500");
    assert_eq!(shown["project"], first["address"]);
}

/// The flags that name a project.
struct Named([String; 4]);

impl Named {
    /// A `project` command with these words.
    fn project<'a>(&'a self, words: &[&'a str]) -> Vec<&'a str> {
        [&["project"], words, &self.0.each_ref().map(String::as_str)].concat()
    }
}

const WEEK: u64 = 7 * 86_400;

#[tokio::test]
async fn an_action_that_raises_risk_waits_and_is_executed() {
    let stage = Stage::start().await;
    let named = stage.project().await;
    let queue = named.project(&["queue", "--quota", "2000"]);
    let first = stage.run(&queue);
    assert_eq!(first["outcome"], "queued");
    let hash = first["call_hash"].as_str().expect("a hash").to_owned();
    let nonce = stage.nonce().await;
    let again = stage.run(&queue);
    assert_eq!((&again["outcome"], &again["ready_at"]), (&json!("already"), &first["ready_at"]));
    assert_eq!(stage.nonce().await, nonce);

    let pending = stage.run(&named.project(&["pending"]));
    let [one] = pending["waiting"].as_array().expect("a list").as_slice() else {
        panic!("{pending}")
    };
    assert_eq!((&one["hash"], &one["stage"]), (&json!(hash), &json!("waits")));
    assert_eq!(one["what"], "raise the daily quota to 2000");
    let words = stage.refused(&named.project(&["execute", &hash]));
    assert!(words.contains("NotReady"), "{words}");
    assert!(words.contains("the call's wait is not over; execute it after that time"), "{words}");

    stage.pass(WEEK).await;
    assert_eq!(stage.run(&named.project(&["pending"]))["waiting"][0]["stage"], "ready");
    // For a Safe: what it prints is the queued call itself.
    let printed = stage.run(&[&named.project(&["execute", &hash])[..], &["--calldata"]].concat());
    assert_eq!(printed["transactions"][0]["data"], one["call"]);
    assert_eq!(stage.run(&named.project(&["execute", &hash]))["outcome"], "done");
    assert_eq!(stage.run(&named.project(&["show"]))["daily_quota"], "2000");
    assert_eq!(stage.run(&named.project(&["pending"]))["waiting"], json!([]));
    let words = stage.refused(&named.project(&["execute", &hash]));
    assert!(words.contains("no call waits under"), "{words}");

    // What is not done in two weeks lapses, and can be queued again.
    let queue = named.project(&["queue", "--delay", "60"]);
    let lapsed = stage.run(&queue)["call_hash"].as_str().expect("a hash").to_owned();
    stage.pass(3 * WEEK).await;
    assert_eq!(stage.run(&named.project(&["pending"]))["waiting"][0]["stage"], "lapsed");
    let words = stage.refused(&named.project(&["execute", &lapsed]));
    assert!(words.contains("queue it again"), "{words}");
    assert_eq!(stage.run(&queue)["outcome"], "queued");

    let lower = named.project(&["queue", "--withdraw", "1"]);
    let output = stage.output("owner", &lower);
    assert_eq!(output.status.code(), Some(2), "--to is missing");
}

#[tokio::test]
async fn the_signer_is_replaced_in_two_runs_and_disabled_in_one() {
    let stage = Stage::start().await;
    let named = stage.project().await;
    let wanted = Address::repeat_byte(7).to_string();
    let set = named.project(&["signer", "--set", &wanted]);
    assert_eq!(stage.run(&set)["outcome"], "queued");
    assert_eq!(stage.run(&set)["outcome"], "already");
    stage.pass(WEEK).await;
    assert_eq!(stage.run(&set)["outcome"], "done");
    assert_eq!(stage.run(&named.project(&["show"]))["signer"], json!(Address::repeat_byte(7)));
    assert_eq!(stage.run(&set)["outcome"], "already");

    // The guardian too, and twice is once.
    let disable = named.project(&["signer", "--disable"]);
    assert_eq!(stage.run_as("other", &disable)["outcome"], "done");
    assert_eq!(stage.run(&disable)["outcome"], "already");
    assert_eq!(stage.run(&named.project(&["show"]))["signer"], json!(Address::ZERO));
}

#[tokio::test]
async fn the_guardian_cancels_all_but_its_replacement_and_pauses_once() {
    let stage = Stage::start().await;
    let named = stage.project().await;
    let hash_of = |answer: Value| answer["call_hash"].as_str().expect("a hash").to_owned();
    let signer =
        hash_of(stage.run(&named.project(&["queue", "--signer", &stage.owner.to_string()])));
    let none = Address::ZERO.to_string();
    let guardian = hash_of(stage.run(&named.project(&["queue", "--guardian", &none])));
    assert_eq!(stage.run_as("other", &named.project(&["cancel", &signer]))["outcome"], "cancelled");
    let output = stage.output("other", &named.project(&["cancel", &guardian]));
    let words = String::from_utf8(output.stderr).expect("words");
    assert!(words.contains("the guardian cannot cancel its own replacement"), "{words}");
    let pending = stage.run(&named.project(&["pending"]));
    assert_eq!(pending["waiting"][0]["what"], "have no guardian");
    assert_eq!(stage.run(&named.project(&["cancel", &guardian]))["outcome"], "cancelled");

    let pause = named.project(&["now", "--pause"]);
    assert_eq!(stage.run_as("other", &pause)["outcome"], "done");
    assert_eq!(stage.run_as("other", &pause)["outcome"], "already");
    assert_eq!(stage.run(&named.project(&["now", "--renew-guardian-pause"]))["outcome"], "done");
    for (flag, value) in [("--quota", "500"), ("--delay", "7200"), ("--timelock", "700000")] {
        let lower = named.project(&["now", flag, value]);
        assert_eq!(stage.run(&lower)["outcome"], "done", "{flag}");
        assert_eq!(stage.run(&lower)["outcome"], "already", "{flag}");
    }
    let words = stage.refused(&named.project(&["now", "--quota", "600"]));
    assert!(words.contains("queue raiseQuota for a higher one"), "{words}");
}

#[tokio::test]
async fn a_chain_without_the_deployment_proxy_is_reported() {
    let stage = Stage::start().await;
    let none = Bytes::new();
    let _: Value = stage
        .provider
        .rpc()
        .raw_request("anvil_setCode".into(), (DEPLOYMENT_PROXY, none))
        .await
        .unwrap();
    let file = stage.license_file("license.json", stage.owner);
    let words = stage.refused(&["license", "create", "--params", text(&file)]);
    assert!(words.contains("the deterministic deployment proxy"), "{words}");
    assert!(!stage.path("deployments").exists());
}

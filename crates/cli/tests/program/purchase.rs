//! Licenses are bought from a sale on a real anvil, through the program itself.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};

use alloy::primitives::U256;
use alloy::providers::Provider as _;
use nodesys_chain::bindings::{DevToken, NodeLicense};
use nodesys_chain::keystore;
use nodesys_core::Address;
use nodesys_testing::anvil::ask;
use serde_json::{Value, json};

use crate::acme::{Acme, BOB, TOKEN, alice};
use crate::home::Home;

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A home with alice's wallet, and the options that name it.
fn with_wallet(acme: &Acme) -> (Home, String) {
    let home = Home::new();
    acme.configure(&home);
    keystore::create(&home.path("alice.json"), &alice(), "secret").unwrap();
    home.write("password", "secret\n");
    (home, "--keystore alice.json --password-file password --yes -o json".to_owned())
}

async fn held(acme: &Acme, place: usize, account: Address) -> U256 {
    let bound = NodeLicense::new(acme.collections[place], acme.owner.rpc());
    bound.balanceOf(account).call().await.unwrap()
}

#[tokio::test]
async fn licenses_are_bought_at_the_price_that_was_shown() {
    let mut acme = Acme::start().await;
    acme.collection("gamma", "C", &[]).await;
    let (home, wallet) = with_wallet(&acme);
    let buy = |more: &str| home.run(&format!("license buy gamma {more}"));
    buy("--dry-run").fails(3, "are in no sale");
    let sale = acme.sale(acme.collections[2], Address::ZERO).await;

    let words = buy("--count 3 --dry-run").expect(0);
    assert!(words.contains("cost        4.0 of the chain's coin"), "{words}");
    let shown = parsed(&buy("--count 3 --dry-run -o json").expect(0));
    assert_eq!(shown["cost"], (4 * TOKEN).to_string(), "{shown}");
    buy("--count 5 --dry-run").fails(1, "only 4 licenses are left: use --count 4");
    buy("--count 0 --dry-run").fails(2, "--count");
    buy(&wallet).fails(2, "--max-cost is missing");
    buy("--max-cost 1").fails(2, "--keystore is missing");
    buy(&format!("--max-cost 0.5 {wallet}")).fails(1, "more than --max-cost 0.5");
    buy(&format!("--max-cost 1e18 {wallet}")).fails(2, "expected a decimal number");
    home.run(&format!("license buy delta --max-cost 1 {wallet}")).fails(3, "no workload delta");
    buy(&format!("--max-cost 1 {wallet}")).fails(1, "send it some first");
    let calldata =
        parsed(&buy(&format!("--max-cost 9 --calldata --account {BOB} -o json")).expect(0));
    assert_eq!(calldata["transactions"][0]["to"], sale.to_string().to_lowercase());

    let rich = (alice().address(), U256::from(100 * TOKEN));
    ask(&acme.owner, "anvil_setBalance", rich).await;
    let bought =
        parsed(&buy(&format!("--max-cost 1 --code HALF --recipient {BOB} {wallet}")).expect(0));
    assert_eq!(bought["state"], "bought", "{bought}");
    assert_eq!(bought["cost"], (TOKEN / 2).to_string());
    assert_eq!(held(&acme, 2, BOB).await, U256::ONE);
    // The code was good for one license.
    buy(&format!("--max-cost 1 --code HALF {wallet}")).fails(1, "code");
    // The same purchase again is a second one: its first has been told of.
    for expected in [1, 2] {
        let bought = parsed(&buy(&format!("--max-cost 2 {wallet}")).expect(0));
        assert_eq!(bought["count"], 1);
        assert_eq!(held(&acme, 2, alice().address()).await, U256::from(expected));
    }
}

#[tokio::test]
async fn licenses_are_paid_for_in_a_token_that_is_approved_for_the_cost_alone() {
    let mut acme = Acme::start().await;
    acme.collection("gamma", "C", &[]).await;
    acme.sale(acme.collections[2], acme.token).await;
    let (home, wallet) = with_wallet(&acme);
    let token = DevToken::new(acme.token, acme.owner.rpc());
    let account = alice().address();
    let mint = token.mint(account, U256::from(10 * TOKEN)).into_transaction_request();
    acme.owner.send("minting", mint).await.unwrap();
    acme.fund(account).await;
    let calldata = format!("license buy gamma --max-cost 4 --account {account} --calldata -o json");
    let shown = parsed(&home.run(&calldata).expect(0));
    assert_eq!(shown["transactions"].as_array().unwrap().len(), 2, "{shown}");
    let bought =
        parsed(&home.run(&format!("license buy gamma --count 2 --max-cost 4 {wallet}")).expect(0));
    assert_eq!((&bought["symbol"], &bought["first_token_id"]), (&json!("ACME"), &json!("1")));
    assert_eq!(acme.balance(account).await, U256::from(8 * TOKEN));
    assert_eq!(held(&acme, 2, account).await, U256::from(2));
}

/// The program, running.
struct Started {
    child: Child,
    words: BufReader<ChildStderr>,
}

impl Started {
    fn new(home: &Home, line: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_nodesys"))
            .env_clear()
            .env("NODESYS_HOME", home.path(""))
            .current_dir(home.path(""))
            .args(line.split_whitespace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let words = BufReader::new(child.stderr.take().unwrap());
        Self { child, words }
    }

    fn says(&mut self, part: &str) {
        let mut line = String::new();
        while !line.contains(part) {
            line.clear();
            assert_ne!(self.words.read_line(&mut line).unwrap(), 0, "it never said {part}");
        }
    }
}

#[tokio::test]
async fn an_interrupted_purchase_is_not_made_twice() {
    let mut acme = Acme::start().await;
    acme.collection("gamma", "C", &[]).await;
    acme.sale(acme.collections[2], Address::ZERO).await;
    let (home, wallet) = with_wallet(&acme);
    let account = alice().address();
    ask(&acme.owner, "anvil_setBalance", (account, U256::from(100 * TOKEN))).await;
    let line = format!("license buy gamma --count 2 --max-cost 9 {wallet}");
    let automine = async |yes: bool| ask(&acme.owner, "evm_setAutomine", json!([yes])).await;

    // Killed while its transaction waits, which comes in before the command is repeated.
    automine(false).await;
    let mut first = Started::new(&home, &line);
    first.says("waiting for its block");
    let rpc = acme.owner.rpc();
    while rpc.get_transaction_count(account).pending().await.unwrap() == 0 {}
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    automine(true).await;
    ask(&acme.owner, "evm_mine", json!([])).await;
    assert_eq!(held(&acme, 2, account).await, U256::from(2));
    let repeated = parsed(&home.run(&line).expect(0));
    assert_eq!((&repeated["state"], &repeated["first_token_id"]), (&json!("bought"), &json!("1")));
    assert_eq!(held(&acme, 2, account).await, U256::from(2));
    assert_eq!(rpc.get_transaction_count(account).await.unwrap(), 1);
}

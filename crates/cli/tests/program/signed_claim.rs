//! A claim that its account signs and another account sends.

use nodesys_chain::keystore;
use nodesys_core::bitmap::DayBitmap;
use nodesys_core::bundle::PreviousDay;
use nodesys_core::signature::SigningKey;
use nodesys_core::{Address, U256};
use nodesys_sdk::bundles::BundleStore;
use nodesys_testing::anvil::ask;
use serde_json::{Value, json};

use crate::acme::{Acme, BOB, CAROL, DAVE, FIRST_DAY, TOKEN, alice};
use crate::home::Home;

/// Returns ERC-1271's magic value for every signature.
const TAKES_ALL: &str = "0x631626ba7e60e01b5f5260205ff3";

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

struct Scene {
    acme: Acme,
    home: Home,
    relayer: Address,
    from: String,
    /// Options with the relayer's keystore.
    sends: String,
}

impl Scene {
    /// A day is active, by which Alice has earned 2880 of 4320 points and Carol the rest.
    async fn start() -> Self {
        let (acme, home) = (Acme::start().await, Home::new());
        acme.configure(&home);
        let folder = home.path("bundles");
        let store = BundleStore::new(&folder);
        acme.publish(&store, FIRST_DAY, [DayBitmap::FULL; 3], PreviousDay::default()).await;
        acme.activate().await;
        let relayer = SigningKey::from_bytes(&[9; 32]).unwrap();
        keystore::create(&home.path("relayer.json"), &relayer, "secret").unwrap();
        keystore::create(&home.path("alice.json"), &alice(), "secret").unwrap();
        home.write("password", "secret\n");
        acme.fund(relayer.address()).await;
        let password = home.path("password").display().to_string();
        let relayers = home.path("relayer.json").display().to_string();
        Self {
            relayer: relayer.address(),
            from: format!("--from {}", folder.display()),
            sends: format!("--keystore {relayers} --password-file {password} --yes -o json"),
            acme,
            home,
        }
    }

    /// Alice signs; returns the claim's file.
    fn signed(&self, name: &str, more: &str) -> String {
        let wallet = format!(
            "--keystore {} --password-file {}",
            self.home.path("alice.json").display(),
            self.home.path("password").display()
        );
        let run = self.home.run(&format!("rewards sign-claim {wallet} {} {more}", self.from));
        self.home.write(name, &run.expect(0));
        self.home.path(name).display().to_string()
    }

    fn send(&self, file: &str, more: &str) -> nodesys_testing::program::Run {
        self.home.run(&format!("rewards send-claim {file} {} {more}", self.from))
    }
}

#[tokio::test]
async fn a_relayer_sends_what_the_account_signed_once() {
    let scene = Scene::start().await;
    let (relayer, sends) = (scene.relayer, scene.sends.as_str());
    let due = 1000 * TOKEN * 2880 / 4320;
    let terms = format!("--relayer {relayer} --relayer-fee 7 --recipient {DAVE}");
    let file = scene.signed("claim.json", &terms);
    let text = std::fs::read_to_string(&file).unwrap();
    let message = parsed(&text);
    assert_eq!(message["message"]["relayer"], json!(relayer));
    assert_eq!(message["types"]["Claim"].as_array().unwrap().len(), 7);

    let dry = parsed(&scene.send(&file, "--dry-run -o json").expect(0));
    assert_eq!((&dry["state"], &dry["relayer_fee"]), (&json!("dry_run"), &json!("7")));
    assert_eq!(dry["amount"], due.to_string());
    scene.send(&file, "").fails(2, "--keystore is missing");
    let calldata = parsed(&scene.send(&file, "--calldata -o json").expect(0));
    assert_eq!(calldata["to"], json!(scene.acme.distributor));

    // Not what was signed: other terms, another sender, another project's contract.
    let forged = text.replace("\"7\"", "\"8\"");
    assert_ne!(forged, text);
    scene.home.write("forged.json", &forged);
    let forged = scene.home.path("forged.json").display().to_string();
    scene.send(&forged, "--dry-run").fails(1, "the signature of");
    let for_bob = scene.signed("bob.json", &format!("--relayer {BOB}"));
    scene.send(&for_bob, sends).fails(1, &format!("only {BOB} may send this claim"));
    let other = text.replace(&format!("{:#x}", scene.acme.distributor), &format!("{BOB:#x}"));
    assert_ne!(other, text);
    scene.home.write("other.json", &other);
    let other = scene.home.path("other.json").display().to_string();
    scene.send(&other, "--dry-run").fails(2, "is signed for the distributor");
    scene.home.write("none.json", "{}");
    let none = scene.home.path("none.json").display().to_string();
    scene.send(&none, "--dry-run").fails(1, "is not a claim");
    assert_eq!(scene.acme.claimed(alice().address()).await, U256::ZERO);

    let done = parsed(&scene.send(&file, sends).expect(0));
    assert_eq!((&done["state"], &done["amount"]), (&json!("claimed"), &json!(due.to_string())));
    assert_eq!(scene.acme.balance(DAVE).await, U256::from(due - 7));
    assert_eq!(scene.acme.balance(relayer).await, U256::from(7));
    // Again is nothing, by whichever signature.
    let again = parsed(&scene.send(&file, sends).expect(0));
    assert_eq!((&again["state"], &again["transaction"]), (&json!("nothing"), &Value::Null));
    assert_eq!(scene.acme.balance(relayer).await, U256::from(7));
}

#[tokio::test]
async fn a_claim_that_is_out_of_date_is_refused_before_gas_is_spent() {
    let scene = Scene::start().await;
    let file = scene.signed("claim.json", "--valid-hours 1");
    // The delay of a commit is longer than the hour.
    scene.acme.activate().await;
    scene.acme.activate().await;
    scene.send(&file, &scene.sends).fails(1, "the claim was valid until");
    let fee = format!("--relayer-fee {}", 1000 * TOKEN);
    let wallet = format!(
        "--keystore {} --password-file {}",
        scene.home.path("alice.json").display(),
        scene.home.path("password").display()
    );
    let line = format!("rewards sign-claim {wallet} {} {fee}", scene.from);
    scene.home.run(&line).fails(2, "is more than the");
}

#[tokio::test]
async fn a_wallet_elsewhere_signs_the_message_and_a_contract_by_erc_1271() {
    let scene = Scene::start().await;
    let line = format!("rewards sign-claim --account {CAROL} --typed-data {}", scene.from);
    scene.home.write("claim.json", &scene.home.run(&line).expect(0));
    let file = scene.home.path("claim.json").display().to_string();
    scene.send(&file, "--dry-run").fails(2, "the claim is not signed");
    // Carol is an account without code whose key signed something else; then a contract that takes it.
    let signature = format!("--signature 0x{}", "11".repeat(65));
    scene.send(&file, &format!("--dry-run {signature}")).fails(1, "the signature of");
    ask(&scene.acme.owner, "anvil_setCode", (CAROL, TAKES_ALL)).await;
    let done = parsed(&scene.send(&file, &format!("{} {signature}", scene.sends)).expect(0));
    assert_eq!(done["state"], "claimed");
    assert_eq!(scene.acme.balance(CAROL).await, U256::from(1000 * TOKEN * 1440 / 4320));
}

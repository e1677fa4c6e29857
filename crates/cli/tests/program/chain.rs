//! Licenses, claims and audits against a real anvil, through the program itself; no backend runs.

use std::path::Path;

use crate::acme::{Acme, BOB, CAROL, DAVE, FIRST_DAY, TOKEN, alice};
use crate::home::Home;
use nodesys_chain::keystore;
use nodesys_core::bitmap::DayBitmap;
use nodesys_core::bundle::PreviousDay;
use nodesys_core::signature::WalletSignature;
use nodesys_core::{Address, B256, U256};
use nodesys_sdk::bundles::BundleStore;
use nodesys_testing::program::Run;
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn address(value: &Value) -> Address {
    value.as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn who_may_run_a_license_is_read_from_the_chain_alone() {
    let mut acme = Acme::start().await;
    let home = Home::new();
    acme.configure(&home);
    let owner = acme.owner.sender().unwrap();
    let show = |license: &str, operator: Address| {
        json(&home.run(&format!("license show {license} --operator {operator} -o json")).expect(0))
    };
    for (license, operator, allowed, right) in [
        ("A1", alice().address(), true, "holder".to_owned()),
        ("A1", BOB, false, "none".to_owned()),
        ("A2", CAROL, true, "renter until 2027-02-06T00:00:00Z".to_owned()),
        ("A2", BOB, false, "none".to_owned()),
        ("B2", DAVE, true, format!("delegate of {owner}")),
        ("B2", owner, true, "holder".to_owned()),
    ] {
        let shown = show(license, operator);
        assert_eq!(shown["allowed"], allowed, "{shown}");
        assert_eq!(shown["right"], right, "{shown}");
        assert_eq!(address(&shown["operator"]), operator);
    }
    // All forms name the same license.
    let shown = show("A2", BOB);
    for form in ["A#2".to_owned(), "alpha/2".to_owned(), format!("{}/2", acme.collections[0])] {
        assert_eq!(show(&form, BOB)["license_hash"], shown["license_hash"], "{form}");
    }
    assert_eq!(address(&shown["holder"]), BOB);
    assert_eq!(address(&shown["rental"]["renter"]), CAROL);
    assert_eq!(shown["rental"]["until_secs"], acme.rented_until.to_string());
    assert_eq!((&shown["workload"], &shown["project"]), (&"alpha".into(), &"acme".into()));
    let latest = acme.owner.latest_block().await.unwrap();
    assert_eq!(shown["block"]["hash"], latest.hash.to_string());
    let words = home.run(&format!("license show A2 --operator {BOB}")).expect(0);
    assert!(
        words.contains("only the renter or its delegate may run it, not its holder"),
        "{words}"
    );
    let words = home.run(&format!("license explain B1 --operator {BOB}")).expect(0);
    assert!(words.contains("2. The holder is") && words.contains("delegateERC721("), "{words}");
    let words = home.run(&format!("license explain A2 --operator {CAROL}")).expect(0);
    assert!(words.contains("that is the operator, who may run it"), "{words}");

    let list = json(&home.run(&format!("license list --operator {CAROL} -o json")).expect(0));
    let names: Vec<&str> = list["licenses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["A1", "A2", "B1", "B2"]);
    assert_eq!(list["licenses"][1]["allowed"], true);
    assert_eq!(list["licenses"][0]["allowed"], false);
    let words = home.run("license list").expect(0);
    assert!(words.contains(&format!("{CAROL} until 2027-02-06")), "{words}");

    let operator = format!("--operator {BOB}");
    home.run(&format!("license show A9 {operator}")).fails(3, "has no token 9");
    home.run(&format!("license show C1 {operator}")).fails(3, "A (alpha,");
    home.run(&format!("license show gamma/1 {operator}")).fails(3, "it has alpha, beta");
    home.run(&format!("license show {BOB}/1 {operator}")).fails(3, "no contract at");
    home.run(&format!("license show A1 {operator} --project nobody")).fails(3, "no project nobody");
    home.run(&format!("license show A1 {operator} --registry {BOB}")).fails(3, "no contract at");
    home.run(&format!("license show A1 {operator} --chain-id 1")).fails(2, "expected chain 1");
    home.run("license show A1").fails(2, "--operator is missing");

    // A second collection of the same symbol makes it ambiguous.
    acme.collection("gamma", "A", &[BOB]).await;
    let run = home.run(&format!("license show A1 {operator}"));
    run.fails(2, &format!("{}/1", acme.collections[2]));
    run.fails(2, &format!("{}/1", acme.collections[0]));
    home.run(&format!("license show gamma/1 {operator}")).fails(0, "gamma");

    // Status without a backend and a manager is the chain's.
    let status = json(&home.run("status -o json").expect(0));
    assert_eq!(status["chain"]["state"], "read");
    assert_eq!(status["manager"]["state"], "not_configured");
    home.run("status --project nobody").fails(5, "no project nobody");
}

#[tokio::test]
async fn a_paired_node_knows_its_operator_with_the_backend_gone() {
    let acme = Acme::start().await;
    let home = Home::new();
    acme.configure(&home);
    let request = json(&home.run("pair request").expect(0));
    let keep = |node_key: &Value| {
        // As `pair finish` keeps it.
        let signature = WalletSignature::from(alice().sign(B256::ZERO));
        let kept = serde_json::json!({
            "authorization": {
                "operator": alice().address(),
                "node_key": node_key,
                "not_after": request["not_after"],
                "nonce": request["nonce"],
            },
            "operator_signature": signature,
            "node_signature": alice().sign(B256::ZERO),
        });
        home.write("authorization.json", &kept.to_string());
    };
    keep(&request["node_key"]);
    for backend in ["", "--backend http://127.0.0.1:1"] {
        let shown = json(&home.run(&format!("license show A1 -o json {backend}")).expect(0));
        assert_eq!(address(&shown["operator"]), alice().address(), "{shown}");
        assert_eq!(shown["right"], "holder");
    }
    home.run("license show A1 --backend http://127.0.0.1:1").fails(0, "does not name the operator");
    // What was kept for another node says nothing of this one.
    keep(&serde_json::json!(BOB));
    home.run("license show A1").fails(2, "--operator is missing");
}

/// All day but ten to twenty past one.
fn with_a_gap() -> DayBitmap {
    let gap = DayBitmap::from_minute_on(600) & !DayBitmap::from_minute_on(800);
    !gap
}

#[tokio::test]
async fn rewards_are_claimed_and_audited_from_files_and_a_chain() {
    let acme = Acme::start().await;
    let home = Home::new();
    acme.configure(&home);
    let folder = home.path("bundles");
    let store = BundleStore::new(&folder);
    std::fs::create_dir(&folder).unwrap();
    let account = alice().address();
    keystore::create(&home.path("alice.json"), &alice(), "secret").unwrap();
    home.write("password", "secret\n");
    let from = format!("--from {}", folder.display());
    let wallet = format!(
        "--keystore {} --password-file {}",
        home.path("alice.json").display(),
        home.path("password").display()
    );
    let claim = |more: &str| home.run(&format!("rewards claim {wallet} {from} -o json {more}"));
    let audit = |folder: &str| home.run(&format!("audit --bundles {folder} -o json"));
    let bundles = folder.display().to_string();

    // Nothing is posted: nothing to claim is an answer, nothing to audit is not.
    assert_eq!(json(&claim("--yes").expect(0))["state"], "nothing");
    audit(&bundles).fails(3, "no posted commit yet");

    let minutes = [with_a_gap(), DayBitmap::FULL, DayBitmap::FULL];
    let before = acme.publish(&store, FIRST_DAY, minutes, PreviousDay::default()).await;
    // 1240 and 1440 of 4120 points.
    let due = |points: u128| 1000 * TOKEN * points / 4120;
    let first = due(1240) + due(1440);
    let show = |more: &str| {
        let line = format!("rewards show --account {account} {from} -o json {more}");
        json(&home.run(&line).expect(0))
    };
    let shown = show("");
    assert_eq!(
        (&shown["cumulative"], &shown["claimable"]),
        (&first.to_string().into(), &"0".into())
    );
    assert_eq!(shown["next"]["adds"], first.to_string());
    assert_eq!(shown["next"]["day"], FIRST_DAY.to_string());
    assert_eq!(json(&claim("--yes").expect(0))["amount"], "0");

    acme.activate().await;
    assert_eq!(show("")["claimable"], first.to_string());
    let proof = format!("rewards proof --account {account} {from}");
    let shown = json(&home.run(&format!("{proof} -o json")).expect(0));
    assert_eq!(
        (&shown["on_chain"], &shown["cumulative"]),
        (&"active".into(), &first.to_string().into())
    );
    home.run(&format!("{proof} --day 2026-01-05")).fails(3, "has no bundle.json of 2026-01-05");
    home.run(&format!("rewards proof --account {DAVE} {from}")).fails(3, "has earned nothing");
    let words = home.run(&format!("rewards explain --account {account} --day {FIRST_DAY} {from}"));
    let words = words.expect(0);
    for part in ["1240 of 1440 minutes (86.11 %), 1240 points", "is the one on chain", "650.48"] {
        assert!(words.contains(part), "{part}: {words}");
    }
    let words = home.run(&format!("rewards explain --account {BOB} --day {FIRST_DAY} {from}"));
    words.fails(0, &format!("paid to {CAROL}"));

    // Everything but the sending.
    let account_only = format!("rewards claim --account {account} {from} -o json");
    let dry = json(&home.run(&format!("{account_only} --dry-run")).expect(0));
    assert_eq!((&dry["state"], &dry["amount"]), (&"dry_run".into(), &first.to_string().into()));
    assert!(dry["gas_estimate"].as_u64().unwrap() > 21_000, "{dry}");
    let calldata = json(&home.run(&format!("{account_only} --calldata")).expect(0));
    assert_eq!(address(&calldata["to"]), acme.distributor);
    home.run(&account_only).fails(2, "--keystore is missing");
    claim(&format!("--account {BOB} --yes")).fails(2, "leave one of the two out");
    claim("--yes").fails(1, "send it some first");
    acme.fund(account).await;
    claim("").fails(2, "give --yes");
    assert_eq!(acme.claimed(account).await, U256::ZERO);

    let done = json(&claim("--yes").expect(0));
    assert_eq!((&done["state"], &done["amount"]), (&"claimed".into(), &first.to_string().into()));
    assert!(done["gas_used"].as_u64().unwrap() > 21_000, "{done}");
    assert_eq!(acme.balance(account).await, U256::from(first));
    let again = json(&claim("--yes").expect(0));
    assert_eq!((&again["state"], &again["amount"]), (&"nothing".into(), &"0".into()));
    assert_eq!(again["claimed_before"], first.to_string());

    // A second day adds to the first, and goes to whom the account says.
    let day = FIRST_DAY.next();
    acme.publish(&store, day, [DayBitmap::FULL, DayBitmap::EMPTY, DayBitmap::EMPTY], before).await;
    acme.activate().await;
    let done = json(&claim(&format!("--yes --recipient {DAVE}")).expect(0));
    // The remainder of the first day is divided as well, as far as the quota allows.
    let second = 1000 * TOKEN;
    assert_eq!(done["amount"], second.to_string());
    assert_eq!(acme.balance(DAVE).await, U256::from(second));
    assert_eq!(acme.claimed(account).await, U256::from(first + second));

    let report = json(&audit(&bundles).expect(0));
    assert_eq!(report["days"].as_array().unwrap().len(), 2, "{report}");
    assert_eq!(report["claims"], 2);
    home.run(&format!("audit --bundles {bundles}")).fails(0, "everything holds");
    let one = format!("audit --bundles {bundles} --from {day} --to {day}");
    home.run(&one).fails(0, "holds");
    // A backend that is down is not needed, and a chain that is down is told apart.
    home.run(&format!("audit --bundles {bundles} --backend http://127.0.0.1:1")).expect(0);
    home.run("audit --backend http://127.0.0.1:1").fails(7, "cannot be reached");
    home.run(&format!("audit --bundles {bundles} --rpc http://127.0.0.1:1")).fails(7, "answer");

    // Two RPCs vouch for it; one that is given twice does not, nor does one that is down.
    let second = acme.anvil.url.expose().as_str().replace("127.0.0.1", "localhost");
    let (first, two) =
        (acme.anvil.url.expose().to_string(), format!("audit --bundles {bundles} -o json"));
    let report = json(&home.run(&format!("{two} --rpc {first} --rpc {second}")).expect(0));
    assert_eq!((&report["rpcs"], &report["verdict"]), (&2.into(), &"holds".into()));
    home.run(&format!("{two} --rpc {first} --rpc {first}")).fails(2, "given twice");
    home.run(&format!("{two} --rpc {first} --rpc http://127.0.0.1:1")).fails(7, "answer");

    what_a_place_gives(&home, &store, &acme, &audit);
}

/// One byte of one file: place and row are named, and nobody is accused. A file that is nowhere: it
/// cannot be told.
fn what_a_place_gives(home: &Home, store: &BundleStore, acme: &Acme, audit: &dyn Fn(&str) -> Run) {
    let folder = store.root().display().to_string();
    let good = home.path("good");
    copy_folder(store.root(), &good);
    let day = store.day_folder(acme.distributor, FIRST_DAY.next());
    let path = day.join("rewards.csv");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.iter().rposition(u8::is_ascii_digit).unwrap();
    bytes[last] = if bytes[last] == b'9' { b'8' } else { bytes[last] + 1 };
    std::fs::write(&path, bytes).unwrap();
    let report = json(&audit(&folder).expect(0));
    let passed = &report["passed_over"][0];
    assert_eq!((&passed["file"], &passed["reason"]), (&"rewards.csv".into(), &"altered".into()));
    assert!(passed["problem"].as_str().unwrap().contains("line 3:"), "{report}");
    home.run(&format!("audit --bundles {folder}")).fails(0, "passed over: rewards.csv");

    std::fs::remove_file(day.join("uptime.csv")).unwrap();
    let report = json(&audit(&folder).expect(7));
    assert_eq!((&report["verdict"], &report["findings"]), (&"cannot_tell".into(), &json("[]")));
    assert_eq!(report["doubts"][0]["file"], "uptime.csv");
    home.run(&format!("audit --bundles {folder}")).fails(7, "CANNOT TELL");
    let account = format!("--account {} --day {}", alice().address(), FIRST_DAY.next());
    home.run(&format!("rewards explain {account} --from {folder}")).fails(3, "has no uptime.csv");
    // A second place has it, wherever it stands among them.
    let (good, both) = (good.display(), "rewards explain");
    home.run(&format!("audit --bundles {folder} --bundles {good}")).fails(0, "everything holds");
    home.run(&format!("{both} {account} --from {folder} --from {good}")).fails(0, "on chain");
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

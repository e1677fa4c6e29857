//! What strangers give to commands that read: files of mirrors, and answers of RPCs. A lie is found out or
//! makes no difference. It changes no amount, and accuses nobody.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use nodesys_chain::keystore;
use nodesys_core::U256;
use nodesys_core::bitmap::DayBitmap;
use nodesys_core::bundle::PreviousDay;
use nodesys_sdk::bundles::BundleStore;
use nodesys_testing::lying::{LyingRpc, refusal, result};
use nodesys_testing::program::Run;
use serde_json::{Value, json};

use crate::acme::{Acme, CAROL, FIRST_DAY, alice};
use crate::home::Home;

/// Of `audit`: somebody is accused.
const ACCUSES: i32 = 8;

struct Scene {
    acme: Acme,
    home: Home,
    /// Bundles as they were published.
    good: PathBuf,
}

impl Scene {
    /// A day is active; its files are in a folder.
    async fn start() -> Self {
        let (acme, home) = (Acme::start().await, Home::new());
        acme.configure(&home);
        let good = home.path("good");
        let store = BundleStore::new(&good);
        acme.publish(&store, FIRST_DAY, [DayBitmap::FULL; 3], PreviousDay::default()).await;
        acme.activate().await;
        Self { acme, home, good }
    }

    /// What a command says of its subject, without what differs between runs and places.
    fn subject(run: &Run) -> Value {
        let mut told: Value = serde_json::from_str(&run.stdout).unwrap_or(Value::Null);
        for aside in ["block", "passed_over", "rpcs", "places", "bundles", "gas_estimate"] {
            told.as_object_mut().map(|fields| fields.remove(aside));
        }
        told
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// What a mirror can make of a file, in words and as it does it.
type Alteration = (&'static str, fn(&Path));

const ALTERATIONS: [Alteration; 5] = [
    ("a character is changed", |path| {
        let mut bytes = std::fs::read(path).unwrap();
        let last = bytes.iter().rposition(u8::is_ascii_alphanumeric).unwrap();
        bytes[last] = if bytes[last] == b'0' { b'1' } else { bytes[last] - 1 };
        std::fs::write(path, bytes).unwrap();
    }),
    ("its second half is lost", |path| {
        let bytes = std::fs::read(path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    }),
    ("it is gone", |path| std::fs::remove_file(path).unwrap()),
    ("a folder is in its place", |path| {
        std::fs::remove_file(path).unwrap();
        std::fs::create_dir(path).unwrap();
    }),
    ("it is written as on Windows", |path| {
        let text = std::fs::read_to_string(path).unwrap().replace('\n', "\r\n");
        std::fs::write(path, format!("\u{feff}{text}\r\n")).unwrap();
    }),
];

/// Each file, altered in each way, before each command that reads files.
#[tokio::test]
async fn an_altered_mirror_changes_no_answer_of_any_command() {
    let scene = Scene::start().await;
    let account = alice().address();
    let commands = |places: &[&Path]| {
        let list = |flag: &str| {
            places.iter().map(|place| format!(" {flag} {}", place.display())).collect::<String>()
        };
        let (from, bundles) = (list("--from"), list("--bundles"));
        [
            format!("rewards show --account {account}{from}"),
            format!("rewards proof --account {account}{from}"),
            format!("rewards explain --account {account} --day {FIRST_DAY}{from}"),
            format!("rewards claim --account {account} --dry-run{from}"),
            format!("audit{bundles}"),
        ]
    };
    let run = |line: &str| scene.home.run(&format!("{line} -o json"));
    let honest: Vec<Value> = commands(&[&scene.good])
        .iter()
        .map(|line| {
            run(line).expect(0);
            Scene::subject(&run(line))
        })
        .collect();
    let day = |root: &Path| BundleStore::new(root).day_folder(scene.acme.distributor, FIRST_DAY);
    let files: Vec<_> = std::fs::read_dir(day(&scene.good))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".csv") || name == "bundle.json")
        .collect();
    assert_eq!(files.len(), 6, "{files:?}");
    let refused = AtomicUsize::new(0);
    let try_each = |file: &String| {
        for (how, alter) in ALTERATIONS {
            let bad = scene.home.path(&format!("bad-{file}"));
            copy(&scene.good, &bad);
            alter(&day(&bad).join(file));
            for (line, honest) in commands(&[&bad]).iter().zip(&honest) {
                let told = run(line);
                let what = format!("{file}: {how}: {line}: {}\n{}", told.stdout, told.stderr);
                assert!(told.code.is_some_and(|code| code != ACCUSES), "{what}");
                match told.code {
                    Some(0) => assert_eq!(&Scene::subject(&told), honest, "{what}"),
                    _ => drop(refused.fetch_add(1, Ordering::Relaxed)),
                }
            }
            // A second place has what the first has not.
            if how == ALTERATIONS[0].0 {
                for (line, honest) in commands(&[&bad, &scene.good]).iter().zip(&honest) {
                    let told = run(line);
                    told.expect(0);
                    assert_eq!(&Scene::subject(&told), honest, "{file}: {line}");
                }
            }
            std::fs::remove_dir_all(&bad).unwrap();
        }
    };
    std::thread::scope(|threads| {
        for file in &files {
            threads.spawn(|| try_each(file));
        }
    });
    assert!(refused.into_inner() > 0, "a file that is nowhere cannot be told");
}

/// The lies of an RPC, each named.
fn lies(rpc: &LyingRpc, which: &str, newest: u64) {
    rpc.tells_the_truth();
    match which {
        "it lags" => rpc.lags(newest - 4),
        "it has pruned its logs" => rpc.lies(|call, truth| {
            let logs = call["method"] == "eth_getLogs";
            if logs { result(call, &json!([])) } else { truth }
        }),
        "its logs are in another order" => rpc.lies(|call, mut truth| {
            if call["method"] == "eth_getLogs"
                && let Some(logs) = truth["result"].as_array_mut()
            {
                logs.reverse();
            }
            truth
        }),
        "it has limits" => rpc.lies(|call, truth| match call["method"].as_str() {
            Some("eth_getLogs") if width(call) > 5 => refusal(call, "at most 5 blocks"),
            _ => truth,
        }),
        "it knows no receipts" => rpc.lies(|call, truth| {
            let receipt = call["method"] == "eth_getTransactionReceipt";
            if receipt { result(call, &Value::Null) } else { truth }
        }),
        "it is of another chain" => rpc.lies(|call, truth| {
            if call["method"] == "eth_chainId" { result(call, &json!("0x1")) } else { truth }
        }),
        "it answers calls with noughts" => rpc.lies(|call, truth| {
            let nought = json!(format!("0x{:064x}", 0));
            if call["method"] == "eth_call" { result(call, &nought) } else { truth }
        }),
        other => panic!("no lie {other}"),
    }
}

fn width(call: &Value) -> u64 {
    let of = |name: &str| {
        let text = call["params"][0][name].as_str().unwrap_or_default();
        u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap_or_default()
    };
    of("toBlock").saturating_sub(of("fromBlock")) + 1
}

const LIES: [&str; 7] = [
    "it lags",
    "it has pruned its logs",
    "its logs are in another order",
    "it has limits",
    "it knows no receipts",
    "it is of another chain",
    "it answers calls with noughts",
];

/// Commands that read the chain.
fn readers(scene: &Scene) -> [String; 7] {
    let (account, good) = (alice().address(), scene.good.display());
    [
        format!("license show A2 --operator {CAROL}"),
        format!("license list --operator {CAROL}"),
        format!("license explain A2 --operator {CAROL}"),
        format!("rewards show --account {account} --from {good}"),
        format!("rewards proof --account {account} --from {good}"),
        format!("rewards claim --account {account} --dry-run --from {good}"),
        format!("audit --bundles {good}"),
    ]
}

/// RPCs of three providers, of which one lies: an honest node under two names, and the liar. The first one
/// alone is asked what a transaction would cost, since it would send it.
fn three(scene: &Scene, liar: &str) -> String {
    let honest = scene.acme.anvil.url.expose().to_string();
    let again = honest.replace("127.0.0.1", "localhost");
    format!("--rpc {honest} --rpc {liar} --rpc {again}")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_lying_rpc_of_three_changes_no_answer_of_any_command() {
    let scene = Scene::start().await;
    let rpc = LyingRpc::start(scene.acme.anvil.addr).await;
    let newest = scene.acme.owner.latest_block().await.unwrap().number;
    let honest: Vec<Value> = readers(&scene)
        .iter()
        .map(|line| {
            let run = scene.home.run(&format!("{line} -o json"));
            run.expect(0);
            Scene::subject(&run)
        })
        .collect();
    for lie in LIES {
        lies(&rpc, lie, newest);
        for (line, honest) in readers(&scene).iter().zip(&honest) {
            let rpcs = three(&scene, rpc.url.expose().as_str());
            let told = scene.home.run(&format!("{line} -o json {rpcs}"));
            let words = format!("{lie}: {line}: {}\n{}", told.stdout, told.stderr);
            // Another chain is a mistake in the settings, and said at once.
            if lie == "it is of another chain" && told.code != Some(0) {
                assert!(told.stderr.contains("chain 1"), "{words}");
                continue;
            }
            assert_eq!(told.code, Some(0), "{words}");
            assert_eq!(&Scene::subject(&told), honest, "{words}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lying_rpc_alone_accuses_nobody_and_adds_to_no_amount() {
    let scene = Scene::start().await;
    let rpc = LyingRpc::start(scene.acme.anvil.addr).await;
    let newest = scene.acme.owner.latest_block().await.unwrap().number;
    let amount = |told: &Value| {
        let text = told["claimable"].as_str().or(told["amount"].as_str()).unwrap_or("0");
        text.parse::<u128>().unwrap()
    };
    let honest: Vec<u128> = readers(&scene)
        .iter()
        .map(|line| amount(&scene.home.run(&format!("{line} -o json")).json(0)))
        .collect();
    assert!(honest.iter().any(|amount| *amount > 0));
    for lie in LIES {
        lies(&rpc, lie, newest);
        for (line, honest) in readers(&scene).iter().zip(&honest) {
            let told = scene.home.run(&format!("{line} -o json --rpc {}", rpc.url.expose()));
            let words = format!("{lie}: {line}: {}\n{}", told.stdout, told.stderr);
            assert!(told.code.is_some_and(|code| code != ACCUSES), "{words}");
            assert!(amount(&Scene::subject(&told)) <= *honest, "{words}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_rpc_that_hangs_or_knows_no_receipts_keeps_no_claim_from_being_told() {
    let scene = Scene::start().await;
    let rpc = LyingRpc::start(scene.acme.anvil.addr).await;
    keystore::create(&scene.home.path("alice.json"), &alice(), "secret").unwrap();
    scene.home.write("password", "secret\n");
    scene.acme.fund(alice().address()).await;
    let path = |name: &str| scene.home.path(name).display().to_string();
    let claim = format!(
        "rewards claim --keystore {} --password-file {} --yes -o json --from {}",
        path("alice.json"),
        path("password"),
        scene.good.display()
    );
    lies(&rpc, "it knows no receipts", 0);
    let rpcs = three(&scene, rpc.url.expose().as_str());
    let told = scene.home.run(&format!("{claim} {rpcs}")).json(0);
    assert_eq!(told["state"], "claimed");
    assert!(scene.acme.claimed(alice().address()).await > U256::ZERO);

    // It takes connections and answers nothing; the others are a majority.
    let hangs = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", hangs.local_addr().unwrap());
    let line = readers(&scene)[0].clone();
    let told = scene.home.run(&format!("{line} -o json {}", three(&scene, &url))).json(0);
    assert_eq!(told["right"], scene.home.run(&format!("{line} -o json")).json(0)["right"]);
}

//! The watch as it is run: checked, killed and started again, and what it does about a forged day.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use alloy::eips::BlockNumberOrTag;
use nodesys_chain::keystore;
use nodesys_chain::project::state_of;
use nodesys_core::bitmap::DayBitmap;
use nodesys_core::bundle::PreviousDay;
use nodesys_sdk::bundles::BundleStore;
use serde_json::Value;

use crate::acme::{Acme, FIRST_DAY};
use crate::home::Home;

/// A watch that runs, and its events as they come.
struct Watching {
    child: Child,
    events: Receiver<Value>,
}

impl Watching {
    fn start(home: &Home, line: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_nodesys"))
            .env_clear()
            .env("NODESYS_HOME", home.path(""))
            .args(line.split_whitespace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, events) = channel();
        let stdout: ChildStdout = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // The test may have heard enough.
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, events }
    }

    /// The next event of this kind; others before it are passed over.
    fn next(&self, kind: &str) -> Value {
        loop {
            let event = self.events.recv_timeout(Duration::from_secs(60)).unwrap();
            if event["type"] == kind {
                return event;
            }
        }
    }

    fn kill(mut self) -> Vec<Value> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.events.iter().collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_is_checked_stops_a_forged_day_and_repeats_nothing() {
    let acme = Acme::start().await;
    let home = Home::new();
    acme.configure(&home);
    let store = BundleStore::new(home.path("bundles"));
    keystore::create(&home.path("owner.json"), &nodesys_testing::anvil::funded(), "secret")
        .unwrap();
    home.write("password", "secret\n");
    let bundles = home.path("bundles").display().to_string();
    let key = format!(
        "--guardian-keystore {} --guardian-password-file {}",
        home.path("owner.json").display(),
        home.path("password").display()
    );
    let first = acme.anvil.url.expose().to_string();
    let second = first.replace("127.0.0.1", "localhost");
    let full = [DayBitmap::FULL; 3];
    let between = acme.publish(&store, FIRST_DAY, full, PreviousDay::default()).await;

    // One RPC alone proves nothing, and the check says what to do; with two it is good.
    let check = format!("audit --watch --check --bundles {bundles} {key}");
    home.run(&check).fails(5, "name a second --rpc");
    let two = format!("--rpc {first} --rpc {second}");
    home.run(&format!("{check} {two}")).fails(0, "good");
    home.run(&format!("{check} {two} --bundles /nowhere")).fails(5, "place /nowhere");
    home.run(&format!("{check} --rpc {first} --rpc http://127.0.0.1:1")).fails(5, "RPC http");

    let line = format!("audit --watch --interval-secs 1 -o json --bundles {bundles} {key} {two}");
    let watching = Watching::start(&home, &line);
    assert_eq!(watching.next("commit.holds")["post"]["day"], FIRST_DAY.to_string());
    watching.next("watch.alive");

    // A day whose amounts no points give, signed by the reward signer, and published.
    acme.publish_forged(&store, FIRST_DAY.next(), full, between).await;
    let event = watching.next("commit.differs");
    assert_eq!(event["post"]["verdict"], "does_not_hold", "{event}");
    assert!(event["post"]["findings"][0].as_str().unwrap().contains("rewards.csv line 2"));
    let steps = [watching.next("guardian.acted"), watching.next("guardian.acted")];
    let step = |event: &Value| event["steps"][0]["step"].clone();
    assert_eq!((step(&steps[0]), step(&steps[1])), ("disable_signer".into(), "revoke".into()));
    assert!(steps.iter().all(|event| event["steps"][0]["transaction"].is_string()), "{steps:?}");
    let state = state_of(&acme.owner, acme.distributor, BlockNumberOrTag::Latest).await.unwrap();
    assert!(state.signer.is_zero());
    assert_eq!(state.epoch, FIRST_DAY.epoch());
    watching.kill();

    // Started again it goes on: nothing is told twice.
    let again = Watching::start(&home, &line);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(again.kill(), Vec::<Value>::new());
    // The state is of this project, and a broken one is refused with its name.
    home.write("watch-acme.json", "{}");
    home.run(&line).fails(2, "is not a watch's state");
}

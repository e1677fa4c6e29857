//! `nodesys update` on a node whose receipts are real: begun only with a fresh one, kept after
//! three more, rolled back by itself without them, but not for the backend's fault.

use std::process::{Child, Stdio};

use nodesys_core::time::Timestamp;
use nodesys_devnet::process::pause;
use nodesys_e2e::ShortDay;
use nodesys_e2e::short_day::{A1, DAY};
use nodesys_testing::program::Run;
use nodesys_testing::updates::{CURRENT, FIRST, World};
use serde_json::{Value, json};

/// A node that runs, two hours before the day's end, and a repository of the same time.
struct Updates {
    day: ShortDay,
    world: World,
}

impl Updates {
    async fn new() -> Self {
        let mut day = ShortDay::start_with(1, |options| {
            options.start = Timestamp::from_secs(DAY.end().secs() - 2 * 3600);
        })
        .await;
        day.net.add_node(|people| &people.alice, &[A1]).await.unwrap();
        day.pass_minutes(3).await;
        Self { day, world: World::without_release() }
    }

    async fn publish(&self) {
        let now = self.day.net.now().await.secs();
        self.world.tool(&format!(
            "--now-secs {now} publish updates --snapshot-key keys/online --timestamp-key keys/online"
        ));
    }

    fn begin(&self, line: &str) -> Child {
        let node = &self.day.net.nodes[0];
        let line = format!("{line} --manager {}", node.manager_url().unwrap());
        let mut command = self.world.command_of(&node.home, &line);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs to its end, when no time has to pass.
    fn run(&self, line: &str) -> Run {
        Run::of(self.begin(line).wait_with_output().unwrap())
    }

    fn of_update(&self, name: &str) -> Option<Value> {
        let path = self.day.net.nodes[0].home.join("update").join(name);
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    /// Begins an update, and returns once the programs are in place and it waits for receipts.
    async fn begin_to_watch(&self, line: &str) -> Child {
        let mut child = self.begin(line);
        while self.of_update("journal.json").is_none_or(|it| it["step"] != "watching") {
            if child.try_wait().unwrap().is_some() {
                let run = Run::of(child.wait_with_output().unwrap());
                panic!("it ended: {}\n{}", run.stdout, run.stderr);
            }
            pause().await;
        }
        child
    }

    /// Lets minutes pass until it ends.
    async fn end(&self, mut child: Child) -> Run {
        for _ in 0..60 {
            if child.try_wait().unwrap().is_some() {
                return Run::of(child.wait_with_output().unwrap());
            }
            self.day.pass_minutes(1).await;
        }
        panic!("it does not end within an hour");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_stays_with_three_receipts_and_goes_back_without() {
    let mut updates = Updates::new().await;
    // The node has its own place in the order.
    updates.world.real_release("0.2.0", "--cursor 0");
    updates.publish().await;
    let waits = updates.run(FIRST).json(0);
    assert_eq!(waits["state"], "waits");
    assert!(waits["place_ppm"].as_u64().unwrap() < 1_000_000, "{waits}");

    // The backend is away: nothing is begun.
    updates.world.tool("release cursor updates --version 0.2.0 --cursor 100 --key keys/targets");
    updates.publish().await;
    updates.day.net.kill_backend(0).await.unwrap();
    updates.day.pass_minutes(7).await;
    updates.run("update").fails(5, "older than 5 minutes");
    updates.world.is_at(CURRENT);
    updates.day.net.start_backend(0).await.unwrap();
    updates.day.pass_minutes(3).await;

    // It goes away in the middle: that is waited for, and is not the release's fault.
    let child = updates.begin_to_watch("update").await;
    updates.world.is_at("0.2.0");
    updates.day.net.kill_backend(0).await.unwrap();
    updates.day.pass_minutes(12).await;
    assert_eq!(updates.of_update("journal.json").unwrap()["step"], "watching");
    updates.day.net.start_backend(0).await.unwrap();
    let run = updates.end(child).await;
    assert_eq!(run.json(0)["state"], "updated");
    assert!(run.stderr.contains("not the release's fault"), "{}", run.stderr);
    updates.world.is_at("0.2.0");

    // The next one's node dies: no receipts, so it goes back by itself.
    updates.world.real_release("0.3.0", "");
    updates.publish().await;
    let child = updates.begin_to_watch("update").await;
    updates.world.is_at("0.3.0");
    updates.day.net.nodes[0].kill().await.unwrap();
    let run = updates.end(child).await;
    let report = run.json(5);
    assert_eq!((&report["state"], &report["version"]), (&json!("rolled_back"), &json!("0.3.0")));
    assert!(report["why"].as_str().unwrap().contains("within 5 minutes"), "{report}");
    updates.world.is_at("0.2.0");
    assert!(updates.of_update("state.json").unwrap()["quarantined"]["0.3.0"].is_string());

    // Well again, the release that did not hold is left alone, and the one after it is not.
    let network = updates.day.net.network.clone();
    updates.day.net.nodes[0].start(&network).await.unwrap();
    updates.day.pass_minutes(3).await;
    updates.world.tool("release withdraw updates --version 0.2.0 --key keys/targets");
    updates.publish().await;
    assert_eq!(updates.run("update").json(0)["state"], "quarantined");
    updates.world.real_release("0.3.1", "");
    updates.publish().await;
    let child = updates.begin_to_watch("update").await;
    // Ended in the middle, the next run waits for its receipts.
    let mut child = child;
    child.kill().unwrap();
    child.wait().unwrap();
    let child = updates.begin_to_watch("update").await;
    assert_eq!(updates.end(child).await.json(0)["state"], "updated");
    updates.world.is_at("0.3.1");
    assert!(updates.of_update("journal.json").is_none());

    // Held back for four days, the repository is not believed any more.
    // A machine whose clock is behind: the chain's newest block knows better, and the repository is
    // not believed any more.
    let home = updates.world.path("other");
    std::fs::create_dir(&home).unwrap();
    let config = json!({ "rpc": updates.day.net.network.rpc, "chain_id": 31_337 });
    std::fs::write(home.join("config.json"), config.to_string()).unwrap();
    updates.world.publish();
    let check = || {
        let mut command = updates.world.command_of(&home, &format!("{FIRST} --check"));
        Run::of(command.output().unwrap())
    };
    check().json(0);
    let later = nodesys_clock::Clock::system().now().plus_millis(4 * 86_400_000);
    updates.day.net.chain.step(later).await.unwrap();
    check().fails(1, "timestamp metadata expired at");
    updates.day.net.stop().await.unwrap();
}

//! The disk under Postgres fills up, and is emptied.
//!
//! Postgres gets a small file system of its own, a tmpfs in a user and mount namespace, which root and others may make
//! alike, and which is gone with its processes.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nodesys_clock::Clock;
use nodesys_core::B256;
use nodesys_core::message::{Domain, Heartbeat, Signed};
use nodesys_sdk::client::Error;
use nodesys_testing::anvil::CHAIN_ID;
use nodesys_testing::chain::Chain;
use sqlx::{Connection as _, PgConnection};

use super::super::{Node, Setup, nodes};
use super::{PATIENCE, SCRIPT, recorded};

/// Room for an empty database with its log, and little more.
const SIZE: &str = "size=200m,mode=700";

/// A Postgres on a file system of its own.
struct Small {
    folder: tempfile::TempDir,
    /// Keeps the file system; it ends with this.
    holder: Child,
}

impl Small {
    /// `None` where no such file system can be made.
    async fn start() -> Option<(Self, String)> {
        // A socket's path is short.
        let folder = tempfile::Builder::new().prefix("nodesys-pg.").tempdir_in("/tmp").unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let script =
            "mount -t tmpfs -o \"$1\" tmpfs \"$0\" && touch \"$0/../held\" && exec sleep infinity";
        let holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
            .arg(&data)
            .arg(SIZE)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut small = Self { folder, holder };
        let mut sleeper = Clock::system().sleeper();
        while !small.folder.path().join("held").exists() {
            if small.holder.try_wait().unwrap().is_some() {
                return None;
            }
            sleeper.sleep(Duration::from_millis(20)).await;
        }
        let started = small.pg("start").stderr(Stdio::inherit()).output().unwrap();
        assert!(started.status.success(), "{started:?}");
        let url = String::from_utf8(started.stdout).unwrap().trim().to_owned();
        Some((small, url))
    }

    fn pg(&self, command: &str) -> Command {
        let mut inside = Command::new("nsenter");
        inside
            .args(["--target", &self.holder.id().to_string(), "--user", "--mount"])
            .args(["--preserve-credentials", SCRIPT, command, "--durable"])
            .arg(self.folder.path());
        inside
    }

    /// What takes the room.
    fn ballast(&self) -> PathBuf {
        let data = self.folder.path().join("data/ballast");
        let root = format!("/proc/{}/root", self.holder.id());
        Path::new(&root).join(data.strip_prefix("/").unwrap())
    }

    /// Until there is no room for a single byte more.
    fn fill(&self) {
        let mut ballast = File::create(self.ballast()).unwrap();
        let piece = vec![1; 1 << 16];
        while ballast.write_all(&piece).is_ok() {}
        while ballast.write_all(&piece[..1]).is_ok() {}
    }

    /// As whoever supervises Postgres does, where the full disk has ended it.
    fn supervise(&self) {
        let mut resume = self.pg("resume");
        let _ = resume.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let mut stop = self.pg("stop");
        let _ = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "fills a disk of its own: scripts/test faults"]
async fn on_a_full_disk_it_asks_to_try_again_and_loses_nothing() {
    let Some((small, url)) = Small::start().await else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI must let us make a namespace");
        println!(
            "faults: disk full: not run: this machine lets nobody make a namespace with a tmpfs"
        );
        return;
    };
    let chain = Chain::start().await;
    let domain = Domain::new(CHAIN_ID, chain.registry);
    let setup = Setup { unsafe_postgres: false, ..Setup::on(&url, &chain) };
    let (_process, client) = setup.start().await;
    let nodes = nodes(&client, domain, 120).await;
    let mut turns = nodes.iter().cycle();
    let mut receipts: Vec<B256> = Vec::new();
    for node in turns.by_ref().take(10) {
        receipts.push(node.beat(&client, &[]).await.unwrap().batch.message.root);
    }

    // Some are still taken: pages and the log have room inside.
    small.fill();
    let mut refusals = 0;
    for node in turns.by_ref().take(1200) {
        match node.beat(&client, &[]).await {
            Ok(receipt) => receipts.push(receipt.batch.message.root),
            Err(Error::Problem(problem)) if problem.status == 429 => {}
            Err(Error::Problem(problem)) => {
                assert_eq!((problem.status, problem.code.as_str()), (503, "busy"), "{problem:?}");
                refusals += 1;
            }
            Err(error) => panic!("{error}"),
        }
        if refusals == 10 {
            break;
        }
    }
    assert_eq!(refusals, 10, "the disk did not fill up");
    let answer = raw_heartbeat(&client, turns.next().unwrap()).await;
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"), "{answer:?}");

    // Room again: it goes on by itself.
    std::fs::remove_file(small.ballast()).unwrap();
    let again = async {
        let mut sleeper = Clock::system().sleeper();
        let mut taken = 0;
        for node in turns.by_ref() {
            match node.beat(&client, &[]).await {
                Ok(receipt) => {
                    receipts.push(receipt.batch.message.root);
                    taken += 1;
                }
                Err(_) => small.supervise(),
            }
            if taken == 10 {
                return;
            }
            sleeper.sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("heartbeats are not taken again");
    client.ready().await.unwrap();

    let mut conn = PgConnection::connect(&url).await.unwrap();
    recorded(&mut conn, &receipts, "a full disk").await;
    println!("faults: disk full: {} receipts, all recorded; {refusals} refusals", receipts.len());
}

/// A heartbeat's answer with its head.
async fn raw_heartbeat(client: &nodesys_sdk::client::Client, node: &Node) -> reqwest::Response {
    let session = client.session(node.key.address()).await.unwrap();
    let heartbeat = Heartbeat {
        node_key: node.key.address(),
        minute: nodesys_core::time::Timestamp::from_millis(session.server_time_millis).minute(),
        seq: nodesys_core::ids::Seq::checked_new(1_000_000).unwrap(),
        challenge: session.challenge,
        leases: Vec::new(),
    };
    let signed = Signed::new(heartbeat, &node.domain, &node.key);
    let url = client.base().join("/v1/heartbeats").unwrap();
    reqwest::Client::new().post(url).json(&signed).send().await.unwrap()
}

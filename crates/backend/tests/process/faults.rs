//! Faults: replicas and Postgres are killed and stopped at random moments under load, a disk fills up, strangers crowd
//! in, the schema changes. What was acknowledged is recorded, by the loader's receipts. `scripts/test faults` runs them
//! on a Postgres of its own, which keeps its commits.

mod crowd;
mod disk;
mod schema;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use nodesys_clock::Clock;
use nodesys_core::B256;
use nodesys_core::message::Domain;
use nodesys_core::time::Minute;
use nodesys_sdk::client::Client;
use nodesys_testing::anvil::CHAIN_ID;
use nodesys_testing::chain::Chain;
use sqlx::{Connection as _, PgConnection};
use tokio::process::Child;

use super::{Node, Setup, nodes};

/// Nodes of the loader. Each may be answered 16 times in three minutes.
const NODES: u8 = 60;
/// Pause between two heartbeats, and time for an answer.
const PAUSE: Duration = Duration::from_millis(120);
const ANSWER: Duration = Duration::from_secs(5);
/// Time for everything to work again after a fault.
const PATIENCE: Duration = Duration::from_secs(60);

/// A fault.
#[derive(Debug, Clone, Copy)]
enum Fault {
    KillReplica(usize),
    StopReplica(usize),
    KillPostgres,
    StopPostgres,
}

/// Numbers from a seed (SplitMix64), so that a failing run can be repeated.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn fault(&mut self) -> Fault {
        let replica = usize::from(self.below(2) == 1);
        match self.below(6) {
            0 | 1 => Fault::KillReplica(replica),
            2 | 3 => Fault::StopReplica(replica),
            4 => Fault::KillPostgres,
            _ => Fault::StopPostgres,
        }
    }
}

/// What the loader was told.
#[derive(Default)]
pub(super) struct Told {
    pub(super) receipts: AtomicUsize,
    pub(super) refusals: AtomicUsize,
    pub(super) over: AtomicBool,
}

pub(super) fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

pub(super) fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").args([name, &pid.to_string()]).stderr(Stdio::null()).status();
    assert!(sent.unwrap().success(), "{name} {pid}");
}

fn postmaster(folder: &Path) -> u32 {
    let text = std::fs::read_to_string(folder.join("data/postmaster.pid")).unwrap();
    text.lines().next().unwrap().trim().parse().unwrap()
}

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/pg");

async fn resume_postgres(folder: &Path) {
    let mut sleeper = Clock::system().sleeper();
    // Until the killed server's processes have gone, their memory is in the way.
    for _ in 0..60 {
        let mut command = Command::new(SCRIPT);
        let command = command.args(["resume", "--durable"]).arg(folder);
        if command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success() {
            return;
        }
        sleeper.sleep(Duration::from_millis(500)).await;
    }
    panic!("Postgres does not start again");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "kills a Postgres of its own: scripts/test faults"]
async fn what_was_acknowledged_is_recorded_whatever_was_killed() {
    let folder = std::env::var("NODESYS_PG_DIR").expect("scripts/test faults sets it");
    let folder = Path::new(&folder);
    let url = std::env::var("DATABASE_URL").unwrap();
    let rounds = number("NODESYS_FAULT_ROUNDS").unwrap_or(6);
    let seed = number("NODESYS_FAULT_SEED").unwrap_or_else(|| Clock::system().now().millis());
    println!("faults: seed {seed}, {rounds} rounds");
    let mut dice = Dice(seed);

    let chain = Chain::start().await;
    let domain = Domain::new(CHAIN_ID, chain.registry);
    let setups = [0, 1].map(|_| Setup { unsafe_postgres: false, ..Setup::on(&url, &chain) });
    let (mut replicas, clients) = start_all(&setups).await;
    let nodes = nodes(&replicas[0].1, domain, NODES).await;

    let told = Arc::new(Told::default());
    let loading = tokio::spawn(load(nodes, clients.clone(), told.clone()));
    let mut sleeper = Clock::system().sleeper();
    for round in 1..=rounds {
        sleeper.sleep(Duration::from_millis(dice.below(1500))).await;
        let fault = dice.fault();
        println!("faults: round {round}: {fault:?}");
        match fault {
            Fault::KillReplica(which) => {
                signal("-KILL", replicas[which].0.id().unwrap());
                replicas[which].0.wait().await.unwrap();
                replicas[which] = setups[which].start().await;
                clients.write().unwrap()[which] = replicas[which].1.clone();
            }
            Fault::StopReplica(which) => {
                let pid = replicas[which].0.id().unwrap();
                signal("-STOP", pid);
                sleeper.sleep(Duration::from_millis(500 + dice.below(4000))).await;
                signal("-CONT", pid);
            }
            Fault::KillPostgres => {
                signal("-KILL", postmaster(folder));
                resume_postgres(folder).await;
            }
            Fault::StopPostgres => {
                let pid = postmaster(folder);
                signal("-STOP", pid);
                sleeper.sleep(Duration::from_millis(500 + dice.below(3000))).await;
                signal("-CONT", pid);
            }
        }
        // Everything works again: both are ready, and heartbeats are taken.
        let before = told.receipts.load(Ordering::Relaxed);
        let again = async {
            let mut sleeper = Clock::system().sleeper();
            loop {
                let ready =
                    (replicas[0].1.ready().await.is_ok(), replicas[1].1.ready().await.is_ok());
                let more = told.receipts.load(Ordering::Relaxed) > before + 2;
                if ready == (true, true) && more {
                    return;
                }
                sleeper.sleep(Duration::from_millis(100)).await;
            }
        };
        let again = tokio::time::timeout(PATIENCE, again).await;
        again.unwrap_or_else(|_| panic!("seed {seed}: not well a minute after round {round}"));
    }
    told.over.store(true, Ordering::Relaxed);
    let roots: Vec<B256> = loading.await.unwrap().into_iter().map(|(_, root)| root).collect();
    let mut conn = PgConnection::connect(&url).await.unwrap();
    recorded(&mut conn, &roots, &format!("seed {seed}")).await;
    let refusals = told.refusals.load(Ordering::Relaxed);
    println!("faults: {} receipts, all recorded; {refusals} refusals", roots.len());
    assert!(roots.len() > 10, "{}", roots.len());
}

/// Replicas, and how the loader reaches them.
pub(super) async fn start_all(
    setups: &[Setup],
) -> (Vec<(Child, Client)>, Arc<RwLock<Vec<Client>>>) {
    let mut replicas: Vec<(Child, Client)> = Vec::new();
    for setup in setups {
        replicas.push(setup.start().await);
    }
    let clients = replicas.iter().map(|(_, client)| client.clone()).collect();
    (replicas, Arc::new(RwLock::new(clients)))
}

/// Every receipt's batch is there.
pub(super) async fn recorded(conn: &mut PgConnection, roots: &[B256], what: &str) {
    let stored: Vec<Vec<u8>> = sqlx::query_scalar("select root::bytea from heartbeat_batch")
        .fetch_all(conn)
        .await
        .unwrap();
    for root in roots {
        let found = stored.iter().any(|it| it == root.as_slice());
        assert!(found, "{what}: a receipt's batch {root} is not recorded");
    }
}

/// Sends heartbeats of all nodes in turn, to each replica in turn; of each receipt the minute and the root.
pub(super) async fn load(
    nodes: Vec<Node>,
    clients: Arc<RwLock<Vec<Client>>>,
    told: Arc<Told>,
) -> Vec<(Minute, B256)> {
    let mut sleeper = Clock::system().sleeper();
    let mut roots = Vec::new();
    for (turn, node) in nodes.iter().cycle().enumerate() {
        if told.over.load(Ordering::Relaxed) {
            break;
        }
        let client = {
            let clients = clients.read().unwrap();
            clients[turn % clients.len()].clone().with_timeout(ANSWER)
        };
        if let Ok(receipt) = node.beat(&client, &[]).await {
            roots.push((receipt.batch.message.minute, receipt.batch.message.root));
            told.receipts.fetch_add(1, Ordering::Relaxed);
        } else {
            told.refusals.fetch_add(1, Ordering::Relaxed);
        }
        sleeper.sleep(PAUSE).await;
    }
    roots
}

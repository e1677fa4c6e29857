//! A database of three Postgres behind one front (`test/ha`): the primary is killed, or cut off the network, under
//! load on three replicas. What was acknowledged is recorded, and work goes on by itself.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nodesys_clock::Clock;
use nodesys_core::B256;
use nodesys_core::message::Domain;
use nodesys_testing::anvil::CHAIN_ID;
use nodesys_testing::chain::Chain;
use sqlx::{Connection as _, PgConnection};

use super::faults::{Dice, Told, load, number, recorded, signal, start_all};
use super::{Setup, nodes};

const NODES: u8 = 60;
/// Time for a standby to take over, and for a node to come back.
const PATIENCE: Duration = Duration::from_secs(120);

/// `test/ha/inside` says what it can.
fn ha(words: &[&str]) -> Option<String> {
    let program = std::env::var("NODESYS_HA").expect("test/ha/run sets it");
    let output = Command::new(program).args(words).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    output.status.success().then(|| text.trim().to_owned())
}

async fn until(what: &str, seed: u64, mut done: impl FnMut() -> bool) {
    let mut sleeper = Clock::system().sleeper();
    let waiting = async {
        while !done() {
            sleeper.sleep(Duration::from_millis(200)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    waited.unwrap_or_else(|_| panic!("seed {seed}: {what}: not within {PATIENCE:?}"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a database of three: scripts/test ha"]
async fn what_was_acknowledged_survives_the_loss_of_a_primary() {
    let url = std::env::var("DATABASE_URL").unwrap();
    let rounds = number("NODESYS_HA_ROUNDS").unwrap_or(2);
    let clock = Clock::system();
    let seed = number("NODESYS_FAULT_SEED").unwrap_or_else(|| clock.now().millis());
    println!("ha: seed {seed}, {rounds} rounds");
    let mut dice = Dice(seed);

    let chain = Chain::start().await;
    let domain = Domain::new(CHAIN_ID, chain.registry);
    let setups = [0, 1, 2].map(|_| Setup { unsafe_postgres: false, ..Setup::on(&url, &chain) });
    let (mut replicas, clients) = start_all(&setups).await;
    let nodes = nodes(&replicas[0].1, domain, NODES).await;
    let told = Arc::new(Told::default());
    let loading = tokio::spawn(load(nodes, clients.clone(), told.clone()));
    let receipts = || told.receipts.load(Ordering::Relaxed);

    let mut sleeper = clock.sleeper();
    for round in 1..=rounds {
        until("heartbeats are taken", seed, {
            let before = receipts();
            move || receipts() > before + 5
        })
        .await;
        sleeper.sleep(Duration::from_millis(dice.below(1500))).await;
        let primary = ha(&["primary"]).expect("there is a primary");
        let (fault, repair) = if round % 2 == 1 { ("kill", "start") } else { ("cut", "mend") };
        let began = clock.monotonic_millis();
        ha(&[fault, &primary]).expect("the fault");
        // Answers that were on their way count for the primary before.
        sleeper.sleep(Duration::from_secs(1)).await;
        let before = receipts();
        until("a standby takes over", seed, || receipts() > before).await;
        let silent = clock.monotonic_millis() - began;
        let after = ha(&["primary"]).expect("there is a primary again");
        println!(
            "ha: round {round}: {fault} {primary}; {after} took over, the next heartbeat was taken after {}.{} s",
            silent / 1000,
            silent % 1000 / 100
        );
        assert_ne!(after, primary, "seed {seed}");
        ha(&[repair, &primary]).expect("the repair");
        until("the three are whole again", seed, || ha(&["whole"]).is_some()).await;

        // A replica beside it, while the database is well.
        let which = usize::try_from(dice.below(3)).unwrap();
        println!("ha: round {round}: kill -9 of replica {which}");
        signal("-KILL", replicas[which].0.id().unwrap());
        replicas[which].0.wait().await.unwrap();
        replicas[which] = setups[which].start().await;
        clients.write().unwrap()[which] = replicas[which].1.clone();
    }
    told.over.store(true, Ordering::Relaxed);
    let taken = loading.await.unwrap();
    let roots: Vec<B256> = taken.iter().map(|(_, root)| *root).collect();
    let mut conn = PgConnection::connect(&url).await.unwrap();
    recorded(&mut conn, &roots, &format!("seed {seed}")).await;
    let minutes: BTreeSet<u64> = taken.iter().map(|(minute, _)| minute.0).collect();
    let (first, last) = (minutes.first().unwrap(), minutes.last().unwrap());
    let lost = last - first + 1 - minutes.len() as u64;
    let refusals = told.refusals.load(Ordering::Relaxed);
    println!(
        "ha: {} receipts, all recorded; {refusals} refusals; {lost} of {} minutes without a heartbeat",
        roots.len(),
        last - first + 1
    );
}

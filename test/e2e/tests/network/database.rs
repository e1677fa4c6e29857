//! Postgres is killed again and again under load: every acknowledged heartbeat is in the closed day.

use nodesys_core::time::Timestamp;
use nodesys_devnet::LicenseRef;
use nodesys_e2e::short_day::DAY;
use nodesys_e2e::{RawNode, ShortDay, seed};
use nodesys_sdk::client::Client;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

const NODES: u64 = 20;
const ROUNDS: u64 = 20;
/// Tries of one heartbeat. Each waits a moment, or for a connection: a minute in all, at least.
const TRIES: u32 = 3_000;

/// Sends until it is acknowledged or given up; returns the number of failed tries.
async fn insist(node: &mut RawNode, client: &Client, minute: nodesys_core::time::Minute) -> u32 {
    for failures in 0..TRIES {
        let sent = match node.sign(client, minute).await {
            Ok(signed) => node.send(client, &signed).await,
            Err(error) => Err(error),
        };
        match sent {
            Ok(_) => return failures,
            Err(error) => assert!(error.is_passing(), "{error}"),
        }
        nodesys_devnet::process::pause().await;
    }
    panic!("not acknowledged, though Postgres is back");
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_killed_under_load() {
    let mut random = StdRng::seed_from_u64(seed());
    let mut day = ShortDay::start_with(1, |options| {
        options.start = Timestamp::from_secs(DAY.end().secs() - (ROUNDS + 1) * 60);
        options.replicas = 1;
    })
    .await;
    let client = day.net.client(0).unwrap();
    let licenses: Vec<LicenseRef> = day.mint_for_alice(0, NODES).await;
    let mut nodes = Vec::new();
    for license in &licenses {
        let key = &day.net.people.alice.key;
        let mut node = RawNode::new(&client, day.domain(), key, day.net.now().await).await;
        node.ask(&client, day.license(*license)).await.unwrap();
        nodes.push(node);
    }
    let mut failed = 0;
    for _ in 0..ROUNDS {
        let minute = day.minute().await;
        let kill_after = random.random_range(0..40);
        let tasks: Vec<_> = nodes
            .drain(..)
            .map(|mut node| {
                let client = client.clone();
                tokio::spawn(async move {
                    let failures = insist(&mut node, &client, minute).await;
                    (node, failures)
                })
            })
            .collect();
        let real = nodesys_clock::Clock::system();
        real.sleeper().sleep(std::time::Duration::from_millis(kill_after)).await;
        day.net.postgres.kill().await.unwrap();
        day.net.postgres.restart().await.unwrap();
        for task in tasks {
            let (node, failures) = task.await.unwrap();
            failed += failures;
            nodes.push(node);
        }
        day.pass_minutes(1).await;
    }
    eprintln!("{failed} sends were not acknowledged at first");
    assert!(failed > 0, "no kill ever hit a send: the test shows nothing");
    let mut first = nodes.remove(0);
    day.close(&mut first).await;
    nodes.insert(0, first);
    for (node, license) in nodes.iter().zip(&licenses) {
        let license = day.license(*license);
        let bitmap = day.closed_bitmap(&license).await;
        let credited = node.credited(&license);
        assert!(credited.len() as u64 >= ROUNDS, "every minute was acknowledged in the end");
        for minute in credited.iter().filter(|minute| minute.day() == DAY) {
            assert!(bitmap.contains(minute.of_day()), "minute {} of {license}", minute.0);
        }
    }
    day.net.stop().await.unwrap();
}

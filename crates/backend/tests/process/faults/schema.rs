//! The schema of the next version comes while two replicas of this one run.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use nodesys_clock::Clock;
use nodesys_core::message::Domain;
use nodesys_testing::anvil::CHAIN_ID;
use nodesys_testing::chain::Chain;
use sqlx::{Connection as _, PgConnection};

use super::super::{Setup, nodes};
use super::{PATIENCE, Told, load, recorded};
use std::sync::atomic::Ordering;

/// What migrations do to tables in use: columns that may be null or have a default, another table, a check that is
/// validated later, a function replaced, an index beside writers.
const NEXT: [&str; 6] = [
    "alter table heartbeat_batch add column next_version bytea",
    "alter table node add column next_version bigint not null default 0",
    "create table next_version (node_idx integer primary key references node)",
    "alter table node add constraint node_next_version check (next_version >= 0) not valid",
    "alter table node validate constraint node_next_version",
    "create index concurrently node_next_version on node (next_version)",
];
const BEFORE: [&str; 3] = [
    "drop table next_version",
    "alter table node drop column next_version",
    "alter table heartbeat_batch drop column next_version",
];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a durable Postgres: scripts/test faults"]
async fn a_schema_that_is_migrated_under_two_replicas_stops_neither() {
    let url = std::env::var("DATABASE_URL").unwrap();
    let chain = Chain::start().await;
    let setups = [0, 1].map(|_| Setup { unsafe_postgres: false, ..Setup::on(&url, &chain) });
    let (first, second) = (setups[0].start().await, setups[1].start().await);
    let nodes = nodes(&first.1, Domain::new(CHAIN_ID, chain.registry), 60).await;
    let told = Arc::new(Told::default());
    let clients = Arc::new(RwLock::new(vec![first.1.clone(), second.1.clone()]));
    let loading = tokio::spawn(load(nodes, clients, told.clone()));

    let mut sleeper = Clock::system().sleeper();
    let mut more = async |receipts: usize| {
        let before = told.receipts.load(Ordering::Relaxed);
        let waiting = async {
            while told.receipts.load(Ordering::Relaxed) < before + receipts {
                sleeper.sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("heartbeats are not taken");
    };
    let mut conn = PgConnection::connect(&url).await.unwrap();
    more(6).await;
    for statement in NEXT.iter().chain(&BEFORE) {
        sqlx::query(sqlx::AssertSqlSafe(*statement)).execute(&mut conn).await.unwrap();
        more(6).await;
    }
    for client in [&first.1, &second.1] {
        client.ready().await.unwrap();
    }
    told.over.store(true, Ordering::Relaxed);
    let roots: Vec<_> = loading.await.unwrap().into_iter().map(|(_, root)| root).collect();
    recorded(&mut conn, &roots, "a migration").await;
    let refusals = told.refusals.load(Ordering::Relaxed);
    assert_eq!(refusals, 0, "a migration stopped heartbeats");
    println!("faults: a migration under two replicas: {} receipts, all recorded", roots.len());
}

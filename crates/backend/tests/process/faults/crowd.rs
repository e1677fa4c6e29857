//! More than the backend has room for: connections, and connections of the pool.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use nodesys_clock::Clock;
use nodesys_core::message::Domain;
use nodesys_sdk::client::Error;
use nodesys_service::listener::connections_by_descriptors;
use nodesys_testing::anvil::CHAIN_ID;
use nodesys_testing::chain::Chain;
use sqlx::{Connection as _, PgConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::super::{Setup, nodes};
use super::{PATIENCE, recorded};

/// Connections that never say all, where there are descriptors for as many.
const SLOW: usize = 10_000;

/// Longer than a request waits for a connection.
const LONGER_THAN_THE_POOL: Duration = Duration::from_secs(13);

/// From one of four networks, none of which reaches its half of the places.
async fn half_a_head(number: usize, to: SocketAddr) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    let network = u8::try_from(number % 4).unwrap() + 1;
    socket.bind((IpAddr::from(Ipv4Addr::new(127, 0, 9, network)), 0).into()).ok()?;
    let mut stream = socket.connect(to).await.ok()?;
    stream.write_all(b"GET /v1/network HTTP/1.1\r\nhost: x\r\nx-slow: ").await.ok()?;
    Some(stream)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "opens 10,000 connections: scripts/test faults"]
async fn ten_thousand_slow_connections_keep_no_node_out() {
    // Our side of each, and the backend's: both programs have raised their limits by this.
    let places = connections_by_descriptors();
    let slow = SLOW.min(places * 3 / 4);
    if slow < SLOW {
        println!(
            "faults: slow connections: {slow}, since the system allows {places} and some for nodes"
        );
    }
    let url = std::env::var("DATABASE_URL").unwrap();
    let chain = Chain::start().await;
    let setup = Setup { unsafe_postgres: false, ..Setup::on(&url, &chain) };
    let (_process, client) = setup.start().await;
    let nodes = nodes(&client, Domain::new(CHAIN_ID, chain.registry), 40).await;
    let base = client.base();
    let to = (Ipv4Addr::LOCALHOST, base.port().unwrap()).into();

    let open: Vec<TcpStream> = stream::iter(0..slow)
        .map(|number| half_a_head(number, to))
        .buffer_unordered(64)
        .filter_map(async |stream| stream)
        .collect()
        .await;
    assert!(open.len() * 10 >= slow * 9, "{} of {slow} connections", open.len());
    // New connections are served meanwhile, each node's own.
    for node in &nodes {
        let client = nodesys_sdk::client::Client::new(base.as_str()).unwrap();
        node.beat(&client, &[]).await.unwrap();
    }
    // Who never says all is sent away.
    let closed = async {
        for mut stream in open {
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
        }
    };
    tokio::time::timeout(PATIENCE, closed).await.expect("a slow connection is still open");
    println!("faults: {slow} slow connections were closed; no heartbeat was lost");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a durable Postgres: scripts/test faults"]
async fn after_a_restart_all_nodes_come_back_at_once() {
    let url = std::env::var("DATABASE_URL").unwrap();
    let chain = Chain::start().await;
    let setup = Setup { unsafe_postgres: false, ..Setup::on(&url, &chain) };
    let (mut process, client) = setup.start().await;
    let nodes = nodes(&client, Domain::new(CHAIN_ID, chain.registry), 110).await;
    process.kill().await.unwrap();
    let (_process, client) = setup.start().await;
    // Each by a connection of its own, all in the same moment; who is told to try again does.
    let storm = nodes.iter().map(|node| {
        let base = client.base().clone();
        async move {
            let mut sleeper = Clock::system().sleeper();
            loop {
                let client = nodesys_sdk::client::Client::new(base.as_str()).unwrap();
                match node.beat(&client, &[]).await {
                    Ok(receipt) => return receipt.batch.message.root,
                    Err(Error::Problem(it)) if it.status == 503 => {}
                    Err(error) => panic!("{error}"),
                }
                sleeper.sleep(Duration::from_secs(1)).await;
            }
        }
    });
    let roots = tokio::time::timeout(PATIENCE, futures::future::join_all(storm)).await;
    let roots = roots.expect("a node does not come back");
    recorded(&mut PgConnection::connect(&url).await.unwrap(), &roots, "a restart").await;
    println!("faults: a restart: {} nodes came back at once, all recorded", roots.len());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a durable Postgres: scripts/test faults"]
async fn a_pool_that_is_exhausted_asks_to_try_again_and_recovers() {
    let url = std::env::var("DATABASE_URL").unwrap();
    let chain = Chain::start().await;
    let setup = Setup { unsafe_postgres: false, ..Setup::on(&url, &chain) };
    let mut command = setup.command();
    command.args(["--database-connections", "3"]).stderr(std::process::Stdio::inherit());
    let (_process, client) = setup.start_by(command).await;
    let nodes = nodes(&client, Domain::new(CHAIN_ID, chain.registry), 30).await;
    let first = nodes[0].beat(&client, &[]).await.unwrap();

    // Somebody holds what every statement about nodes and days waits for.
    let mut holder = PgConnection::connect(&url).await.unwrap();
    let mut held = holder.begin().await.unwrap();
    sqlx::query("lock table node, day in access exclusive mode").execute(&mut *held).await.unwrap();
    // Nodes that are not in memory are read: more of them than there are connections.
    let waiting = client.clone().with_timeout(LONGER_THAN_THE_POOL);
    let strangers = (0..12u8).map(|number| {
        let client = waiting.clone();
        async move { client.node(nodesys_core::Address::repeat_byte(number)).await }
    });
    let refused = futures::future::join_all(strangers);
    let (refused, sent) = tokio::join!(refused, nodes[1].beat(&waiting, &[]));
    // Those that have a connection wait for the lock; the others are told when none becomes free.
    let busy = |error: &Error| matches!(error, Error::Problem(it) if (it.status, &*it.code) == (503, "busy"));
    let said: Vec<_> =
        refused.into_iter().map(|answer| answer.expect_err("nothing is read")).collect();
    assert!(said.iter().any(busy), "{said:?}");
    assert!(
        said.iter().all(|error| busy(error) || matches!(error, Error::Transport { .. })),
        "{said:?}"
    );
    assert!(sent.is_err(), "acknowledged while nothing can be stored: {sent:?}");

    held.rollback().await.unwrap();
    let mut receipts = vec![first.batch.message.root];
    let again = async {
        let mut sleeper = Clock::system().sleeper();
        for node in nodes.iter().cycle() {
            if let Ok(receipt) = node.beat(&client, &[]).await {
                receipts.push(receipt.batch.message.root);
            }
            if receipts.len() > 10 {
                return;
            }
            sleeper.sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("heartbeats are not taken again");
    client.ready().await.unwrap();
    recorded(&mut holder, &receipts, "an exhausted pool").await;
}

//! An operator's fleet, and that ten thousand nodes are read page by page.

use std::collections::BTreeSet;

use nodesys_core::Address;
use nodesys_core::api::{Fleet, FleetState};
use nodesys_core::message::Status;
use nodesys_testing::chain::{alice, bob};
use sqlx::PgPool;

use super::support::node::{healthy, line};
use super::support::{Node, World};

/// All rows of an operator, by pages, and how many pages there were.
async fn all(world: &World, operator: Address) -> (Fleet, usize) {
    let mut whole = world.client().fleet(operator, None).await.unwrap();
    let mut pages = 1;
    while let Some(next) = whole.next.take() {
        let page = world.client().fleet(operator, Some(&next)).await.unwrap();
        whole.rows.extend(page.rows);
        whole.next = page.next;
        pages += 1;
    }
    (whole, pages)
}

/// The state of each row, with the node's number.
async fn states(world: &World, operator: Address, nodes: &[&Node]) -> Vec<(usize, FleetState)> {
    let (fleet, _) = all(world, operator).await;
    let number = |key| nodes.iter().position(|node| node.address() == key).unwrap();
    fleet.rows.iter().map(|row| (number(row.node_key), row.state)).collect()
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn each_node_is_there_with_what_it_runs(pool: PgPool) {
    let mut world = World::new(pool).await;
    let alices = alice().address();
    assert_eq!(world.client().fleet(alices, None).await.unwrap().rows, []);
    let (first, second) = (world.node(&alice(), 1).await, world.node(&alice(), 2).await);
    world.node(&bob(), 3).await;
    let nodes = [&first, &second];
    assert_eq!(
        states(&world, alices, &nodes).await,
        [(0, FleetState::NoLicense), (1, FleetState::NoLicense)]
    );
    let license = world.chain.a1();
    let lease = world.lease(&first, &license).await;
    assert_eq!(states(&world, alices, &nodes).await[0], (0, FleetState::Late), "not heard yet");
    first.beat(&world, &[healthy(&lease)]).await.unwrap();
    world.lease(&second, &license).await;
    let (fleet, _) = all(&world, alices).await;
    let [runs, waits] = fleet.rows.as_slice() else { panic!("{fleet:?}") };
    assert_eq!((runs.state, waits.state), (FleetState::Up, FleetState::Standby));
    assert_eq!(runs.heard_millis, Some(world.now().millis()));
    let (run, wait) = (runs.license.as_ref().unwrap(), waits.license.as_ref().unwrap());
    assert_eq!((run.license, wait.license), (license, license));
    assert_eq!((run.minutes, run.status, run.release), (1, Some(Status::Healthy), Some(1)));
    assert_eq!((run.fence, run.since_millis), (lease.fence, lease.granted_millis));
    assert_eq!((run.project, run.workload.as_str()), (lease.project, lease.workload.as_str()));
    assert_eq!((wait.status, wait.release, wait.fence), (None, None, lease.fence));

    world.live(2).await;
    let ill = line(lease.license_hash, lease.fence, Status::Degraded);
    first.beat(&world, &[ill]).await.unwrap();
    assert_eq!(states(&world, alices, &nodes).await[0], (0, FleetState::Down), "degraded");
    world.live(1).await;
    first.beat(&world, &[healthy(&lease)]).await.unwrap();
    world.live(3).await;
    assert_eq!(states(&world, alices, &nodes).await[0], (0, FleetState::Late));
    world.live(3).await;
    assert_eq!(states(&world, alices, &nodes).await[0], (0, FleetState::Down));
    // Its end is the node's own: the other waits for the license all the same.
    world.client().revoke_node(&second.revocation(&world, 2)).await.unwrap();
    assert_eq!(
        states(&world, alices, &nodes).await,
        [(0, FleetState::Down), (1, FleetState::Revoked)]
    );
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn ten_thousand_nodes_come_in_pages_each_row_once(pool: PgPool) {
    let world = World::new(pool).await;
    // Three of four run a license of their own; of these, every third also waits for another's.
    for insert in [
        "insert into node (node_key, operator, nonce, not_after_secs, operator_signature, node_signature, authorized_at)
         select decode(lpad(to_hex(i), 40, '0'), 'hex'), decode(repeat('ab', 20), 'hex'),
                decode(lpad('1', 64, '0'), 'hex'), 4000000000, '', decode(repeat('00', 65), 'hex'), 0
         from generate_series(1, 10000) i",
        "insert into license (idx, license_hash, collection, token_id)
         select 1000 + i, decode('cc' || lpad(to_hex(i), 62, '0'), 'hex'), (select collection from collection order by collection limit 1),
                decode(lpad(to_hex(1000 + i), 64, '0'), 'hex')
         from generate_series(1, 7500) i",
        "insert into lease (license_idx, fence, node_idx, operator, granted_at, earns_from)
         select 1000 + i, 1, n.idx, n.operator, 0, 0
         from (select idx, operator, row_number() over (order by idx) - 1 as r from node
               where operator = decode(repeat('ab', 20), 'hex')) n,
              lateral (select r - r / 4 as i) o
         where r % 4 > 0",
        "insert into standby (license_idx, node_idx, requested_at, asked_at)
         select (select max(license_idx) from lease), l.node_idx, 0, 0 from lease l
         where l.license_idx % 3 = 0 and l.license_idx < (select max(license_idx) from lease)",
    ] {
        sqlx::query(insert).execute(&world.pool).await.unwrap();
    }
    let count = async |what: &'static str| -> i64 {
        sqlx::query_scalar(what).fetch_one(&world.pool).await.unwrap()
    };
    let leases = count("select count(*) from lease").await;
    let waiting = count("select count(*) from standby").await;
    assert_eq!((leases, waiting), (7500, 2500));
    let (fleet, pages) = all(&world, Address::repeat_byte(0xab)).await;
    let nodes: BTreeSet<_> = fleet.rows.iter().map(|row| row.node_key).collect();
    assert_eq!(nodes.len(), 10_000);
    let once: BTreeSet<_> = fleet
        .rows
        .iter()
        .map(|row| (row.node_key, row.license.as_ref().map(|license| license.license.token_id)))
        .collect();
    assert_eq!(once.len(), fleet.rows.len());
    let with = fleet.rows.iter().filter(|row| row.license.is_some()).count();
    assert_eq!(i64::try_from(with).unwrap(), leases + waiting);
    assert_eq!(pages, fleet.rows.len().div_ceil(500));
    assert_eq!(
        fleet.rows.iter().filter(|row| row.state == FleetState::Down).count(),
        usize::try_from(leases).unwrap()
    );
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_page_that_the_caller_has_is_not_sent_again(pool: PgPool) {
    let world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let url = format!("{}/v1/operators/{}", world.replica.base, alice().address());
    let http = reqwest::Client::new();
    let first = http.get(&url).send().await.unwrap();
    assert_eq!(first.headers()["cache-control"], "no-cache");
    let tag = first.headers()["etag"].clone();
    let again = || http.get(&url).header("if-none-match", &tag).send();
    assert_eq!(again().await.unwrap().status(), 304);
    world.client().revoke_node(&node.revocation(&world, 2)).await.unwrap();
    assert_eq!(again().await.unwrap().status(), 200);
    let bad = world.get_raw(&format!("/v1/operators/{}?after=x", alice().address())).await;
    assert_eq!((bad.status, bad.problem().code.as_str()), (400, "bad_request"));
}

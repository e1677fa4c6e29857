//! Heartbeats, from bytes to a receipt.

use std::sync::Arc;

use futures::future::join_all;
use nodesys_core::api::{LeaseView, LineResult, Receipt};
use nodesys_core::bitmap::DayBitmap;
use nodesys_core::ids::{Fence, Seq};
use nodesys_core::message::{Heartbeat, LeaseStatus, MAX_LEASES, Signed, Status};
use nodesys_core::time::Minute;
use nodesys_core::{B256, U256};
use sqlx::PgPool;

use super::support::node::{check_receipt, healthy, line};
use super::support::{Node, World, problem, soon};
use crate::periodic::Periodic as _;
use nodesys_testing::chain::{DAY, alice, bob};
use nodesys_testing::key;

/// alice's node with the lease of A1.
async fn leased(world: &World) -> (Node, LeaseView) {
    let node = world.node(&alice(), 1).await;
    let lease = world.lease(&node, &world.chain.a1()).await;
    (node, lease)
}

/// Minutes of A1 on the first day, by this replica's memory.
async fn minutes(world: &World) -> DayBitmap {
    let license = world.chain.a1();
    world.client().license_day(license.collection, license.token_id, DAY).await.unwrap().bitmap
}

/// Waits until a transaction waits for a row that another one holds.
async fn waits_for_a_lock(pool: &PgPool) {
    let waiting = "select exists (select from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock')";
    while !sqlx::query_scalar::<_, bool>(waiting).fetch_one(pool).await.unwrap() {}
}

async fn batches(world: &World) -> i64 {
    sqlx::query_scalar("select count(*) from heartbeat_batch").fetch_one(&world.pool).await.unwrap()
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_minute_is_credited_once_whoever_hears_of_it(pool: PgPool) {
    let world = World::new(pool).await;
    let (node, lease) = leased(&world).await;
    assert_eq!(lease.fence.get(), 1);
    let signed = node.signed(&world, &[healthy(&lease)]).await;
    let first = world.client().heartbeat(&signed).await.unwrap();
    check_receipt(&world, &signed, &first);
    assert_eq!((first.accepted.credited, &first.results[..]), (1, &[LineResult::Credited][..]));

    // A repeat gets the very same receipt and is not stored again.
    assert_eq!(world.client().heartbeat(&signed).await.unwrap(), first);
    assert_eq!(batches(&world).await, 1);

    // Another replica does not know the answer; it stores the bytes again, and no bit more is set.
    let mut other = world.another().await;
    let second = other.client.heartbeat(&signed).await.unwrap();
    check_receipt(&world, &signed, &second);
    assert_eq!(batches(&world).await, 2);
    other.alive.tick().await.unwrap();
    let index = lease.index;
    for app in [&world.replica.app, &other.app] {
        assert_eq!(app.live.fold.read(|fold| fold.bitmap(DAY, index)).runs(), [(30, 31)]);
    }

    // Its answer's challenge serves the next minute, at either.
    let mut world = world;
    world.live(1).await;
    let next = Heartbeat {
        minute: world.now().minute(),
        challenge: first.accepted.next_challenge,
        seq: Seq::checked_new(node.next_number()).unwrap(),
        ..signed.message
    };
    other.client.heartbeat(&node.sign(&world, next)).await.unwrap();
    world.replica.alive.tick().await.unwrap();
    assert_eq!(minutes(&world).await.runs(), [(30, 32)]);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn only_the_nodes_own_signature_counts(pool: PgPool) {
    let world = World::new(pool).await;
    let (node, lease) = leased(&world).await;
    let heartbeat = node.heartbeat(&world, &[healthy(&lease)]).await;

    let stranger = Heartbeat { node_key: key(9).address(), ..heartbeat.clone() };
    let stranger = Signed::new(stranger, world.domain(), &key(9));
    world.refused("unknown_node", world.client().heartbeat(&stranger)).await;
    world.refused("unknown_node", world.client().session(key(9).address())).await;

    let forged = Signed::new(heartbeat.clone(), world.domain(), &key(9));
    let refusal = world.refused("bad_signature", world.client().heartbeat(&forged)).await;
    assert!(refusal.detail.contains(&key(9).address().to_string()), "{refusal:?}");
    // One changed field under the right key's signature.
    let mut altered = node.sign(&world, heartbeat.clone());
    altered.message.leases[0].status = Status::Down;
    world.refused("bad_signature", world.client().heartbeat(&altered)).await;

    let good = node.sign(&world, heartbeat);
    let json = serde_json::to_string(&good).unwrap();
    let signature = good.signature.to_string();
    let before = world.rows().await;
    for (bad, says) in [
        (high_s(good.signature.as_bytes()), "low-S"),
        (signature[..signature.len() - 2].to_owned(), "malformed"),
        (format!("{}05", &signature[..signature.len() - 2]), "last byte"),
        ("0xzz".to_owned(), "malformed"),
    ] {
        let answer = world.post_raw("/v1/heartbeats", json.replace(&signature, &bad)).await;
        let refusal = answer.problem();
        assert_eq!((refusal.code.as_str(), refusal.status), ("bad_request", 400));
        assert!(refusal.detail.contains(says), "{refusal:?}");
    }
    assert_eq!(world.rows().await, before);
    check_receipt(&world, &good, &world.client().heartbeat(&good).await.unwrap());
}

/// The same signature with the other root.
pub(super) fn high_s(signature: &[u8; 65]) -> String {
    let order: U256 =
        "115792089237316195423570985008687907852837564279074904382605163141518161494337"
            .parse()
            .unwrap();
    let mut bytes = *signature;
    let s = order - U256::from_be_slice(&bytes[32..64]);
    bytes[32..64].copy_from_slice(&s.to_be_bytes::<32>());
    bytes[64] = 27 + 28 - bytes[64];
    format!("0x{}", alloy::primitives::hex::encode(bytes))
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn only_its_minute_and_five_seconds_more(pool: PgPool) {
    let world = World::new(pool).await;
    let (node, lease) = leased(&world).await;
    let heartbeat = node.heartbeat(&world, &[healthy(&lease)]).await;
    for minute in [heartbeat.minute.0 - 1, heartbeat.minute.0 + 1, 0, u64::MAX] {
        let other = node.sign(&world, Heartbeat { minute: Minute(minute), ..heartbeat.clone() });
        world.refused("wrong_minute", world.client().heartbeat(&other)).await;
    }
    let late = heartbeat.minute.next().start().plus_millis(5_000);
    world.go_without_chain(late).await;
    let on_the_border = node.sign(&world, heartbeat.clone());
    world.client().heartbeat(&on_the_border).await.unwrap();
    world.go_without_chain(late.plus_millis(1)).await;
    let seq = Seq::checked_new(node.next_number()).unwrap();
    let beyond = node.sign(&world, Heartbeat { seq, ..heartbeat });
    let refusal = world.refused("wrong_minute", world.client().heartbeat(&beyond)).await;
    assert!(refusal.detail.contains("last receipt"), "{refusal:?}");
    // The signed minute is the one credited.
    assert_eq!(minutes(&world).await.runs(), [(30, 31)]);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_challenge_is_good_for_three_minutes_and_one_node(pool: PgPool) {
    let world = World::new(pool).await;
    let (node, lease) = leased(&world).await;
    let old = world.client().session(node.address()).await.unwrap().challenge;
    let bobs = world.node(&bob(), 2).await;
    let foreign = world.client().session(bobs.address()).await.unwrap().challenge;
    let minute = world.now().minute();
    for (ahead, challenge, good) in
        [(0, B256::ZERO, false), (0, foreign, false), (2, old, true), (3, old, false)]
    {
        world.go_without_chain(Minute(minute.0 + ahead).start()).await;
        let heartbeat = node.heartbeat(&world, &[healthy(&lease)]).await;
        let signed = node.sign(&world, Heartbeat { challenge, ..heartbeat });
        if good {
            world.client().heartbeat(&signed).await.unwrap();
        } else {
            world.refused("stale_challenge", world.client().heartbeat(&signed)).await;
        }
    }
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_sequence_number_serves_once(pool: PgPool) {
    let world = World::new(pool).await;
    let (node, lease) = leased(&world).await;
    let lower = node.signed(&world, &[healthy(&lease)]).await;
    let first = node.signed(&world, &[healthy(&lease)]).await;
    world.client().heartbeat(&first).await.unwrap();
    let other = Heartbeat { leases: vec![], ..first.message.clone() };
    let other = node.sign(&world, other);
    world.refused("seq_stale", world.client().heartbeat(&other)).await;
    world.refused("seq_stale", world.client().heartbeat(&lower)).await;
    // More than one a minute is accepted, up to the limit.
    for _ in 1..16 {
        node.beat(&world, &[healthy(&lease)]).await.unwrap();
    }
    let more = node.signed(&world, &[healthy(&lease)]).await;
    let refusal = world.refused("rate_limited", world.client().heartbeat(&more)).await;
    assert_eq!(refusal.status, 429);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_line_without_its_lease_is_lost_and_credits_nothing(pool: PgPool) {
    let world = World::new(pool).await;
    let (node, lease) = leased(&world).await;
    let bobs = world.node(&bob(), 2).await;
    let stale = line(lease.license_hash, Fence::checked_new(7).unwrap(), Status::Healthy);
    for (who, lines) in [
        (&node, vec![stale]),
        (&node, vec![line(B256::repeat_byte(5), lease.fence, Status::Healthy)]),
        (&bobs, vec![healthy(&lease)]),
    ] {
        let receipt = who.beat(&world, &lines).await.unwrap();
        assert_eq!(receipt.results, [LineResult::LeaseLost]);
        assert_eq!(receipt.accepted.credited, 0);
    }
    assert_eq!(minutes(&world).await, DayBitmap::EMPTY);
    // A status without credit still renews the lease.
    for status in [Status::Starting, Status::Degraded, Status::Down] {
        let lines = [line(lease.license_hash, lease.fence, status)];
        let receipt = node.beat(&world, &lines).await.unwrap();
        assert_eq!(receipt.results, [LineResult::NotHealthy]);
        assert_eq!(receipt.accepted.credited, 0);
    }
    assert_eq!(minutes(&world).await, DayBitmap::EMPTY);
    let renewed = world.replica.app.live.fold.read(|fold| fold.renewed_at(lease.index));
    assert_eq!(renewed, Some(world.now()));
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn bytes_that_are_no_heartbeat_are_refused(pool: PgPool) {
    let world = World::new(pool).await;
    let (node, lease) = leased(&world).await;
    let good = serde_json::to_string(&node.signed(&world, &[healthy(&lease)]).await).unwrap();
    let unknown = |n: u8| line(B256::repeat_byte(n), lease.fence, Status::Healthy);
    let many: Vec<LeaseStatus> = (0..=64).map(unknown).collect();
    assert!(many.len() > MAX_LEASES);
    let many = serde_json::to_string(&node.signed(&world, &many).await).unwrap();
    let long = format!("{good}{}", " ".repeat(17 * 1024 - good.len()));
    let before = world.rows().await;
    for (body, code) in [
        ("", "bad_request"),
        ("{", "bad_request"),
        ("[]", "bad_request"),
        (&good[..good.len() - 1], "bad_request"),
        (&good.replace("healthy", "splendid"), "bad_request"),
        (&good.replace("\"fence\":\"1\"", "\"fence\":1"), "bad_request"),
        (&good.replace("\"fence\":\"1\"", "\"fence\":\"9223372036854775808\""), "bad_request"),
        (&long, "too_large"),
        (&many, "bad_request"),
    ] {
        let refusal = world.post_raw("/v1/heartbeats", body).await.problem();
        assert_eq!(refusal.code, code, "{body}");
    }
    let twice = node.signed(&world, &[healthy(&lease), healthy(&lease)]).await;
    let refusal = world.refused("bad_request", world.client().heartbeat(&twice)).await;
    assert!(refusal.detail.contains("twice"), "{refusal:?}");
    assert_eq!(world.rows().await, before);
    let answer = world.get_raw("/v1/heartbeats").await;
    assert_eq!(answer.problem().code, "method_not_allowed");
    assert_eq!(world.get_raw("/v1/pings").await.problem().code, "not_found");
    assert_eq!(world.get_raw("/v1/days/yesterday").await.problem().code, "bad_request");
    assert_eq!(world.post_raw("/v1/heartbeats", good).await.status, 200);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_closed_day_takes_no_heartbeat(pool: PgPool) {
    let world = World::new(pool).await;
    let (node, lease) = leased(&world).await;
    node.beat(&world, &[healthy(&lease)]).await.unwrap();
    close_by_hand(&world).await;
    let signed = node.signed(&world, &[healthy(&lease)]).await;
    let refusal = world.refused("day_closed", world.client().heartbeat(&signed)).await;
    assert_eq!(refusal.status, 503);
    let answer = world.post_raw("/v1/heartbeats", serde_json::to_string(&signed).unwrap()).await;
    assert_eq!(answer.retry_after.as_deref(), Some("1"));

    // The table refuses it from any writer; the row is unchanged.
    for statement in [
        "insert into heartbeat_batch
         select day, writer, wseq + 1, minute, n, licenses, carried, body, server_time, root, signature
         from heartbeat_batch",
        "update day set closed_at = closed_at + 1 where closed_at is not null",
        "update day set closed_at = null, excused = null, uptime_hash = null, evidence_root = null,
                        receipt_key = null, signature = null where closed_at is not null",
        "delete from day where closed_at is not null",
    ] {
        let error = sqlx::query(statement).execute(&world.pool).await.unwrap_err();
        let constraint = error.as_database_error().and_then(|error| error.constraint());
        assert!(
            matches!(constraint, Some("heartbeat_batch_day_open" | "day_closed_is_final")),
            "{error}"
        );
    }
}

/// Closes the first day while it runs, as a replica whose clock is far ahead would.
async fn close_by_hand(world: &World) {
    sqlx::query(
        "update day set closed_at = 1, excused = decode(repeat('00', 180), 'hex'),
             uptime_hash = decode(repeat('00', 32), 'hex'),
             evidence_root = decode(repeat('00', 32), 'hex'),
             receipt_key = decode(repeat('00', 20), 'hex'),
             signature = decode(repeat('00', 65), 'hex') where day = $1",
    )
    .bind(i32::try_from(DAY.0).unwrap())
    .execute(&world.pool)
    .await
    .unwrap();
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_full_queue_sends_away_and_keeps_what_it_took(pool: PgPool) {
    let world = Arc::new(World::with_queue(pool, 1).await);
    let mut signed = Vec::new();
    for number in 1..=3 {
        let node = world.node(&alice(), number).await;
        signed.push(node.signed(&world, &[]).await);
    }
    // The disk does not get to the first one.
    let mut hold = world.pool.begin().await.unwrap();
    sqlx::query("select from day for update").execute(&mut *hold).await.unwrap();
    let send = |signed: Signed<Heartbeat>| {
        let world = world.clone();
        tokio::spawn(async move { world.client().heartbeat(&signed).await })
    };
    let first = send(signed[0].clone());
    soon("the insert", waits_for_a_lock(&world.pool)).await;
    let second = send(signed[1].clone());
    soon("the second in the queue", async {
        while world.replica.app.live.queue.capacity() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let answer = world.post_raw("/v1/heartbeats", serde_json::to_string(&signed[2]).unwrap()).await;
    assert_eq!((answer.status, answer.problem().code.as_str()), (503, "busy"));
    assert_eq!(answer.retry_after.as_deref(), Some("1"));
    // A repeat of a heartbeat being stored waits for its answer.
    let again = problem(world.client().heartbeat(&signed[0]).await);
    assert_eq!(again.code, "busy");
    assert_eq!(batches(&world).await, 0);

    hold.rollback().await.unwrap();
    for (sent, signed) in [first, second].into_iter().zip(&signed) {
        check_receipt(&world, signed, &sent.await.unwrap().unwrap());
    }
    check_receipt(&world, &signed[2], &world.client().heartbeat(&signed[2]).await.unwrap());
    let stored: i64 = sqlx::query_scalar("select sum(n) from heartbeat_batch")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(stored, 3);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn updating_earns_five_minutes_a_release_and_ten_a_day(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (node, lease) = leased(&world).await;
    let mut credited = Vec::new();
    for release in [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3] {
        let status = LeaseStatus { status: Status::Updating, release, ..healthy(&lease) };
        let receipt = node.beat(&world, std::slice::from_ref(&status)).await.unwrap();
        // A second heartbeat in the same minute does not count against the bound.
        node.beat(&world, &[status]).await.unwrap();
        credited.push(receipt.accepted.credited);
        match receipt.results[0] {
            LineResult::Credited | LineResult::UpdatingTooLong => {}
            other => panic!("{other:?}"),
        }
        world.live(1).await;
        // Reads the replica's own batches back.
        world.replica.expire().await;
    }
    assert_eq!(credited, [1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 0]);
    // Too long an update earns nothing, and keeps the lease.
    assert_eq!(minutes(&world).await.runs(), [(30, 35), (36, 41)]);
    // A replica that starts now counts the same.
    let other = world.another().await;
    let status = LeaseStatus { status: Status::Updating, release: 4, ..healthy(&lease) };
    let signed = node.signed(&world, &[status]).await;
    let receipt = other.client.heartbeat(&signed).await.unwrap();
    assert_eq!(receipt.results, [LineResult::UpdatingTooLong]);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn what_is_acknowledged_is_on_disk_however_the_connection_dies(pool: PgPool) {
    let world = World::new(pool).await;
    let lease = {
        let (node, lease) = leased(&world).await;
        node.beat(&world, &[healthy(&lease)]).await.unwrap();
        lease
    };
    let mut nodes = Vec::new();
    for number in 10..14 {
        nodes.push(world.node(&alice(), number).await);
    }
    let mut heartbeats: Vec<Vec<Signed<Heartbeat>>> = Vec::new();
    for node in &nodes {
        let mut of_node = Vec::new();
        for _ in 0..8 {
            of_node.push(node.signed(&world, &[healthy(&lease)]).await);
        }
        heartbeats.push(of_node);
    }
    let killer = world.another().await;
    // The argument is how long to wait for the end of each, in ms.
    let kill = "select count(pg_terminate_backend(pid, $1)) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid() and query like '%heartbeat_batch%'";
    let here = &world;
    let sending = join_all(heartbeats.iter().map(|of_node| async move {
        let mut refused = 0;
        let mut receipts: Vec<Receipt> = Vec::new();
        for signed in of_node {
            let receipt = loop {
                match here.client().heartbeat(signed).await {
                    Ok(receipt) => break receipt,
                    Err(error) => {
                        assert_eq!(problem::<()>(Err(error)).code, "busy");
                        refused += 1;
                    }
                }
            };
            check_receipt(here, signed, &receipt);
            receipts.push(receipt);
        }
        (receipts, refused)
    }));
    // The last of the killing is over before anything else asks this database.
    let all_sent = std::cell::Cell::new(false);
    let killing = async {
        while !all_sent.get() {
            sqlx::query(kill).bind(0_i64).execute(&killer.app.pool).await.unwrap();
            tokio::task::yield_now().await;
        }
        sqlx::query(kill).bind(5_000_i64).execute(&killer.app.pool).await.unwrap();
    };
    let sending = async {
        let sent = sending.await;
        all_sent.set(true);
        sent
    };
    let (sent, ()) = soon("all receipts", async { tokio::join!(sending, killing) }).await;
    let refused: usize = sent.iter().map(|(_, refused)| refused).sum();
    assert!(refused > 0, "nothing was ever cut off, so nothing was tested");

    let stored: Vec<(Vec<u8>, i32)> = sqlx::query_as("select root::bytea, n from heartbeat_batch")
        .fetch_all(&world.pool)
        .await
        .unwrap();
    for receipt in sent.iter().flat_map(|(receipts, _)| receipts) {
        let root = receipt.batch.message.root;
        assert!(
            stored.iter().any(|(stored, _)| stored[..] == root[..]),
            "acknowledged, not stored"
        );
    }
    let rows: i32 = stored.iter().map(|(_, n)| n).sum();
    assert!(rows > 4 * 8, "{rows} heartbeats stored");
    // All were of a node that does not hold the lease.
    assert_eq!(minutes(&world).await.count(), 1);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_stopping_backend_answers_what_it_has_taken(pool: PgPool) {
    let mut world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let signed = node.signed(&world, &[]).await;
    let other = world.another().await;
    let mut hold = world.pool.begin().await.unwrap();
    sqlx::query("select from day for update").execute(&mut *hold).await.unwrap();
    let client = other.client.clone();
    let sent = {
        let signed = signed.clone();
        tokio::spawn(async move { client.heartbeat(&signed).await })
    };
    soon("the insert", waits_for_a_lock(&world.pool)).await;
    let stopping = tokio::spawn(other.stop());
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    hold.rollback().await.unwrap();
    check_receipt(&world, &signed, &sent.await.unwrap().unwrap());
    stopping.await.unwrap();
    world.live(1).await;
    assert_eq!(batches(&world).await, 1);
}

//! Notifications: the right to set targets, and one message for each outage and each end of one.

use nodesys_core::license::LicenseId;
use nodesys_core::message::{Signed, Status};
use nodesys_core::notify::{EventKind, MAX_TARGETS, NotifyAction, NotifyAdded, NotifyRequest};
use sqlx::PgPool;

use super::support::node::{healthy, line};
use super::support::receiver::Receiver;
use super::support::{Node, World, problem};
use crate::periodic::Periodic as _;
use nodesys_testing::chain::{alice, bob};
use nodesys_testing::key;

fn request(
    world: &World,
    node: &Node,
    action: NotifyAction,
    url: &str,
    target: u64,
) -> NotifyRequest {
    let nonce = world.now().millis() + node.next_number();
    NotifyRequest { node_key: node.address(), action, url: url.to_owned(), target, nonce }
}

fn signed(
    world: &World,
    node: &Node,
    action: NotifyAction,
    url: &str,
    target: u64,
) -> Signed<NotifyRequest> {
    Signed::new(request(world, node, action, url, target), world.domain(), &node.key)
}

async fn add(world: &World, node: &Node, url: &str) -> NotifyAdded {
    let request = signed(world, node, NotifyAction::Add, url, 0);
    world.client().add_target(&request).await.unwrap()
}

/// Half a minute passes, and the task runs at every replica.
async fn tick(world: &mut World) {
    world.live(1).await;
    world.replica.notify().await;
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn only_the_node_key_says_where_messages_go(pool: PgPool) {
    let world = World::new(pool).await;
    let (node, bobs) = (world.node(&alice(), 1).await, world.node(&bob(), 2).await);
    let client = world.client();
    let url = "http://127.0.0.1:9/hook";
    let good = signed(&world, &node, NotifyAction::Add, url, 0);
    let forged = Signed::new(good.message.clone(), world.domain(), &key(9));
    world.refused("bad_signature", client.add_target(&forged)).await;
    let unknown = Node::new(&alice(), 9);
    let of_unknown = signed(&world, &unknown, NotifyAction::Add, url, 0);
    world.refused("unknown_node", client.add_target(&of_unknown)).await;
    // Signed for another route.
    world.refused("bad_request", client.remove_target(&good)).await;
    let endless = NotifyRequest { nonce: u64::MAX, ..good.message.clone() };
    let endless = Signed::new(endless, world.domain(), &node.key);
    world.refused("clock_wrong", client.add_target(&endless)).await;

    let added = client.add_target(&good).await.unwrap();
    assert_eq!((added.target.url.as_str(), added.target.delivered), (url, 0));
    assert!(added.secret.starts_with("whsec_"));
    // The same request, and the same URL by a newer one: the same target and secret.
    let rows = world.rows().await;
    assert!(client.add_target(&good).await.unwrap() == added);
    assert_eq!(world.rows().await, rows);
    assert!(add(&world, &node, url).await == added);
    world.refused("nonce_stale", client.add_target(&good)).await;
    // Another node's target is a different one, with its own secret.
    let other = add(&world, &bobs, url).await;
    assert!(other.target.target != added.target.target && other.secret != added.secret);

    let list = signed(&world, &node, NotifyAction::List, "", 0);
    assert_eq!(client.targets(&list).await.unwrap(), std::slice::from_ref(&added.target));
    let theirs = signed(&world, &node, NotifyAction::Remove, "", other.target.target);
    world.refused("unknown_target", client.remove_target(&theirs)).await;
    let theirs = signed(&world, &node, NotifyAction::Test, "", other.target.target);
    world.refused("unknown_target", client.test_target(&theirs)).await;
    let remove = signed(&world, &node, NotifyAction::Remove, "", added.target.target);
    assert_eq!(client.remove_target(&remove).await.unwrap(), []);
    assert_eq!(client.remove_target(&remove).await.unwrap(), []);
    // Added anew it is a new one.
    assert!(add(&world, &node, url).await.target.target > other.target.target);

    for port in 1..MAX_TARGETS {
        add(&world, &node, &format!("http://127.0.0.1:{port}/")).await;
    }
    let more = signed(&world, &node, NotifyAction::Add, "http://127.0.0.1:99/", 0);
    let refusal = world.refused("too_many_targets", client.add_target(&more)).await;
    assert_eq!(refusal.status, 409);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn no_message_leads_into_a_private_network(pool: PgPool) {
    let world = World::new(pool).await;
    let guarded = world.guarded().await;
    let node = world.node(&alice(), 1).await;
    let receiver = Receiver::start().await;
    for url in [
        receiver.url.as_str(),
        "https://127.0.0.1/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest/meta-data",
        "http://example.org/",
        "https://example.org:22/",
        "https://user:secret@example.org/",
        "nonsense",
        "",
    ] {
        let request = signed(&world, &node, NotifyAction::Add, url, 0);
        let refusal = world.refused("target_refused", guarded.client.add_target(&request)).await;
        assert_eq!(refusal.status, 422, "{url}: {refusal:?}");
    }
    // A name may lead anywhere; whoever asks does not learn where.
    let mut words = Vec::new();
    for host in ["localhost", "nowhere.invalid"] {
        let request = signed(&world, &node, NotifyAction::Add, &format!("https://{host}/"), 0);
        let refusal = world.refused("target_refused", guarded.client.add_target(&request)).await;
        words.push(refusal.detail.replace(host, "HOST"));
    }
    assert_eq!(words[0], words[1]);
    // Nor is one that stands there already.
    let added = add(&world, &node, &receiver.url).await;
    let test = signed(&world, &node, NotifyAction::Test, "", added.target.target);
    let refusal = problem(guarded.client.test_target(&test).await);
    assert_eq!((refusal.code.as_str(), refusal.status), ("target_failed", 502));
    assert!(receiver.take().is_empty());
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_test_is_sent_at_once_and_told_of_honestly(pool: PgPool) {
    let world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let receiver = Receiver::start().await;
    let added = add(&world, &node, &receiver.url).await;
    let test = |world: &World| signed(world, &node, NotifyAction::Test, "", added.target.target);
    let request = test(&world);
    let told = world.client().test_target(&request).await.unwrap();
    assert_eq!((told.delivered, told.waiting, told.failed), (1, 0, 0));
    let heard = receiver.take();
    let event = heard[0].event(&added.secret);
    assert_eq!(
        (heard.len(), event.kind, event.data.node_key),
        (1, EventKind::Test, node.address())
    );
    assert_eq!((event.data.operator, heard[0].secs), (alice().address(), world.now().secs()));
    // The same request again is the same test.
    world.client().test_target(&request).await.unwrap();
    assert!(receiver.take().is_empty());

    for status in [500, 404, 302, 307] {
        receiver.answer(&[status]);
        let refusal = problem(world.client().test_target(&test(&world)).await);
        assert_eq!(refusal.code, "target_failed");
        assert!(refusal.detail.contains(&status.to_string()), "{refusal:?}");
        assert_eq!(receiver.take().len(), 1, "a redirect is not followed");
    }
    // Sent again by its own request, it is delivered.
    receiver.answer(&[500]);
    let request = test(&world);
    problem(world.client().test_target(&request).await);
    assert_eq!(world.client().test_target(&request).await.unwrap().delivered, 2);
    let heard = receiver.take();
    assert_eq!(heard[0].id, heard[1].id);
    // Nobody listens there.
    drop(receiver);
    tokio::task::yield_now().await;
    let refusal = problem(world.client().test_target(&test(&world)).await);
    assert_eq!(refusal.code, "target_failed");
    let list = signed(&world, &node, NotifyAction::List, "", 0);
    let targets = world.client().targets(&list).await.unwrap();
    assert_eq!((targets[0].failed, targets[0].last_error.is_some()), (5, true));
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_node_that_falls_silent_is_told_once_and_its_return_once(pool: PgPool) {
    let mut world = World::new(pool).await;
    let other = world.another().await;
    let node = world.node(&alice(), 1).await;
    let license = world.chain.a1();
    let lease = world.lease(&node, &license).await;
    let receiver = Receiver::start().await;
    let added = add(&world, &node, &receiver.url).await;
    node.beat(&world, &[healthy(&lease)]).await.unwrap();
    let last = world.now();
    while world.now().millis_since(last) < 300_000 {
        assert!(receiver.take().is_empty(), "too early");
        tick(&mut world).await;
    }
    // Each replica looks, again and again; one that starts now reads everything back.
    for _ in 0..3 {
        other.notify().await;
        world.replica.notify().await;
        world.another().await.notify().await;
    }
    let heard = receiver.take();
    assert_eq!(heard.len(), 1, "{heard:?}");
    let event = heard[0].event(&added.secret);
    assert_eq!((event.kind, event.data.node_key), (EventKind::NodeDown, node.address()));
    assert_eq!(event.data.since, Some(last.to_string()));
    // Its workload went with it, which needs no message of its own.
    for _ in 0..8 {
        tick(&mut world).await;
        other.notify().await;
    }
    assert!(receiver.take().is_empty());

    node.beat(&world, &[healthy(&lease)]).await.unwrap();
    for _ in 0..3 {
        world.another().await.notify().await;
        tick(&mut world).await;
        node.beat(&world, &[healthy(&lease)]).await.unwrap();
    }
    let heard = receiver.take();
    assert_eq!(heard.len(), 1, "{heard:?}");
    let event = heard[0].event(&added.secret);
    assert_eq!((event.kind, event.data.since), (EventKind::NodeBack, Some(last.to_string())));
    let open: i64 = sqlx::query_scalar("select count(*) from outage where ended_at is null")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(open, 0);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_workload_that_is_down_is_told_while_its_node_is_heard(pool: PgPool) {
    let mut world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let license: LicenseId = world.chain.a1();
    let beta = world.chain.license(world.chain.beta, 1);
    let (sick, well) = (world.lease(&node, &license).await, world.lease(&node, &beta).await);
    let receiver = Receiver::start().await;
    let added = add(&world, &node, &receiver.url).await;
    let beat = async |world: &World, status| {
        let lines = [line(sick.license_hash, sick.fence, status), healthy(&well)];
        node.beat(world, &lines).await.unwrap();
    };
    let kinds = |receiver: &Receiver| {
        receiver.take().iter().map(super::support::receiver::Heard::kind).collect::<Vec<_>>()
    };
    beat(&world, Status::Healthy).await;
    for _ in 0..5 {
        tick(&mut world).await;
        beat(&world, Status::Degraded).await;
    }
    assert_eq!(kinds(&receiver), [""; 0]);
    for _ in 0..3 {
        tick(&mut world).await;
        beat(&world, Status::Down).await;
    }
    let heard = receiver.take();
    assert_eq!(heard.len(), 1);
    let event = heard[0].event(&added.secret);
    assert_eq!((event.kind, event.data.license), (EventKind::WorkloadDown, Some(license)));
    assert_eq!(event.data.workload.unwrap().to_string(), "alpha");
    // `starting` is a way back, not down.
    beat(&world, Status::Starting).await;
    tick(&mut world).await;
    assert_eq!(kinds(&receiver), ["workload.back"]);

    // Down again, and then the license is another's.
    for _ in 0..7 {
        beat(&world, Status::Down).await;
        tick(&mut world).await;
    }
    assert_eq!(kinds(&receiver), ["workload.down"]);
    world.sell(&license, &alice(), &bob()).await;
    world.chain.finalize().await;
    world.replica.mirror.tick().await.unwrap();
    tick(&mut world).await;
    assert_eq!(kinds(&receiver), ["workload.lost"]);
    tick(&mut world).await;
    assert_eq!(kinds(&receiver), [""; 0]);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn what_is_not_taken_is_sent_again_under_the_same_id(pool: PgPool) {
    let mut world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let (receiver, gone) = (Receiver::start().await, Receiver::start().await);
    let added = add(&world, &node, &receiver.url).await;
    let removed = add(&world, &node, &gone.url).await;
    node.beat(&world, &[]).await.unwrap();
    receiver.answer(&[503, 503, 301]);
    gone.answer(&[410]);
    for _ in 0..12 {
        tick(&mut world).await;
    }
    let heard = receiver.take();
    assert_eq!(heard.len(), 4, "three refusals, then taken");
    assert!(heard.iter().all(|message| message.id == heard[0].id));
    // Signed anew each time; 30 s, 1 min and 2 min later, as the minute lets.
    let waits: Vec<u64> = heard.windows(2).map(|two| (two[1].secs - two[0].secs) / 60).collect();
    assert_eq!(waits, [1, 1, 2]);
    for message in &heard {
        assert_eq!(message.event(&added.secret).kind, EventKind::NodeDown);
    }
    // A target that answers "gone" is not tried again.
    assert_eq!(gone.take().len(), 1);
    let list = signed(&world, &node, NotifyAction::List, "", 0);
    let targets = world.client().targets(&list).await.unwrap();
    assert_eq!((targets[0].delivered, targets[1].failed), (1, 1));
    assert!(targets[1].last_error.as_ref().unwrap().contains("410"));

    // A target that was removed hears nothing more, not even of the end.
    let remove = signed(&world, &node, NotifyAction::Remove, "", removed.target.target);
    world.client().remove_target(&remove).await.unwrap();
    let late = Receiver::start().await;
    add(&world, &node, &late.url).await;
    node.beat(&world, &[]).await.unwrap();
    tick(&mut world).await;
    assert_eq!(receiver.take().len(), 1);
    assert!(gone.take().is_empty());
    assert!(late.take().is_empty(), "was not told that it began");
}

/// 60 nodes of one wallet, whose webhooks never answer, and one node of another that has a license.
#[sqlx::test(migrations = "../../migrations/backend")]
async fn nobodys_messages_wait_for_all_of_anothers(pool: PgPool) {
    let world = World::new(pool).await;
    let (licensed, free) = (world.node(&alice(), 1).await, world.node(&bob(), 2).await);
    world.lease(&licensed, &world.chain.a1()).await;
    // Node 2 is bob's first; 60 more are of a wallet of their own, with eight messages each.
    let many = "insert into node (node_key, operator, nonce, not_after_secs, operator_signature,
            node_signature, authorized_at)
        select decode(lpad(to_hex(n), 40, '0'), 'hex'), decode(repeat('66', 20), 'hex'),
               decode(repeat('00', 32), 'hex'), 4000000000, '', decode(repeat('00', 65), 'hex'), 0
        from generate_series(1, 60) n";
    let targets = "insert into notify_target (node_idx, url, secret, added_at)
        select idx, 'https://tarpit.example.org/' || idx, decode(repeat('00', 32), 'hex'), 0 from node
        order by operator = decode(repeat('66', 20), 'hex') desc, idx desc";
    let messages = "insert into notify_delivery (target_id, nonce, kind, body, created_at, next_at, attempts)
        select t.id, k, 'test', n.operator::bytea::text, 0, 0, (k > 4)::integer
        from notify_target t join node n on n.idx = t.node_idx, generate_series(1, 8) k order by t.id, k";
    for statement in [many, targets, messages] {
        sqlx::query(statement).execute(&world.pool).await.unwrap();
    }
    let mut conn = world.pool.acquire().await.unwrap();
    let due = crate::db::notify::due(&mut conn, world.now(), 24).await.unwrap();
    let of = |operator: &nodesys_core::signature::SigningKey| {
        let name = format!("\\x{}", alloy::primitives::hex::encode(operator.address()));
        due.iter().position(|(message, _)| message.body == name)
    };
    // Who ever had a license comes first, its retries included; then each wallet in turn, first tries first.
    assert!(due[..8].iter().all(|(message, _)| message.body == due[0].0.body));
    assert_eq!((of(&alice()), due[0].1, due[7].1), (Some(0), 0, 1));
    let bobs = of(&bob()).unwrap();
    assert!(bobs == 8 || bobs == 9, "after {bobs} others");
    assert!(due[8..16].iter().all(|(_, attempts)| *attempts == 0));
    drop(free);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn the_backends_own_downtime_is_nobodys_outage(pool: PgPool) {
    let mut world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let receiver = Receiver::start().await;
    add(&world, &node, &receiver.url).await;
    node.beat(&world, &[]).await.unwrap();
    world.go_without_chain(world.now().plus_millis(30 * 60_000)).await;
    world.replica.notify().await;
    world.replica.alive.tick().await.unwrap();
    world.replica.notify().await;
    for _ in 0..2 {
        tick(&mut world).await;
    }
    assert!(receiver.take().is_empty());
    for _ in 0..4 {
        tick(&mut world).await;
    }
    assert_eq!(receiver.take().len(), 1);
    // Revoked: the operator knows.
    world.client().revoke_node(&node.revocation(&world, 1)).await.unwrap();
    tick(&mut world).await;
    assert!(receiver.take().is_empty());
}

/// Whoever has a wallet's signature for a node of theirs cannot keep it from the wallet's owner.
#[sqlx::test(migrations = "../../migrations/backend")]
async fn the_operator_is_told_of_each_new_node(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (first, bobs) = (world.node(&alice(), 1).await, world.node(&bob(), 2).await);
    let (receiver, other) = (Receiver::start().await, Receiver::start().await);
    let told = add(&world, &first, &receiver.url).await;
    add(&world, &bobs, &other.url).await;
    tick(&mut world).await;
    assert!(receiver.take().is_empty(), "who was added later is not told of before");

    let second = world.node(&alice(), 3).await;
    for _ in 0..2 {
        tick(&mut world).await;
    }
    let heard = receiver.take();
    assert_eq!(heard.len(), 1, "{heard:?}");
    let event = heard[0].event(&told.secret);
    assert_eq!(event.kind, EventKind::NodeAuthorized);
    assert_eq!((event.data.node_key, event.data.operator), (second.address(), alice().address()));
    let link = event.data.link.unwrap();
    assert_eq!(link, format!("https://nodes.example.org/nodes/{:#x}", second.address()));
    assert!(other.take().is_empty(), "another operator's webhook was told");

    // A renewal is no news; a node that was revoked and comes back is.
    let client = world.client();
    client.authorize_node(&second.authorization(&world, 2)).await.unwrap();
    tick(&mut world).await;
    assert!(receiver.take().is_empty());
    // A URL that two nodes have is told once.
    add(&world, &second, &receiver.url).await;
    world.go_without_chain(world.now().plus_millis(1_000)).await;
    world.client().revoke_node(&second.revocation(&world, 2)).await.unwrap();
    world.client().authorize_node(&second.authorization(&world, 3)).await.unwrap();
    tick(&mut world).await;
    let news = |receiver: &Receiver| {
        // These nodes send no heartbeats, which is told too.
        let heard = receiver.take();
        heard.iter().filter(|heard| heard.kind() == "node.authorized").count()
    };
    assert_eq!(news(&receiver), 1);
    // A node that changes hands is told to its new operator.
    let taken = Node::new(&bob(), 3);
    world.client().authorize_node(&taken.authorization(&world, 4)).await.unwrap();
    tick(&mut world).await;
    assert_eq!(news(&other), 1);
}

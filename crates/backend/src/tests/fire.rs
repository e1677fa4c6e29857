//! Under fire: what strangers ask costs us little, and those we know nothing.

mod limits;

use std::net::SocketAddr;
use std::time::Duration;

use futures::future::join_all;
use nodesys_chain::bindings::RewardDistributor;
use nodesys_core::api::{LineResult, Problem, SessionRequest};
use nodesys_core::files::{RewardRow, Row, write_file};
use nodesys_core::ids::{Fence, Seq};
use nodesys_core::message::{LeaseStatus, MAX_LEASES, Signed, Status};
use nodesys_core::{B256, keccak256};
use nodesys_sdk::client::Error;
use sqlx::PgPool;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::commit::closed_day;
use super::support::books::terms;
use super::support::node::healthy;
use super::support::wire::Line;
use super::support::{Node, World, problem};
use nodesys_testing::chain::{DAY, alice, bob, owner, signer};
use nodesys_testing::key;

const GARBAGE: &str = "0x1111111111111111111111111111111111111111111111111111111111111111\
                       22222222222222222222222222222222222222222222222222222222222222221b";

/// What is answered to a head whose body never comes.
async fn answer_to_head(world: &World, head: &str) -> String {
    let addr: SocketAddr = world.replica.base.trim_start_matches("http://").parse().unwrap();
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    // The connection may stay open, waiting for the body; the answer is there.
    let _ = tokio::time::timeout(Duration::from_secs(2), reading).await;
    String::from_utf8(answer).unwrap()
}

fn upload_head(project: &str, length: usize) -> String {
    let hash = keccak256(b"");
    format!(
        "PUT /v1/points/{project}/{DAY}?terms=e30&points_hash={hash}&signature={GARBAGE} HTTP/1.1\r\n\
         host: x\r\ncontent-type: text/csv\r\ncontent-length: {length}\r\n\r\n"
    )
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_strangers_upload_is_refused_before_its_body_is_read(pool: PgPool) {
    let world = World::new(pool).await;
    let nobody = answer_to_head(&world, &upload_head("nobody", 60_000_000)).await;
    assert!(nobody.starts_with("HTTP/1.1 404"), "{nobody}");
    let forged = answer_to_head(&world, &upload_head("acme", 60_000_000)).await;
    assert!(forged.starts_with("HTTP/1.1 401"), "{forged}");
    let endless = answer_to_head(&world, &upload_head("acme", 60_000_000_000)).await;
    assert!(endless.starts_with("HTTP/1.1 413"), "{endless}");
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn an_upload_is_the_file_that_was_signed(pool: PgPool) {
    let world = closed_day(pool).await;
    let csv = write_file(&world.points(DAY).await);
    let upload = |named: B256, body: &str| {
        use nodesys_core::message::{Message as _, PointsUpload};
        let (epoch, terms_hash) = (DAY.epoch(), terms().hash());
        let message = PointsUpload { epoch, points_hash: named, terms_hash };
        let signature = signer().sign(message.digest(&world.rewards_domain()));
        let mut url = reqwest::Url::parse(&world.replica.base).unwrap();
        url.set_path(&format!("/v1/points/acme/{DAY}"));
        let text = nodesys_core::bundle::canonical_json(&terms());
        let text = base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, text);
        url.query_pairs_mut()
            .append_pair("terms", &text)
            .append_pair("points_hash", &named.to_string())
            .append_pair("signature", &format!("0x{}", hex(signature.as_bytes())));
        reqwest::Client::new().put(url).body(body.to_owned()).send()
    };
    let other = upload(keccak256(&csv), "license,points\n").await.unwrap();
    assert_eq!(other.json::<Problem>().await.unwrap().code, "points_invalid");
    assert_eq!(upload(keccak256(&csv), &csv).await.unwrap().status(), 200);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn garbage_costs_no_read_of_the_chain(pool: PgPool) {
    let world = closed_day(pool).await;
    let project = world.chain.distributor;
    let checked = world.computed(DAY).await;
    let node = world.node(&alice(), 3).await;
    let asked = world.lease_request(&node, &world.chain.a1());
    let held = world.client().request_lease(&asked).await.unwrap();
    world.client().roots(project).await.unwrap();
    let rewards = world.client().computed_rewards(project, DAY).await.unwrap();

    // From here on a read of the chain fails.
    world.wire.lay(Line::Cut);
    let unknown = Node::new(&bob(), 9).revocation(&world, 1);
    world.refused("unknown_node", world.client().revoke_node(&unknown)).await;
    let anothers = Node::new(&bob(), 3).revocation(&world, 1);
    world.refused("unknown_node", world.client().revoke_node(&anothers)).await;
    // The same authorisation again, as its owner may send it, and one that is too old.
    world.client().authorize_node(&node.authorization(&world, 1)).await.unwrap();
    let stale = Node::new(&bob(), 3).authorization(&world, 0);
    world.refused("authorization_replaced", world.client().authorize_node(&stale)).await;
    // A request that was taken, sent again by whoever has read it.
    assert_eq!(world.client().request_lease(&asked).await.unwrap(), held);
    let older = Signed::new(
        nodesys_core::message::LeaseRequest { nonce: asked.message.nonce - 1, ..asked.message },
        world.domain(),
        &node.key,
    );
    world.refused("nonce_stale", world.client().request_lease(&older)).await;
    // What was read a moment ago, or is kept.
    world.client().roots(project).await.unwrap();
    assert_eq!(world.client().computed_rewards(project, DAY).await.unwrap(), rewards);
    // A commit and an upload that nobody signed: read once more at first, since the signer may be new.
    world.wire.lay(Line::To(world.chain.anvil.addr));
    let forged = world.signed_by(&bob(), &checked.commit);
    while let Err(Error::Problem(refusal)) = world.client().commit(&forged).await {
        if refusal.code == "bad_signature" {
            break;
        }
    }
    for _ in 0..40 {
        let refusal = problem(world.client().commit(&forged).await);
        assert!(["bad_signature", "rate_limited"].contains(&&*refusal.code), "{refusal:?}");
    }
    world.wire.lay(Line::Cut);
    let refusal = problem(world.client().commit(&forged).await);
    assert!(["bad_signature", "rate_limited"].contains(&&*refusal.code), "{refusal:?}");
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_committed_days_rewards_are_a_file_under_its_tag(pool: PgPool) {
    let world = closed_day(pool).await;
    let project = world.chain.distributor;
    let checked = world.computed(DAY).await;
    let url = format!("{}/v1/points/acme/{DAY}/rewards", world.replica.base);
    let http = reqwest::Client::new();
    let with = async |tag: &str| http.get(&url).header("if-none-match", tag).send().await.unwrap();
    let computed = with("\"none\"").await;
    let tag = computed.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(with(&tag).await.status(), 304);
    let csv = computed.bytes().await.unwrap();

    world.client().commit(&world.signed(&checked.commit)).await.unwrap();
    let committed = with(&tag).await;
    assert_eq!(committed.status(), 200);
    let tag = committed.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(committed.bytes().await.unwrap(), csv);
    // Neither the chain nor a computation is needed any more.
    let distributor = RewardDistributor::new(project, world.chain.provider.rpc());
    let call = distributor.disableSigner();
    world.chain.send(owner().address(), call.into_transaction_request()).await;
    world.wire.lay(Line::Cut);
    assert_eq!(with(&tag).await.status(), 304);
    assert_eq!(with("\"none\"").await.bytes().await.unwrap(), csv);
    assert_eq!(world.client().bundle_file(project, DAY, RewardRow::FILE).await.unwrap(), csv);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn nobody_uses_up_what_is_another_nodes(pool: PgPool) {
    let mut world = World::new(pool).await;
    let behind = world.behind_a_proxy().await;
    let node = world.node(&alice(), 1).await;
    let lease = world.lease(&node, &world.chain.a1()).await;
    let http = reqwest::Client::new();
    let send = async |route: &str, from: &str, body: String| {
        let request = http.post(format!("{}{route}", behind.base)).body(body);
        let request = request.header("content-type", "application/json");
        let answer = request.header("x-forwarded-for", from).send().await.unwrap();
        (answer.status().as_u16(), answer.headers().get("retry-after").cloned())
    };
    // The challenge is no secret, the signature is.
    let good = node.signed(&world, &[healthy(&lease)]).await;
    let forged = Signed::new(good.message.clone(), world.domain(), &key(9));
    let forged = serde_json::to_string(&forged).unwrap();
    let mut statuses = Vec::new();
    for _ in 0..40 {
        statuses.push(send("/v1/heartbeats", "192.0.2.7", forged.clone()).await.0);
    }
    assert_eq!(statuses[..32], [401; 32]);
    assert_eq!(statuses[32..], [429; 8]);
    let good = serde_json::to_string(&good).unwrap();
    assert_eq!(send("/v1/heartbeats", "198.51.100.1", good).await.0, 200);

    // Nodes that nobody knows: only so many are looked up for one network, and a /64 is one.
    let asks = (0..2010).map(|number: u32| {
        let node_key = nodesys_core::Address::left_padding_from(&number.to_be_bytes());
        serde_json::to_string(&SessionRequest { node_key }).unwrap()
    });
    let asks: Vec<String> = asks.collect();
    let mut codes = Vec::new();
    for chunk in asks.chunks(100) {
        let sent = chunk.iter().map(|body| send("/v1/sessions", "2001:db8::7", body.clone()));
        codes.extend(join_all(sent).await);
    }
    let limited: Vec<_> = codes.iter().filter(|(status, _)| *status == 429).collect();
    assert_eq!(limited.len(), 10);
    assert!(limited.iter().all(|(_, retry)| retry.is_some()));
    assert_eq!(send("/v1/sessions", "2001:db8::8", asks[0].clone()).await.0, 429);
    assert_eq!(send("/v1/sessions", "2001:db8:0:1::8", asks[0].clone()).await.0, 404);
    // The known node behind the same address is in memory.
    let known = serde_json::to_string(&SessionRequest { node_key: node.address() }).unwrap();
    assert_eq!(send("/v1/sessions", "2001:db8::7", known).await.0, 200);
    world.live(1).await;
    node.beat(&world, &[healthy(&lease)]).await.unwrap();
}

/// The largest heartbeat of the format.
#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_heartbeat_of_as_many_leases_as_may_be_is_taken(pool: PgPool) {
    let world = World::new(pool).await;
    let node = world.node(&alice(), 1).await;
    let held = world.lease(&node, &world.chain.a1()).await;
    let most = u64::try_from(i64::MAX).unwrap();
    let longest = |number: u8| LeaseStatus {
        license: B256::repeat_byte(number),
        fence: Fence::checked_new(most).unwrap(),
        status: Status::Degraded,
        release: u64::MAX,
    };
    let mut lines: Vec<LeaseStatus> =
        (1..MAX_LEASES).map(|number| longest(u8::try_from(number).unwrap())).collect();
    lines.push(healthy(&held));
    let mut heartbeat = node.heartbeat(&world, &lines).await;
    heartbeat.seq = Seq::checked_new(most).unwrap();
    let receipt = world.client().heartbeat(&node.sign(&world, heartbeat)).await.unwrap();
    assert_eq!(receipt.results.len(), MAX_LEASES);
    assert_eq!(receipt.results[MAX_LEASES - 1], LineResult::Credited);
}

/// Every path is read for its kind.
#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_path_of_no_kind_is_a_bad_request(pool: PgPool) {
    let world = closed_day(pool).await;
    for (path, _) in
        super::api::documented_paths().into_iter().filter(|(path, _)| path.contains('{'))
    {
        for bad in ["%00", "a%00b", "%ff", "%f0%9f%a6%80", &"9".repeat(90)] {
            let mut parts = Vec::new();
            for part in path.split('/') {
                parts.push(if part.starts_with('{') { bad } else { part });
            }
            let answer = world.get_raw(&parts.join("/")).await;
            assert!([400, 404, 405].contains(&answer.status), "{path} with {bad}: {answer:?}");
        }
    }
    // The last part alone, behind parts that are right.
    let checked = world.computed(DAY).await;
    world.client().commit(&world.signed(&checked.commit)).await.unwrap();
    for path in
        [format!("/v1/bundles/acme/{DAY}/%00"), format!("/v1/bundles/acme/{DAY}/x%2F..%2Fy")]
    {
        assert_eq!(world.get_raw(&path).await.problem().code, "bad_request", "{path}");
    }
}

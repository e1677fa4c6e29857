//! The manager against a backend over a real socket, minute by minute on a stepped clock.

mod docs;
mod support;

use std::collections::VecDeque;

use axum::http::StatusCode;
use nodesys_core::Address;
use nodesys_core::ticket::TicketView;
use nodesys_testing::key;
use support::{Fault, Node, START, TOKEN, domain, license};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_minute_has_one_heartbeat_and_a_kept_receipt_over_midnight() {
    let node = Node::running().await;
    node.run(5).await;
    let accepted = node.accepted();
    assert_eq!(accepted, [(0, true), (1, true), (2, true), (3, true), (4, true)]);
    let (before, after) = (node.kept("2026-01-01"), node.kept("2026-01-02"));
    assert_eq!((before.len(), after.len()), (2, 3));
    for kept in before.iter().chain(&after) {
        kept.heartbeat.verify(&domain(), key(1).address()).unwrap();
        assert_eq!(kept.receipt.accepted.credited, 1);
    }
    let status = node.status().await;
    assert_eq!(status["last_receipt"]["accepted"], "5");
    assert_eq!(status["last_receipt"]["minute"], (START.minute().0 + 4).to_string());
    assert_eq!(status["workloads"][0]["lease"], "held");
    assert_eq!(status["workloads"][0]["work"], "5");
    assert_eq!(status["last_error"], serde_json::Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_workload_is_down_and_earns_nothing() {
    let mut node = Node::running().await;
    node.run(2).await;
    node.kill_workload().await;
    node.run(2).await;
    node.start_workload().await;
    node.run(1).await;
    let credited: Vec<bool> = node.accepted().into_iter().map(|(_, credited)| credited).collect();
    // The first minute after the end depends on whether the node's second comes within 30 s.
    assert_eq!(credited.len(), 5);
    assert_eq!((credited[0], credited[1], credited[3], credited[4]), (true, true, false, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_lease_is_asked_for_again() {
    let node = Node::running().await;
    node.run(1).await;
    node.backend.world().faults = VecDeque::from([Fault::LeaseLost]);
    node.run(2).await;
    assert_eq!(node.accepted(), [(0, true), (1, false), (2, true)]);
    let world = node.backend.world();
    assert_eq!(world.accepted[2].0.leases[0].fence.get(), 2);
    assert!(world.lease_nonces.is_sorted_by(|a, b| a < b), "{:?}", world.lease_nonces);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stands_by_is_there_and_asks_until_it_is_its_turn() {
    let mut node = Node::new().await;
    node.backend.world().leased_elsewhere = true;
    node.start().await;
    node.start_workload().await;
    node.run(2).await;
    assert_eq!(node.status().await["workloads"][0]["lease"], "standby");
    node.backend.world().leased_elsewhere = false;
    node.run(2).await;
    assert_eq!(node.accepted(), [(0, false), (1, false), (2, false), (3, true)]);
    assert!(node.backend.world().accepted[0].0.leases.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_minute_counts_and_none_is_sent_twice() {
    let node = Node::running().await;
    node.run(1).await;
    node.backend.world().ahead_millis = 150_000;
    node.run(2).await;
    node.backend.world().ahead_millis = 0;
    node.run(6).await;
    let minutes: Vec<u64> = node.accepted().into_iter().map(|(minute, _)| minute).collect();
    assert!(minutes.is_sorted_by(|a, b| a < b), "{minutes:?}");
    assert_eq!(minutes.last(), Some(&8), "{minutes:?}");
    assert!(minutes.len() >= 6, "{minutes:?}");
    // Each jump costs one refusal, after which the node knows.
    assert_eq!(node.backend.world().refused, ["wrong_minute", "wrong_minute"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_challenge_costs_no_minute() {
    let node = Node::running().await;
    node.run(1).await;
    node.backend.world().faults = VecDeque::from([Fault::ForgetSecret]);
    node.run(2).await;
    assert_eq!(node.accepted(), [(0, true), (1, true), (2, true)]);
    assert_eq!(node.backend.world().refused, ["stale_challenge"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_that_does_not_hold_does_not_count() {
    for fault in [Fault::Tamper, Fault::WrongKey] {
        let node = Node::running().await;
        node.run(1).await;
        node.backend.world().faults = VecDeque::from([fault]);
        node.run(1).await;
        // The backend has it, but the node does not believe so.
        assert_eq!(node.accepted().len(), 2);
        assert_eq!(node.kept("2026-01-01").len(), 1);
        let status = node.status().await;
        assert_eq!(status["last_receipt"]["minute"], START.minute().0.to_string());
        let error = status["last_error"]["message"].as_str().unwrap();
        assert!(error.contains("does not hold"), "{error}");
        node.run(1).await;
        assert_eq!(node.kept("2026-01-02").len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_was_down_gets_no_backfill() {
    let mut node = Node::running().await;
    node.run(1).await;
    node.backend.down();
    node.run(4).await;
    let error = node.status().await["last_error"]["message"].as_str().unwrap().to_owned();
    assert!(error.contains("cannot be reached"), "{error}");
    node.backend.up();
    node.run(2).await;
    assert_eq!(node.accepted(), [(0, true), (5, true), (6, true)]);
    assert!(node.backend.world().refused.is_empty(), "the old challenge is not even tried");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_comes_up_late_is_found() {
    let mut node = Node::new().await;
    node.backend.down();
    node.start().await;
    node.start_workload().await;
    node.run(2).await;
    node.backend.up();
    node.run(3).await;
    // The lease is asked for before the first heartbeat, which so carries it.
    assert_eq!(node.accepted(), [(2, true), (3, true), (4, true)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_asked_for_again_with_the_same_bytes() {
    let node = Node::running().await;
    node.run(1).await;
    node.backend.world().faults = VecDeque::from([Fault::LoseAnswer]);
    node.run(1).await;
    assert_eq!(node.accepted(), [(0, true), (1, true)]);
    assert_eq!(node.kept("2026-01-01").len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_rise_over_a_restart_and_past_what_the_backend_knows() {
    let mut node = Node::running().await;
    node.run(1).await;
    node.kill_workload().await;
    node.stop().await;
    node.start().await;
    node.start_workload().await;
    node.run(1).await;
    node.backend.world().faults = VecDeque::from([Fault::SeqStale]);
    node.run(1).await;
    assert_eq!(node.accepted(), [(0, true), (1, true), (2, true)]);
    let world = node.backend.world();
    assert!(world.accepted.is_sorted_by(|a, b| a.0.seq < b.0.seq));
    assert!(world.lease_nonces.is_sorted_by(|a, b| a < b), "{:?}", world.lease_nonces);
    assert_eq!(world.refused, ["seq_stale"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_of_another_network_gets_no_heartbeat() {
    let mut node = Node::new().await;
    node.backend.world().network.chain_id = 1;
    node.start().await;
    node.run(2).await;
    assert_eq!(node.accepted(), []);
    let error = node.status().await["last_error"]["message"].as_str().unwrap().to_owned();
    assert!(error.contains("the backend is for chain 1"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unpinned_receipt_key_is_the_backends_word() {
    let mut node = Node::new().await;
    node.pinned = None;
    node.start().await;
    node.start_workload().await;
    node.run(1).await;
    let status = node.status().await;
    assert_eq!(status["receipt_key_pinned"], false);
    assert_eq!(status["last_receipt"]["accepted"], "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_health_post_without_the_token_or_out_of_shape_changes_nothing() {
    let mut node = Node::new().await;
    node.start().await;
    let url = node.url("/v1/health");
    let post = |token: &'static str, body: String| {
        let request = node.http().post(&url).bearer_auth(token).body(body);
        async move {
            let answer = request.send().await.unwrap();
            let content_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
            assert_eq!(content_type, "application/problem+json");
            (answer.status(), answer.json::<serde_json::Value>().await.unwrap()["code"].clone())
        }
    };
    let good = r#"{"status":"healthy"}"#.to_owned();
    let other = post("beta-0123456789abcdef", good).await;
    assert_eq!(other, (StatusCode::UNAUTHORIZED, "unauthorized".into()));
    let bad = post(support::TOKEN, "{".to_owned()).await;
    assert_eq!(bad, (StatusCode::BAD_REQUEST, "bad_request".into()));
    let down = post(support::TOKEN, r#"{"status":"down"}"#.to_owned()).await;
    assert_eq!(down, (StatusCode::BAD_REQUEST, "bad_request".into()));
    let large = post(support::TOKEN, " ".repeat(9000)).await;
    assert_eq!(large, (StatusCode::PAYLOAD_TOO_LARGE, "too_large".into()));
    let status = node.status().await;
    assert_eq!(status["workloads"][0]["status"], "starting");
    assert_eq!(status["workloads"][0]["heard_secs_ago"], serde_json::Value::Null);
    let healthz = node.http().get(node.url("/healthz")).send().await.unwrap();
    assert_eq!(healthz.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workload_gets_a_ticket_for_its_own_license_while_the_lease_is_held() {
    let ask = async |node: &Node, token: &str, body: &str| {
        let request = node.http().post(node.url("/v1/ticket")).bearer_auth(token);
        let answer = request.body(body.to_owned()).send().await.unwrap();
        let status = answer.status();
        (status, answer.json::<serde_json::Value>().await.unwrap())
    };
    let mut node = Node::new().await;
    node.backend.world().leased_elsewhere = true;
    node.start().await;
    node.start_workload().await;
    node.run(1).await;
    let body = r#"{"audience":"https://Tasks.example.org/"}"#;
    let (status, refused) = ask(&node, TOKEN, body).await;
    assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &"not_leased".into()));
    node.backend.world().leased_elsewhere = false;
    node.run(1).await;

    let (status, answer) = ask(&node, TOKEN, body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let view: TicketView = serde_json::from_value(answer).unwrap();
    let (now, audience) = (node.clock.now().await, "https://tasks.example.org".parse().unwrap());
    assert_eq!(view.not_after, now.secs() + 540);
    let project = Address::repeat_byte(1);
    let signer = view.ticket.check(&domain(), project, &audience, now).unwrap();
    let ticket = &view.ticket.0.message;
    assert_eq!(signer, key(1).address());
    assert_eq!((ticket.license, ticket.fence.get()), (license().hash(), 1));

    let (status, refused) = ask(&node, "alpha-0123456789abcdeX", body).await;
    assert_eq!((status, &refused["code"]), (StatusCode::UNAUTHORIZED, &"unauthorized".into()));
    for bad in ["", "{}", r#"{"audience":"tasks"}"#, r#"{"audience":"https://x","license":"0x"}"#] {
        let (status, refused) = ask(&node, TOKEN, bad).await;
        assert_eq!((status, &refused["code"]), (StatusCode::BAD_REQUEST, &"bad_request".into()));
    }
}

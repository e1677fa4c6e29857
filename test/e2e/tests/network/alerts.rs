//! Webhooks report a node and a workload that are down, once, across restarts and replicas.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use nodesys_core::notify::{Event, EventKind};
use nodesys_core::time::Timestamp;
use nodesys_core::webhook::{ID_HEADER, SIGNATURE_HEADER, Secret, TIMESTAMP_HEADER};
use nodesys_devnet::run;
use nodesys_e2e::ShortDay;
use nodesys_e2e::short_day::{A1, B1, DAY};
use serde_json::Value;

/// A webhook's receiver, which accepts nothing while `busy`.
#[derive(Clone, Default)]
struct Receiver {
    heard: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    busy: Arc<Mutex<bool>>,
}

impl Receiver {
    async fn start(&self) -> String {
        let this = self.clone();
        let hear = move |headers: HeaderMap, body: Bytes| async move {
            this.heard.lock().unwrap().push((headers, body));
            let busy = *this.busy.lock().unwrap();
            if busy { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NO_CONTENT }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = axum::Router::new().route("/hook", post(hear));
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    /// Messages since the last call: id, kind and the workload's name.
    fn take(&self, secret: &Secret) -> Vec<(String, EventKind, Option<String>)> {
        let heard = std::mem::take(&mut *self.heard.lock().unwrap());
        heard
            .iter()
            .map(|(headers, body)| {
                let header = |name: &str| headers[name].to_str().unwrap();
                let (id, secs) = (header(ID_HEADER), header(TIMESTAMP_HEADER).parse().unwrap());
                assert!(secret.verify(id, secs, body, header(SIGNATURE_HEADER)));
                let event: Event = serde_json::from_slice(body).unwrap();
                let workload = event.data.workload.map(|name| name.to_string());
                (id.to_owned(), event.kind, workload)
            })
            .collect()
    }
}

/// `nodesys notify ...` on the first node.
async fn notify(day: &ShortDay, arguments: &[&str]) -> Value {
    let arguments = [&["notify"], arguments, &["--output", "json"]].concat();
    let command = day.net.network.nodesys(&day.net.nodes[0].home, &arguments);
    run(command).await.unwrap().json().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn down_and_back_are_told_once_each() {
    let mut day = ShortDay::start_with(2, |options| {
        options.start = Timestamp::from_secs(DAY.end().secs() - 3600);
    })
    .await;
    day.net.add_node(|people| &people.alice, &[A1, B1]).await.unwrap();
    day.pass_minutes(2).await;
    let receiver = Receiver::default();
    let url = receiver.start().await;
    let added = notify(&day, &["add", &url]).await;
    let secret: Secret = added["secret"].as_str().unwrap().parse().unwrap();
    let target = added["target"].as_str().unwrap().to_owned();
    // In a minute of its own: the same URL is the same target.
    day.pass_minutes(1).await;
    assert_eq!(notify(&day, &["add", &url]).await["secret"], added["secret"]);
    day.pass_minutes(1).await;
    notify(&day, &["test", &target]).await;
    let told: Vec<EventKind> = receiver.take(&secret).into_iter().map(|told| told.1).collect();
    assert_eq!(told, [EventKind::Test]);

    // A workload dies; its node goes on. The receiver is busy at first.
    *receiver.busy.lock().unwrap() = true;
    day.net.nodes[0].kill_workload(0).await.unwrap();
    day.pass_minutes(8).await;
    *receiver.busy.lock().unwrap() = false;
    day.pass_minutes(4).await;
    let told = receiver.take(&secret);
    assert!(told.len() >= 2, "refused, then taken: {told:?}");
    let down = (told[0].0.clone(), EventKind::WorkloadDown, Some("alpha".to_owned()));
    assert!(told.iter().all(|message| *message == down), "{told:?}");

    // One replica is killed, the other restarted: nothing is told again.
    day.net.kill_backend(1).await.unwrap();
    day.net.kill_backend(0).await.unwrap();
    day.net.start_backend(0).await.unwrap();
    day.net.start_backend(1).await.unwrap();
    day.pass_minutes(3).await;
    assert_eq!(receiver.take(&secret), []);
    let network = day.net.network.clone();
    day.net.nodes[0].start_workload(&network, 0).await.unwrap();
    day.pass_minutes(4).await;
    let told: Vec<_> = receiver.take(&secret).into_iter().map(|told| (told.1, told.2)).collect();
    assert_eq!(told, [(EventKind::WorkloadBack, Some("alpha".to_owned()))]);

    // The whole node dies, and comes back.
    day.net.nodes[0].kill().await.unwrap();
    day.pass_minutes(9).await;
    let told: Vec<_> = receiver.take(&secret).into_iter().map(|told| told.1).collect();
    assert_eq!(told, [EventKind::NodeDown]);
    day.net.nodes[0].start(&network).await.unwrap();
    day.pass_minutes(4).await;
    let told: Vec<_> = receiver.take(&secret).into_iter().map(|told| told.1).collect();
    assert_eq!(told, [EventKind::NodeBack]);

    let listed = notify(&day, &["list"]).await;
    assert_eq!(listed[0]["delivered"], 5);
    assert_eq!((&listed[0]["waiting"], &listed[0]["failed"]), (&0.into(), &0.into()));
    day.pass_minutes(1).await;
    assert_eq!(notify(&day, &["remove", &target]).await, serde_json::json!([]));
    day.net.stop().await.unwrap();
}

//! A webhook's receiver: a real HTTP server that records messages and answers as the test sets.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use nodesys_core::notify::Event;
use nodesys_core::webhook::{ID_HEADER, SIGNATURE_HEADER, Secret, TIMESTAMP_HEADER};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A message as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) id: String,
    pub(crate) secs: u64,
    signature: String,
    body: Bytes,
}

impl Heard {
    /// Its event, after its signature is verified with the target's secret.
    pub(crate) fn event(&self, secret: &str) -> Event {
        let secret: Secret = secret.parse().unwrap();
        assert!(secret.verify(&self.id, self.secs, &self.body, &self.signature), "{self:?}");
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The kind alone.
    pub(crate) fn kind(&self) -> &'static str {
        serde_json::from_slice::<Event>(&self.body).unwrap().kind.as_str()
    }
}

#[derive(Default)]
struct Inner {
    heard: Vec<Heard>,
    /// The next answers, then 204.
    answers: Vec<StatusCode>,
}

/// The server; gone when dropped.
pub(crate) struct Receiver {
    pub(crate) url: String,
    inner: Arc<Mutex<Inner>>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let inner = Arc::new(Mutex::new(Inner::default()));
        let router = axum::Router::new()
            .route("/hook", post(hear))
            .route("/elsewhere", post(hear))
            .with_state(inner.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, inner, serving }
    }

    /// The next answers, one each.
    pub(crate) fn answer(&self, statuses: &[u16]) {
        let statuses = statuses.iter().rev().map(|status| StatusCode::from_u16(*status).unwrap());
        self.inner.lock().unwrap().answers = statuses.collect();
    }

    /// Messages since the last call.
    pub(crate) fn take(&self) -> Vec<Heard> {
        std::mem::take(&mut self.inner.lock().unwrap().heard)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn hear(State(inner): State<Arc<Mutex<Inner>>>, headers: HeaderMap, body: Bytes) -> Response {
    let header_of = |name: &str| headers[name].to_str().unwrap().to_owned();
    let heard = Heard {
        id: header_of(ID_HEADER),
        secs: header_of(TIMESTAMP_HEADER).parse().unwrap(),
        signature: header_of(SIGNATURE_HEADER),
        body,
    };
    let mut inner = inner.lock().unwrap();
    inner.heard.push(heard);
    let status = inner.answers.pop().unwrap_or(StatusCode::NO_CONTENT);
    (status, [(header::LOCATION, "/elsewhere")]).into_response()
}

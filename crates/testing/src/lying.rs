//! An RPC that lies: it asks a real one, and answers what a test makes of that.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, RwLock};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use nodesys_chain::RpcUrl;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What becomes of a call before it is asked.
type Question = Box<dyn Fn(Value) -> Value + Send + Sync>;
/// What becomes of an answer: from one call and the true answer to it.
type Lie = Box<dyn Fn(&Value, Value) -> Value + Send + Sync>;

struct Shared {
    upstream: String,
    http: reqwest::Client,
    question: RwLock<Option<Question>>,
    lie: RwLock<Option<Lie>>,
}

/// The RPC; ends when dropped.
pub struct LyingRpc {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Its URL.
    pub url: RpcUrl,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl LyingRpc {
    /// One in front of `upstream`, which tells the truth for now.
    pub async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            upstream: format!("http://{upstream}"),
            http: reqwest::Client::new(),
            question: RwLock::default(),
            lie: RwLock::default(),
        });
        let routes = Router::new().route("/", post(answer)).with_state(shared.clone());
        let serving = tokio::spawn(async move {
            // Ends with the test; nothing waits for it.
            let _ = axum::serve(listener, routes).await;
        });
        Self { addr, url: format!("http://{addr}").parse().unwrap(), shared, serving }
    }

    /// From now on each true answer goes through `lie`.
    pub fn lies(&self, lie: impl Fn(&Value, Value) -> Value + Send + Sync + 'static) {
        *self.shared.lie.write().unwrap() = Some(Box::new(lie));
    }

    /// From now on each call goes through `question` before it is asked.
    pub fn asks(&self, question: impl Fn(Value) -> Value + Send + Sync + 'static) {
        *self.shared.question.write().unwrap() = Some(Box::new(question));
    }

    /// From now on its newest block, final too, is this one.
    pub fn lags(&self, at: u64) {
        let block = format!("{at:#x}");
        let old = block.clone();
        self.asks(move |mut call| {
            for param in call["params"].as_array_mut().into_iter().flatten() {
                if matches!(param.as_str(), Some("latest" | "finalized" | "pending")) {
                    *param = json!(old);
                }
            }
            call
        });
        self.lies(move |call, truth| {
            if call["method"] == "eth_blockNumber" { result(call, &json!(block)) } else { truth }
        });
    }

    /// From now on it tells the truth.
    pub fn tells_the_truth(&self) {
        *self.shared.question.write().unwrap() = None;
        *self.shared.lie.write().unwrap() = None;
    }
}

impl Drop for LyingRpc {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, Json(request): Json<Value>) -> Json<Value> {
    let asking = match (shared.question.read().unwrap().as_ref(), request.clone()) {
        (Some(question), Value::Array(calls)) => calls.into_iter().map(question).collect(),
        (Some(question), call) => question(call),
        (None, request) => request,
    };
    let asked = shared.http.post(&shared.upstream).json(&asking).send().await.unwrap();
    let truth: Value = asked.json().await.unwrap();
    let lie = shared.lie.read().unwrap();
    let Some(lie) = lie.as_ref() else { return Json(truth) };
    Json(match (request, truth) {
        (Value::Array(calls), Value::Array(truths)) => {
            let of = |truth: Value| calls.iter().find(|call| call["id"] == truth["id"]).cloned();
            let told = truths.into_iter().map(|truth| match of(truth.clone()) {
                Some(call) => lie(&call, truth),
                None => truth,
            });
            told.collect()
        }
        (call, truth) => lie(&call, truth),
    })
}

/// The answer to a call with this result.
pub fn result(call: &Value, result: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": call["id"], "result": result })
}

/// The answer to a call that is an error.
pub fn refusal(call: &Value, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": call["id"], "error": { "code": -32_005, "message": message } })
}

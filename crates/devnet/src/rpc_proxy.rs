//! An RPC with injected faults, in front of the devnet's chain, for tests of its readers.
//!
//! It passes requests on unchanged, except for the set [`Fault`]. It can also send somebody's
//! transactions just before the next one that it passes on, like a front-runner with a higher fee
//! ([`RpcProxy::front_run`]).

mod facts;
mod faults;
mod upstream;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy::primitives::Bytes as Raw;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use facts::Facts;
pub use faults::Fault;
use faults::Step;
use upstream::Upstream;

/// Seconds in a rate limit's `Retry-After`.
const RETRY_AFTER: &str = "1";

/// A proxy on a free loopback port; ends when dropped.
#[derive(Debug)]
pub struct RpcProxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    upstream: Upstream,
    fault: Mutex<Fault>,
    faster: Mutex<VecDeque<Raw>>,
}

impl Shared {
    fn fault(&self) -> Fault {
        *locked(&self.fault)
    }

    /// Sends the next of the front-running transactions.
    async fn run_in_front(&self) -> anyhow::Result<()> {
        let Some(raw) = locked(&self.faster).pop_front() else { return Ok(()) };
        // One that is refused has only lost its race.
        let send = json!({
            "jsonrpc": "2.0", "id": 0, "method": "eth_sendRawTransaction", "params": [raw],
        });
        self.upstream.ask(&send).await.map(drop)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RpcProxy {
    /// Starts one in front of `upstream`.
    pub async fn start(upstream: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstream: Upstream::new(upstream),
            fault: Mutex::new(Fault::None),
            faster: Mutex::default(),
        });
        let router = Router::new().route("/", post(pass)).with_state(shared.clone());
        let serving = tokio::spawn(async move {
            // Ends with the test; nothing waits for it.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { addr, shared, serving })
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Sets its fault from now on.
    pub fn set(&self, fault: Fault) {
        *locked(&self.shared.fault) = fault;
    }

    /// Sends one of these signed transactions before each transaction that it passes on, in order.
    pub fn front_run(&self, transactions: impl IntoIterator<Item = Raw>) {
        locked(&self.shared.faster).extend(transactions);
    }
}

impl Drop for RpcProxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let fault = shared.fault();
    let request: Value = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    match fault {
        Fault::Down => return StatusCode::BAD_GATEWAY.into_response(),
        Fault::RateLimited => return rate_limited(&request),
        Fault::Hangs => std::future::pending().await,
        Fault::Slow(wait) => wait_for(wait).await,
        _ => {}
    }
    match answer(&shared, fault, request).await {
        Ok(answer) => {
            ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
        }
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

/// The answer to a call, or to each of a batch.
async fn answer(shared: &Shared, fault: Fault, request: Value) -> anyhow::Result<Value> {
    let facts = match fault.needs_facts() {
        true => Facts::read(&shared.upstream, &request).await?,
        false => Facts::default(),
    };
    match request {
        Value::Array(calls) => {
            let mut answers = Vec::with_capacity(calls.len());
            for call in calls {
                answers.push(answer_one(shared, fault, &facts, call).await?);
            }
            Ok(Value::Array(answers))
        }
        call => answer_one(shared, fault, &facts, call).await,
    }
}

async fn answer_one(
    shared: &Shared,
    fault: Fault,
    facts: &Facts,
    call: Value,
) -> anyhow::Result<Value> {
    if call["method"] == "eth_sendRawTransaction" {
        shared.run_in_front().await?;
    }
    match fault.before(facts, call.clone()) {
        Step::Ask(asked) => Ok(fault.after(facts, &call, shared.upstream.ask(&asked).await?)),
        Step::Answer(answer) => Ok(answer),
    }
}

/// Too many requests, by the status and in the body, which JSON-RPC clients read.
fn rate_limited(request: &Value) -> Response {
    let id = request.get("id").unwrap_or(&Value::Null);
    let message = "request rate exceeded: wait, or raise your plan";
    let body = json!({"jsonrpc": "2.0", "id": id, "error": {"code": 429, "message": message}});
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::RETRY_AFTER, RETRY_AFTER)];
    (StatusCode::TOO_MANY_REQUESTS, headers, body.to_string()).into_response()
}

#[expect(clippy::disallowed_methods, reason = "a slow RPC is slow in real time")]
async fn wait_for(wait: std::time::Duration) {
    tokio::time::sleep(wait).await;
}

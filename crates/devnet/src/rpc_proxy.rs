//! An RPC that can be made to fail: in front of the devnet's chain, for tests of those who read it.
//!
//! It passes requests on as they are, and answers wrongly only as it is told to ([`Fault`]).

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What the RPC does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing wrong.
    None,
    /// Answers 502, as a load balancer does whose node is gone.
    Down,
    /// Takes requests and never answers.
    Hangs,
    /// Answers as if this block were the newest and the final one.
    StandsAt(u64),
    /// Says that it is on this chain.
    OtherChain(u64),
}

/// A proxy on a free loopback port; ends when dropped.
#[derive(Debug)]
pub struct RpcProxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    upstream: String,
    http: reqwest::Client,
    fault: Mutex<Fault>,
}

impl Shared {
    fn fault(&self) -> Fault {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RpcProxy {
    /// Starts one in front of `upstream`.
    pub async fn start(upstream: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            http: reqwest::Client::new(),
            fault: Mutex::new(Fault::None),
        });
        let router = Router::new().route("/", post(pass)).with_state(shared.clone());
        let serving = tokio::spawn(async move {
            // Ends with the test; nobody waits for it.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { addr, shared, serving })
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// From now on it does this.
    pub fn set(&self, fault: Fault) {
        *self.shared.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
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
    let request = match fault {
        Fault::Down => return StatusCode::BAD_GATEWAY.into_response(),
        Fault::Hangs => std::future::pending().await,
        Fault::StandsAt(block) => each(request, |call| stand_at(call, block)),
        Fault::None | Fault::OtherChain(_) => request,
    };
    let asked = each(request.clone(), |call| call);
    let sent = shared.http.post(&shared.upstream).json(&asked).send().await;
    let answer = match sent {
        Ok(answer) => answer.json::<Value>().await,
        Err(error) => Err(error),
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    };
    let answer = match fault {
        Fault::StandsAt(block) => lie(&request, answer, "eth_blockNumber", block),
        Fault::OtherChain(chain) => lie(&request, answer, "eth_chainId", chain),
        _ => answer,
    };
    ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}

/// Applies a change to a call, or to each of a batch.
fn each(request: Value, change: impl Fn(Value) -> Value) -> Value {
    match request {
        Value::Array(calls) => Value::Array(calls.into_iter().map(change).collect()),
        call => change(call),
    }
}

/// The call with every tag of a newest block replaced.
fn stand_at(mut call: Value, block: u64) -> Value {
    let number = Value::from(format!("{block:#x}"));
    if let Some(params) = call.get_mut("params").and_then(Value::as_array_mut) {
        for param in params {
            if matches!(param.as_str(), Some("latest" | "pending" | "safe" | "finalized")) {
                *param = number.clone();
            }
        }
    }
    call
}

/// The answers to one method replaced by a number.
fn lie(request: &Value, answer: Value, method: &str, number: u64) -> Value {
    let ids: Vec<&Value> = match request {
        Value::Array(calls) => calls.iter().collect(),
        call => vec![call],
    }
    .into_iter()
    .filter(|call| call["method"] == method)
    .map(|call| &call["id"])
    .collect();
    each(answer, |mut one| {
        if ids.contains(&&one["id"]) {
            one["result"] = Value::from(format!("{number:#x}"));
        }
        one
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_tags_and_the_asked_method_are_changed() {
        let call = json!({"id": 1, "method": "eth_call", "params": [{"to": "latest"}, "latest"]});
        let stood = stand_at(call, 16);
        assert_eq!(stood["params"], json!([{"to": "latest"}, "0x10"]));
        let batch = json!([{"id": 1, "method": "eth_chainId"}, {"id": 2, "method": "eth_call"}]);
        let answer = json!([{"id": 2, "result": "0x"}, {"id": 1, "result": "0x7a69"}]);
        let lied = lie(&batch, answer, "eth_chainId", 1);
        assert_eq!(lied, json!([{"id": 2, "result": "0x"}, {"id": 1, "result": "0x1"}]));
    }
}

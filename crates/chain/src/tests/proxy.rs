//! An RPC with limits, in front of anvil: refuses what a test says, and passes on the rest.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::RpcUrl;

/// What is answered in place of the chain: status, a header line or none, body.
pub(super) type Refusal = (u16, &'static str, Value);

/// The proxy; ends when dropped.
pub(super) struct Proxy {
    pub(super) url: RpcUrl,
    requests: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Proxy {
    pub(super) async fn start(
        upstream: &RpcUrl,
        refuse: impl Fn(&Value) -> Option<Refusal> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let (upstream, refuse) = (upstream.expose().clone(), Arc::new(refuse));
        let requests = Arc::<AtomicUsize>::default();
        let counted = requests.clone();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (upstream, refuse, counted) =
                    (upstream.clone(), refuse.clone(), counted.clone());
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    while let Some(request) = request_of(&mut stream).await {
                        counted.fetch_add(1, Ordering::Relaxed);
                        let (status, header, body) = match refuse(&request) {
                            Some(refusal) => refusal,
                            None => (200, "", passed_on(&upstream, &request).await),
                        };
                        let body = body.to_string();
                        let head = format!(
                            "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{header}\r\n",
                            body.len()
                        );
                        let answer = [head, body].concat();
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { url, requests, serving }
    }

    /// The requests so far.
    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn request_of(stream: &mut BufReader<TcpStream>) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    serde_json::from_slice(&body).ok()
}

async fn passed_on(upstream: &reqwest::Url, request: &Value) -> Value {
    let answer = reqwest::Client::new().post(upstream.clone()).json(request).send().await.unwrap();
    answer.json().await.unwrap()
}

//! The RPC behind the proxy.

use anyhow::Context as _;
use serde_json::Value;

#[derive(Debug)]
pub(super) struct Upstream {
    url: String,
    http: reqwest::Client,
}

impl Upstream {
    pub(super) fn new(url: &str) -> Self {
        Self { url: url.to_owned(), http: reqwest::Client::new() }
    }

    /// Its answer.
    pub(super) async fn ask(&self, request: &Value) -> anyhow::Result<Value> {
        let sent = self.http.post(&self.url).json(request).send().await?;
        sent.json().await.context("the RPC behind answers something else than JSON")
    }
}

//! One try to send a message: to checked addresses, without redirects, with a short timeout, and
//! without reading the answer's body.

use std::time::Duration;

use nodesys_core::webhook::{ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use reqwest::header::CONTENT_TYPE;

use super::address;
use crate::db::notify::Message;
use crate::state::App;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const TIMEOUT: Duration = Duration::from_secs(5);

/// The reason a message was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) why: String,
    /// The target answered that it is gone for good.
    pub(super) gone: bool,
}

impl Refused {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), gone: false }
    }
}

/// Sends; any status from 200 to 299 means delivery.
pub(super) async fn send(app: &App, message: &Message) -> Result<(), Refused> {
    let (clock, allow_private) = (&app.clock, app.allow_private_webhooks);
    let url = address::parse(&message.url, allow_private).map_err(Refused::new)?;
    let addrs = app.resolver.resolve(&url, allow_private).await.map_err(Refused::new)?;
    let host = url.host_str().unwrap_or_default();
    // A client for this one connection: it resolves nothing itself, and knows no proxy.
    let client = reqwest::Client::builder()
        .user_agent(concat!("nodesys-backend/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .pool_max_idle_per_host(0)
        .resolve_to_addrs(host, &addrs)
        .build()
        .map_err(|error| Refused::new(format!("no client: {error}")))?;
    let (id, secs) = (message.webhook_id(), clock.now().secs());
    let signature = message.secret.sign(&id, secs, message.body.as_bytes());
    let answer = client
        .post(url)
        .header(CONTENT_TYPE, "application/json")
        .header(ID_HEADER, id)
        .header(TIMESTAMP_HEADER, secs.to_string())
        .header(SIGNATURE_HEADER, signature)
        .body(message.body.clone())
        .send()
        .await
        // Without the URL: its path may be the receiver's secret.
        .map_err(|error| Refused::new(root_cause(&error.without_url())))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let gone = status == reqwest::StatusCode::GONE;
    let redirect = if status.is_redirection() { "; redirects are not followed" } else { "" };
    Err(Refused { why: format!("answered {status}{redirect}"), gone })
}

fn root_cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

//! The targets of the watch: webhooks, signed as Standard Webhooks. A message is kept on disk until a
//! target takes it, and has the same id each time it is sent.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use nodesys_core::keccak256;
use nodesys_core::time::Timestamp;
use nodesys_core::webhook::{ID_HEADER, SIGNATURE_HEADER, Secret, TIMESTAMP_HEADER};

use crate::output::say;
use crate::watch::checks::Check;
use crate::watch::event::Event;
use crate::watch::state::{PendingMessage, WatchState};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Messages sent after one look: targets that answer slowly must not hold up the next.
const AT_ONCE: usize = 20;

const LONGEST_WAIT_SECS: u64 = 3_600;

/// The webhooks.
pub(crate) struct Targets {
    urls: Vec<reqwest::Url>,
    secret: Option<Secret>,
    http: reqwest::Client,
}

impl Targets {
    pub(crate) fn of(urls: Vec<reqwest::Url>, secret: Option<&Path>) -> anyhow::Result<Self> {
        let secret = match secret {
            None => None,
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .with_context(|| format!("the webhook's secret {}", file.display()))?;
                Some(text.lines().next().unwrap_or_default().parse()?)
            }
        };
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { urls, secret, http })
    }

    /// A message of this event for each target.
    pub(crate) fn queue(&self, state: &mut WatchState, event: &Event) {
        let body = event.to_json();
        for url in &self.urls {
            let id = format!("msg_{:x}", keccak256(event.identity()));
            let (url, body) = (url.to_string(), body.clone());
            state.queue(PendingMessage { id, url, body, tries: 0, not_before: 0 });
        }
    }

    /// Sends what is due. A target that fails is left alone until its next try.
    pub(crate) async fn deliver(&self, state: &mut WatchState, now: Timestamp) {
        let mut failed: Vec<String> = Vec::new();
        let mut left = std::mem::take(&mut state.unsent);
        let mut sent = 0;
        while let Some(mut message) = left.pop_front() {
            // A target that is named no more gets nothing more.
            let Some(url) = self.urls.iter().find(|url| url.as_str() == message.url) else {
                continue;
            };
            let due = message.not_before <= now.secs() && sent < AT_ONCE;
            if due && !failed.contains(&message.url) {
                sent += 1;
                let done = self.send(url, &message.id, now, message.body.as_bytes().to_vec()).await;
                let Err(problem) = done else { continue };
                say(format!("the webhook was not told: {problem}"));
                message.tries += 1;
                let wait = (30u64 << message.tries.min(7)).min(LONGEST_WAIT_SECS);
                message.not_before = now.secs() + wait;
                failed.push(message.url.clone());
            }
            state.unsent.push_back(message);
        }
    }

    async fn send(
        &self,
        url: &reqwest::Url,
        id: &str,
        now: Timestamp,
        body: Vec<u8>,
    ) -> Result<(), String> {
        let Some(secret) = &self.secret else { return Err("there is no secret".to_owned()) };
        let sent = self
            .http
            .post(url.clone())
            .header("content-type", "application/json")
            .header(ID_HEADER, id)
            .header(TIMESTAMP_HEADER, now.secs().to_string())
            .header(SIGNATURE_HEADER, secret.sign(id, now.secs(), &body))
            .body(body)
            .send()
            .await;
        match sent {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("it answered {}", answer.status())),
            Err(error) => Err(error.without_url().to_string()),
        }
    }

    /// A test message to each.
    pub(crate) async fn check(&self, now: Timestamp) -> Vec<Check> {
        let mut checks = Vec::new();
        for url in &self.urls {
            let host = url.host_str().unwrap_or_default();
            let id = format!("msg_test_{}", now.millis());
            let body = br#"{"type":"watch.test"}"#.to_vec();
            let problem = self.send(url, &id, now, body).await.err();
            let fix = "see that it takes POST requests with JSON and answers 2xx";
            checks.push(Check::of(&format!("target {host}"), now.secs(), problem, fix));
        }
        checks
    }
}

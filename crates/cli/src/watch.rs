//! `audit --watch`: follows posts, recomputes each as it comes, and says so while there is time.
//!
//! The first post that does not hold ends it with exit 8, after the guardian (if its key is here)
//! has revoked and the webhook (if there is one) has been told. What is passing, a chain or a
//! server that does not answer, is told once and tried again.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use nodesys_clock::Sleeper;
use nodesys_contracts::Provider;
use nodesys_core::bundle::ProjectInfo;
use nodesys_core::keccak256;
use nodesys_core::time::Timestamp;
use nodesys_core::webhook::{ID_HEADER, SIGNATURE_HEADER, Secret, TIMESTAMP_HEADER};
use nodesys_sdk::bundles::BundleSource;
use nodesys_sdk::watch::{Alarm, Seen, Stopped, Watcher, stop};
use serde::Serialize;

use crate::ask::open_keystore;
use crate::exit::Exit;
use crate::output::{self, say};
use crate::setup::Setup;

/// How often the webhook is tried.
const WEBHOOK_TRIES: u32 = 5;
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// Options of watching.
#[derive(Debug, clap::Args)]
pub struct WatchArgs {
    /// Follow the chain: audit each post as it comes, and end with 8 at the first that does not
    /// hold, or whose bundle cannot be had within half its delay.
    #[arg(long, conflicts_with_all = ["from", "to"])]
    pub watch: bool,
    /// Seconds between two looks at the chain.
    #[arg(long, value_name = "SECS", default_value_t = 60, requires = "watch")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub interval_secs: u64,
    /// Told of a post that does not hold (JSON, signed as Standard Webhooks).
    #[arg(long, value_name = "URL", requires_all = ["watch", "webhook_secret_file"])]
    pub webhook: Option<reqwest::Url>,
    /// File whose first line is the webhook's secret (whsec_...).
    #[arg(long, value_name = "FILE", requires = "webhook")]
    pub webhook_secret_file: Option<PathBuf>,
    /// Keystore of the guardian (or owner): a post that does not hold is revoked, and the signer
    /// disabled, at once.
    #[arg(long, value_name = "FILE", requires = "watch")]
    pub guardian_keystore: Option<PathBuf>,
    /// File whose first line is that keystore's password.
    #[arg(long, value_name = "FILE", requires = "guardian_keystore")]
    pub guardian_password_file: Option<PathBuf>,
}

/// What is told of a post that does not hold; also the webhook's body.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    alarm: Alarm,
    /// What the guardian did; absent without its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<Stopped>,
    /// Why the guardian could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_stopped: Option<String>,
}

/// Watches until something does not hold.
pub async fn run(
    setup: &Setup,
    args: &WatchArgs,
    provider: Provider,
    project: &ProjectInfo,
    source: BundleSource,
) -> anyhow::Result<Exit> {
    let webhook = Webhook::of(args)?;
    let guardian = match &args.guardian_keystore {
        None => None,
        Some(path) => {
            let key = open_keystore(path, args.guardian_password_file.as_deref())?;
            Some(setup.provider_with_key(&key).await?)
        }
    };
    let clock = setup.following_clock(provider.chain_id(), "watcher").await?;
    let mut sleeper = clock.sleeper();
    let (depth, first) = (setup.final_depth(), setup.first_block());
    let distributor = project.distributor;
    let mut watcher = Watcher::new(provider, project.registry, distributor, source, depth, first);
    let mut told = String::new();
    loop {
        match watcher.look().await {
            Ok(seen) => {
                tell(&seen, &mut told);
                if let Some(alarm) = seen.alarm {
                    let report = act(alarm, guardian.as_ref(), first).await;
                    output::print(setup.format(), &report)?;
                    if let Some(webhook) = &webhook {
                        webhook.send(&report, &mut sleeper).await;
                    }
                    return Ok(Exit::AuditDifference);
                }
            }
            Err(error) => say_once(&mut told, format!("trying again: {error}")),
        }
        sleeper.sleep(Duration::from_secs(args.interval_secs)).await;
    }
}

fn tell(seen: &Seen, told: &mut String) {
    for day in &seen.held {
        say(format!("{day} holds"));
    }
    let waiting: Vec<String> = seen
        .waiting
        .iter()
        .map(|(day, until)| format!("{day} (until {})", Timestamp::from_secs(*until)))
        .collect();
    if !waiting.is_empty() {
        say_once(told, format!("waiting for the bundle of {}", waiting.join(", ")));
    }
}

fn say_once(told: &mut String, words: String) {
    if *told != words {
        say(&words);
        *told = words;
    }
}

async fn act(alarm: Alarm, guardian: Option<&Provider>, logs_from: u64) -> Report {
    let mut report = Report { kind: "commit.differs", alarm, stopped: None, not_stopped: None };
    if let Some(guardian) = guardian {
        let (project, hash) = (report.alarm.project, report.alarm.commit_hash);
        match stop(guardian, project, hash, logs_from).await {
            Ok(stopped) => report.stopped = Some(stopped),
            Err(error) => report.not_stopped = Some(error.to_string()),
        }
    }
    report
}

struct Webhook {
    url: reqwest::Url,
    secret: Secret,
    http: reqwest::Client,
}

impl Webhook {
    fn of(args: &WatchArgs) -> anyhow::Result<Option<Self>> {
        let (Some(url), Some(file)) = (&args.webhook, &args.webhook_secret_file) else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the webhook's secret {}", file.display()))?;
        let secret = text.lines().next().unwrap_or_default().parse()?;
        let http = reqwest::Client::builder()
            .timeout(WEBHOOK_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Some(Self { url: url.clone(), secret, http }))
    }

    /// Tells it, a few times if need be; what fails is told here, since nobody else hears of it.
    async fn send(&self, report: &Report, sleeper: &mut Sleeper) {
        let body = serde_json::to_vec(report).unwrap_or_default();
        let id = format!("msg_{:x}", keccak256(report.alarm.commit_hash));
        let mut problem = String::new();
        for attempt in 0..WEBHOOK_TRIES {
            let now = sleeper.clock().now();
            let sent = self
                .http
                .post(self.url.clone())
                .header("content-type", "application/json")
                .header(ID_HEADER, &id)
                .header(TIMESTAMP_HEADER, now.secs().to_string())
                .header(SIGNATURE_HEADER, self.secret.sign(&id, now.secs(), &body))
                .body(body.clone())
                .send()
                .await;
            problem = match sent {
                Ok(answer) if answer.status().is_success() => return,
                Ok(answer) => format!("it answered {}", answer.status()),
                Err(error) => error.without_url().to_string(),
            };
            sleeper.sleep(Duration::from_secs(1 << attempt)).await;
        }
        say(format!("the webhook was not told: {problem}"));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alarm = &self.alarm;
        writeln!(f, "{} DOES NOT HOLD: commit {}", alarm.day, alarm.commit_hash)?;
        writeln!(f, "posted by   {}", alarm.transaction)?;
        writeln!(f, "claimable   {}", Timestamp::from_secs(alarm.activates_at_secs))?;
        for problem in &alarm.problems {
            writeln!(f, "difference  {problem}")?;
        }
        match (&self.stopped, &self.not_stopped) {
            (Some(stopped), _) => {
                let words = |done: Option<_>| {
                    done.map_or_else(|| "was done before".to_owned(), |hash| format!("by {hash}"))
                };
                writeln!(f, "revoked     {}", words(stopped.revoked))?;
                write!(f, "signer off  {}", words(stopped.disabled))
            }
            (None, Some(problem)) => write!(f, "NOT REVOKED {problem}"),
            (None, None) => write!(
                f,
                "not revoked: no guardian's key was given; owner or guardian can revoke until then"
            ),
        }
    }
}

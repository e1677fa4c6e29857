//! `audit`: recomputes every posted day from published files and the chain. Backend and master
//! may be stopped.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use nodesys_chain::metadata::Token;
use nodesys_core::time::UtcDay;
use nodesys_sdk::audit::{AuditRange, AuditReport, Verdict, audit_project};
use nodesys_sdk::bundles::{BundleSource, Places, passed_over_lines};
use serde::Serialize;

use crate::exit::Exit;
use crate::output::{self, amount, counted, say, table};
use crate::rewards::source::places_at;
use crate::rewards::token::token;
use crate::setup::Setup;
use crate::watch::run::run as watch;
use crate::watch::run::{WatchOptions, project_by_any};

/// Options of `audit`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nodesys audit --project acme
  nodesys audit --bundles ./bundles --bundles https://mirror.example.org
  nodesys audit --bundles ./bundles --from 2026-01-01 --to 2026-01-31 -o json
  nodesys audit --watch --webhook https://alerts.example.org/nodesys --webhook-secret-file hook.secret
  nodesys audit --watch --rpc https://one.example.org --rpc https://two.example.com \
    --guardian-keystore guardian.json --guardian-password-file guardian.password
  nodesys audit --watch --check --guardian-keystore guardian.json

Exits with 0 if everything holds, with 8 if a difference is proven (each is named by file and row),
with 7 if it cannot tell: the chain or the files cannot be read, or two RPCs do not agree. Each
doubt names the next thing to try.")]
pub struct AuditArgs {
    /// Folder or URL of published bundles; may be given more than once: each file is taken from any of
    /// them that has the committed bytes [default: --backend].
    #[arg(long, value_name = "FOLDER|URL")]
    pub bundles: Vec<String>,
    /// First day [default: the project's first].
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub from: Option<UtcDay>,
    /// Last day [default: the newest posted].
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub to: Option<UtcDay>,
    /// Watching instead of auditing once.
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// Options of watching.
#[derive(Debug, clap::Args)]
pub struct WatchArgs {
    /// Follow the chain: audit each post as it comes, notify the webhooks, and act with the guardian's key if
    /// one is given. Runs until it is stopped.
    #[arg(long, conflicts_with_all = ["from", "to"])]
    pub watch: bool,
    /// Check RPCs, places, targets, the guardian's role and gas, and the pause, once; exit with 5 if
    /// something is wrong.
    #[arg(long, requires = "watch")]
    pub check: bool,
    /// Seconds between two looks at the chain.
    #[arg(long, value_name = "SECS", default_value_t = 60, requires = "watch")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub interval_secs: u64,
    /// Webhook for all events and a daily sign of life (JSON, signed as in Standard Webhooks). May be given
    /// more than once.
    #[arg(long, value_name = "URL", requires_all = ["watch", "webhook_secret_file"])]
    pub webhook: Vec<reqwest::Url>,
    /// File whose first line is the webhooks' secret (whsec_...).
    #[arg(long, value_name = "FILE", requires = "webhook")]
    pub webhook_secret_file: Option<PathBuf>,
    /// Keystore of the guardian (or owner). With two RPCs or more a post that does not hold is stopped at
    /// once: the signer is disabled, the post revoked. In doubt the project is paused at half
    /// the post's delay.
    #[arg(long, value_name = "FILE", requires = "watch")]
    pub guardian_keystore: Option<PathBuf>,
    /// File whose first line is that keystore's password.
    #[arg(long, value_name = "FILE", requires = "guardian_keystore")]
    pub guardian_password_file: Option<PathBuf>,
    /// The watch's state file [default: watch-PROJECT.json in the home folder].
    #[arg(long, value_name = "FILE", requires = "watch")]
    pub state: Option<PathBuf>,
    /// Address on which to serve Prometheus metrics, at /metrics.
    #[arg(long, value_name = "ADDR", requires = "watch")]
    pub metrics: Option<SocketAddr>,
}

impl WatchArgs {
    fn options(&self) -> WatchOptions {
        WatchOptions {
            check: self.check,
            interval_secs: self.interval_secs,
            webhooks: self.webhook.clone(),
            webhook_secret_file: self.webhook_secret_file.clone(),
            guardian_keystore: self.guardian_keystore.clone(),
            guardian_password_file: self.guardian_password_file.clone(),
            state: self.state.clone(),
            metrics: self.metrics,
        }
    }
}

/// Runs the audit.
pub async fn run(setup: &Setup, args: &AuditArgs) -> anyhow::Result<Exit> {
    if let (Some(from), Some(to)) = (args.from, args.to)
        && to < from
    {
        return Err(Exit::Usage.because(format!("--to {to} is before --from {from}")));
    }
    let places = places(setup, args)?;
    let provider = setup.provider().await?;
    let project = match setup.project(&provider).await {
        Err(error) if args.watch.watch => project_by_any(setup, &provider, error).await?,
        found => found?,
    };
    say(format!(
        "auditing project {} from {} and {}",
        project.name,
        places.place(),
        provider.place()
    ));
    if args.watch.watch {
        return watch(setup, &args.watch.options(), provider, &project, places).await;
    }
    let range = AuditRange {
        from: args.from,
        to: args.to,
        finality_depth: setup.final_depth(),
        logs_from: setup.first_block(),
    };
    let distributor = project.distributor;
    let report = audit_project(&provider, project.registry, distributor, &places, range).await?;
    let exit = match report.verdict {
        Verdict::Holds => Exit::Done,
        Verdict::CannotTell => Exit::Network,
        Verdict::DoesNotHold => Exit::AuditDifference,
    };
    let token = token(&provider, &project).await?;
    output::print(setup.format(), &AuditView { report, token })?;
    Ok(exit)
}

fn places(setup: &Setup, args: &AuditArgs) -> anyhow::Result<Places> {
    match &args.bundles[..] {
        [] => Ok(BundleSource::Server(Box::new(setup.backend()?)).into()),
        places => places_at(places),
    }
}

/// The report, with amounts in the token's unit for people.
#[derive(Serialize)]
struct AuditView {
    #[serde(flatten)]
    report: AuditReport,
    #[serde(skip)]
    token: Token,
}

impl fmt::Display for AuditView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { report, token } = self;
        let show = |value| amount(value, Some(token));
        writeln!(f, "project {} ({})", report.project.name, report.project.distributor)?;
        let mut table =
            table(&["day", "result", "licenses", "minutes", "accounts", "added", "in all", "root"]);
        for day in &report.days {
            let root = day.root.to_string();
            table.add_row([
                day.day.to_string(),
                day.verdict.to_string(),
                day.licenses.to_string(),
                day.minutes.to_string(),
                day.accounts.to_string(),
                day.allocated.map_or_else(|| "?".to_owned(), show),
                show(day.total),
                format!("{}… {}", &root[..10], if day.active { "active" } else { "pending" }),
            ]);
        }
        writeln!(f, "{table}")?;
        for day in &report.revoked {
            writeln!(f, "a commit of {day} was revoked; its successor is audited")?;
        }
        writeln!(
            f,
            "claims: {} for {} of {} active",
            report.claims,
            show(report.paid),
            show(report.active_total)
        )?;
        for one in passed_over_lines(&report.passed_over) {
            writeln!(f, "passed over: {one}")?;
        }
        for doubt in &report.doubts {
            writeln!(f, "cannot tell: {doubt}")?;
        }
        for finding in &report.findings {
            writeln!(f, "difference: {finding}")?;
        }
        if report.rpcs == 1 {
            writeln!(f, "from one RPC only; add a second --rpc to confirm it")?;
        }
        match report.verdict {
            Verdict::Holds => write!(f, "everything holds"),
            Verdict::CannotTell => {
                write!(f, "CANNOT TELL: {}", counted(report.doubts.len(), "doubt"))
            }
            Verdict::DoesNotHold => {
                write!(f, "IT DOES NOT HOLD: {}", counted(report.findings.len(), "difference"))
            }
        }
    }
}

//! `audit`: every posted day, recomputed from published files and the chain. Backend and master
//! may be stopped.

use std::fmt;

use nodesys_chain::metadata::Token;
use nodesys_core::time::UtcDay;
use nodesys_sdk::audit::{AuditRange, AuditReport, Verdict, audit_project};
use nodesys_sdk::bundles::{BundleSource, Places};
use serde::Serialize;

use crate::exit::Exit;
use crate::output::{self, amount, say, table};
use crate::rewards::{places_at, token};
use crate::setup::Setup;
use crate::watch::{self, WatchArgs};

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

Ends with 0 when everything holds, with 8 when something is proven to differ (each difference is
named by file and row), with 7 when it cannot be told: the chain or the files cannot be read, or two
RPCs do not agree. What to try is said with each doubt.")]
pub struct AuditArgs {
    /// Folder or URL of published bundles; may be given more than once: each file is taken from whichever
    /// has it as it was committed [default: --backend].
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
        Err(error) if args.watch.watch => watch::project_by_any(setup, &provider, error).await?,
        found => found?,
    };
    say(format!(
        "auditing project {} from {} and {}",
        project.name,
        places.place(),
        provider.place()
    ));
    if args.watch.watch {
        return watch::run(setup, &args.watch, provider, &project, places).await;
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
    output::print(setup.format(), &Report { report, token })?;
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
struct Report {
    #[serde(flatten)]
    report: AuditReport,
    #[serde(skip)]
    token: Token,
}

impl fmt::Display for Report {
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
            writeln!(f, "a commit of {day} was revoked; what stands is audited")?;
        }
        writeln!(
            f,
            "claims: {} for {} of {} active",
            report.claims,
            show(report.paid),
            show(report.active_total)
        )?;
        for one in &report.passed_over {
            writeln!(f, "passed over: {one}")?;
        }
        for doubt in &report.doubts {
            writeln!(f, "cannot tell: {doubt}")?;
        }
        for finding in &report.findings {
            writeln!(f, "difference: {finding}")?;
        }
        if report.rpcs == 1 {
            writeln!(f, "by the word of one RPC; a second --rpc would vouch for it")?;
        }
        match report.verdict {
            Verdict::Holds => write!(f, "everything holds"),
            Verdict::CannotTell => write!(f, "CANNOT TELL: {} doubt(s)", report.doubts.len()),
            Verdict::DoesNotHold => {
                write!(f, "IT DOES NOT HOLD: {} difference(s)", report.findings.len())
            }
        }
    }
}

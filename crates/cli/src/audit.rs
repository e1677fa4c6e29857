//! `audit`: every posted day, recomputed from published files and the chain. Backend and master
//! may be stopped.

use std::fmt;

use nodesys_contracts::metadata::Token;
use nodesys_core::time::UtcDay;
use nodesys_sdk::audit::{AuditRange, AuditReport, audit_project};
use nodesys_sdk::bundles::BundleSource;
use serde::Serialize;

use crate::exit::Exit;
use crate::output::{self, amount, say, table};
use crate::rewards::{bundles_at, token};
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
  nodesys audit --watch --guardian-keystore guardian.json --guardian-password-file guardian.password

Ends with 0 when everything holds, with 8 when something differs (each difference is named by
file and row), with 7 when the chain or the files cannot be read.")]
pub struct AuditArgs {
    /// Folder or URL of published bundles; may be given more than once, and each file is taken from
    /// the first that has it [default: --backend].
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
    let source = source(setup, args)?;
    let provider = setup.provider().await?;
    let project = setup.project(&provider).await?;
    say(format!(
        "auditing project {} from {} and {}",
        project.name,
        source.place(),
        provider.url()
    ));
    if args.watch.watch {
        return watch::run(setup, &args.watch, provider, &project, source).await;
    }
    let range = AuditRange {
        from: args.from,
        to: args.to,
        finality_depth: setup.final_depth(),
        logs_from: setup.first_block(),
    };
    let distributor = project.distributor;
    let report = audit_project(&provider, project.registry, distributor, &source, range).await?;
    let exit = if report.holds() { Exit::Done } else { Exit::AuditDifference };
    let token = token(&provider, &project).await?;
    output::print(setup.format(), &Report { report, token })?;
    Ok(exit)
}

fn source(setup: &Setup, args: &AuditArgs) -> anyhow::Result<BundleSource> {
    if args.bundles.is_empty() {
        return Ok(BundleSource::Server(Box::new(setup.backend()?)));
    }
    let mut sources =
        args.bundles.iter().map(|place| bundles_at(place)).collect::<anyhow::Result<Vec<_>>>()?;
    match (sources.pop(), sources.is_empty()) {
        (Some(only), true) => Ok(only),
        (last, _) => {
            sources.extend(last);
            Ok(BundleSource::FirstOf(sources))
        }
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
                if day.holds { "holds" } else { "DOES NOT HOLD" }.to_owned(),
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
        for finding in &report.findings {
            writeln!(f, "difference: {finding}")?;
        }
        if report.holds() {
            write!(f, "everything holds")
        } else {
            write!(f, "IT DOES NOT HOLD: {} difference(s)", report.findings.len())
        }
    }
}

//! `doctor`: checks everything that a node needs, and names a fix for each problem.
//!
//! `--fix` does what can be done without losing anything: file modes, services, the rules of the host,
//! the manager's objects. The look itself changes nothing.

use std::fmt;

use anyhow::Context as _;
use serde::Serialize;

use crate::cluster::finding::{Finding, Verdict};
use crate::cluster::isolation::{Enforcement, probe_isolation};
use crate::exit::Exit;
use crate::lifecycle::diagnose::{diagnose, run_fix};
use crate::output::{self, say};
use crate::setup::Setup;

/// Options of `doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nodesys doctor
  nodesys doctor --fix
  nodesys doctor --isolation
  nodesys doctor -o json | jq '.findings[] | select(.verdict != \"good\")'

Exits with 0 if nothing is wrong, else with 5.")]
pub struct DoctorArgs {
    /// Apply the fixes that lose nothing, and list them.
    #[arg(long)]
    pub fix: bool,
    /// Test from a pod in a workload's sandbox whether it reaches the router, this machine, cloud metadata,
    /// private addresses or other pods. Takes a minute.
    #[arg(long, conflicts_with = "fix")]
    pub isolation: bool,
}

#[derive(Debug, Serialize)]
struct DoctorReport {
    /// The fixes that --fix applied.
    fixed: Vec<String>,
    findings: Vec<Finding>,
}

/// Runs the command.
pub async fn run(setup: &Setup, args: &DoctorArgs) -> anyhow::Result<Exit> {
    if args.isolation {
        let found = probe_isolation(setup.home()?).await?;
        output::print(setup.format(), &found)?;
        return Ok(if found.enforced == Enforcement::Yes { Exit::Done } else { Exit::Unhealthy });
    }
    let mut findings = diagnose(setup).await?;
    let mut fixed = Vec::new();
    if args.fix {
        for finding in findings.iter().filter(|it| it.verdict != Verdict::Good) {
            let Some(fix) = &finding.command else { continue };
            say(format!("fixing {}: {fix}", finding.check));
            match run_fix(setup, fix).await.with_context(|| fix.to_string()) {
                Ok(()) => fixed.push(fix.to_string()),
                // The second look shows it still.
                Err(error) => say(format!("it did not help: {error:#}")),
            }
        }
        if !fixed.is_empty() {
            findings = diagnose(setup).await?;
        }
    }
    let bad = findings.iter().any(|it| it.verdict == Verdict::Bad);
    output::print(setup.format(), &DoctorReport { fixed, findings })?;
    Ok(if bad { Exit::Unhealthy } else { Exit::Done })
}

impl fmt::Display for DoctorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fixed in &self.fixed {
            writeln!(f, "fixed    {fixed}")?;
        }
        let mut wrong = 0;
        for Finding { check, verdict, found, fix, command } in &self.findings {
            let word = match verdict {
                Verdict::Good => "ok",
                Verdict::Warning => "note",
                Verdict::Bad => "WRONG",
            };
            writeln!(f, "{word:<8} {check}: {found}")?;
            if *verdict != Verdict::Good {
                wrong += usize::from(*verdict == Verdict::Bad);
                if let Some(fix) = fix {
                    let by_itself = if command.is_some() { " (--fix does it)" } else { "" };
                    writeln!(f, "         fix: {fix}{by_itself}")?;
                }
            }
        }
        match wrong {
            0 => write!(f, "nothing is wrong"),
            1 => write!(f, "one thing is wrong"),
            many => write!(f, "{many} things are wrong"),
        }
    }
}

//! Findings of a look at the machine or the cluster, each with its fix.

use serde::Serialize;

use super::steps::Steps;
use crate::exit::Exit;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works, with less than it should.
    Warning,
    /// It does not work so.
    Bad,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How it ended.
    pub verdict: Verdict,
    /// What is there.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Finding {
    pub(super) fn good(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Good, found: found.into(), fix: None }
    }

    pub(super) fn warning(
        check: &'static str,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { check, verdict: Verdict::Warning, found: found.into(), fix: Some(fix.into()) }
    }

    pub(super) fn bad(
        check: &'static str,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { check, verdict: Verdict::Bad, found: found.into(), fix: Some(fix.into()) }
    }
}

/// Shows the findings as steps; an error that names every bad one with its fix.
pub(super) fn settle(steps: &Steps, findings: &[Finding]) -> anyhow::Result<()> {
    let mut bad = Vec::new();
    for Finding { check, verdict, found, fix } in findings {
        let fix = fix.as_deref().unwrap_or_default();
        match verdict {
            Verdict::Good => steps.done(check, found),
            Verdict::Warning => steps.warn(format!("{check}: {found}; {fix}")),
            Verdict::Bad => bad.push(format!("\n  - {check}: {found}\n    fix: {fix}")),
        }
    }
    if bad.is_empty() {
        return Ok(());
    }
    Err(Exit::Failure
        .because(format!("nothing was changed, since this stands in the way:{}", bad.concat())))
}

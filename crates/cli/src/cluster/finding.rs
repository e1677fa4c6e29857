//! Findings of a look at the machine or the cluster, each with its fix.

use std::fmt;

use serde::Serialize;

use crate::exit::Exit;
use crate::progress::Progress;

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

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The subject of the check.
    pub check: &'static str,
    /// How it ended.
    pub verdict: Verdict,
    /// Its state.
    pub found: String,
    /// The way to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// The fix that `doctor --fix` applies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Fix>,
}

impl Finding {
    pub(crate) fn good(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Good, found: found.into(), fix: None, command: None }
    }

    pub(crate) fn warning(
        check: &'static str,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { verdict: Verdict::Warning, fix: Some(fix.into()), ..Self::good(check, found) }
    }

    pub(crate) fn bad(
        check: &'static str,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { verdict: Verdict::Bad, fix: Some(fix.into()), ..Self::good(check, found) }
    }

    /// With what can be done about it by itself.
    pub(crate) fn with(self, command: Fix) -> Self {
        Self { command: Some(command), ..self }
    }
}

/// Something that loses nothing and can be done without asking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fix {
    /// A program of the machine.
    Run(Vec<String>),
    /// Apply the manager's objects again.
    ApplyManager,
}

impl Fix {
    pub(crate) fn run(words: &str) -> Self {
        Self::Run(words.split_whitespace().map(str::to_owned).collect())
    }
}

impl fmt::Display for Fix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(words) => f.write_str(&words.join(" ")),
            Self::ApplyManager => f.write_str("apply the manager's objects"),
        }
    }
}

/// Shows the findings as steps; an error that names every bad one with its fix.
pub(crate) fn require_good(progress: &Progress, findings: &[Finding]) -> anyhow::Result<()> {
    let mut bad = Vec::new();
    for Finding { check, verdict, found, fix, .. } in findings {
        let fix = fix.as_deref().unwrap_or_default();
        match verdict {
            Verdict::Good => progress.done(check, found),
            Verdict::Warning => progress.warn(format!("{check}: {found}; {fix}")),
            Verdict::Bad => bad.push(format!("\n  - {check}: {found}\n    fix: {fix}")),
        }
    }
    if bad.is_empty() {
        return Ok(());
    }
    Err(Exit::Failure
        .because(format!("nothing was changed; fix these problems first:{}", bad.concat())))
}

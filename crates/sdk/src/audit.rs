//! The audit: recomputes every posted day of a project from its published files and the chain.
//!
//! Nothing the backend or the master says is believed. The chain gives the posted commits, the holders,
//! the receipt keys; the committed files must lead to exactly those commits. Each day gets one of three
//! verdicts ([`Verdict`]). What a contract has checked already is not judged again: the `Posted` event
//! proves that it took the signature, and a claim that it took the proof. [`day::audit_day`] is the
//! pure middle; this module fetches for it.

mod compare;
pub mod day;
mod facts;
mod history;
mod report;

use nodesys_contracts::{ChainError, Provider};
use nodesys_core::Address;
use nodesys_core::bundle::Before;
use nodesys_core::ids::Amount;
use nodesys_core::time::UtcDay;

use crate::bundles::Places;
use crate::day::DayError;
use day::{Fact, PostedCommit};
pub use facts::{Auditor, Judged};
pub use history::{History, standing};
pub use report::{AuditReport, DayReport, Doubt, Finding, Verdict};

/// Which days, and how far to trust the newest blocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuditRange {
    /// First day; the project's first where absent.
    pub from: Option<UtcDay>,
    /// Last day; the newest posted where absent.
    pub to: Option<UtcDay>,
    /// Depth at which a block counts as final where the chain has no such tag.
    pub finality_depth: u64,
    /// First block that may hold a log of the registry.
    pub logs_from: u64,
}

impl AuditRange {
    fn holds(&self, day: UtcDay) -> bool {
        self.from.is_none_or(|from| from <= day) && self.to.is_none_or(|to| day <= to)
    }

    fn in_words(&self) -> String {
        let word = |day: Option<UtcDay>| day.map_or("...".to_owned(), |day| day.to_string());
        match (self.from, self.to) {
            (None, None) => "yet".to_owned(),
            (from, to) => format!("from {} to {}", word(from), word(to)),
        }
    }
}

/// Why an audit could not be carried out; what it finds is no error.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The chain could not be asked, or the RPCs do not agree.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The project is not on that chain.
    #[error(transparent)]
    Project(DayError),
    /// The chain has no posted commit in the range.
    #[error("project {name} has no posted commit {range}: nothing to audit")]
    NothingPosted {
        /// The project.
        name: String,
        /// The range in words.
        range: String,
    },
    /// The RPC's logs are not complete, so which commits there are cannot be told.
    #[error(
        "cannot tell: {problem}; try again in a minute, or name another --rpc with the project's \
         whole history"
    )]
    Incomplete {
        /// What is missing.
        problem: String,
    },
}

/// Audits the posted days of a project.
///
/// # Errors
/// [`AuditError`] where the chain cannot be read, or has nothing to audit. A file that no place gives
/// is no error but a doubt in the report.
pub async fn audit_project(
    provider: &Provider,
    registry: Address,
    distributor: Address,
    places: &Places,
    range: AuditRange,
) -> Result<AuditReport, AuditError> {
    let history = History::read(provider, registry, distributor, range).await?;
    let posted = history.posted();
    let wanted: Vec<&PostedCommit> =
        posted.iter().filter(|commit| range.holds(commit.day)).collect();
    let Some(first) = wanted.first() else {
        if let Some(problem) = history.doubt() {
            return Err(AuditError::Incomplete { problem });
        }
        let name = history.project.name.to_string();
        return Err(AuditError::NothingPosted { name, range: range.in_words() });
    };
    let active = posted.iter().filter(|commit| commit.activates_at <= history.newest.secs);
    let mut report = AuditReport {
        project: history.project.clone(),
        rpcs: provider.sources(),
        verdict: Verdict::CannotTell,
        days: Vec::new(),
        revoked: history.revoked_days(),
        claims: history.claims(),
        paid: history.state.paid,
        active_total: active.map(|commit| commit.commit.total).max().unwrap_or(Amount::ZERO),
        findings: Vec::new(),
        doubts: history.gaps.iter().map(|gap| Doubt::of_the_chain(None, gap.clone())).collect(),
        passed_over: Vec::new(),
    };
    let mut auditor = Auditor::new(provider, &history, places, range.finality_depth);
    let mut before: Fact<Before> = auditor.before(first).await;
    for commit in &wanted {
        let judged = auditor.judge(commit, before.as_ref().map_err(Clone::clone)).await;
        before = judged.after.ok_or_else(|| format!("what {} left is not known", commit.day));
        report.findings.extend(judged.findings);
        report.doubts.extend(judged.doubts);
        report.passed_over.extend(judged.passed_over);
        report.days.push(judged.report);
    }
    report.finish();
    Ok(report)
}

#[cfg(test)]
mod tests;

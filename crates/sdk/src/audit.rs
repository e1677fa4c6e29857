//! The audit: recomputes every posted day of a project from its published files and the chain.
//!
//! Nothing the backend or the master says is believed. The chain gives the posted commits, the holders,
//! the receipt keys; the committed files must lead to exactly those commits. Each day gets one of three
//! verdicts ([`Verdict`]). What a contract has checked already is not judged again: the `Posted` event
//! proves that it took the signature, and a claim that it took the proof. [`day::audit_day`] is the
//! pure middle; this module fetches for it.

mod compare;
pub mod day;
mod error;
mod facts;
mod history;
mod posted;
mod report;

use nodesys_chain::Provider;
use nodesys_core::Address;
use nodesys_core::bundle::PreviousDay;
use nodesys_core::ids::Amount;

use crate::bundles::Places;
use day::Fact;
pub use error::AuditError;
pub use facts::{Auditor, Judged};
pub use history::{AuditRange, History, commit_gaps};
pub use posted::{PostedCommit, standing};
pub use report::{AuditReport, DayReport, Doubt, Finding, Verdict};

/// Audits the posted days of a project.
///
/// # Errors
///
/// [`AuditError::Chain`] where the chain cannot be read, [`AuditError::Project`] where the registry does
/// not know the distributor, [`AuditError::NothingPosted`] where there is nothing to audit in the range,
/// [`AuditError::Incomplete`] where that cannot be told. A file that no place gives is no error but a
/// doubt in the report.
///
/// # Examples
///
/// ```no_run
/// use nodesys_chain::Provider;
/// use nodesys_core::Address;
/// use nodesys_sdk::audit::{AuditError, AuditRange, Verdict, audit_project};
/// use nodesys_sdk::bundles::Places;
///
/// async fn example(
///     provider: &Provider,
///     [registry, distributor]: [Address; 2],
///     places: &Places,
/// ) -> Result<(), AuditError> {
///     let range = AuditRange { finality_depth: 64, ..AuditRange::default() };
///     let report = audit_project(provider, registry, distributor, places, range).await?;
///     match report.verdict {
///         Verdict::Holds => println!("all {} days hold", report.days.len()),
///         Verdict::CannotTell => println!("open: {:?}", report.doubts),
///         Verdict::DoesNotHold => println!("proven wrong: {:?}", report.findings),
///     }
///     Ok(())
/// }
/// ```
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
        // Missing logs may be why there are none.
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
        // Totals never fall, so the largest is the newest.
        active_total: active.map(|commit| commit.commit.total).max().unwrap_or(Amount::ZERO),
        findings: Vec::new(),
        doubts: history.gaps.iter().map(|gap| Doubt::of_the_chain(None, gap.clone())).collect(),
        passed_over: Vec::new(),
    };
    let mut auditor = Auditor::new(provider, &history, places, range.finality_depth);
    let mut before: Fact<PreviousDay> = auditor.before(first).await;
    for commit in &wanted {
        let judged = auditor.judge(commit, before.as_ref().map_err(Clone::clone)).await;
        // A day whose outcome is not known puts the next one in doubt, and accuses nobody.
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

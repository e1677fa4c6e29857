//! What an audit says: for people by `Display`, for programs by serde.

use std::fmt;

use nodesys_core::bundle::ProjectInfo;
use nodesys_core::files::Difference;
use nodesys_core::ids::Amount;
use nodesys_core::time::UtcDay;
use nodesys_core::{B256, files};
use serde::Serialize;

use super::posted::PostedCommit;
use crate::bundles::{PassedOver, passed_over_lines};

/// The three answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything was recomputed and is right.
    Holds,
    /// Something is missing, or sources do not agree: nobody is accused.
    CannotTell,
    /// Committed bytes and agreed facts contradict each other.
    DoesNotHold,
}

impl Verdict {
    pub(super) const fn of(proven_wrong: bool, in_doubt: bool) -> Self {
        match (proven_wrong, in_doubt) {
            (true, _) => Self::DoesNotHold,
            (false, true) => Self::CannotTell,
            (false, false) => Self::Holds,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // So that columns of verdicts can be aligned.
        f.pad(match self {
            Self::Holds => "holds",
            Self::CannotTell => "cannot tell",
            Self::DoesNotHold => "DOES NOT HOLD",
        })
    }
}

/// One thing that is proven not to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The day.
    pub day: UtcDay,
    /// The file, where it is in one.
    pub file: Option<String>,
    /// What does not hold.
    pub problem: String,
    /// The row, with what was given and what was computed.
    pub difference: Option<Difference>,
}

impl Finding {
    pub(super) fn new(day: UtcDay, file: Option<&str>, problem: impl Into<String>) -> Self {
        Self { day, file: file.map(str::to_owned), problem: problem.into(), difference: None }
    }

    pub(super) fn row(day: UtcDay, problem: impl Into<String>, difference: Difference) -> Self {
        let file = Some(difference.file.clone());
        Self { day, file, problem: problem.into(), difference: Some(difference) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.day)?;
        match (&self.difference, &self.file) {
            (Some(difference), _) => write!(f, " {difference}; {}", self.problem),
            (None, Some(file)) => write!(f, " {file}: {}", self.problem),
            (None, None) => write!(f, ": {}", self.problem),
        }
    }
}

/// One thing that cannot be told, with what to try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Doubt {
    /// The day; `None` where it concerns all of them.
    pub day: Option<UtcDay>,
    /// The file that no place gave, where it is one.
    pub file: Option<String>,
    /// Why it cannot be told, with the places or RPCs to blame.
    pub problem: String,
    /// What to try.
    pub fix: String,
}

impl Doubt {
    pub(super) fn of_the_chain(day: Option<UtcDay>, problem: String) -> Self {
        let fix = "try again in a minute, or name another --rpc with the project's whole history";
        Self { day, file: None, problem, fix: fix.to_owned() }
    }

    /// Whether bytes are missing that the chain committed to.
    pub const fn is_withheld(&self) -> bool {
        self.file.is_some()
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(day) = self.day {
            write!(f, "{day} ")?;
        }
        if let Some(file) = &self.file {
            write!(f, "{file}: ")?;
        }
        write!(f, "{}; {}", self.problem, self.fix)
    }
}

/// One audited day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DayReport {
    /// The day.
    pub day: UtcDay,
    /// The commit that the chain has.
    pub commit_hash: B256,
    /// Its root.
    pub root: B256,
    /// The transaction that posted it.
    pub transaction: B256,
    /// The sum of all amounts up to and with this day, as the chain has it.
    pub total: Amount,
    /// Rows of `uptime.csv`.
    pub licenses: usize,
    /// Credited minutes.
    pub minutes: u64,
    /// Rows of `rewards.csv`.
    pub accounts: usize,
    /// What the day added, where it could be recomputed.
    pub allocated: Option<Amount>,
    /// What it left for the next day, where it could be recomputed.
    pub carry_out: Option<Amount>,
    /// Whether its delay had passed at the newest block.
    pub active: bool,
    /// Whether it holds.
    pub verdict: Verdict,
}

impl DayReport {
    pub(super) fn of(posted: &PostedCommit) -> Self {
        Self {
            day: posted.day,
            commit_hash: posted.commit_hash,
            root: posted.commit.root,
            transaction: posted.transaction,
            total: posted.commit.total,
            licenses: 0,
            minutes: 0,
            accounts: 0,
            allocated: None,
            carry_out: None,
            active: false,
            verdict: Verdict::CannotTell,
        }
    }
}

/// All audited days, and all that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// Whose days.
    pub project: ProjectInfo,
    /// By the word of how many RPCs; what one alone says nobody vouches for.
    pub rpcs: usize,
    /// Of all days together.
    pub verdict: Verdict,
    /// The days, in order.
    pub days: Vec<DayReport>,
    /// Days whose commits were revoked; only what stands is audited.
    pub revoked: Vec<UtcDay>,
    /// How many claims the chain has.
    pub claims: u64,
    /// Sum of all claims, in wei.
    pub paid: Amount,
    /// Total of the newest active commit, in wei.
    pub active_total: Amount,
    /// What is proven not to hold.
    pub findings: Vec<Finding>,
    /// What cannot be told.
    pub doubts: Vec<Doubt>,
    /// Places that failed or gave other bytes, whatever others gave.
    pub passed_over: Vec<PassedOver>,
}

impl AuditReport {
    pub(super) fn finish(&mut self) {
        self.verdict = Verdict::of(!self.findings.is_empty(), !self.doubts.is_empty());
    }
}

impl fmt::Display for AuditReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "project {} ({})", self.project.name, self.project.distributor)?;
        for day in &self.days {
            writeln!(
                f,
                "{}: {} ({} licenses, {} minutes, {} accounts, total {} wei, {})",
                day.day,
                day.verdict,
                day.licenses,
                day.minutes,
                day.accounts,
                day.total,
                if day.active { "active" } else { "not active yet" },
            )?;
        }
        writeln!(
            f,
            "claims: {} for {} wei of {} active",
            self.claims, self.paid, self.active_total
        )?;
        for one in passed_over_lines(&self.passed_over) {
            writeln!(f, "passed over: {one}")?;
        }
        for doubt in &self.doubts {
            writeln!(f, "cannot tell: {doubt}")?;
        }
        for finding in &self.findings {
            writeln!(f, "difference: {finding}")?;
        }
        write!(f, "{}", self.verdict)
    }
}

/// A difference in one line of a file.
pub(super) fn line(
    file: &str,
    header: &str,
    line: usize,
    given: Option<String>,
    computed: Option<String>,
) -> files::Difference {
    Difference { file: file.to_owned(), line, header: header.to_owned(), given, computed }
}

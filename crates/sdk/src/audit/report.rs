//! What an audit says: for people by `Display`, for programs by serde.

use std::fmt;

use nodesys_core::bundle::ProjectInfo;
use nodesys_core::files::Difference;
use nodesys_core::ids::Amount;
use nodesys_core::time::UtcDay;
use nodesys_core::{B256, files};
use serde::Serialize;

/// One thing that does not hold.
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
    /// Whether everything about it holds.
    pub holds: bool,
}

/// All audited days, and all that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// Whose days.
    pub project: ProjectInfo,
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
    /// What does not hold; empty when all does.
    pub findings: Vec<Finding>,
}

impl AuditReport {
    pub(super) const fn new(project: ProjectInfo, revoked: Vec<UtcDay>) -> Self {
        Self {
            project,
            days: Vec::new(),
            revoked,
            claims: 0,
            paid: Amount::ZERO,
            active_total: Amount::ZERO,
            findings: Vec::new(),
        }
    }

    pub(super) fn finish(&mut self) {
        for day in &mut self.days {
            day.holds = !self.findings.iter().any(|finding| finding.day == day.day);
        }
    }

    /// Whether everything holds.
    pub fn holds(&self) -> bool {
        self.findings.is_empty()
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
                if day.holds { "holds" } else { "DOES NOT HOLD" },
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
        for finding in &self.findings {
            writeln!(f, "difference: {finding}")?;
        }
        if self.holds() { write!(f, "everything holds") } else { write!(f, "it does not hold") }
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

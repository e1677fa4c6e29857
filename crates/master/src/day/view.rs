//! Output of `points`, `commit`, `day` and `post`: `Display` for people, serde for programs.

use std::fmt;

use anyhow::Context as _;
use nodesys_chain::project::posted_at;
use nodesys_core::B256;
use nodesys_core::api::CommitState;
use nodesys_core::bundle::DayBundle;
use nodesys_core::ids::{Amount, LicenseIndex, Points};
use nodesys_core::message::{Message as _, RewardCommit, SignedCommit};
use nodesys_core::time::UtcDay;
use nodesys_core::uptime::ratio_ppm;
use nodesys_core::{Address, U256};
use nodesys_sdk::commit::Post;
use serde::Serialize;

use super::owner::Owner;
use super::points::TaskCounts;
use crate::output::table;

/// Points of a closed day.
#[derive(Debug, Serialize)]
pub(super) struct PointsView {
    day: UtcDay,
    rows: Vec<PointsLine>,
}

#[derive(Debug, Serialize)]
struct PointsLine {
    license: LicenseIndex,
    collection: Address,
    token_id: String,
    minutes: u16,
    expected: u16,
    uptime_ppm: u32,
    tasks: u32,
    points: Points,
}

impl PointsView {
    /// Computes the points; nothing is changed.
    pub(super) async fn of(owner: &Owner, day: UtcDay) -> anyhow::Result<Self> {
        let uptime = owner.builder.uptime(day).await?;
        let excused = uptime.closed.excused;
        let rule = &owner.builder.terms.rule;
        let points = match owner.task_points(day, &uptime, TaskCounts::SoFar).await? {
            Some(points) => points,
            None => {
                rule.points(&uptime.rows, excused).context("uptime does not decide the points")?
            }
        };
        let rows = uptime
            .rows
            .iter()
            .zip(&points)
            .map(|(row, points)| PointsLine {
                license: row.license,
                collection: row.collection,
                token_id: U256::to_string(&row.token_id),
                minutes: row.minutes,
                expected: row.expected,
                uptime_ppm: ratio_ppm(row, excused),
                // At most the rule's `max_tasks`, which is a u32.
                tasks: rule
                    .tasks_in(row, excused, points.points)
                    .and_then(|tasks| tasks.try_into().ok())
                    .unwrap_or(0),
                points: points.points,
            })
            .collect();
        Ok(Self { day, rows })
    }
}

impl fmt::Display for PointsView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = table(&[
            "license",
            "collection",
            "token",
            "minutes",
            "expected",
            "uptime",
            "tasks",
            "points",
        ]);
        for row in &self.rows {
            let percent =
                format!("{}.{:02} %", row.uptime_ppm / 10_000, row.uptime_ppm / 100 % 100);
            table.add_row([
                row.license.to_string(),
                row.collection.to_string(),
                row.token_id.clone(),
                row.minutes.to_string(),
                row.expected.to_string(),
                percent,
                row.tasks.to_string(),
                row.points.to_string(),
            ]);
        }
        write!(f, "points of {}\n{table}", self.day)
    }
}

/// A commit that was built and not signed.
#[derive(Debug, Serialize)]
pub(super) struct UnsignedCommitView {
    commit: RewardCommit,
    commit_hash: B256,
    allocated: Amount,
    carry_out: Amount,
    rewards: Vec<RewardLine>,
}

#[derive(Debug, Serialize)]
struct RewardLine {
    account: Address,
    cumulative: Amount,
    added: Amount,
}

impl UnsignedCommitView {
    pub(super) fn of(day: &DayBundle) -> Self {
        let added = |account: Address| {
            let parts = day.shares.iter().filter(|(share, _)| share.beneficiary == account);
            Amount::new(parts.map(|(_, amount)| amount.get()).sum())
        };
        let line = |row: &nodesys_core::files::RewardRow| RewardLine {
            account: row.account,
            cumulative: row.cumulative,
            added: added(row.account),
        };
        Self {
            commit: day.commit.clone(),
            commit_hash: day.commit.struct_hash(),
            allocated: day.bundle.totals.allocated,
            carry_out: day.bundle.carry_out,
            rewards: day.rewards.iter().map(line).collect(),
        }
    }
}

impl fmt::Display for UnsignedCommitView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = table(&["account", "this day (wei)", "in all (wei)"]);
        for row in &self.rewards {
            table.add_row([
                row.account.to_string(),
                row.added.to_string(),
                row.cumulative.to_string(),
            ]);
        }
        writeln!(f, "{table}")?;
        writeln!(f, "commit   {} (not signed)", self.commit_hash)?;
        writeln!(f, "root     {}", self.commit.root)?;
        writeln!(f, "total    {} wei, of this day {}", self.commit.total, self.allocated)?;
        write!(f, "carried  {} wei to the next day", self.carry_out)
    }
}

/// A posted commit.
#[derive(Debug, Serialize)]
pub(super) struct PostView {
    day: UtcDay,
    commit_hash: B256,
    root: B256,
    /// Absent where another wallet has yet to send it.
    transaction: Option<B256>,
    gas_used: Option<u64>,
    already_posted: bool,
}

impl PostView {
    pub(super) fn of(day: UtcDay, signed: &SignedCommit, post: Option<Post>) -> Self {
        let (transaction, gas_used) = match post {
            Some(Post::Sent { transaction, gas_used }) => (Some(transaction), Some(gas_used)),
            Some(Post::Found { transaction }) => (Some(transaction), None),
            None => (None, None),
        };
        Self {
            day,
            commit_hash: signed.commit.struct_hash(),
            root: signed.commit.root,
            transaction,
            gas_used,
            already_posted: matches!(post, Some(Post::Found { .. })),
        }
    }
}

impl fmt::Display for PostView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match (self.already_posted, self.gas_used) {
            (true, _) => " (posted before)".to_owned(),
            (false, Some(gas)) => format!(" (gas {gas})"),
            (false, None) => String::new(),
        };
        writeln!(f, "day          {}", self.day)?;
        writeln!(f, "commit       {}", self.commit_hash)?;
        match self.transaction {
            Some(transaction) => write!(f, "transaction  {transaction}{how}"),
            None => write!(f, "transaction  none"),
        }
    }
}

/// The state of a day; a part that cannot be read leaves the others readable.
#[derive(Debug, Serialize)]
pub(super) struct DayView {
    day: UtcDay,
    closed: Fact<bool>,
    snapshot_block: Fact<u64>,
    signed: Fact<B256>,
    accepted: Fact<CommitState>,
    posted: Fact<B256>,
}

/// A part of a day's state.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Fact<T> {
    Known(T),
    /// Not reached yet, and why.
    NotYet(String),
    /// Could not be read, and why.
    Unknown(String),
}

impl<T: fmt::Debug> fmt::Display for Fact<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(value) => write!(f, "{value:?}"),
            Self::NotYet(why) => write!(f, "not yet: {why}"),
            Self::Unknown(why) => write!(f, "unknown: {why}"),
        }
    }
}

impl DayView {
    /// Reads the state from the backend, the chain and the bundle folder.
    pub(super) async fn of(owner: &Owner, day: UtcDay) -> Self {
        let (backend, project) = (&owner.builder.backend, owner.project.distributor);
        let closed = match backend.day(day).await {
            Ok(view) if view.closed.is_some() => Fact::Known(true),
            Ok(_) => Fact::NotYet("the day is open".to_owned()),
            Err(error) => Fact::Unknown(error.to_string()),
        };
        let snapshot_block = match owner.builder.snapshot(day).await {
            Ok(block) => Fact::Known(block.number),
            Err(error) if error.is_temporary() => Fact::NotYet(error.to_string()),
            Err(error) => Fact::Unknown(error.to_string()),
        };
        let stored = owner.store.commit(project, day);
        let hash =
            stored.as_ref().ok().and_then(Option::as_ref).map(|one| one.commit.struct_hash());
        let signed = match (stored, hash) {
            (Err(error), _) => Fact::Unknown(error.to_string()),
            (Ok(_), Some(hash)) => Fact::Known(hash),
            (Ok(_), None) => Fact::NotYet("no bundle of this day is stored here".to_owned()),
        };
        let accepted = match backend.commit_of(project, day).await {
            Ok(view) => Fact::Known(view.state),
            Err(error) if error.code() == Some("not_found") => {
                Fact::NotYet("the backend has no commit of this day".to_owned())
            }
            Err(error) => Fact::Unknown(error.to_string()),
        };
        let posted = match hash {
            None => Fact::NotYet("nothing is signed".to_owned()),
            Some(hash) => {
                let found =
                    posted_at(&owner.builder.provider, project, hash, owner.builder.logs_from)
                        .await;
                match found {
                    Ok(Some(logged)) => Fact::Known(logged.transaction),
                    Ok(None) => Fact::NotYet("it is not on chain".to_owned()),
                    Err(error) => Fact::Unknown(error.to_string()),
                }
            }
        };
        Self { day, closed, snapshot_block, signed, accepted, posted }
    }
}

impl fmt::Display for DayView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "day             {}", self.day)?;
        writeln!(f, "closed          {}", self.closed)?;
        writeln!(f, "snapshot block  {}", self.snapshot_block)?;
        writeln!(f, "signed          {}", self.signed)?;
        writeln!(f, "accepted        {}", self.accepted)?;
        write!(f, "posted          {}", self.posted)
    }
}

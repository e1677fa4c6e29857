//! What commands print, for people by `Display`, for programs by serde.

use std::fmt;

use anyhow::Context as _;
use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use nodesys_contracts::project::posted_at;
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

use crate::owner::Owner;

pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_header(header.to_vec());
    table
}

/// Points of a closed day.
#[derive(Debug, Serialize)]
pub(crate) struct Preview {
    day: UtcDay,
    rows: Vec<PreviewRow>,
}

#[derive(Debug, Serialize)]
struct PreviewRow {
    license: LicenseIndex,
    collection: Address,
    token_id: String,
    minutes: u16,
    expected: u16,
    uptime_ppm: u32,
    tasks: u32,
    points: Points,
}

pub(crate) async fn preview(owner: &Owner, day: UtcDay) -> anyhow::Result<Preview> {
    let uptime = owner.builder.uptime(day).await?;
    let excused = uptime.closed.excused;
    let rule = &owner.builder.terms.rule;
    let points = match owner.task_points(day).await? {
        Some(points) => points,
        None => rule.points(&uptime.rows, excused).context("uptime does not decide the points")?,
    };
    let rows = uptime
        .rows
        .iter()
        .zip(&points)
        .map(|(row, points)| PreviewRow {
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
    Ok(Preview { day, rows })
}

impl fmt::Display for Preview {
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
pub(crate) struct Unsigned {
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

impl Unsigned {
    pub(crate) fn of(day: &DayBundle) -> Self {
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

impl fmt::Display for Unsigned {
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

/// What became of a post.
#[derive(Debug, Serialize)]
pub(crate) struct PostResult {
    pub(crate) transaction: B256,
    pub(crate) gas_used: Option<u64>,
    pub(crate) already_posted: bool,
}

/// A posted commit.
#[derive(Debug, Serialize)]
pub(crate) struct Posted {
    day: UtcDay,
    commit_hash: B256,
    root: B256,
    #[serde(flatten)]
    result: PostResult,
}

impl Posted {
    pub(crate) fn of(day: UtcDay, signed: &SignedCommit, post: Post) -> Self {
        let commit_hash = signed.commit.struct_hash();
        Self { day, commit_hash, root: signed.commit.root, result: post.into() }
    }
}

impl fmt::Display for Posted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match (self.result.already_posted, self.result.gas_used) {
            (true, _) => " (was posted already)".to_owned(),
            (false, Some(gas)) => format!(" (gas {gas})"),
            (false, None) => String::new(),
        };
        writeln!(f, "day          {}", self.day)?;
        writeln!(f, "commit       {}", self.commit_hash)?;
        write!(f, "transaction  {}{how}", self.result.transaction)
    }
}

/// Where a day stands; each part fails by itself.
#[derive(Debug, Serialize)]
pub(crate) struct DayStatus {
    day: UtcDay,
    closed: Part<bool>,
    snapshot_block: Part<u64>,
    signed: Part<B256>,
    accepted: Part<CommitState>,
    posted: Part<B256>,
}

/// A fact, that it is not there yet, or why it cannot be told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Part<T> {
    Known(T),
    NotYet(String),
    Unknown(String),
}

impl<T: fmt::Debug> fmt::Display for Part<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(value) => write!(f, "{value:?}"),
            Self::NotYet(why) => write!(f, "not yet: {why}"),
            Self::Unknown(why) => write!(f, "cannot be told: {why}"),
        }
    }
}

pub(crate) async fn day(owner: &Owner, day: UtcDay) -> anyhow::Result<DayStatus> {
    let (backend, project) = (&owner.builder.backend, owner.project.distributor);
    let closed = match backend.day(day).await {
        Ok(view) if view.closed.is_some() => Part::Known(true),
        Ok(_) => Part::NotYet("the day is open".to_owned()),
        Err(error) => Part::Unknown(error.to_string()),
    };
    let snapshot_block = match owner.builder.snapshot(day).await {
        Ok(block) => Part::Known(block.number),
        Err(error) if error.is_temporary() => Part::NotYet(error.to_string()),
        Err(error) => Part::Unknown(error.to_string()),
    };
    let stored = owner.store.commit(project, day);
    let hash = stored.as_ref().ok().and_then(Option::as_ref).map(|one| one.commit.struct_hash());
    let signed = match (stored, hash) {
        (Err(error), _) => Part::Unknown(error.to_string()),
        (Ok(_), Some(hash)) => Part::Known(hash),
        (Ok(_), None) => Part::NotYet("no bundle is stored here".to_owned()),
    };
    let accepted = match backend.commit_of(project, day).await {
        Ok(view) => Part::Known(view.state),
        Err(error) if error.code() == Some("not_found") => {
            Part::NotYet("the backend has no commit of it".to_owned())
        }
        Err(error) => Part::Unknown(error.to_string()),
    };
    let posted = match hash {
        None => Part::NotYet("nothing is signed".to_owned()),
        Some(hash) => {
            let found =
                posted_at(&owner.builder.provider, project, hash, owner.builder.logs_from).await;
            match found {
                Ok(Some(logged)) => Part::Known(logged.transaction),
                Ok(None) => Part::NotYet("the chain does not have it".to_owned()),
                Err(error) => Part::Unknown(error.to_string()),
            }
        }
    };
    Ok(DayStatus { day, closed, snapshot_block, signed, accepted, posted })
}

impl fmt::Display for DayStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "day             {}", self.day)?;
        writeln!(f, "closed          {}", self.closed)?;
        writeln!(f, "snapshot block  {}", self.snapshot_block)?;
        writeln!(f, "signed          {}", self.signed)?;
        writeln!(f, "accepted        {}", self.accepted)?;
        write!(f, "posted          {}", self.posted)
    }
}

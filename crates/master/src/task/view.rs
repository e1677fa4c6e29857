//! Output of `task add|list|show|stats`, read from the queue: `Display` for people, serde for programs.

use std::fmt;

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use nodesys_core::B256;
use nodesys_core::ids::TaskId;
use nodesys_core::time::{Timestamp, UtcDay};
use serde::Serialize;
use serde_json::Value;

use super::add::AddedTasks;
use super::queue::{Queue, hash, pg_bigint, pg_day, task_id};
use crate::output::table;

impl fmt::Display for AddedTasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "added {}, existing {}", self.added, self.known)
    }
}

/// State of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StateFilter {
    /// Waits for answers.
    Open,
    /// Has its answer.
    Done,
    /// Given up.
    Dead,
}

impl StateFilter {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Done => "done",
            Self::Dead => "dead",
        }
    }
}

/// A page of tasks.
#[derive(Debug, Serialize)]
pub(crate) struct ListView {
    tasks: Vec<TaskLine>,
    /// The `--after` of the next page, if there may be one.
    next_after: Option<TaskId>,
}

#[derive(Debug, Serialize)]
struct TaskLine {
    id: TaskId,
    key: String,
    state: String,
    reason: Option<String>,
    workload: Option<String>,
    copies: i16,
    agree: i16,
    canary: bool,
    running: i16,
    results: i16,
    attempts: i16,
    max_attempts: i16,
    added: String,
    ended: Option<String>,
}

fn time(millis: i64) -> String {
    Timestamp::from_millis(millis.unsigned_abs()).to_string()
}

impl ListView {
    /// Reads the tasks after an id, oldest first.
    pub(super) async fn read(
        queue: &Queue,
        state: Option<StateFilter>,
        after: TaskId,
        limit: u32,
    ) -> anyhow::Result<Self> {
        let rows = sqlx::query!(
            r#"select id, key, state, dead_reason, workload, copies, agree,
             expected_hash is not null as "canary!", live, answered, attempts, max_attempts,
             added_millis, ended_millis
           from task where queue = $1 and ($2::text is null or state = $2) and id > $3
           order by id limit $4"#,
            queue.id(),
            state.map(StateFilter::as_str),
            pg_bigint(after.get()),
            i64::from(limit),
        )
        .fetch_all(queue.pool())
        .await?;
        let full = rows.len() == usize::try_from(limit).unwrap_or(usize::MAX);
        let tasks: Vec<TaskLine> = rows
            .into_iter()
            .map(|row| TaskLine {
                id: task_id(row.id),
                key: row.key,
                state: row.state,
                reason: row.dead_reason,
                workload: row.workload,
                copies: row.copies,
                agree: row.agree,
                canary: row.canary,
                running: row.live,
                results: row.answered,
                attempts: row.attempts,
                max_attempts: row.max_attempts,
                added: time(row.added_millis),
                ended: row.ended_millis.map(time),
            })
            .collect();
        let next_after = tasks.last().filter(|_| full).map(|task| task.id);
        Ok(Self { tasks, next_after })
    }
}

fn state_words(line: &TaskLine) -> String {
    match &line.reason {
        Some(reason) => format!("{} ({reason})", line.state),
        None => line.state.clone(),
    }
}

impl fmt::Display for ListView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table =
            table(&["task", "key", "state", "results", "running", "leases", "added", "ended"]);
        for line in &self.tasks {
            table.add_row([
                line.id.to_string(),
                line.key.clone(),
                state_words(line),
                format!("{} of {}", line.results, line.copies),
                line.running.to_string(),
                format!("{} of {}", line.attempts, line.max_attempts),
                line.added.clone(),
                line.ended.clone().unwrap_or_default(),
            ]);
        }
        write!(f, "{table}")?;
        match self.next_after {
            Some(after) => write!(f, "\nthere may be more: --after {after}"),
            None => Ok(()),
        }
    }
}

/// A task with its leases and results.
#[derive(Debug, Serialize)]
pub(crate) struct TaskView {
    #[serde(flatten)]
    line: TaskLine,
    input: Value,
    leases: Vec<LeaseLine>,
}

#[derive(Debug, Serialize)]
struct LeaseLine {
    attempt: i16,
    license: B256,
    state: String,
    leased: String,
    expires: String,
    result: Option<ResultLine>,
}

#[derive(Debug, Serialize)]
struct ResultLine {
    output: Value,
    output_hash: B256,
    received: String,
    verdict: String,
    day: Option<UtcDay>,
}

impl TaskView {
    /// Reads a task by its id or its key.
    pub(super) async fn read(
        queue: &Queue,
        id: Option<TaskId>,
        key: Option<&str>,
    ) -> anyhow::Result<Self> {
        let found = sqlx::query!(
            "select id, input from task where queue = $1 and (id = $2 or key = $3)",
            queue.id(),
            id.map(|id| pg_bigint(id.get())),
            key,
        )
        .fetch_optional(queue.pool())
        .await?;
        let Some(found) = found else {
            match (id, key) {
                (Some(id), _) => bail!("the project has no task {id}; `task list` shows its tasks"),
                (None, key) => {
                    bail!("the project has no task with key {:?}", key.unwrap_or_default())
                }
            }
        };
        let before = task_id(found.id - 1);
        let line = ListView::read(queue, None, before, 1).await?.tasks.pop();
        let line = line.context("the task is gone")?;
        let rows = sqlx::query!(
            r#"select a.attempt, a.license, a.state, a.leased_millis, a.expires_millis,
             r.output as "output?", r.output_hash as "output_hash?",
             r.received_millis as "received_millis?", r.verdict as "verdict?", r.day as "day?"
           from task_attempt a left join task_result r on r.task = a.task and r.attempt = a.attempt
           where a.task = $1 order by a.attempt"#,
            found.id
        )
        .fetch_all(queue.pool())
        .await?;
        let mut leases = Vec::with_capacity(rows.len());
        for row in rows {
            let result = match (row.output, row.output_hash, row.received_millis, row.verdict) {
                (Some(output), Some(output_hash), Some(received), Some(verdict)) => {
                    Some(ResultLine {
                        output: serde_json::from_str(&output)?,
                        output_hash: hash(&output_hash)?,
                        received: time(received),
                        verdict,
                        day: row.day.map(|day| UtcDay(day.unsigned_abs())),
                    })
                }
                _ => None,
            };
            leases.push(LeaseLine {
                attempt: row.attempt,
                license: hash(&row.license)?,
                state: row.state,
                leased: time(row.leased_millis),
                expires: time(row.expires_millis),
                result,
            });
        }
        Ok(Self { line, input: serde_json::from_str(&found.input)?, leases })
    }
}

impl fmt::Display for TaskView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = &self.line;
        writeln!(f, "task      {}", line.id)?;
        writeln!(f, "key       {}", line.key)?;
        writeln!(f, "state     {}", state_words(line))?;
        writeln!(f, "workload  {}", line.workload.as_deref().unwrap_or("any"))?;
        writeln!(f, "agree     {} of {}", line.agree, line.copies)?;
        writeln!(f, "canary    {}", if line.canary { "yes" } else { "no" })?;
        writeln!(f, "input     {}", self.input)?;
        let mut table = table(&["lease", "license", "leased", "state", "verdict", "day", "output"]);
        for lease in &self.leases {
            let result = lease.result.as_ref();
            let text = |of: fn(&ResultLine) -> String| result.map(of).unwrap_or_default();
            table.add_row([
                lease.attempt.to_string(),
                lease.license.to_string(),
                lease.leased.clone(),
                lease.state.clone(),
                text(|result| result.verdict.clone()),
                text(|result| result.day.map(|day| day.to_string()).unwrap_or_default()),
                text(|result| result.output.to_string()),
            ]);
        }
        write!(f, "{table}")
    }
}

/// Counts over the queue.
#[derive(Debug, Serialize)]
pub(crate) struct StatsView {
    open: i64,
    running: i64,
    done: i64,
    dead: i64,
    day: UtcDay,
    closed: bool,
    licenses: Vec<LicenseStats>,
}

#[derive(Debug, Serialize)]
struct LicenseStats {
    license: B256,
    /// Results that count for the day.
    accepted: i64,
    /// Results of all days.
    rejected: i64,
    /// Wrong results of tasks with a known answer, of all days.
    canaries_missed: i64,
}

impl StatsView {
    /// Counts the queue, with the results of a day.
    pub(super) async fn read(queue: &Queue, day: UtcDay) -> anyhow::Result<Self> {
        let number = pg_day(day)?;
        let states = sqlx::query!(
            r#"select count(*) filter (where state = 'open') as "open!",
             count(*) filter (where state = 'done') as "done!",
             count(*) filter (where state = 'dead') as "dead!",
             coalesce(sum(live), 0)::bigint as "running!",
             (select closed_through >= $2 from task_queue where id = $1) as "closed!"
           from task where queue = $1"#,
            queue.id(),
            number
        )
        .fetch_one(queue.pool())
        .await?;
        let rows = sqlx::query!(
            r#"select r.license, count(*) filter (where r.day = $2) as "accepted!",
             count(*) filter (where r.verdict = 'rejected') as "rejected!",
             count(*) filter (where r.verdict = 'rejected' and t.expected_hash is not null)
               as "canaries_missed!"
           from task_result r join task t on t.id = r.task
           where r.queue = $1 and (r.day = $2 or r.verdict = 'rejected')
           group by r.license order by 2 desc, r.license"#,
            queue.id(),
            number
        )
        .fetch_all(queue.pool())
        .await?;
        let mut licenses = Vec::with_capacity(rows.len());
        for row in rows {
            licenses.push(LicenseStats {
                license: hash(&row.license)?,
                accepted: row.accepted,
                rejected: row.rejected,
                canaries_missed: row.canaries_missed,
            });
        }
        let (open, running, done, dead) = (states.open, states.running, states.done, states.dead);
        Ok(Self { open, running, done, dead, day, closed: states.closed, licenses })
    }
}

impl fmt::Display for StatsView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "open     {} (leases running: {})", self.open, self.running)?;
        writeln!(f, "done     {}", self.done)?;
        writeln!(f, "dead     {}", self.dead)?;
        let closed = if self.closed { "closed: these counts are final" } else { "open" };
        writeln!(f, "day      {} ({closed})", self.day)?;
        let mut table = table(&["license", "accepted", "rejected", "canaries missed"]);
        for line in &self.licenses {
            table.add_row([
                line.license.to_string(),
                line.accepted.to_string(),
                line.rejected.to_string(),
                line.canaries_missed.to_string(),
            ]);
        }
        write!(f, "{table}")
    }
}

//! `task add|list|show|stats`: the queue, for its owner.

use std::fmt;
use std::io::BufReader;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Subcommand, ValueEnum};
use nodesys_clock::Clock;
use nodesys_core::B256;
use nodesys_core::ids::TaskId;
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_sdk::day::find_project;
use serde::Serialize;
use serde_json::Value;

use super::add::{Added, add};
use super::queue::{Queue, hash, signed, task_id};
use crate::cli::Format;
use crate::config::Settings;
use crate::owner::open_queue;
use crate::show::table;

const ADD_EXAMPLES: &str = r#"Each line is one task, in JSON; only key and input are needed:
  {"key":"frame-0001","input":{"scene":"s3://bucket/a","frame":1}}
  {"key":"frame-0002","input":{"scene":"s3://bucket/a","frame":2},"copies":3,"agree":2}
  {"key":"canary-17","input":{"seed":"0x00","length":10},"expected":"0xab","workload":"render"}

  copies, agree     how many licenses answer it, and how many must agree (more than half) [1, 1]
  expected          the known answer: each result is judged by it alone
  workload          only licenses of this workload get it [any]
  max_attempts      how often it is leased before it is given up [5 per copy]
  time_limit_secs   how long one lease of it may take, 5 to 604800 [600]

The same key again is the same task, so a file may be added twice; all of a file or nothing is added.

Examples:
  nodesys-master task add tasks.ndjson
  make-tasks | nodesys-master task add - -o json"#;

const LIST_EXAMPLES: &str = "\
Examples:
  nodesys-master task list --state dead
  nodesys-master task list --after 1200 --limit 100 -o json";

const SHOW_EXAMPLES: &str = "\
Examples:
  nodesys-master task show 17
  nodesys-master task show --key frame-0001 -o json";

const STATS_EXAMPLES: &str = "\
Examples:
  nodesys-master task stats
  nodesys-master task stats --day 2026-01-31 -o json";

/// The queue of tasks.
#[derive(Debug, Subcommand)]
pub enum TaskCommand {
    /// Add tasks, one JSON object a line.
    #[command(after_long_help = ADD_EXAMPLES)]
    Add {
        /// The file; `-` for standard input.
        file: PathBuf,
        /// How to print what was added.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// List tasks, oldest first.
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Only tasks in this state.
        #[arg(long, value_enum)]
        state: Option<StateFilter>,
        /// Only tasks with a higher number.
        #[arg(long, value_name = "ID", default_value = "0")]
        after: TaskId,
        /// How many at most.
        #[arg(long, value_name = "COUNT", default_value_t = 50)]
        limit: u32,
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Show a task with its leases and results.
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// The task's number.
        #[arg(required_unless_present = "key", conflicts_with = "key")]
        id: Option<TaskId>,
        /// The task's key.
        #[arg(long)]
        key: Option<String>,
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Count tasks by state, and results by license.
    #[command(after_help = STATS_EXAMPLES)]
    Stats {
        /// The day whose accepted results are counted, as YYYY-MM-DD; today where absent.
        #[arg(long)]
        day: Option<UtcDay>,
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
}

/// A task's state.
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
    const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Done => "done",
            Self::Dead => "dead",
        }
    }
}

/// Runs one of them.
pub(crate) async fn run(settings: &Settings, command: TaskCommand) -> anyhow::Result<()> {
    let provider = settings.provider().await?;
    let registry = *Settings::need(&settings.registry, "--registry")?;
    let name = Settings::need(&settings.project, "--project")?;
    let project = find_project(&provider, registry, name).await?;
    let clock = settings.observed_clock(project.chain_id).await?;
    let queue = open_queue(settings, &project).await?;
    match command {
        TaskCommand::Add { file, output } => {
            let added = if file.as_os_str() == "-" {
                add(&queue, BufReader::new(std::io::stdin()), clock.now()).await?
            } else {
                let open = std::fs::File::open(&file)
                    .with_context(|| format!("cannot read {}", file.display()))?;
                let added = add(&queue, BufReader::new(open), clock.now()).await;
                added.with_context(|| file.display().to_string())?
            };
            crate::print(output, &added)
        }
        TaskCommand::List { state, after, limit, output } => {
            crate::print(output, &list(&queue, state, after, limit).await?)
        }
        TaskCommand::Show { id, key, output } => {
            crate::print(output, &show(&queue, id, key.as_deref()).await?)
        }
        TaskCommand::Stats { day, output } => {
            crate::print(output, &stats(&queue, day, &clock).await?)
        }
    }
}

impl fmt::Display for Added {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "added {}, known already {}", self.added, self.known)
    }
}

/// Tasks in a table.
#[derive(Debug, Serialize)]
pub(crate) struct List {
    tasks: Vec<TaskLine>,
    /// Where the next list goes on, when there may be more.
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

pub(crate) async fn list(
    queue: &Queue,
    state: Option<StateFilter>,
    after: TaskId,
    limit: u32,
) -> anyhow::Result<List> {
    let rows = sqlx::query!(
        r#"select id, key, state, dead_reason, workload, copies, agree,
             expected_hash is not null as "canary!", live, answered, attempts, max_attempts,
             added_millis, ended_millis
           from task where queue = $1 and ($2::text is null or state = $2) and id > $3
           order by id limit $4"#,
        queue.id(),
        state.map(StateFilter::word),
        signed(after.get()),
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
    Ok(List { tasks, next_after })
}

fn state_words(line: &TaskLine) -> String {
    match &line.reason {
        Some(reason) => format!("{} ({reason})", line.state),
        None => line.state.clone(),
    }
}

impl fmt::Display for List {
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
pub(crate) struct Shown {
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

pub(crate) async fn show(
    queue: &Queue,
    id: Option<TaskId>,
    key: Option<&str>,
) -> anyhow::Result<Shown> {
    let found = sqlx::query!(
        "select id, input from task where queue = $1 and (id = $2 or key = $3)",
        queue.id(),
        id.map(|id| signed(id.get())),
        key,
    )
    .fetch_optional(queue.pool())
    .await?;
    let Some(found) = found else {
        match (id, key) {
            (Some(id), _) => bail!("the project has no task {id}; see: nodesys-master task list"),
            (None, key) => bail!("the project has no task with key {:?}", key.unwrap_or_default()),
        }
    };
    let before = task_id(found.id - 1);
    let line = list(queue, None, before, 1).await?.tasks.pop().context("the task is gone")?;
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
            (Some(output), Some(output_hash), Some(received), Some(verdict)) => Some(ResultLine {
                output: serde_json::from_str(&output)?,
                output_hash: hash(&output_hash)?,
                received: time(received),
                verdict,
                day: row.day.map(|day| UtcDay(day.unsigned_abs())),
            }),
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
    Ok(Shown { line, input: serde_json::from_str(&found.input)?, leases })
}

impl fmt::Display for Shown {
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
pub(crate) struct Stats {
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
    /// Of all days.
    rejected: i64,
    /// Known answers missed, of all days.
    canaries_missed: i64,
}

pub(crate) async fn stats(
    queue: &Queue,
    day: Option<UtcDay>,
    clock: &Clock,
) -> anyhow::Result<Stats> {
    let day = day.unwrap_or_else(|| clock.now().day());
    let number = i32::try_from(day.0).context("a day beyond the calendar")?;
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
    Ok(Stats { open, running, done, dead, day, closed: states.closed, licenses })
}

impl fmt::Display for Stats {
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

//! `task add|list|show|stats`: the queue, for its owner.

use std::io::BufReader;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;
use nodesys_core::ids::TaskId;
use nodesys_core::time::UtcDay;
use nodesys_sdk::day::find_project;

use super::add::add;
use super::queue::open_queue;
use super::view::{ListView, StateFilter, StatsView, TaskView};
use crate::config::Settings;
use crate::output::{Format, print};

const ADD_EXAMPLES: &str = r#"Each line is one task, in JSON; only key and input are needed:
  {"key":"frame-0001","input":{"scene":"s3://bucket/a","frame":1}}
  {"key":"frame-0002","input":{"scene":"s3://bucket/a","frame":2},"copies":3,"agree":2}
  {"key":"canary-17","input":{"seed":"0x00","length":10},"expected":"0xab","workload":"render"}

  copies, agree     number of licenses that answer it, and that must agree (more than half) [1, 1]
  expected          the known answer, by which alone each result is judged
  workload          the workload whose licenses may lease it [any]
  max_attempts      number of leases before it is given up [5 per copy]
  time_limit_secs   time limit of one lease, 5 to 604800 [600]

A key names one task, so a file may be added twice. Either all tasks of a file are added or none.

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
    /// Add tasks from a file with one JSON object per line. Safe to re-run.
    #[command(after_long_help = ADD_EXAMPLES)]
    Add {
        /// The file; `-` for standard input.
        file: PathBuf,
        /// Output format.
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
        /// Largest number of tasks to list.
        #[arg(long, value_name = "COUNT", default_value_t = 50)]
        limit: u32,
        /// Output format.
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
        /// Output format.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Count tasks by state, and results by license.
    #[command(after_help = STATS_EXAMPLES)]
    Stats {
        /// Day of the accepted results, as YYYY-MM-DD [today].
        #[arg(long)]
        day: Option<UtcDay>,
        /// Output format.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
}

impl TaskCommand {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        let provider = settings.provider().await?;
        let registry = *Settings::need(&settings.registry, "--registry")?;
        let name = Settings::need(&settings.project, "--project")?;
        let project = find_project(&provider, registry, name).await?;
        let clock = settings.observed_clock(project.chain_id).await?;
        let queue = open_queue(settings, &project).await?;
        match self {
            Self::Add { file, output } => {
                let added = if file.as_os_str() == "-" {
                    add(&queue, BufReader::new(std::io::stdin()), clock.now()).await?
                } else {
                    let open = std::fs::File::open(&file)
                        .with_context(|| format!("cannot read {}", file.display()))?;
                    let added = add(&queue, BufReader::new(open), clock.now()).await;
                    added.with_context(|| file.display().to_string())?
                };
                print(output, &added)
            }
            Self::List { state, after, limit, output } => {
                print(output, &ListView::read(&queue, state, after, limit).await?)
            }
            Self::Show { id, key, output } => {
                print(output, &TaskView::read(&queue, id, key.as_deref()).await?)
            }
            Self::Stats { day, output } => {
                let day = day.unwrap_or_else(|| clock.now().day());
                print(output, &StatsView::read(&queue, day).await?)
            }
        }
    }
}

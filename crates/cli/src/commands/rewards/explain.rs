//! `rewards explain`: one account's part of a day, in words.

use std::fmt;

use nodesys_core::Address;
use nodesys_core::address::address;
use nodesys_core::points::Rule;
use nodesys_core::time::UtcDay;

use super::source::SourceArgs;
use crate::exit::Exit;
use crate::output::{self, amount, percent};
use crate::rewards::explain::DayExplanation;
use crate::rewards::explain::explain;
use crate::setup::Setup;

/// Options of `rewards explain`.
#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// The account [default: the operator who authorised this node].
    #[arg(long, value_name = "ADDRESS")]
    #[arg(value_parser = address)]
    pub account: Option<Address>,
    /// The day.
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub day: UtcDay,
    /// The source of the files.
    #[command(flatten)]
    pub from: SourceArgs,
}

/// Runs the verb.
pub(crate) async fn run(setup: &Setup, args: &ExplainArgs) -> anyhow::Result<Exit> {
    let explanation = explain(setup, args.account, args.day, &args.from.from).await?;
    output::print(setup.format(), &explanation)?;
    Ok(Exit::Done)
}

impl DayExplanation {
    fn rule(&self) -> String {
        let (earned, minimum) = match &self.rule {
            Rule::Uptime { rate, minimum_uptime_ppm } => {
                (format!("minutes x {rate} / 1440, rounded down"), *minimum_uptime_ppm)
            }
            Rule::Tasks { per_task, max_tasks, minimum_uptime_ppm } => (
                format!("{per_task} for each accepted task, at most {max_tasks} tasks"),
                *minimum_uptime_ppm,
            ),
            Rule::UptimeTasks { rate, per_task, max_tasks, minimum_uptime_ppm } => (
                format!(
                    "minutes x {rate} / 1440, rounded down, and {per_task} for each accepted task, \
                     at most {max_tasks} tasks"
                ),
                *minimum_uptime_ppm,
            ),
        };
        match minimum {
            0 => earned,
            minimum => format!("{earned}; 0 below {} of uptime", percent(minimum)),
        }
    }
}

impl fmt::Display for DayExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |value| amount(value, Some(&self.unit));
        writeln!(f, "{} of project {} for {}\n", self.day, self.project, self.account)?;
        writeln!(
            f,
            "1. The pool: the day's reward {} plus the remainder of the day before {}, at most the \
             daily quota {}: {}",
            show(self.day_reward),
            show(self.carry_in),
            show(self.daily_quota),
            show(self.pool)
        )?;
        writeln!(f, "2. Points of a license: {}", self.rule())?;
        writeln!(f, "   All licenses together: {}", self.points)?;
        writeln!(f, "3. A license gets floor(pool x its points / all points), in wei:")?;
        if self.licenses.is_empty() {
            writeln!(f, "   no license of this account on this day")?;
        }
        for line in &self.licenses {
            let to = match (line.own, line.excluded) {
                _ if let Some(reason) = line.uncounted => format!(" (not counted: {reason})"),
                (_, true) => {
                    " (its beneficiary is excluded, so its points do not count)".to_owned()
                }
                (true, false) => String::new(),
                (false, false) => format!(", paid to {}", line.beneficiary),
            };
            writeln!(
                f,
                "   {}/{}: {} of {} minutes ({}), {} points: {}{to}",
                line.collection,
                line.token_id,
                line.minutes,
                line.expected,
                percent(line.uptime_ppm),
                line.points,
                show(line.amount)
            )?;
        }
        writeln!(f, "4. Earned before   {}", show(self.before))?;
        writeln!(f, "   earned this day {}", show(self.added))?;
        writeln!(f, "   earned in all   {}", show(self.cumulative))?;
        writeln!(f, "5. {} remain for the next day\n", show(self.carry_out))?;
        write!(
            f,
            "computed here from the day's files; they give commit {}, which {}",
            self.commit_hash,
            if self.posted { "is the one on chain" } else { "is NOT on chain" }
        )
    }
}

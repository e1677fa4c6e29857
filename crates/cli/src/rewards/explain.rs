//! `rewards explain`: a day, made again from its published files by the function that made it, and
//! one account's part of it in words.

use std::fmt;

use nodesys_chain::metadata::Token;
use nodesys_core::bitmap::DayBitmap;
use nodesys_core::bundle::{Before, DayBundle, DayInput, ProjectInfo, build_day};
use nodesys_core::files::{HolderRow, PointsRow, Row, UptimeRow, parse_file};
use nodesys_core::ids::{Amount, LicenseIndex, Name, Points};
use nodesys_core::message::Message as _;
use nodesys_core::points::Rule;
use nodesys_core::time::UtcDay;
use nodesys_core::uptime::ratio_ppm;
use nodesys_core::{Address, B256};
use nodesys_sdk::bundles::{Places, commit_of};
use serde::Serialize;

use super::ExplainArgs;
use super::proof::token;
use super::source::{ProofSource, posted};
use crate::exit::Exit;
use crate::license::operator;
use crate::output::{amount, percent};
use crate::setup::Setup;

/// An account's day, printed. Amounts are in wei.
#[derive(Debug, Serialize)]
pub(super) struct Explained {
    project: Name,
    account: Address,
    day: UtcDay,
    /// Whether the files lead to the commit that the chain has for the day.
    posted: bool,
    commit_hash: B256,
    root: B256,
    rule: Rule,
    day_reward: Amount,
    carry_in: Amount,
    daily_quota: Amount,
    /// `min(day_reward + carry_in, daily_quota)`.
    pool: Amount,
    carry_out: Amount,
    /// Points of all licenses that count.
    points: String,
    licenses: Vec<Line>,
    before: Amount,
    added: Amount,
    cumulative: Amount,
    #[serde(skip)]
    unit: Token,
}

/// A license that the account holds, rents or is paid for.
#[derive(Debug, Serialize)]
struct Line {
    index: LicenseIndex,
    collection: Address,
    token_id: String,
    minutes: u16,
    expected: u16,
    uptime_ppm: u32,
    points: Points,
    beneficiary: Address,
    amount: Amount,
    #[serde(skip)]
    own: bool,
    #[serde(skip)]
    excluded: bool,
}

/// The published rows of a day and what they give.
struct Rebuilt {
    built: DayBundle,
    uptime: Vec<UptimeRow>,
    holders: Vec<HolderRow>,
    points: Vec<PointsRow>,
    excused: DayBitmap,
    before: Before,
}

pub(super) async fn explain(setup: &Setup, args: &ExplainArgs) -> anyhow::Result<Explained> {
    let source = ProofSource::new(setup, &args.from)?;
    let provider = setup.provider().await?;
    let project = setup.project(&provider).await?;
    let account = operator::or_own(setup, args.account, "--account").await?;
    let posted = posted(setup, &provider, &project).await?;
    let commit = posted.iter().find(|one| one.day == args.day).map(|one| one.commit_hash);
    let day = rebuild(source.bundles(), &project, args.day, commit).await?;
    let posted = commit.is_some();
    let unit = token(&provider, &project).await?;
    Ok(part_of(&day, project.name, account, args.day, posted, unit))
}

/// The day by core's own function, required to be what was published; where it is posted, the files of
/// the posted commit, from whichever place has them.
async fn rebuild(
    places: &Places,
    project: &ProjectInfo,
    day: UtcDay,
    commit: Option<B256>,
) -> anyhow::Result<Rebuilt> {
    let place = places.place();
    let (bundle, json) = places.bundle_of(project.distributor, day, commit).await?;
    let file = async |name: &str| -> anyhow::Result<Vec<u8>> {
        let expected = bundle.files.get(name).copied().unwrap_or_default();
        let found = places.committed(project.distributor, day, name, expected).await;
        Ok(places.needed(day, name, found)?)
    };
    let uptime = parse_file::<UptimeRow>(&file(UptimeRow::FILE).await?)?;
    let holders = parse_file::<HolderRow>(&file(HolderRow::FILE).await?)?;
    let points = parse_file::<PointsRow>(&file(PointsRow::FILE).await?)?;
    let before = match day.previous() {
        Some(previous) if !bundle.previous.is_zero() => {
            places.after(project.distributor, previous, Some(bundle.previous)).await?.1
        }
        _ => Before::default(),
    };
    let excused = bundle.uptime.excused;
    let built = build_day(&DayInput {
        project: project.clone(),
        day,
        revision: bundle.revision,
        daily_quota: bundle.daily_quota,
        terms: bundle.terms.clone(),
        snapshot: bundle.snapshot,
        closed: bundle.uptime.clone(),
        uptime: uptime.clone(),
        holders: holders.clone(),
        points: points.clone(),
        before: before.clone(),
    })?;
    let published = commit_of(&bundle, &json);
    if built.commit != published {
        return Err(Exit::Failure.because(format!(
            "the files of {day} in {place} give commit {}, their bundle.json is of {}: they do \
             not belong together; `nodesys audit` names the row",
            built.commit.struct_hash(),
            published.struct_hash()
        )));
    }
    Ok(Rebuilt { built, uptime, holders, points, excused, before })
}

fn part_of(
    day: &Rebuilt,
    project: Name,
    account: Address,
    date: UtcDay,
    posted: bool,
    unit: Token,
) -> Explained {
    let rows = day.uptime.iter().zip(&day.holders).zip(&day.points).zip(&day.built.shares);
    let bundle = &day.built.bundle;
    let lines = rows.filter_map(|(((uptime, holder), points), (share, amount))| {
        let own = share.beneficiary == account;
        let concerned = own || holder.holder == account || holder.renter == account;
        concerned.then(|| Line {
            index: share.license,
            collection: uptime.collection,
            token_id: uptime.token_id.to_string(),
            minutes: uptime.minutes,
            expected: uptime.expected,
            uptime_ppm: ratio_ppm(uptime, day.excused),
            points: points.points,
            beneficiary: share.beneficiary,
            amount: *amount,
            own,
            excluded: share.points != points.points,
        })
    });
    let amount_in = |rows: &[nodesys_core::files::RewardRow]| {
        let row = rows.iter().find(|row| row.account == account);
        row.map_or(Amount::ZERO, |row| row.cumulative)
    };
    let (before, cumulative) = (amount_in(&day.before.rewards), amount_in(&day.built.rewards));
    let points: u128 =
        day.built.shares.iter().map(|(share, _)| u128::from(share.points.get())).sum();
    Explained {
        project,
        account,
        day: date,
        posted,
        commit_hash: day.built.commit.struct_hash(),
        root: day.built.commit.root,
        rule: bundle.terms.rule.clone(),
        day_reward: bundle.terms.day_reward,
        carry_in: bundle.carry_in,
        daily_quota: bundle.daily_quota,
        pool: bundle.pool,
        carry_out: bundle.carry_out,
        points: points.to_string(),
        licenses: lines.collect(),
        before,
        // Amounts never fall from one commit to the next.
        added: cumulative.checked_sub(before).unwrap_or_default(),
        cumulative,
        unit,
    }
}

impl Explained {
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

impl fmt::Display for Explained {
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

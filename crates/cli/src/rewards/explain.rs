//! A day, made again from its published files by the function that made it, and one account's part of it.

use std::collections::BTreeMap;

use nodesys_chain::metadata::Token;
use nodesys_core::bitmap::DayBitmap;
use nodesys_core::bundle::{DayBundle, DayInput, Format, PreviousDay, ProjectInfo, build_day};
use nodesys_core::files::Row as _;
use nodesys_core::files::{HolderRow, PointsRow, UptimeRow, parse_file};
use nodesys_core::holders::{DayHolders, Uncounted, UncountedRow};
use nodesys_core::ids::{Amount, LicenseIndex, Name, Points};
use nodesys_core::message::Message as _;
use nodesys_core::points::Rule;
use nodesys_core::time::UtcDay;
use nodesys_core::uptime::ratio_ppm;
use nodesys_core::{Address, B256};
use nodesys_sdk::bundles::{Places, commit_of};
use serde::Serialize;

use crate::exit::Exit;
use crate::license::operator::or_own;
use crate::rewards::source::{ProofSource, posted};
use crate::rewards::token::token;
use crate::setup::Setup;

/// An account's day, printed. Amounts are in wei.
#[derive(Debug, Serialize)]
pub(crate) struct DayExplanation {
    pub(crate) project: Name,
    pub(crate) account: Address,
    pub(crate) day: UtcDay,
    /// Whether the files lead to the commit that the chain has for the day.
    pub(crate) posted: bool,
    pub(crate) commit_hash: B256,
    pub(crate) root: B256,
    pub(crate) rule: Rule,
    pub(crate) day_reward: Amount,
    pub(crate) carry_in: Amount,
    pub(crate) daily_quota: Amount,
    /// `min(day_reward + carry_in, daily_quota)`.
    pub(crate) pool: Amount,
    pub(crate) carry_out: Amount,
    /// Points of all licenses that count.
    pub(crate) points: String,
    pub(crate) licenses: Vec<LicenseShare>,
    pub(crate) before: Amount,
    pub(crate) added: Amount,
    pub(crate) cumulative: Amount,
    #[serde(skip)]
    pub(crate) unit: Token,
}

/// A license that the account holds, rents or is paid for.
#[derive(Debug, Serialize)]
pub(crate) struct LicenseShare {
    pub(crate) index: LicenseIndex,
    pub(crate) collection: Address,
    pub(crate) token_id: String,
    pub(crate) minutes: u16,
    pub(crate) expected: u16,
    pub(crate) uptime_ppm: u32,
    pub(crate) points: Points,
    pub(crate) beneficiary: Address,
    pub(crate) amount: Amount,
    /// Why it counts for nobody, where its logs do not tell who holds it.
    pub(crate) uncounted: Option<Uncounted>,
    #[serde(skip)]
    pub(crate) own: bool,
    #[serde(skip)]
    pub(crate) excluded: bool,
}

/// The published rows of a day and what they give.
struct Rebuilt {
    built: DayBundle,
    uptime: Vec<UptimeRow>,
    holders: DayHolders,
    points: Vec<PointsRow>,
    excused: DayBitmap,
    before: PreviousDay,
}

pub(crate) async fn explain(
    setup: &Setup,
    account: Option<Address>,
    date: UtcDay,
    from: &[String],
) -> anyhow::Result<DayExplanation> {
    let source = ProofSource::new(setup, from)?;
    let provider = setup.provider().await?;
    let project = setup.project(&provider).await?;
    let account = or_own(setup, account, "--account").await?;
    let posted = posted(setup, &provider, &project).await?;
    let commit = posted.iter().find(|one| one.day == date).map(|one| one.commit_hash);
    let day = rebuild(source.bundles(), &project, date, commit).await?;
    let posted = commit.is_some();
    let unit = token(&provider, &project).await?;
    Ok(part_of(&day, project.name, account, date, posted, unit))
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
    let holders = DayHolders {
        rows: parse_file::<HolderRow>(&file(HolderRow::FILE).await?)?,
        uncounted: match bundle.format {
            Format::One => Vec::new(),
            Format::Two => parse_file::<UncountedRow>(&file(UncountedRow::FILE).await?)?,
        },
    };
    let points = parse_file::<PointsRow>(&file(PointsRow::FILE).await?)?;
    let before = match day.previous() {
        Some(previous) if !bundle.previous.is_zero() => {
            places.after(project.distributor, previous, Some(bundle.previous)).await?.1
        }
        _ => PreviousDay::default(),
    };
    let excused = bundle.uptime.excused;
    let built = build_day(&DayInput {
        project: project.clone(),
        day,
        format: bundle.format,
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
) -> DayExplanation {
    let rows = day.uptime.iter().zip(&day.holders.rows).zip(&day.points).zip(&day.built.shares);
    let bundle = &day.built.bundle;
    let reason = |row: &UncountedRow| (row.license, row.reason);
    let reasons: BTreeMap<LicenseIndex, Uncounted> =
        day.holders.uncounted.iter().map(reason).collect();
    let lines = rows.filter_map(|(((uptime, holder), points), (share, amount))| {
        let own = share.beneficiary == account;
        let concerned = own || holder.holder == account || holder.renter == account;
        concerned.then(|| LicenseShare {
            index: share.license,
            collection: uptime.collection,
            token_id: uptime.token_id.to_string(),
            minutes: uptime.minutes,
            expected: uptime.expected,
            uptime_ppm: ratio_ppm(uptime, day.excused),
            points: points.points,
            beneficiary: share.beneficiary,
            amount: *amount,
            uncounted: reasons.get(&share.license).copied(),
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
    DayExplanation {
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

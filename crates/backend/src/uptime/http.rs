//! Routes of the uptime stage: days, closed files, and one license's current day.

use std::cmp::Ordering;

use anyhow::Context as _;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Json, Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use nodesys_core::Address;
use nodesys_core::api::{DayCount, DayView, LicenseDay, LicenseDays, MinuteCounts};
use nodesys_core::bitmap::DayBitmap;
use nodesys_core::files::{UptimeRow, parse_file};
use nodesys_core::ids::LicenseIndex;
use nodesys_core::license::LicenseId;
use nodesys_core::time::{MINUTES_PER_DAY, Timestamp, UtcDay};
use nodesys_core::uptime::ClosedUptime;
use serde::Deserialize;
use sqlx::PgConnection;

use super::cause::{Facts, missing};
use super::count::KEPT_DAYS;
use super::expected::expected_from;
use crate::db::license::LicenseRow;
use crate::error::{ApiError, ApiResult};
use crate::params::{ProjectRef, TokenId};
use crate::state::{App, AppState};
use crate::{cached, db};

/// Whether a day is closed, with the backend's signed statement.
#[utoipa::path(get, path = "/v1/days/{day}", tag = "uptime", operation_id = "getDay",
    params(("day" = String, Path)),
    responses((status = 200, description = "The day.", body = DayView)))]
pub(crate) async fn show_day(
    State(app): State<AppState>,
    path: Result<Path<UtcDay>, PathRejection>,
) -> ApiResult<Json<DayView>> {
    let Path(day) = path?;
    let mut conn = app.pool.acquire().await?;
    let closed = db::day::closed(&mut conn, day).await?;
    let excused = closed.as_ref().map(|closed| closed.excused);
    Ok(Json(DayView { day, closed: closed.map(|closed| closed.closed), excused }))
}

/// A project's `uptime.csv` of a closed day.
#[utoipa::path(get, path = "/v1/uptime/{project}/{day}", tag = "uptime",
    operation_id = "getUptimeFile", params(("project" = String, Path), ("day" = String, Path)),
    responses(
        (status = 200, description = "The file. Its ETag is its hash.",
            content_type = "text/csv", body = String),
        (status = 304, description = "The file of the ETag in `If-None-Match`, unchanged.")))]
pub(crate) async fn file(
    State(app): State<AppState>,
    path: Result<Path<(ProjectRef, UtcDay)>, PathRejection>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let Path((project, day)) = path?;
    let uptime = closed(&app, &project, day).await?;
    let tag = cached::tag(&uptime.closed.uptime_csv.to_string());
    if let Some(same) = cached::same(&headers, &tag) {
        return Ok(same);
    }
    let mut conn = app.pool.acquire().await?;
    let csv = db::day::uptime_csv(&mut conn, uptime.project, day).await?;
    Ok(cached::file("text/csv", tag, csv.context("a closed day's uptime.csv is gone")?))
}

/// The proof that a project's `uptime.csv` belongs to the signed day.
#[utoipa::path(get, path = "/v1/uptime/{project}/{day}/closed", tag = "uptime",
    operation_id = "getUptimeProof", params(("project" = String, Path), ("day" = String, Path)),
    responses((status = 200, description = "The signed day,
        and the path from the file's hash to it.", body = ClosedUptime)))]
pub(crate) async fn attestation(
    State(app): State<AppState>,
    path: Result<Path<(ProjectRef, UtcDay)>, PathRejection>,
) -> ApiResult<Json<ClosedUptime>> {
    let Path((project, day)) = path?;
    Ok(Json(closed(&app, &project, day).await?.closed))
}

/// A project's part of a closed day.
struct Closed {
    project: Address,
    closed: ClosedUptime,
}

async fn closed(app: &App, project: &ProjectRef, day: UtcDay) -> ApiResult<Closed> {
    let mut conn = app.pool.acquire().await?;
    let project = project.find(&mut conn).await?;
    if !db::day::is_closed(&mut conn, day).await? {
        return Err(ApiError::day_open(format!("{day} closes 5 minutes after its end, UTC")));
    }
    let closed = db::day::closed_uptime(&mut conn, project.project, day)
        .await?
        .ok_or_else(|| ApiError::not_found(format!("{} did not exist on {day}", project.name)))?;
    Ok(Closed { project: project.project, closed })
}

/// One license's minutes of a day, open or closed.
#[utoipa::path(get, path = "/v1/licenses/{collection}/{token_id}/uptime/{day}", tag = "uptime",
    operation_id = "getLicenseUptime",
    params(("collection" = String, Path), ("token_id" = String, Path), ("day" = String, Path)),
    responses((status = 200, description = "The minutes.", body = LicenseDay)))]
pub(crate) async fn license_day(
    State(app): State<AppState>,
    path: Result<Path<(Address, TokenId, UtcDay)>, PathRejection>,
) -> ApiResult<Json<LicenseDay>> {
    let Path((collection, token, day)) = path?;
    let chain_id = app.domain.chain_id();
    let license = LicenseId { chain_id, collection, token_id: token.0 };
    day_of(&app, &license, day).await.map(Json)
}

/// Leases of a license that are read to explain a day.
const LEASES: usize = 500;

async fn day_of(app: &App, id: &LicenseId, day: UtcDay) -> ApiResult<LicenseDay> {
    let mut conn = app.pool.acquire().await?;
    let license = known(&mut conn, id).await?;
    let project = db::listing::project_on(&mut conn, id.collection, day).await?;
    let project = project.ok_or_else(|| {
        ApiError::not_leased(format!("on {day}: no project lists its collection then"))
    })?;
    let now = app.clock.now();
    let closed = db::day::has_file(&mut conn, project, day).await?;
    let (minutes, expected, bitmap, excused) = if closed {
        let excused = db::day::closed(&mut conn, day).await?.map(|closed| closed.excused);
        // Its turn may be long in coming.
        drop(conn);
        let row = closed_row(app, project, license.idx, day).await?;
        let row = row.ok_or_else(|| ApiError::not_leased(format!("on or before {day}")))?;
        conn = app.pool.acquire().await?;
        (row.minutes, row.expected, row.bitmap, excused.unwrap_or_default())
    } else {
        let first = license
            .first_leased
            .ok_or_else(|| ApiError::not_leased(format!("license {}", license.id)))?;
        let bitmap = app.live.fold.read(|fold| fold.bitmap(day, license.idx));
        let expected = expected_by_now(day, now, first.max(license.listed_at));
        (bitmap.count(), expected, bitmap, DayBitmap::EMPTY)
    };
    let leases = db::lease::granted_before(&mut conn, license.idx, day.end(), LEASES).await?;
    drop(conn);
    // Of the day before yesterday the fold knows nothing.
    let is_kept = day.next() >= now.day();
    let carried = is_kept.then(|| app.live.fold.read(|fold| fold.carried(day, license.idx)));
    let passed = passed(day, now);
    // The running minute and the one before may still be credited.
    let to = if closed || passed == MINUTES_PER_DAY { passed } else { passed.saturating_sub(2) };
    let missing = missing(&Facts {
        day,
        minutes: passed.saturating_sub(expected)..to,
        credited: &bitmap,
        excused: &excused,
        carried: carried.as_ref(),
        leases: &leases,
    });
    Ok(LicenseDay { license: license.id, day, closed, minutes, expected, bitmap, missing })
}

async fn known(conn: &mut PgConnection, id: &LicenseId) -> ApiResult<LicenseRow> {
    let license = db::license::by_hash(conn, id.hash()).await?;
    license.ok_or_else(|| ApiError::unknown_license(format!("no license {id} is known")))
}

/// Minutes of a day that have begun: of one that waits for its close, all of them.
fn passed(day: UtcDay, now: Timestamp) -> u16 {
    match day.cmp(&now.day()) {
        Ordering::Less => MINUTES_PER_DAY,
        Ordering::Equal => now.minute().of_day() + 1,
        Ordering::Greater => 0,
    }
}

/// How many of an open day's minutes were expected up to now.
fn expected_by_now(day: UtcDay, now: Timestamp, since: Timestamp) -> u16 {
    passed(day, now).saturating_sub(expected_from(day, since))
}

/// Most days of one answer.
const MOST_DAYS: u32 = KEPT_DAYS;

/// Which days.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DaysQuery {
    /// The first day [default: a year before the last].
    #[param(value_type = Option<String>)]
    from: Option<UtcDay>,
    /// The last day [default: today].
    #[param(value_type = Option<String>)]
    to: Option<UtcDay>,
}

/// One license's days in numbers, 400 at most.
#[utoipa::path(get, path = "/v1/licenses/{collection}/{token_id}/uptime", tag = "uptime",
    operation_id = "getLicenseDays",
    params(("collection" = String, Path), ("token_id" = String, Path), DaysQuery),
    responses(
        (status = 200, description = "The days.", body = LicenseDays),
        (status = 304, description = "The days of the ETag in `If-None-Match`, unchanged.")))]
pub(crate) async fn license_days(
    State(app): State<AppState>,
    path: Result<Path<(Address, TokenId)>, PathRejection>,
    query: Result<Query<DaysQuery>, QueryRejection>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let (Path((collection, token)), Query(query)) = (path?, query?);
    let chain_id = app.domain.chain_id();
    let license = LicenseId { chain_id, collection, token_id: token.0 };
    let days = days_of(&app, &license, &query).await?;
    Ok(cached::json(&headers, &days)?)
}

async fn days_of(app: &App, id: &LicenseId, query: &DaysQuery) -> ApiResult<LicenseDays> {
    let now = app.clock.now();
    let to = query.to.unwrap_or_else(|| now.day());
    let from = query.from.unwrap_or(UtcDay(to.0.saturating_sub(364)));
    if from > to || to.0 - from.0 >= MOST_DAYS {
        return Err(ApiError::bad_request(format!(
            "from {from} to {to} is not 1 to {MOST_DAYS} days: ask for fewer at a time"
        )));
    }
    let to = to.min(now.day());
    let mut conn = app.pool.acquire().await?;
    let license = known(&mut conn, id).await?;
    let closed = db::uptime_count::of_license(&mut conn, license.idx, from, to).await?;
    let mut days: Vec<DayCount> =
        closed.into_iter().map(|(day, counts)| DayCount { day, closed: true, counts }).collect();
    let open = db::day::open_before(&mut conn, to.next()).await?;
    drop(conn);
    for day in open.into_iter().filter(|day| *day >= from) {
        let minutes = app.live.fold.read(|fold| fold.bitmap(day, license.idx)).count();
        let since = license.first_leased.map(|first| first.max(license.listed_at));
        let expected = since.map_or(0, |since| expected_by_now(day, now, since));
        let counts = Some(MinuteCounts { minutes, expected, excused: 0 });
        days.push(DayCount { day, closed: false, counts });
    }
    days.sort_by_key(|count| count.day);
    Ok(LicenseDays { license: license.id, days })
}

/// A license's row of a closed day. The file may have millions: one at a time for each project, and
/// away from other requests.
async fn closed_row(
    app: &App,
    project: Address,
    license: LicenseIndex,
    day: UtcDay,
) -> ApiResult<Option<UptimeRow>> {
    let _turn = app.live.reading.wait(project).await;
    let mut conn = app.pool.acquire().await?;
    let csv = db::day::uptime_csv(&mut conn, project, day).await?.unwrap_or_default();
    drop(conn);
    let start = format!("{},", license.0).into_bytes();
    let looking = tokio::task::spawn_blocking(move || {
        let mut lines = csv.split_inclusive(|byte| *byte == b'\n');
        let header = lines.next().unwrap_or_default();
        let Some(line) = lines.find(|line| line.starts_with(&start)) else { return Ok(Vec::new()) };
        parse_file::<UptimeRow>(&[header, line].concat())
    });
    let rows = looking.await.context("looking for a license's row")?;
    Ok(rows.map_err(anyhow::Error::from)?.pop())
}

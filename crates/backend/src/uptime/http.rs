//! Routes of the uptime stage: days, closed files, and one license's current day.

use anyhow::Context as _;
use axum::extract::rejection::PathRejection;
use axum::extract::{Json, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use nodesys_core::Address;
use nodesys_core::api::{DayView, LicenseDay};
use nodesys_core::files::{UptimeRow, parse_file};
use nodesys_core::ids::LicenseIndex;
use nodesys_core::license::LicenseId;
use nodesys_core::time::{MINUTES_PER_DAY, UtcDay};
use nodesys_core::uptime::ClosedUptime;

use super::expected::expected_from;
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

async fn day_of(app: &App, id: &LicenseId, day: UtcDay) -> ApiResult<LicenseDay> {
    let mut conn = app.pool.acquire().await?;
    let license = db::license::by_hash(&mut conn, id.hash())
        .await?
        .ok_or_else(|| ApiError::unknown_license(format!("no license {id} is known")))?;
    let project = db::listing::project_on(&mut conn, id.collection, day).await?;
    let project = project.ok_or_else(|| {
        ApiError::not_leased(format!("on {day}: no project lists its collection then"))
    })?;
    if db::day::has_file(&mut conn, project, day).await? {
        drop(conn);
        let row = closed_row(app, project, license.idx, day).await?;
        let row = row.ok_or_else(|| ApiError::not_leased(format!("on or before {day}")))?;
        return Ok(LicenseDay {
            license: license.id,
            day,
            closed: true,
            minutes: row.minutes,
            expected: row.expected,
            bitmap: row.bitmap,
        });
    }
    let first = license
        .first_leased
        .ok_or_else(|| ApiError::not_leased(format!("license {}", license.id)))?;
    let bitmap = app.live.fold.read(|fold| fold.bitmap(day, license.idx));
    let now = app.clock.now();
    // Of the present day, what has passed; of a day that waits for its close, all of it.
    let passed = if day == now.day() { now.minute().of_day() + 1 } else { MINUTES_PER_DAY };
    let from = expected_from(day, first.max(license.listed_at));
    Ok(LicenseDay {
        license: license.id,
        day,
        closed: false,
        minutes: bitmap.count(),
        expected: passed.saturating_sub(from),
        bitmap,
    })
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

//! Points: the project's signer uploads the day's `points.csv`; the backend computes the day from
//! it and answers with its own commit, or with the first wrong row.

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Json, Path, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nodesys_core::B256;
use nodesys_core::api::PointsChecked;
use nodesys_core::bundle::DayBundle;
use nodesys_core::files::{RewardRow, Row};
use nodesys_core::keccak256;
use nodesys_core::message::{Domain, Message, PointsUpload};
use nodesys_core::signature::WalletSignature;
use nodesys_core::time::UtcDay;
use serde::Deserialize;

use crate::day::{self, Upload};
use crate::db::project::ProjectRow;
use crate::error::{ApiError, ApiResult};
use crate::limits::FILE_BODY;
use crate::params::ProjectRef;
use crate::state::{App, AppState};
use crate::{cached, chain, db};

/// The query of an upload.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct UploadQuery {
    /// base64url (no padding) of the canonical JSON of the day's terms.
    terms: String,
    /// Hash of the body: the signature is checked before the body is read.
    #[param(value_type = String)]
    points_hash: B256,
    /// The reward signer's signature over `PointsUpload`.
    #[param(value_type = String)]
    signature: WalletSignature,
}

/// Uploads the day's points; the answer is the commit that the backend computes from them.
#[utoipa::path(put, path = "/v1/points/{project}/{day}", tag = "points",
    operation_id = "uploadPoints",
    params(("project" = String, Path), ("day" = String, Path), UploadQuery),
    request_body(content = String, content_type = "text/csv"),
    responses((status = 200,
        description = "The commit that the backend computes from the file.", body = PointsChecked)))]
pub(crate) async fn upload(
    State(app): State<AppState>,
    path: Result<Path<(ProjectRef, UtcDay)>, PathRejection>,
    query: Result<Query<UploadQuery>, QueryRejection>,
    body: Body,
) -> ApiResult<Json<PointsChecked>> {
    let (Path((project, day)), Query(query)) = (path?, query?);
    let project = project.find_in(&app).await?;
    accept(&app, &project, day, query, body).await.map(Json)
}

/// The points file last uploaded.
#[utoipa::path(get, path = "/v1/points/{project}/{day}", tag = "points", operation_id = "getPoints",
    params(("project" = String, Path), ("day" = String, Path)),
    responses((status = 200, description = "The file.", content_type = "text/csv", body = String)))]
pub(crate) async fn show(
    State(app): State<AppState>,
    path: Result<Path<(ProjectRef, UtcDay)>, PathRejection>,
) -> ApiResult<Response> {
    let Path((project, day)) = path?;
    let mut conn = app.pool.acquire().await?;
    let project = project.find(&mut conn).await?;
    let row = db::points::of_day(&mut conn, project.project, day).await?;
    let row = row.ok_or_else(|| missing(&project, day))?;
    Ok(([(header::CONTENT_TYPE, "text/csv")], row.csv).into_response())
}

/// The backend's own `rewards.csv` for the points file last uploaded.
#[utoipa::path(get, path = "/v1/points/{project}/{day}/rewards", tag = "points",
    operation_id = "previewRewards", params(("project" = String, Path), ("day" = String, Path)),
    responses((status = 200, description = "The file.", content_type = "text/csv", body = String)))]
pub(crate) async fn rewards(
    State(app): State<AppState>,
    path: Result<Path<(ProjectRef, UtcDay)>, PathRejection>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let Path((project, day)) = path?;
    let project = project.find_in(&app).await?;
    // Once committed they are a file of the bundle, which does not change.
    let committed = {
        let mut conn = app.pool.acquire().await?;
        db::commit::accepted(&mut conn, project.project, day).await?
    };
    if let Some(committed) = committed {
        let commit = committed.commit.struct_hash();
        let tag = cached::tag(&format!("{commit}-{}", RewardRow::FILE));
        if let Some(same) = cached::same(&headers, &tag) {
            return Ok(same);
        }
        let mut conn = app.pool.acquire().await?;
        let csv = db::commit::file(&mut conn, project.project, commit, RewardRow::FILE).await?;
        let csv = csv.ok_or_else(|| missing(&project, day))?;
        return Ok(cached::file("text/csv", tag, csv));
    }
    let (key, built) =
        day::compute_stored(&app, &project, day).await?.ok_or_else(|| missing(&project, day))?;
    let tag = cached::tag(&key.to_string());
    if let Some(same) = cached::same(&headers, &tag) {
        return Ok(same);
    }
    Ok(cached::file("text/csv", tag, built.files[RewardRow::FILE].clone()))
}

fn missing(project: &ProjectRow, day: UtcDay) -> ApiError {
    ApiError::not_found(format!("no points were uploaded for {} on {day}", project.name))
}

async fn accept(
    app: &App,
    project: &ProjectRow,
    day: UtcDay,
    query: UploadQuery,
    body: Body,
) -> ApiResult<PointsChecked> {
    let UploadQuery { terms, points_hash, signature } = query;
    let terms = URL_SAFE_NO_PAD
        .decode(&terms)
        .map_err(|_| ApiError::bad_request("terms: not base64url without padding"))?;
    let domain = Domain::new(app.domain.chain_id(), project.project);
    let message = PointsUpload { epoch: day.epoch(), points_hash, terms_hash: keccak256(&terms) };
    let digest = message.digest(&domain);
    chain::precheck_reward_signer(app, project.project, digest, &signature).await?;
    chain::verify_reward_signer(&app.chain, project.project, digest, &signature).await?;
    // The signer's own uploads wait for one another, before their bodies are read.
    let _turn = app.live.work.wait(project.project).await;
    let csv = axum::body::to_bytes(body, FILE_BODY).await.map_err(|error| {
        ApiError::too_large(format!("the body must end within {FILE_BODY} bytes: {error}"))
    })?;
    let upload = Upload::read(terms, csv.into(), signature, Some(points_hash)).await?;
    let upload = &upload;
    let built = day::compute(app, project, day, upload).await?;
    let mut conn = app.pool.acquire().await?;
    if let Some(accepted) = db::commit::accepted(&mut conn, project.project, day).await?
        && accepted.commit != built.commit
    {
        return Err(ApiError::committed(format!(
            "{day} was committed with other points: a commit is replaced only after it is revoked"
        )));
    }
    db::points::store(&mut conn, project.project, day, &upload.row, app.clock.now()).await?;
    app.live.uploads.forget(project.project);
    Ok(checked(&built))
}

fn checked(built: &DayBundle) -> PointsChecked {
    PointsChecked {
        commit: built.commit.clone(),
        allocated: built.bundle.totals.allocated,
        carry_out: built.bundle.carry_out,
    }
}

//! Points: the project's signer uploads the day's `points.csv`; the backend computes the day from
//! it and answers with its own commit, or with the first wrong row.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Json, Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nodesys_core::api::PointsChecked;
use nodesys_core::bundle::DayBundle;
use nodesys_core::files::{RewardRow, Row};
use nodesys_core::message::{Domain, Message};
use nodesys_core::signature::WalletSignature;
use nodesys_core::time::UtcDay;
use serde::Deserialize;

use crate::day::{self, Upload};
use crate::db::project::ProjectRow;
use crate::error::{ApiError, ApiResult};
use crate::params::ProjectRef;
use crate::state::{App, AppState};
use crate::{chain, db};

/// Largest points file: some three million licenses.
pub(crate) const FILE_LIMIT: usize = 64 * 1024 * 1024;

/// The query of an upload.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct UploadQuery {
    /// base64url (no padding) of the canonical JSON of the day's terms.
    terms: String,
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
    body: Result<Bytes, BytesRejection>,
) -> ApiResult<Json<PointsChecked>> {
    let (Path((project, day)), Query(query), body) = (path?, query?, body?);
    let terms = URL_SAFE_NO_PAD
        .decode(&query.terms)
        .map_err(|_| ApiError::bad_request("terms: not base64url without padding"))?;
    let upload = Upload::read(terms, body.into(), query.signature)?;
    let project = project.find_in(&app).await?;
    accept(&app, &project, day, &upload).await.map(Json)
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
    let project = project.find_in(&app).await?;
    let upload =
        Upload::stored(&app, &project, day).await?.ok_or_else(|| missing(&project, day))?;
    Ok(([(header::CONTENT_TYPE, "text/csv")], upload.row.csv).into_response())
}

/// The backend's own `rewards.csv` for the points file last uploaded.
#[utoipa::path(get, path = "/v1/points/{project}/{day}/rewards", tag = "points",
    operation_id = "previewRewards", params(("project" = String, Path), ("day" = String, Path)),
    responses((status = 200, description = "The file.", content_type = "text/csv", body = String)))]
pub(crate) async fn rewards(
    State(app): State<AppState>,
    path: Result<Path<(ProjectRef, UtcDay)>, PathRejection>,
) -> ApiResult<Response> {
    let Path((project, day)) = path?;
    let project = project.find_in(&app).await?;
    let upload =
        Upload::stored(&app, &project, day).await?.ok_or_else(|| missing(&project, day))?;
    let built = day::compute(&app, &project, day, &upload).await?;
    let csv = built.files[RewardRow::FILE].clone();
    Ok(([(header::CONTENT_TYPE, "text/csv")], csv).into_response())
}

fn missing(project: &ProjectRow, day: UtcDay) -> ApiError {
    ApiError::not_found(format!("no points were uploaded for {} on {day}", project.name))
}

async fn accept(
    app: &App,
    project: &ProjectRow,
    day: UtcDay,
    upload: &Upload,
) -> ApiResult<PointsChecked> {
    let domain = Domain::new(app.domain.chain_id(), project.project);
    let digest = upload.message(day).digest(&domain);
    chain::verify_reward_signer(&app.chain, project.project, digest, upload.signature()).await?;
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
    Ok(checked(&built))
}

fn checked(built: &DayBundle) -> PointsChecked {
    PointsChecked {
        commit: built.commit.clone(),
        allocated: built.bundle.totals.allocated,
        carry_out: built.bundle.carry_out,
    }
}

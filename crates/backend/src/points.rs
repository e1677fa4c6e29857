//! Points: the project's signer uploads the day's `points.csv`; the backend computes the day from
//! it and answers with its own commit, or with the first row that does not hold.

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Json, Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nodesys_core::api::PointsChecked;
use nodesys_core::bundle::{DayBundle, Terms, canonical_json};
use nodesys_core::files::{PointsRow, RewardRow, Row, first_difference, parse_file, write_file};
use nodesys_core::keccak256;
use nodesys_core::message::{Domain, Message, PointsUpload};
use nodesys_core::signature::WalletSignature;
use nodesys_core::time::UtcDay;
use serde::Deserialize;
use sqlx::PgConnection;

use crate::app::{App, AppState};
use crate::commit;
use crate::error::{ApiError, ApiResult};
use crate::project::{self, ProjectRef, ProjectRow};
use crate::sql;

/// Largest points file: some three million licenses.
const FILE_LIMIT: usize = 64 * 1024 * 1024;

/// The stage's routes, below `/v1`.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route(
            "/points/{project}/{day}",
            put(upload).get(show).layer(DefaultBodyLimit::max(FILE_LIMIT)),
        )
        .route("/points/{project}/{day}/rewards", get(rewards))
}

/// The query of an upload.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(crate) struct UploadQuery {
    /// base64url (no padding) of the canonical JSON of the day's terms.
    terms: String,
    /// The reward signer's signature over `PointsUpload`.
    #[param(value_type = String)]
    signature: WalletSignature,
}

/// Uploads the day's points; the answer is the commit that the backend computes from them.
#[utoipa::path(put, path = "/v1/points/{project}/{day}", tag = "points",
    params(("project" = String, Path), ("day" = String, Path), UploadQuery),
    request_body(content = String, content_type = "text/csv"),
    responses((status = 200, body = PointsChecked)))]
pub(crate) async fn upload(
    State(app): State<AppState>,
    path: Result<Path<(ProjectRef, UtcDay)>, PathRejection>,
    query: Result<Query<UploadQuery>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> ApiResult<Json<PointsChecked>> {
    let (Path((project, day)), Query(query), body) = (path?, query?, body?);
    let upload = Upload::parse(&query, &body)?;
    let project = project::find(&app, &project).await?;
    accept(&app, &project, day, &upload).await.map(Json)
}

/// The points file last uploaded.
#[utoipa::path(get, path = "/v1/points/{project}/{day}", tag = "points",
    params(("project" = String, Path), ("day" = String, Path)),
    responses((status = 200, content_type = "text/csv", body = String)))]
pub(crate) async fn show(
    State(app): State<AppState>,
    path: Result<Path<(ProjectRef, UtcDay)>, PathRejection>,
) -> ApiResult<Response> {
    let Path((project, day)) = path?;
    let project = project::find(&app, &project).await?;
    let upload = stored(&app, &project, day).await?.ok_or_else(|| missing(&project, day))?;
    Ok(([(header::CONTENT_TYPE, "text/csv")], upload.csv).into_response())
}

/// The backend's own `rewards.csv` for the points file last uploaded.
#[utoipa::path(get, path = "/v1/points/{project}/{day}/rewards", tag = "points",
    params(("project" = String, Path), ("day" = String, Path)),
    responses((status = 200, content_type = "text/csv", body = String)))]
pub(crate) async fn rewards(
    State(app): State<AppState>,
    path: Result<Path<(ProjectRef, UtcDay)>, PathRejection>,
) -> ApiResult<Response> {
    let Path((project, day)) = path?;
    let project = project::find(&app, &project).await?;
    let upload = stored(&app, &project, day).await?.ok_or_else(|| missing(&project, day))?;
    let built = commit::compute_day(&app, &project, day, &upload).await?;
    let csv = built.files[RewardRow::FILE].clone();
    Ok(([(header::CONTENT_TYPE, "text/csv")], csv).into_response())
}

fn missing(project: &ProjectRow, day: UtcDay) -> ApiError {
    ApiError::not_found(format!("no points were uploaded for {} on {day}", project.name))
}

/// An uploaded points file with its terms.
pub(crate) struct Upload {
    pub(crate) terms: Terms,
    terms_json: Vec<u8>,
    pub(crate) points: Vec<PointsRow>,
    csv: Vec<u8>,
    signature: WalletSignature,
}

impl Upload {
    fn parse(query: &UploadQuery, csv: &[u8]) -> ApiResult<Self> {
        let terms_json = URL_SAFE_NO_PAD
            .decode(&query.terms)
            .map_err(|_| ApiError::bad_request("terms: not base64url without padding"))?;
        Self::read(terms_json, csv, query.signature.clone())
    }

    fn read(terms_json: Vec<u8>, csv: &[u8], signature: WalletSignature) -> ApiResult<Self> {
        let terms: Terms = serde_json::from_slice(&terms_json)
            .map_err(|error| ApiError::bad_request(format!("terms: {error}")))?;
        if canonical_json(&terms) != terms_json {
            return Err(ApiError::bad_request("terms: not RFC 8785 canonical JSON"));
        }
        let points = parse_file(csv).map_err(ApiError::points_invalid)?;
        Ok(Self { terms, terms_json, points, csv: csv.to_vec(), signature })
    }

    fn message(&self, day: UtcDay) -> PointsUpload {
        PointsUpload {
            epoch: day.epoch(),
            points_hash: keccak256(&self.csv),
            terms_hash: keccak256(&self.terms_json),
        }
    }
}

async fn accept(
    app: &App,
    project: &ProjectRow,
    day: UtcDay,
    upload: &Upload,
) -> ApiResult<PointsChecked> {
    let domain = Domain::new(app.domain.chain_id(), project.project);
    let digest = upload.message(day).digest(&domain);
    commit::verify_signer(app, project.project, digest, &upload.signature).await?;
    let built = commit::compute_day(app, project, day, upload).await?;
    let mut conn = app.pool.acquire().await?;
    if let Some(accepted) = commit::accepted(&mut conn, project.project, day).await?
        && accepted.commit != built.commit
    {
        return Err(ApiError::committed(format!(
            "{day} was committed with other points: a commit is replaced only after it is revoked"
        )));
    }
    store(app, &mut conn, project, day, upload).await?;
    Ok(checked(&built))
}

fn checked(built: &DayBundle) -> PointsChecked {
    PointsChecked {
        commit: built.commit.clone(),
        allocated: built.bundle.totals.allocated,
        carry_out: built.bundle.carry_out,
    }
}

/// The problem of a points row, with the row that the rule gives where the rule decides.
pub(crate) fn problem(
    error: &nodesys_core::bundle::BundleError,
    input: &nodesys_core::bundle::DayInput,
) -> ApiError {
    let refused = ApiError::points_invalid(error);
    let by_rule = input.terms.rule.points(&input.uptime, input.closed.excused);
    let difference = by_rule.and_then(|rows| {
        let (given, computed) = (write_file(&input.points), write_file(&rows));
        first_difference(PointsRow::FILE, given.as_bytes(), computed.as_bytes())
    });
    match difference {
        Some(difference) => refused.with_difference(difference),
        None => refused,
    }
}

async fn store(
    app: &App,
    conn: &mut PgConnection,
    project: &ProjectRow,
    day: UtcDay,
    upload: &Upload,
) -> anyhow::Result<()> {
    sqlx::query!(
        "insert into points_upload (project, day, terms, csv, signature, uploaded_at)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (project, day) do update set
            terms = excluded.terms, csv = excluded.csv, signature = excluded.signature,
            uploaded_at = excluded.uploaded_at",
        project.project.as_slice() as _,
        i32::try_from(day.0)?,
        upload.terms_json,
        upload.csv,
        upload.signature.as_bytes().as_ref(),
        sql::signed(app.clock.now().millis())? as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The last upload of a day.
pub(crate) async fn stored(
    app: &App,
    project: &ProjectRow,
    day: UtcDay,
) -> ApiResult<Option<Upload>> {
    let mut conn = app.pool.acquire().await?;
    let row = sqlx::query!(
        r#"select terms as "terms!", csv as "csv!", signature as "signature!"
           from points_upload where project = $1 and day = $2"#,
        project.project.as_slice() as _,
        i32::try_from(day.0).map_err(anyhow::Error::from)?
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let signature = WalletSignature::new(row.signature.into())
        .ok_or_else(|| anyhow::anyhow!("a stored signature is too long"))?;
    Upload::read(row.terms, &row.csv, signature).map(Some)
}

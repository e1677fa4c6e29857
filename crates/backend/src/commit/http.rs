//! Routes of the commit stage: commits and the files of their bundles.

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Json, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use nodesys_core::api::{CommitRequest, CommitView};
use nodesys_core::message::Message;
use nodesys_core::time::UtcDay;

use super::accept::{accept, view};
use crate::error::{ApiError, ApiResult};
use crate::params::{FileName, ProjectRef};
use crate::state::AppState;
use crate::{cached, db};

/// Takes a signed commit if it equals the backend's own computation.
#[utoipa::path(post, path = "/v1/commits", tag = "commit", operation_id = "submitCommit",
    request_body = CommitRequest,
    responses((status = 200,
        description = "The commit as it was accepted. The same commit may be sent again.", body = CommitView)))]
pub(crate) async fn take(
    State(app): State<AppState>,
    body: Result<Json<CommitRequest>, JsonRejection>,
) -> ApiResult<Json<CommitView>> {
    let Json(request) = body?;
    accept(&app, &request).await.map(Json)
}

/// A day's commit.
#[utoipa::path(get, path = "/v1/commits/{project}/{day}", tag = "commit",
    operation_id = "getCommit", params(("project" = String, Path), ("day" = String, Path)),
    responses((status = 200, description = "The commit.", body = CommitView)))]
pub(crate) async fn show(
    State(app): State<AppState>,
    path: Result<Path<(ProjectRef, UtcDay)>, PathRejection>,
) -> ApiResult<Json<CommitView>> {
    let Path((project, day)) = path?;
    let mut conn = app.pool.acquire().await?;
    let project = project.find(&mut conn).await?;
    let stored = db::commit::accepted(&mut conn, project.project, day).await?;
    drop(conn);
    let stored = stored.ok_or_else(|| ApiError::not_found(format!("{day} has no commit")))?;
    view(&app, &stored).await.map(Json)
}

/// A file of a day's bundle.
#[utoipa::path(get, path = "/v1/bundles/{project}/{day}/{file}", tag = "commit",
    operation_id = "getBundleFile",
    params(("project" = String, Path), ("day" = String, Path), ("file" = String, Path)),
    responses((status = 200, description = "The file's bytes, as their hash was committed.",
        content_type = "application/octet-stream", body = Vec<u8>)))]
pub(crate) async fn bundle_file(
    State(app): State<AppState>,
    path: Result<Path<(ProjectRef, UtcDay, FileName)>, PathRejection>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let Path((project, day, FileName(name))) = path?;
    let mut conn = app.pool.acquire().await?;
    let project = project.find(&mut conn).await?;
    let missing = || ApiError::not_found(format!("no file {name:.40?} of {day}"));
    let stored =
        db::commit::accepted(&mut conn, project.project, day).await?.ok_or_else(missing)?;
    let hash = stored.commit.struct_hash();
    // A file of a commit never changes.
    let tag = cached::tag(&format!("{hash}-{name}"));
    if let Some(same) = cached::same(&headers, &tag) {
        return Ok(same);
    }
    let bytes =
        db::commit::file(&mut conn, project.project, hash, &name).await?.ok_or_else(missing)?;
    let kind = if name.ends_with(".json") { "application/json" } else { "text/csv" };
    Ok(cached::file(kind, tag, bytes))
}

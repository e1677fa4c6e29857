//! Roots: accepted commits are posted to their distributors through the outbox.
//!
//! A row goes through `queued -> signed -> (sent)* -> done`. The signed bytes are committed to the
//! row before they are sent; after a crash the same bytes are sent again, and the chain executes
//! them once. Anyone may post a commit: finding it posted is success.

mod badge;
mod limits;
mod poster;
mod step;

use axum::extract::rejection::PathRejection;
use axum::extract::{Json, Path, State};
use nodesys_core::api::CommitView;

use crate::db;
use crate::error::ApiResult;
use crate::params::ProjectRef;
use crate::state::AppState;

pub(crate) use badge::*;
pub use limits::PostLimits;
pub(crate) use poster::Poster;

/// All commits of a project with their state, oldest first.
#[utoipa::path(get, path = "/v1/roots/{project}", tag = "root", operation_id = "listRoots",
    params(("project" = String, Path)),
    responses((status = 200, description = "The commits, oldest first.", body = Vec<CommitView>)))]
pub(crate) async fn list(
    State(app): State<AppState>,
    path: Result<Path<ProjectRef>, PathRejection>,
) -> ApiResult<Json<Vec<CommitView>>> {
    let Path(project) = path?;
    let now = app.chain_secs().await?;
    let mut conn = app.pool.acquire().await?;
    let project = project.find(&mut conn).await?;
    let all = db::commit::of_project(&mut conn, project.project).await?;
    Ok(Json(all.iter().map(|stored| stored.view(now)).collect()))
}

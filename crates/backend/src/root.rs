//! Roots: accepted commits are posted to their distributors through the outbox.
//!
//! A row walks `queued -> signed -> (sent)* -> done`. The signed bytes are in the row, committed,
//! before they are sent; after a crash the same bytes are sent again, which a chain takes once.
//! Anyone may post a commit: finding it posted is success.

mod outbox;
mod poster;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Json, Path, State};
use axum::routing::get;
use nodesys_core::api::CommitView;

use crate::app::AppState;
use crate::commit;
use crate::error::ApiResult;
use crate::project::{self, ProjectRef};

pub(crate) use poster::Poster;

/// The stage's routes, below `/v1`.
pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/roots/{project}", get(list))
}

/// All commits of a project with their state, oldest first.
#[utoipa::path(get, path = "/v1/roots/{project}", tag = "root",
    params(("project" = String, Path)), responses((status = 200, body = Vec<CommitView>)))]
pub(crate) async fn list(
    State(app): State<AppState>,
    path: Result<Path<ProjectRef>, PathRejection>,
) -> ApiResult<Json<Vec<CommitView>>> {
    let Path(project) = path?;
    let now = app.chain_secs().await?;
    let mut conn = app.pool.acquire().await?;
    let project = project::resolve(&mut conn, &project).await?;
    let all = commit::of_project(&mut conn, project.project).await?;
    Ok(Json(all.iter().map(|stored| stored.view(now)).collect()))
}

//! Projects in the mirror, by name or by their distributor's address.

use axum::extract::rejection::PathRejection;
use axum::extract::{Json, Path, State};
use nodesys_core::api::Network;

use crate::db;
use crate::db::project::ProjectRow;
use crate::error::ApiResult;
use crate::params::ProjectRef;
use crate::state::AppState;

/// The facts that a client must share before it signs anything.
#[utoipa::path(get, path = "/v1/network", tag = "project", operation_id = "getNetwork",
    responses((status = 200, description = "The chain,
        the registry and the receipt key of this backend.", body = Network)))]
pub(crate) async fn network(State(app): State<AppState>) -> Json<Network> {
    Json(Network {
        chain_id: app.domain.chain_id(),
        registry: app.domain.verifying_contract(),
        receipt_key: app.receipt_key.address(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        now_millis: app.clock.now().millis(),
    })
}

/// All projects.
#[utoipa::path(get, path = "/v1/projects", tag = "project", operation_id = "listProjects",
    responses((status = 200, description = "Every project of the registry,
        as of the newest final block.", body = Vec<ProjectRow>)))]
pub(crate) async fn list(State(app): State<AppState>) -> ApiResult<Json<Vec<ProjectRow>>> {
    let mut conn = app.pool.acquire().await?;
    Ok(Json(db::project::all(&mut conn).await?))
}

/// One project.
#[utoipa::path(get, path = "/v1/projects/{project}", tag = "project", operation_id = "getProject",
    params(("project" = String, Path)),
    responses((status = 200, description = "The project.", body = ProjectRow)))]
pub(crate) async fn show(
    State(app): State<AppState>,
    path: Result<Path<ProjectRef>, PathRejection>,
) -> ApiResult<Json<ProjectRow>> {
    let Path(project) = path?;
    project.find_in(&app).await.map(Json)
}

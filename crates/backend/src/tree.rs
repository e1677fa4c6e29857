//! Trees: proofs served from one stored value per tree, by offset.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Json, Path, Query, State};
use nodesys_core::Address;
use nodesys_core::api::ProofView;
use nodesys_core::message::Message;
use nodesys_core::time::UtcDay;
use serde::Deserialize;

use crate::db;
use crate::error::{ApiError, ApiResult};
use crate::params::ProjectRef;
use crate::state::{App, AppState};

/// Which tree.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProofQuery {
    /// The day of the tree [default: the newest active one].
    #[param(value_type = Option<String>)]
    day: Option<UtcDay>,
}

/// An account's proof.
#[utoipa::path(get, path = "/v1/proofs/{project}/{account}", tag = "tree",
    operation_id = "getProof",
    params(("project" = String, Path), ("account" = String, Path), ProofQuery),
    responses((status = 200, description = "The proof.", body = ProofView)))]
pub(crate) async fn show(
    State(app): State<AppState>,
    path: Result<Path<(ProjectRef, Address)>, PathRejection>,
    query: Result<Query<ProofQuery>, QueryRejection>,
) -> ApiResult<Json<ProofView>> {
    let (Path((project, account)), Query(query)) = (path?, query?);
    proof(&app, &project, account, query.day).await.map(Json)
}

async fn proof(
    app: &App,
    project: &ProjectRef,
    account: Address,
    day: Option<UtcDay>,
) -> ApiResult<ProofView> {
    let now = app.chain_secs().await?;
    let mut conn = app.pool.acquire().await?;
    let project = project.find(&mut conn).await?;
    let stored = match day {
        Some(day) => db::commit::accepted(&mut conn, project.project, day).await?,
        None => db::commit::newest_active(&mut conn, project.project, now).await?,
    };
    let stored = stored.ok_or_else(|| {
        ApiError::not_found("no commit of the project is active yet; ask for a day with ?day=")
    })?;
    let hash = stored.commit.struct_hash();
    let found = db::tree::proof(&mut conn, project.project, hash, account).await?;
    let found = found.ok_or_else(|| {
        ApiError::not_found(format!("{account} has earned nothing up to {}", stored.day))
    })?;
    let view = stored.view(now);
    Ok(ProofView {
        project: project.project,
        day: stored.day,
        root: stored.commit.root,
        account,
        cumulative: found.cumulative,
        path: found.path,
        state: view.state,
    })
}

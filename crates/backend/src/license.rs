//! Licenses in the mirror: ownership by final blocks.

use axum::extract::rejection::PathRejection;
use axum::extract::{Json, Path, State};
use nodesys_core::Address;
use nodesys_core::api::LicenseView;
use nodesys_core::license::LicenseId;

use crate::db;
use crate::error::{ApiError, ApiResult};
use crate::params::TokenId;
use crate::state::{App, AppState};

/// A license as of the newest final block. For its present state, read the chain.
#[utoipa::path(get, path = "/v1/licenses/{collection}/{token_id}", tag = "license",
    operation_id = "getLicense", params(("collection" = String, Path), ("token_id" = String, Path)),
    responses((status = 200, description = "The license.", body = LicenseView)))]
pub(crate) async fn show(
    State(app): State<AppState>,
    path: Result<Path<(Address, TokenId)>, PathRejection>,
) -> ApiResult<Json<LicenseView>> {
    let Path((collection, token)) = path?;
    let id = LicenseId { chain_id: app.domain.chain_id(), collection, token_id: token.0 };
    view(&app, &id).await.map(Json)
}

async fn view(app: &App, id: &LicenseId) -> ApiResult<LicenseView> {
    let mut conn = app.pool.acquire().await?;
    let row = db::license::by_hash(&mut conn, id.hash()).await?.ok_or_else(|| {
        ApiError::unknown_license(format!("no project lists license {id} in a final block"))
    })?;
    let holders = db::license::holders(&mut conn, &[row.idx], u64::MAX).await?.holders;
    let facts = holders.at(id.collection, id.token_id, app.clock.now().secs());
    Ok(LicenseView {
        license: row.id,
        index: row.idx,
        project: row.project,
        workload: row.workload,
        holder: facts.holder,
        rental: facts.rental,
        uncounted: holders.uncounted(id.collection, id.token_id),
    })
}

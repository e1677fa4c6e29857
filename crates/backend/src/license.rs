//! Licenses as the mirror has them: ownership by final blocks.

use axum::extract::rejection::PathRejection;
use axum::extract::{Json, Path, State};
use nodesys_core::Address;
use nodesys_core::ids::{LicenseIndex, Name};
use nodesys_core::license::{LicenseId, Rental};
use serde::Serialize;

use crate::db;
use crate::error::{ApiError, ApiResult};
use crate::params::TokenId;
use crate::state::{App, AppState};

/// `GET /v1/licenses/{collection}/{token_id}`.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct LicenseView {
    license: LicenseId,
    index: LicenseIndex,
    #[schema(value_type = String)]
    project: Address,
    workload: Name,
    /// Its owner by final blocks; null once burnt.
    #[schema(value_type = Option<String>)]
    holder: Option<Address>,
    /// The running rental by final blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    rental: Option<Rental>,
}

/// A license as final blocks have it. For what is true now, read the chain.
#[utoipa::path(get, path = "/v1/licenses/{collection}/{token_id}", tag = "license",
    params(("collection" = String, Path), ("token_id" = String, Path)),
    responses((status = 200, body = LicenseView)))]
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
    let holders = db::license::holders(&mut conn, &[row.idx], u64::MAX).await?;
    let facts = holders.at(id.collection, id.token_id, app.clock.now().secs());
    Ok(LicenseView {
        license: row.id,
        index: row.idx,
        project: row.project,
        workload: row.workload,
        holder: facts.holder,
        rental: facts.rental,
    })
}

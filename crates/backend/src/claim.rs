//! Claims: an account's earned and claimed amounts, project by project.

use axum::extract::rejection::PathRejection;
use axum::extract::{Json, Path, State};
use nodesys_core::Address;
use nodesys_core::api::RewardView;
use nodesys_core::ids::Amount;
use nodesys_core::message::Message;
use nodesys_core::tree::Proof;
use sqlx::PgConnection;

use crate::db;
use crate::db::commit::CommitRow;
use crate::error::ApiResult;
use crate::state::{App, AppState};

/// An account's rewards, project by project.
#[utoipa::path(get, path = "/v1/rewards/{account}", tag = "claim", operation_id = "listRewards",
    params(("account" = String, Path)),
    responses((status = 200,
        description = "One line for each project that has rewards of the account.", body = Vec<RewardView>)))]
pub(crate) async fn show(
    State(app): State<AppState>,
    path: Result<Path<Address>, PathRejection>,
) -> ApiResult<Json<Vec<RewardView>>> {
    let Path(account) = path?;
    rewards(&app, account).await.map(Json)
}

async fn rewards(app: &App, account: Address) -> ApiResult<Vec<RewardView>> {
    let now = app.chain_secs().await?;
    let mut conn = app.pool.acquire().await?;
    let mut views = Vec::new();
    for project in db::project::all(&mut conn).await? {
        let newest = db::commit::newest(&mut conn, project.project).await?;
        let Some(newest) = newest else { continue };
        let found = proof(&mut conn, &newest, account).await?;
        let Some(found) = found else { continue };
        let active = match db::commit::newest_active(&mut conn, project.project, now).await? {
            Some(active) => proof(&mut conn, &active, account).await?,
            None => None,
        };
        views.push(RewardView {
            project: project.project,
            name: project.name,
            day: newest.day,
            cumulative: found.cumulative,
            active: active.map_or(Amount::ZERO, |proof| proof.cumulative),
            claimed: db::claim::claimed(&mut conn, project.project, account).await?,
        });
    }
    Ok(views)
}

async fn proof(
    conn: &mut PgConnection,
    of: &CommitRow,
    account: Address,
) -> anyhow::Result<Option<Proof>> {
    db::tree::proof(conn, of.project, of.commit.struct_hash(), account).await
}

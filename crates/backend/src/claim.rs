//! Claims: what an account has earned and claimed, project by project.

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Json, Path, State};
use axum::routing::get;
use nodesys_core::Address;
use nodesys_core::api::RewardView;
use nodesys_core::ids::Amount;
use nodesys_core::message::Message;
use sqlx::PgConnection;

use crate::app::{App, AppState};
use crate::error::ApiResult;
use crate::{commit, project, sql, tree};

/// The stage's routes, below `/v1`.
pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/rewards/{account}", get(show))
}

/// What an account has earned, in each project that has named it.
#[utoipa::path(get, path = "/v1/rewards/{account}", tag = "claim",
    params(("account" = String, Path)), responses((status = 200, body = Vec<RewardView>)))]
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
    for project in project::all(&mut conn).await? {
        let newest = commit::newest(&mut conn, project.project).await?;
        let Some(newest) = newest else { continue };
        let found = tree::search(&mut conn, newest.commit.struct_hash(), account).await?;
        let Some(found) = found else { continue };
        let active = match commit::newest_active(&mut conn, project.project, now).await? {
            Some(active) => tree::search(&mut conn, active.commit.struct_hash(), account).await?,
            None => None,
        };
        views.push(RewardView {
            project: project.project,
            name: project.name,
            day: newest.day,
            cumulative: found.cumulative,
            active: active.map_or(Amount::ZERO, |proof| proof.cumulative),
            claimed: claimed(&mut conn, project.project, account).await?,
        });
    }
    Ok(views)
}

/// All that final blocks have paid to an account.
async fn claimed(
    conn: &mut PgConnection,
    project: Address,
    account: Address,
) -> anyhow::Result<Amount> {
    let total = sqlx::query_scalar!(
        r#"select coalesce(max(cumulative::numeric), 0)::text as "claimed!"
           from claim where account = $1 and project = $2"#,
        account.as_slice() as _,
        project.as_slice() as _
    )
    .fetch_one(conn)
    .await?;
    sql::amount(&total)
}

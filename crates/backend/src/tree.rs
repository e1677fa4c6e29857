//! Trees: proofs served from one stored value per tree, by offset.

use std::ops::Range;

use axum::Router;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Json, Path, Query, State};
use axum::routing::get;
use nodesys_core::api::ProofView;
use nodesys_core::message::Message;
use nodesys_core::time::UtcDay;
use nodesys_core::tree::{Proof, ProofSearch, Step};
use nodesys_core::{Address, B256};
use serde::Deserialize;
use sqlx::PgConnection;

use crate::app::{App, AppState};
use crate::commit;
use crate::error::{ApiError, ApiResult};
use crate::project::{self, ProjectRef};

/// The stage's routes, below `/v1`.
pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/proofs/{project}/{account}", get(show))
}

/// Which tree.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(crate) struct ProofQuery {
    /// The day of the tree; the newest active one without it.
    #[param(value_type = Option<String>)]
    day: Option<UtcDay>,
}

/// An account's proof.
#[utoipa::path(get, path = "/v1/proofs/{project}/{account}", tag = "tree",
    params(("project" = String, Path), ("account" = String, Path), ProofQuery),
    responses((status = 200, body = ProofView)))]
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
    let project = project::resolve(&mut conn, project).await?;
    let stored = match day {
        Some(day) => commit::accepted(&mut conn, project.project, day).await?,
        None => commit::newest_active(&mut conn, project.project, now).await?,
    };
    let stored = stored.ok_or_else(|| {
        ApiError::not_found("no commit of the project is active yet; ask for a day with ?day=")
    })?;
    let found =
        search(&mut conn, stored.commit.struct_hash(), account).await?.ok_or_else(|| {
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

/// An account's proof in a commit's tree: some reads by offset, whatever the tree's size.
pub(crate) async fn search(
    conn: &mut PgConnection,
    commit: B256,
    account: Address,
) -> anyhow::Result<Option<Proof>> {
    let mut search = ProofSearch::new(account);
    let mut read = Vec::new();
    loop {
        match search.step(&read)? {
            Step::Found(proof) => return Ok(Some(proof)),
            Step::Absent => return Ok(None),
            Step::Read(ranges) => read = read_ranges(conn, commit, &ranges).await?,
        }
    }
}

async fn read_ranges(
    conn: &mut PgConnection,
    commit: B256,
    ranges: &[Range<usize>],
) -> anyhow::Result<Vec<Vec<u8>>> {
    // SQL counts bytes from 1.
    let from: Vec<i32> =
        ranges.iter().map(|range| i32::try_from(range.start + 1)).collect::<Result<_, _>>()?;
    let length: Vec<i32> =
        ranges.iter().map(|range| i32::try_from(range.len())).collect::<Result<_, _>>()?;
    Ok(sqlx::query_scalar!(
        r#"select substring(t.bytes from r.start for r.length) as "bytes!"
           from tree t, unnest($2::integer[], $3::integer[]) with ordinality as r (start, length, place)
           where t.commit_hash = $1 order by r.place"#,
        commit.as_slice() as _,
        &from,
        &length
    )
    .fetch_all(conn)
    .await?)
}

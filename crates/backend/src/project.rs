//! Projects as the mirror knows them, by name or by their distributor's address.

use std::str::FromStr;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Json, Path, State};
use axum::routing::get;
use nodesys_core::Address;
use nodesys_core::api::Network;
use nodesys_core::ids::Name;
use nodesys_core::time::UtcDay;
use serde::{Deserialize, Deserializer, Serialize};
use sqlx::PgConnection;

use crate::app::{App, AppState};
use crate::error::{ApiError, ApiResult};
use crate::sql;

/// The routes, below `/v1`.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/network", get(network))
        .route("/projects", get(list))
        .route("/projects/{project}", get(show))
}

/// A project in a path: its name, or its distributor's address.
#[derive(Debug, Clone)]
pub(crate) enum ProjectRef {
    Name(Name),
    Address(Address),
}

impl<'de> Deserialize<'de> for ProjectRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match Address::from_str(&text) {
            Ok(address) if text.starts_with("0x") => Ok(Self::Address(address)),
            _ => text.parse().map(Self::Name).map_err(serde::de::Error::custom),
        }
    }
}

/// A project.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct ProjectRow {
    /// Its distributor: its id.
    #[schema(value_type = String)]
    pub(crate) project: Address,
    /// Its name in the registry.
    pub(crate) name: Name,
    /// Who created it.
    #[schema(value_type = String)]
    pub(crate) owner: Address,
    /// The token it pays.
    #[schema(value_type = String)]
    pub(crate) token: Address,
    /// The day of its first commit.
    #[schema(value_type = String)]
    pub(crate) first_day: UtcDay,
}

/// What a client must agree on before it signs anything.
#[utoipa::path(get, path = "/v1/network", tag = "project", responses((status = 200, body = Network)))]
pub(crate) async fn network(State(app): State<AppState>) -> Json<Network> {
    Json(Network {
        chain_id: app.domain.chain_id(),
        registry: app.domain.verifying_contract(),
        receipt_key: app.receipt_key.address(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// All projects.
#[utoipa::path(get, path = "/v1/projects", tag = "project",
    responses((status = 200, body = Vec<ProjectRow>)))]
pub(crate) async fn list(State(app): State<AppState>) -> ApiResult<Json<Vec<ProjectRow>>> {
    let mut conn = app.pool.acquire().await?;
    Ok(Json(all(&mut conn).await?))
}

/// One project.
#[utoipa::path(get, path = "/v1/projects/{project}", tag = "project",
    params(("project" = String, Path)), responses((status = 200, body = ProjectRow)))]
pub(crate) async fn show(
    State(app): State<AppState>,
    path: Result<Path<ProjectRef>, PathRejection>,
) -> ApiResult<Json<ProjectRow>> {
    let Path(project) = path?;
    find(&app, &project).await.map(Json)
}

/// Every project in the mirror.
pub(crate) async fn all(conn: &mut PgConnection) -> anyhow::Result<Vec<ProjectRow>> {
    let rows = sqlx::query!(
        r#"select project::bytea as "project!", name as "name!", owner::bytea as "owner!",
                  token::bytea as "token!", first_day as "first_day!"
           from project order by name"#
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(ProjectRow {
                project: sql::address(&row.project)?,
                name: row.name.parse()?,
                owner: sql::address(&row.owner)?,
                token: sql::address(&row.token)?,
                first_day: UtcDay(u32::try_from(row.first_day)?),
            })
        })
        .collect()
}

/// The project of a path, by a connection of its own.
pub(crate) async fn find(app: &App, project: &ProjectRef) -> ApiResult<ProjectRow> {
    let mut conn = app.pool.acquire().await?;
    resolve(&mut conn, project).await
}

/// The project of a path.
pub(crate) async fn resolve(
    conn: &mut PgConnection,
    project: &ProjectRef,
) -> ApiResult<ProjectRow> {
    let found = all(conn).await?.into_iter().find(|row| match project {
        ProjectRef::Name(name) => row.name == *name,
        ProjectRef::Address(address) => row.project == *address,
    });
    found.ok_or_else(|| {
        ApiError::unknown_project(
            "the registry lists no such project in a final block: names are case-sensitive, and a \
             new project takes a few minutes",
        )
    })
}

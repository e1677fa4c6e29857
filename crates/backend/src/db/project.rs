//! Rows of `project` and `collection` (see `listing` for its days), from final blocks of the registry.

use std::collections::BTreeSet;

use nodesys_core::Address;
use nodesys_core::ids::Name;
use nodesys_core::time::UtcDay;
use serde::Serialize;
use sqlx::PgConnection;

use super::column;

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

/// The raw columns; sqlx fills it by name.
struct Columns {
    project: Vec<u8>,
    name: String,
    owner: Vec<u8>,
    token: Vec<u8>,
    first_day: i32,
}

impl TryFrom<Columns> for ProjectRow {
    type Error = anyhow::Error;

    fn try_from(row: Columns) -> anyhow::Result<Self> {
        Ok(Self {
            project: column::address(&row.project)?,
            name: row.name.parse()?,
            owner: column::address(&row.owner)?,
            token: column::address(&row.token)?,
            first_day: column::day(row.first_day)?,
        })
    }
}

/// Every project, by name.
pub(crate) async fn all(conn: &mut PgConnection) -> anyhow::Result<Vec<ProjectRow>> {
    let rows = sqlx::query_as!(
        Columns,
        r#"select project::bytea as "project!", name as "name!", owner::bytea as "owner!",
                  token::bytea as "token!", first_day as "first_day!"
           from project order by name"#
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(ProjectRow::try_from).collect()
}

/// The project of a name.
pub(crate) async fn by_name(
    conn: &mut PgConnection,
    name: &Name,
) -> anyhow::Result<Option<ProjectRow>> {
    let row = sqlx::query_as!(
        Columns,
        r#"select project::bytea as "project!", name as "name!", owner::bytea as "owner!",
                  token::bytea as "token!", first_day as "first_day!"
           from project where name = $1"#,
        name.as_str()
    )
    .fetch_optional(conn)
    .await?;
    row.map(ProjectRow::try_from).transpose()
}

/// The project of a distributor.
pub(crate) async fn by_address(
    conn: &mut PgConnection,
    project: Address,
) -> anyhow::Result<Option<ProjectRow>> {
    let row = sqlx::query_as!(
        Columns,
        r#"select project::bytea as "project!", name as "name!", owner::bytea as "owner!",
                  token::bytea as "token!", first_day as "first_day!"
           from project where project = $1"#,
        project.as_slice() as _
    )
    .fetch_optional(conn)
    .await?;
    row.map(ProjectRow::try_from).transpose()
}

/// Distributors of the projects that existed on a day.
pub(crate) async fn existing_on(
    conn: &mut PgConnection,
    day: UtcDay,
) -> anyhow::Result<Vec<Address>> {
    let projects = sqlx::query_scalar!(
        r#"select project::bytea as "project!" from project where first_day <= $1"#,
        column::day_number(day)?
    )
    .fetch_all(conn)
    .await?;
    projects.iter().map(|bytes| column::address(bytes)).collect()
}

/// A project's creation as logged by the registry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewProject<'a> {
    pub(crate) project: Address,
    pub(crate) name: &'a str,
    pub(crate) owner: Address,
    pub(crate) token: Address,
    pub(crate) first_day: UtcDay,
}

/// Stores a project; idempotent.
pub(crate) async fn insert(conn: &mut PgConnection, new: &NewProject<'_>) -> anyhow::Result<()> {
    sqlx::query!(
        "insert into project (project, name, owner, token, first_day)
         values ($1, $2, $3, $4, $5) on conflict (project) do nothing",
        new.project.as_slice() as _,
        new.name,
        new.owner.as_slice() as _,
        new.token.as_slice() as _,
        column::day_number(new.first_day)?
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The distributor's revision as of the mirror; it cannot rise before the transaction ends.
pub(crate) async fn revision(conn: &mut PgConnection, project: Address) -> anyhow::Result<u32> {
    let revision = sqlx::query_scalar!(
        r#"select revision as "revision!" from project where project = $1 for share"#,
        project.as_slice() as _
    )
    .fetch_one(conn)
    .await?;
    Ok(u32::try_from(revision)?)
}

/// Every collection that was ever listed.
pub(crate) async fn collections(conn: &mut PgConnection) -> anyhow::Result<BTreeSet<Address>> {
    let rows = sqlx::query_scalar!(r#"select collection::bytea as "collection!" from collection"#)
        .fetch_all(conn)
        .await?;
    rows.iter().map(|bytes| column::address(bytes)).collect()
}

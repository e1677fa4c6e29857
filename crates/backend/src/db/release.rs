//! Rows of `release`: documents of announced releases by their hash.

use nodesys_core::ids::Name;
use nodesys_core::time::Timestamp;
use nodesys_core::{Address, B256};
use sqlx::PgConnection;

use super::column;

/// A document to store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewRelease<'a> {
    pub(crate) hash: B256,
    pub(crate) project: Address,
    pub(crate) workload: &'a Name,
    pub(crate) version: u64,
    pub(crate) body: &'a [u8],
}

/// Stores a document; idempotent.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    release: &NewRelease<'_>,
    now: Timestamp,
) -> anyhow::Result<()> {
    sqlx::query!(
        "insert into release (release_hash, project, workload, version, body, stored_at)
         values ($1, $2, $3, $4, $5, $6) on conflict (release_hash) do nothing",
        release.hash.as_slice() as _,
        release.project.as_slice() as _,
        release.workload.as_str(),
        column::signed(release.version)?,
        release.body,
        column::millis(now)? as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The document of a hash.
pub(crate) async fn body(conn: &mut PgConnection, hash: B256) -> anyhow::Result<Option<Vec<u8>>> {
    let body = sqlx::query_scalar!(
        r#"select body as "body!" from release where release_hash = $1"#,
        hash.as_slice() as _
    )
    .fetch_optional(conn)
    .await?;
    Ok(body)
}

//! Ends of leases, numbered in the order in which they became visible (see the migration
//! `takeover`), so that every replica learns of each exactly once.
//!
//! A batch of heartbeats carries the newest number known when it was judged, and the database
//! refuses it when there is a newer one. The refused writer reads the ends in between and judges
//! again; under [`hold`] no further end can come.

use nodesys_core::ids::{Fence, LicenseIndex};
use sqlx::PgConnection;

use super::column;

/// An end: its number, the license, and the fence up to which all leases have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) seq: i64,
    pub(crate) license: LicenseIndex,
    pub(crate) fence: Fence,
}

/// The newest end's number, 0 before the first.
pub(crate) async fn newest(conn: &mut PgConnection) -> anyhow::Result<i64> {
    let seq = sqlx::query_scalar!(r#"select coalesce(max(seq), 0) as "seq!" from lease_end"#)
        .fetch_one(conn)
        .await?;
    Ok(seq)
}

/// The ends after a number, in order.
pub(crate) async fn after(conn: &mut PgConnection, seq: i64) -> anyhow::Result<Vec<End>> {
    let rows = sqlx::query!(
        "select seq, license_idx, fence from lease_end where seq > $1 order by seq",
        seq
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(End {
                seq: row.seq,
                license: column::license(row.license_idx)?,
                fence: column::fence(row.fence)?,
            })
        })
        .collect()
}

/// Keeps every end out until the transaction ends.
pub(crate) async fn hold(conn: &mut PgConnection) -> anyhow::Result<()> {
    sqlx::query!("select pg_advisory_xact_lock_shared(lease_ends_lock())").execute(conn).await?;
    Ok(())
}

//! Rows of `outage`: the times during which a node, or one of its workloads, was down.

use nodesys_core::ids::LicenseIndex;
use nodesys_core::time::Timestamp;
use sqlx::PgConnection;

use super::column;

/// An ongoing outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outage {
    pub(crate) id: i64,
    pub(crate) node: i32,
    /// The workload's license; `None` if the node itself is down.
    pub(crate) license: Option<LicenseIndex>,
}

/// How an outage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndedAs {
    Back,
    Lost,
    Unwatched,
}

impl EndedAs {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Back => "back",
            Self::Lost => "lost",
            Self::Unwatched => "unwatched",
        }
    }
}

/// Ongoing outages, in the order of discovery.
pub(crate) async fn open(conn: &mut PgConnection) -> anyhow::Result<Vec<Outage>> {
    let rows = sqlx::query!(
        "select id, node_idx, license_idx from outage where ended_at is null order by id"
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let license = row.license_idx.map(column::license).transpose()?;
            Ok(Outage { id: row.id, node: row.node_idx, license })
        })
        .collect()
}

/// Begins an outage; returns its number.
pub(crate) async fn begin(
    conn: &mut PgConnection,
    node: i32,
    license: Option<LicenseIndex>,
    since: Timestamp,
    now: Timestamp,
) -> anyhow::Result<i64> {
    let outage = sqlx::query_scalar!(
        "insert into outage (node_idx, license_idx, since, told_at)
         values ($1, $2, $3, $4) returning id",
        node,
        license.map(column::license_number).transpose()?,
        column::millis(since.min(now))? as _,
        column::millis(now)? as _
    )
    .fetch_one(conn)
    .await?;
    Ok(outage)
}

/// Ends an outage; returns its beginning.
pub(crate) async fn end(
    conn: &mut PgConnection,
    outage: i64,
    ended: EndedAs,
    now: Timestamp,
) -> anyhow::Result<Timestamp> {
    let since = sqlx::query_scalar!(
        r#"update outage set ended_at = $2, ended_as = $3 where id = $1
           returning since::bigint as "since!""#,
        outage,
        column::millis(now)? as _,
        ended.as_str()
    )
    .fetch_one(conn)
    .await?;
    column::time(since)
}

//! Rows of `standby`: nodes that want a license, in the order of their first request.

use nodesys_core::Address;
use nodesys_core::ids::LicenseIndex;
use nodesys_core::time::Timestamp;
use sqlx::PgConnection;

use super::column;
use super::license::LicenseRow;

/// A standby node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standby {
    pub(crate) node: i32,
    pub(crate) operator: Address,
    /// Time of its first request: the order.
    pub(crate) since: Timestamp,
    /// Time of its last request.
    pub(crate) asked: Timestamp,
    /// Whether its authorisation is valid and it runs no other license of the workload.
    pub(crate) able: bool,
}

/// Records a node's request: a new node is last in order, and its expiry starts anew.
pub(crate) async fn ask(
    conn: &mut PgConnection,
    license: LicenseIndex,
    node: i32,
    now: Timestamp,
) -> anyhow::Result<()> {
    sqlx::query!(
        "insert into standby (license_idx, node_idx, requested_at, asked_at)
         values ($1, $2, $3, $3)
         on conflict (license_idx, node_idx) do update
         set asked_at = greatest(standby.asked_at, excluded.asked_at)",
        column::license_number(license)?,
        node,
        column::millis(now)? as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes a node from a license's standbys.
pub(crate) async fn leave(
    conn: &mut PgConnection,
    license: LicenseIndex,
    node: i32,
) -> anyhow::Result<()> {
    let license = column::license_number(license)?;
    sqlx::query!("delete from standby where license_idx = $1 and node_idx = $2", license, node)
        .execute(conn)
        .await?;
    Ok(())
}

/// Removes nodes that have stopped asking.
pub(crate) async fn forget(conn: &mut PgConnection, before: Timestamp) -> anyhow::Result<u64> {
    let before = column::millis(before)?;
    let done =
        sqlx::query!("delete from standby where asked_at < $1", before as _).execute(conn).await?;
    Ok(done.rows_affected())
}

/// The nodes that stand by for a license, in order.
pub(crate) async fn of_license(
    conn: &mut PgConnection,
    license: &LicenseRow,
    now: Timestamp,
) -> anyhow::Result<Vec<Standby>> {
    let rows = sqlx::query!(
        r#"select s.node_idx, n.operator::bytea as "operator!",
                  s.requested_at::bigint as "requested_at!", s.asked_at::bigint as "asked_at!",
                  (n.revoked_at is null and n.not_after_secs >= $2 and not exists (
                      select from lease l join license o on o.idx = l.license_idx
                      where l.node_idx = s.node_idx and l.ended_at is null
                        and o.collection = $3 and o.idx <> $1)) as "able!"
           from standby s join node n on n.idx = s.node_idx
           where s.license_idx = $1 order by s.requested_at, s.node_idx"#,
        column::license_number(license.idx)?,
        column::signed(now.secs())?,
        license.id.collection.as_slice() as _
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Standby {
                node: row.node_idx,
                operator: column::address(&row.operator)?,
                since: column::time(row.requested_at)?,
                asked: column::time(row.asked_at)?,
                able: row.able,
            })
        })
        .collect()
}

/// Licenses with a standby that asked at or after `asked`, and the earliest first request among
/// them.
pub(crate) async fn waited_for(
    conn: &mut PgConnection,
    asked: Timestamp,
) -> anyhow::Result<Vec<(LicenseIndex, Timestamp)>> {
    let rows = sqlx::query!(
        r#"select license_idx, min(requested_at::bigint) as "since!" from standby
           where asked_at::bigint >= $1 group by license_idx order by license_idx"#,
        column::millis(asked)?
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| Ok((column::license(row.license_idx)?, column::time(row.since)?)))
        .collect()
}

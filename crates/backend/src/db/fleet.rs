//! An operator's nodes with what each runs and waits for, a page at a time.

use nodesys_core::Address;
use nodesys_core::ids::{Fence, LicenseIndex, Name};
use nodesys_core::license::LicenseId;
use nodesys_core::time::Timestamp;
use sqlx::PgConnection;

use super::column;

/// A node, with one of its licenses where it has any.
#[derive(Debug)]
pub(crate) struct FleetRow {
    pub(crate) node: i32,
    pub(crate) node_key: Address,
    pub(crate) not_after_secs: u64,
    pub(crate) revoked: bool,
    /// Whether its authorisation lapsed for want of a license.
    pub(crate) lapsed: bool,
    pub(crate) license: Option<FleetLicense>,
}

/// A license that a node runs or waits for.
#[derive(Debug)]
pub(crate) struct FleetLicense {
    pub(crate) index: LicenseIndex,
    pub(crate) id: LicenseId,
    pub(crate) project: Address,
    pub(crate) workload: Name,
    /// Whether the node holds the lease.
    pub(crate) held: bool,
    /// Of the newest lease.
    pub(crate) fence: Fence,
    /// When it was granted, or first asked for.
    pub(crate) since: Timestamp,
}

/// The rows of an operator after one of them (`node.idx` and license, -1 for none), by node and license.
pub(crate) async fn after(
    conn: &mut PgConnection,
    chain_id: u64,
    operator: Address,
    (node, license): (i32, i32),
    most: usize,
) -> anyhow::Result<Vec<FleetRow>> {
    // The lease with the highest fence is the active one where there is one.
    let rows = sqlx::query!(
        r#"select n.idx as "node!", n.node_key::bytea as "node_key!",
                  n.not_after_secs as "not_after_secs!", n.revoked_at is not null as "revoked!",
                  coalesce(n.lapsed_at >= n.authorized_at, false) as "lapsed!",
                  h.license_idx as "license?", h.held as "held?", h.since::bigint as "since?",
                  o.collection::bytea as "collection?", o.token_id::bytea as "token_id?",
                  s.project::bytea as "project?", s.workload as "workload?",
                  (select max(l.fence) from lease l where l.license_idx = h.license_idx) as fence
           from node n
           left join lateral (
               select license_idx, true as held, granted_at as since from lease
               where node_idx = n.idx and ended_at is null
               union all
               select license_idx, false, requested_at from standby where node_idx = n.idx
           ) h on true
           left join license o on o.idx = h.license_idx
           left join lateral (
               select project, workload from listing where collection = o.collection
               order by from_day desc limit 1
           ) s on true
           where n.operator = $1 and n.idx >= $2
             and (n.idx > $2 or coalesce(h.license_idx, -1) > $3)
           order by n.idx, h.license_idx limit $4"#,
        operator.as_slice() as _,
        node,
        license,
        i64::try_from(most)?
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let license = match (row.license, row.held, row.since, row.collection, row.token_id) {
                (Some(license), Some(held), Some(since), Some(collection), Some(token_id)) => {
                    let (Some(project), Some(workload)) = (row.project, row.workload) else {
                        anyhow::bail!(
                            "license {license} was leased and its collection never listed"
                        );
                    };
                    Some(FleetLicense {
                        index: column::license(license)?,
                        id: LicenseId {
                            chain_id,
                            collection: column::address(&collection)?,
                            token_id: column::uint256(&token_id)?,
                        },
                        project: column::address(&project)?,
                        workload: workload.parse()?,
                        held,
                        fence: row.fence.map_or(Ok(Fence::ZERO), column::fence)?,
                        since: column::time(since)?,
                    })
                }
                _ => None,
            };
            Ok(FleetRow {
                node: row.node,
                node_key: column::address(&row.node_key)?,
                not_after_secs: column::unsigned(row.not_after_secs)?,
                revoked: row.revoked,
                lapsed: row.lapsed,
                license,
            })
        })
        .collect()
}

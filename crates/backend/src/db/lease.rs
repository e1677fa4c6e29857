//! Rows of `lease`: grants and ends of one license's leases.

use nodesys_core::Address;
use nodesys_core::api::{LeaseState, LeaseView};
use nodesys_core::ids::{Fence, LicenseIndex};
use nodesys_core::time::{Minute, Timestamp};
use sqlx::PgConnection;

use super::column;
use super::license::LicenseRow;

/// Why a lease ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndReason {
    Expired,
    NotEntitled,
    Revoked,
    Moved,
}

impl EndReason {
    pub(crate) const ALL: [Self; 4] =
        [Self::Expired, Self::NotEntitled, Self::Revoked, Self::Moved];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::NotEntitled => "not_entitled",
            Self::Revoked => "revoked",
            Self::Moved => "moved",
        }
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let found = Self::ALL.into_iter().find(|reason| reason.as_str() == text);
        found.ok_or_else(|| anyhow::anyhow!("no reason for which leases end: {text:?}"))
    }
}

/// A lease row with its node's key.
#[derive(Debug, Clone)]
pub(crate) struct LeaseRow {
    pub(crate) fence: Fence,
    pub(crate) node: i32,
    pub(crate) node_key: Address,
    pub(crate) operator: Address,
    pub(crate) earns_from: Minute,
    pub(crate) granted: Timestamp,
    pub(crate) ended: Option<(Timestamp, EndReason)>,
}

/// A lease to grant.
pub(crate) struct NewLease {
    pub(crate) node: i32,
    pub(crate) operator: Address,
    pub(crate) fence: Fence,
    pub(crate) earns_from: Minute,
}

impl LeaseRow {
    pub(crate) const fn active(&self) -> bool {
        self.ended.is_none()
    }

    /// Its API view.
    pub(crate) fn view(&self, license: &LicenseRow) -> LeaseView {
        LeaseView {
            license: license.id,
            license_hash: license.hash,
            index: license.idx,
            project: license.project,
            workload: license.workload.clone(),
            node_key: self.node_key,
            state: if self.active() { LeaseState::Active } else { LeaseState::Ended },
            fence: self.fence,
            granted_millis: self.granted.millis(),
        }
    }
}

/// The lease with the highest fence.
pub(crate) async fn newest(
    conn: &mut PgConnection,
    license: LicenseIndex,
) -> anyhow::Result<Option<LeaseRow>> {
    let row = sqlx::query!(
        r#"select l.fence as "fence!", l.node_idx as "node!", n.node_key::bytea as "node_key!",
                  l.operator::bytea as "operator!", l.granted_at::bigint as "granted_at!",
                  l.earns_from as "earns_from!", l.ended_at::bigint as ended_at, l.end_reason
           from lease l join node n on n.idx = l.node_idx
           where l.license_idx = $1 order by l.fence desc limit 1"#,
        column::license_number(license)?
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(LeaseRow {
            fence: column::fence(row.fence)?,
            node: row.node,
            node_key: column::address(&row.node_key)?,
            operator: column::address(&row.operator)?,
            earns_from: Minute(column::unsigned(row.earns_from)?),
            granted: column::time(row.granted_at)?,
            ended: ended(row.ended_at, row.end_reason.as_deref())?,
        })
    })
    .transpose()
}

/// When a lease ran.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LeaseSpan {
    pub(crate) granted: Timestamp,
    pub(crate) earns_from: Minute,
    pub(crate) ended: Option<(Timestamp, EndReason)>,
}

/// Leases of a license that were granted before a moment, by fence: the newest ones, `most` at most.
pub(crate) async fn granted_before(
    conn: &mut PgConnection,
    license: LicenseIndex,
    before: Timestamp,
    most: usize,
) -> anyhow::Result<Vec<LeaseSpan>> {
    let rows = sqlx::query!(
        r#"select granted_at::bigint as "granted_at!", earns_from as "earns_from!",
                  ended_at::bigint as ended_at, end_reason
           from lease where license_idx = $1 and granted_at < $2 order by fence desc limit $3"#,
        column::license_number(license)?,
        column::millis(before)? as _,
        i64::try_from(most)?
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .rev()
        .map(|row| {
            Ok(LeaseSpan {
                granted: column::time(row.granted_at)?,
                earns_from: Minute(column::unsigned(row.earns_from)?),
                ended: ended(row.ended_at, row.end_reason.as_deref())?,
            })
        })
        .collect()
}

fn ended(at: Option<i64>, reason: Option<&str>) -> anyhow::Result<Option<(Timestamp, EndReason)>> {
    let (Some(at), Some(reason)) = (at, reason) else { return Ok(None) };
    Ok(Some((column::time(at)?, EndReason::parse(reason)?)))
}

/// Grants a lease.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    license: &LicenseRow,
    lease: &NewLease,
    now: Timestamp,
) -> anyhow::Result<()> {
    let (idx, now) = (column::license_number(license.idx)?, column::millis(now)?);
    sqlx::query!(
        "insert into lease (license_idx, fence, node_idx, operator, granted_at, earns_from)
         values ($1, $2, $3, $4, $5, $6)",
        idx,
        column::signed(lease.fence.get())?,
        lease.node,
        lease.operator.as_slice() as _,
        now as _,
        column::signed(lease.earns_from.0)?
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "update license set first_leased = $2 where idx = $1 and first_leased is null",
        idx,
        now as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends one lease, if it is still active. Afterwards update `live::Leases`.
pub(crate) async fn end(
    conn: &mut PgConnection,
    license: LicenseIndex,
    fence: Fence,
    reason: EndReason,
    now: Timestamp,
) -> anyhow::Result<()> {
    sqlx::query!(
        "update lease set ended_at = $3, end_reason = $4
         where license_idx = $1 and fence = $2 and ended_at is null",
        column::license_number(license)?,
        column::signed(fence.get())?,
        column::millis(now)? as _,
        reason.as_str()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends all leases of a node whose authorisation has ended, and deletes its standby rows; false when
/// there was none. Commit, then update `live::Leases`.
pub(crate) async fn end_all_of_node(
    conn: &mut PgConnection,
    node: i32,
    now: Timestamp,
) -> anyhow::Result<bool> {
    sqlx::query!("delete from standby where node_idx = $1", node).execute(&mut *conn).await?;
    let done = sqlx::query!(
        r#"with held as (
               select license_idx, fence from lease where node_idx = $1 and ended_at is null
               order by license_idx for update)
           update lease l set ended_at = $2, end_reason = $3 from held
           where l.license_idx = held.license_idx and l.fence = held.fence"#,
        node,
        column::millis(now)? as _,
        EndReason::Revoked.as_str()
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

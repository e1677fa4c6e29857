//! Rows of `lease`.

use std::collections::BTreeSet;

use nodesys_core::api::{LeaseState, LeaseView};
use nodesys_core::ids::{Fence, LicenseIndex, Name};
use nodesys_core::license::LicenseId;
use nodesys_core::time::{Minute, Timestamp};
use nodesys_core::{Address, B256};
use sqlx::PgConnection;

use super::decide::{Lease, Renewed};
use super::fence;
use crate::heartbeat::LeaseEntry;
use crate::license::LicenseRow;
use crate::sql;

/// Advisory lock of the expiry task.
const EXPIRY_LOCK: i64 = 0x6e73_0001;

/// Why a lease ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndReason {
    Expired,
    NotEntitled,
    Revoked,
    Moved,
}

impl EndReason {
    const ALL: [Self; 4] = [Self::Expired, Self::NotEntitled, Self::Revoked, Self::Moved];

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
    granted: Timestamp,
    ended: Option<(Timestamp, EndReason)>,
}

/// A lease to be granted.
pub(super) struct NewLease {
    pub(super) node: i32,
    pub(super) operator: Address,
    pub(super) fence: Fence,
    pub(super) earns_from: Minute,
}

impl LeaseRow {
    pub(crate) const fn active(&self) -> bool {
        self.ended.is_none()
    }

    pub(super) const fn granted_millis(&self) -> u64 {
        self.granted.millis()
    }

    /// As the decision takes it.
    pub(super) const fn facts(&self, renewed: Renewed) -> Lease {
        let Self { node, operator, granted, ended, .. } = *self;
        Lease { node, operator, granted, renewed, ended }
    }

    /// As the request path knows it.
    pub(super) const fn entry(&self, license: LicenseIndex) -> LeaseEntry {
        let Self { node_key, fence, earns_from, .. } = *self;
        LeaseEntry { license, node_key, fence, earns_from }
    }

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

pub(super) fn index(idx: i32) -> anyhow::Result<LicenseIndex> {
    Ok(LicenseIndex(u32::try_from(idx)?))
}

pub(super) fn column(index: LicenseIndex) -> anyhow::Result<i32> {
    Ok(i32::try_from(index.0)?)
}

/// Serialises everything that happens to one license's leases.
pub(super) async fn lock_license(
    conn: &mut PgConnection,
    license: LicenseIndex,
) -> anyhow::Result<()> {
    sqlx::query!("select idx from license where idx = $1 for update", column(license)?)
        .fetch_one(conn)
        .await?;
    Ok(())
}

/// Takes a request's nonce; false when a higher one was taken. The same one again is a repeat.
pub(super) async fn take_nonce(
    conn: &mut PgConnection,
    node: i32,
    nonce: u64,
) -> anyhow::Result<bool> {
    let nonce = sql::signed(nonce)?;
    let done = sqlx::query!(
        "update node set lease_nonce = $2 where idx = $1 and lease_nonce <= $2",
        node,
        nonce
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The lease with the highest fence.
pub(super) async fn newest(
    conn: &mut PgConnection,
    license: LicenseIndex,
) -> anyhow::Result<Option<LeaseRow>> {
    let row = sqlx::query!(
        r#"select l.fence as "fence!", l.node_idx as "node!", n.node_key::bytea as "node_key!",
                  l.operator::bytea as "operator!", l.granted_at::bigint as "granted_at!",
                  l.earns_from as "earns_from!", l.ended_at::bigint as ended_at, l.end_reason
           from lease l join node n on n.idx = l.node_idx
           where l.license_idx = $1 order by l.fence desc limit 1"#,
        column(license)?
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        let ended = match (row.ended_at, row.end_reason) {
            (Some(at), Some(reason)) => {
                let at = Timestamp::from_millis(sql::unsigned(at)?);
                Some((at, EndReason::parse(&reason)?))
            }
            _ => None,
        };
        Ok(LeaseRow {
            fence: fence(row.fence)?,
            node: row.node,
            node_key: sql::address(&row.node_key)?,
            operator: sql::address(&row.operator)?,
            earns_from: Minute(sql::unsigned(row.earns_from)?),
            granted: Timestamp::from_millis(sql::unsigned(row.granted_at)?),
            ended,
        })
    })
    .transpose()
}

/// Another license of the same workload that the node runs.
pub(super) async fn same_workload(
    conn: &mut PgConnection,
    node: i32,
    license: &LicenseRow,
) -> anyhow::Result<Option<LicenseIndex>> {
    let found = sqlx::query_scalar!(
        r#"select o.idx as "idx!" from lease l join license o on o.idx = l.license_idx
           where l.node_idx = $1 and l.ended_at is null and o.collection = $2 and o.idx <> $3"#,
        node,
        license.id.collection.as_slice() as _,
        column(license.idx)?
    )
    .fetch_optional(conn)
    .await?;
    found.map(index).transpose()
}

pub(super) async fn insert(
    conn: &mut PgConnection,
    license: &LicenseRow,
    lease: &NewLease,
    now: Timestamp,
) -> anyhow::Result<()> {
    let (idx, now) = (column(license.idx)?, sql::signed(now.millis())?);
    sqlx::query!(
        "insert into lease (license_idx, fence, node_idx, operator, granted_at, earns_from)
         values ($1, $2, $3, $4, $5, $6)",
        idx,
        sql::signed(lease.fence.get())?,
        lease.node,
        lease.operator.as_slice() as _,
        now as _,
        sql::signed(lease.earns_from.0)?
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

/// Ends one lease, if it is still active. Afterwards tell `Ingest::lease_ended`.
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
        column(license)?,
        sql::signed(fence.get())?,
        sql::signed(now.millis())? as _,
        reason.as_str()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends all leases of a node whose authorisation is over, and takes it out of every standby row.
/// Commit, then tell `Ingest::lease_ended`.
pub(crate) async fn end_all_of_node(
    conn: &mut PgConnection,
    node: i32,
    now: Timestamp,
) -> anyhow::Result<Vec<(LicenseIndex, Fence)>> {
    sqlx::query!("delete from standby where node_idx = $1", node).execute(&mut *conn).await?;
    let rows = sqlx::query!(
        r#"with held as (
               select license_idx, fence from lease where node_idx = $1 and ended_at is null
               order by license_idx for update)
           update lease l set ended_at = $2, end_reason = $3 from held
           where l.license_idx = held.license_idx and l.fence = held.fence
           returning l.license_idx as "license_idx!", l.fence as "fence!""#,
        node,
        sql::signed(now.millis())? as _,
        EndReason::Revoked.as_str()
    )
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((index(row.license_idx)?, fence(row.fence)?))).collect()
}

/// All active leases, by license hash.
pub(crate) async fn all_active(conn: &mut PgConnection) -> anyhow::Result<Vec<(B256, LeaseEntry)>> {
    let rows = sqlx::query!(
        r#"select o.license_hash::bytea as "hash!", o.idx as "idx!", l.fence as "fence!",
                  n.node_key::bytea as "node_key!", l.earns_from as "earns_from!"
           from lease l join license o on o.idx = l.license_idx join node n on n.idx = l.node_idx
           where l.ended_at is null"#
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let entry = LeaseEntry {
                license: index(row.idx)?,
                node_key: sql::address(&row.node_key)?,
                fence: fence(row.fence)?,
                earns_from: Minute(sql::unsigned(row.earns_from)?),
            };
            Ok((sql::hash(&row.hash)?, entry))
        })
        .collect()
}

/// The active lease of a license.
pub(crate) async fn active_by_hash(
    conn: &mut PgConnection,
    hash: B256,
) -> anyhow::Result<Option<LeaseEntry>> {
    let row = sqlx::query!(
        r#"select o.idx as "idx!", l.fence as "fence!", n.node_key::bytea as "node_key!",
                  l.earns_from as "earns_from!"
           from lease l join license o on o.idx = l.license_idx join node n on n.idx = l.node_idx
           where o.license_hash = $1 and l.ended_at is null"#,
        hash.as_slice() as _
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(LeaseEntry {
            license: index(row.idx)?,
            node_key: sql::address(&row.node_key)?,
            fence: fence(row.fence)?,
            earns_from: Minute(sql::unsigned(row.earns_from)?),
        })
    })
    .transpose()
}

/// An active lease and since when it is.
pub(super) struct ActiveSince {
    pub(super) license: LicenseIndex,
    pub(super) granted: Timestamp,
}

/// Active leases granted before a moment.
pub(super) async fn active_before(
    conn: &mut PgConnection,
    before: Timestamp,
) -> anyhow::Result<Vec<ActiveSince>> {
    let rows = sqlx::query!(
        r#"select license_idx as "license_idx!", granted_at::bigint as "granted_at!" from lease
           where ended_at is null and granted_at < $1"#,
        sql::signed(before.millis())? as _
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let granted = Timestamp::from_millis(sql::unsigned(row.granted_at)?);
            Ok(ActiveSince { license: index(row.license_idx)?, granted })
        })
        .collect()
}

/// Those of some licenses that no node runs.
pub(super) async fn unleased(
    conn: &mut PgConnection,
    licenses: impl Iterator<Item = LicenseIndex>,
) -> anyhow::Result<BTreeSet<LicenseIndex>> {
    let licenses: Vec<i32> = licenses.map(column).collect::<anyhow::Result<_>>()?;
    let rows = sqlx::query_scalar!(
        r#"select idx as "idx!" from license o where idx = any($1) and not exists (
               select from lease l where l.license_idx = o.idx and l.ended_at is null)"#,
        &licenses
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(index).collect()
}

/// One replica expires leases at a time.
pub(super) async fn lock_expiry(conn: &mut PgConnection) -> anyhow::Result<bool> {
    let locked =
        sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock($1) as "locked!""#, EXPIRY_LOCK)
            .fetch_one(conn)
            .await?;
    Ok(locked)
}

/// Leases a node holds, and those it waits for.
pub(crate) async fn of_node(
    conn: &mut PgConnection,
    node: i32,
    chain_id: u64,
) -> anyhow::Result<Vec<LeaseView>> {
    let rows = sqlx::query!(
        r#"select o.idx as "idx!", o.collection::bytea as "collection!", o.token_id::bytea as "token_id!",
                  o.license_hash::bytea as "hash!", c.project::bytea as "project!",
                  c.workload as "workload!", l.fence as "fence!", l.granted_at::bigint as "granted_at!",
                  l.node_idx = $1 as "held!", n.node_key::bytea as "node_key!"
           from lease l
           join license o on o.idx = l.license_idx
           join collection c on c.collection = o.collection
           join node n on n.idx = $1
           where l.ended_at is null and (l.node_idx = $1 or exists (
               select from standby s where s.license_idx = l.license_idx and s.node_idx = $1))
           order by o.idx"#,
        node
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(LeaseView {
                license: LicenseId {
                    chain_id,
                    collection: sql::address(&row.collection)?,
                    token_id: sql::uint256(&row.token_id)?,
                },
                license_hash: sql::hash(&row.hash)?,
                index: index(row.idx)?,
                project: sql::address(&row.project)?,
                workload: row.workload.parse::<Name>()?,
                node_key: sql::address(&row.node_key)?,
                state: if row.held { LeaseState::Active } else { LeaseState::Standby },
                fence: fence(row.fence)?,
                granted_millis: sql::unsigned(row.granted_at)?,
            })
        })
        .collect()
}

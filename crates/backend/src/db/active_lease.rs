//! Active rows of `lease`: of all licenses, of a node, and with the operators to check on chain.

use std::collections::BTreeSet;

use nodesys_core::api::{LeaseState, LeaseView};
use nodesys_core::ids::{Fence, LicenseIndex, Name};
use nodesys_core::license::LicenseId;
use nodesys_core::time::{Minute, Timestamp, UtcDay};
use nodesys_core::{Address, B256};
use sqlx::PgConnection;

use super::column;
use super::license::LicenseRow;

/// An active lease as the request path knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LeaseEntry {
    pub(crate) license: LicenseIndex,
    pub(crate) node_key: Address,
    pub(crate) fence: Fence,
    /// First minute that may be credited.
    pub(crate) earns_from: Minute,
    /// First day on which its listing is over, where that is announced.
    pub(crate) listed_until: Option<UtcDay>,
}

impl LeaseEntry {
    /// Whether the listing that it was granted under runs on a day.
    pub(crate) fn is_listed(&self, day: UtcDay) -> bool {
        self.listed_until.is_none_or(|until| day < until)
    }
}

/// Another license of the same workload that the node runs.
pub(crate) async fn same_workload(
    conn: &mut PgConnection,
    node: i32,
    license: &LicenseRow,
) -> anyhow::Result<Option<LicenseIndex>> {
    let found = sqlx::query_scalar!(
        r#"select o.idx as "idx!" from lease l join license o on o.idx = l.license_idx
           where l.node_idx = $1 and l.ended_at is null and o.collection = $2 and o.idx <> $3"#,
        node,
        license.id.collection.as_slice() as _,
        column::license_number(license.idx)?
    )
    .fetch_optional(conn)
    .await?;
    found.map(column::license).transpose()
}

/// The raw columns of a license's hash and its [`LeaseEntry`]; sqlx fills it by name.
struct EntryColumns {
    hash: Vec<u8>,
    idx: i32,
    fence: i64,
    node_key: Vec<u8>,
    earns_from: i64,
    until_day: Option<i32>,
}

impl EntryColumns {
    fn entry(&self) -> anyhow::Result<(B256, LeaseEntry)> {
        let entry = LeaseEntry {
            license: column::license(self.idx)?,
            node_key: column::address(&self.node_key)?,
            fence: column::fence(self.fence)?,
            earns_from: Minute(column::unsigned(self.earns_from)?),
            listed_until: self.until_day.map(column::day).transpose()?,
        };
        Ok((column::hash(&self.hash)?, entry))
    }
}

/// All active leases, by license hash.
pub(crate) async fn all(conn: &mut PgConnection) -> anyhow::Result<Vec<(B256, LeaseEntry)>> {
    let rows = sqlx::query_as!(
        EntryColumns,
        r#"select o.license_hash::bytea as "hash!", o.idx as "idx!", l.fence as "fence!",
                  n.node_key::bytea as "node_key!", l.earns_from as "earns_from!", s.until_day
           from lease l join license o on o.idx = l.license_idx join node n on n.idx = l.node_idx
           left join listing s on s.collection = o.collection and s.from_day = (
               select max(from_day) from listing m
               where m.collection = o.collection and m.from_day <= l.granted_at::bigint / 86400000)
           where l.ended_at is null"#
    )
    .fetch_all(conn)
    .await?;
    rows.iter().map(EntryColumns::entry).collect()
}

/// Active leases of a node, by license hash.
pub(crate) async fn entries_of_node(
    conn: &mut PgConnection,
    node: u32,
) -> anyhow::Result<Vec<(B256, LeaseEntry)>> {
    let rows = sqlx::query_as!(
        EntryColumns,
        r#"select o.license_hash::bytea as "hash!", o.idx as "idx!", l.fence as "fence!",
                  n.node_key::bytea as "node_key!", l.earns_from as "earns_from!", s.until_day
           from lease l join license o on o.idx = l.license_idx join node n on n.idx = l.node_idx
           left join listing s on s.collection = o.collection and s.from_day = (
               select max(from_day) from listing m
               where m.collection = o.collection and m.from_day <= l.granted_at::bigint / 86400000)
           where l.node_idx = $1 and l.ended_at is null"#,
        i32::try_from(node)?
    )
    .fetch_all(conn)
    .await?;
    rows.iter().map(EntryColumns::entry).collect()
}

/// An active lease and when it was granted.
pub(crate) struct ActiveSince {
    pub(crate) license: LicenseIndex,
    pub(crate) granted: Timestamp,
}

/// Active leases granted before a moment.
pub(crate) async fn granted_before(
    conn: &mut PgConnection,
    before: Timestamp,
) -> anyhow::Result<Vec<ActiveSince>> {
    let rows = sqlx::query!(
        r#"select license_idx as "license_idx!", granted_at::bigint as "granted_at!" from lease
           where ended_at is null and granted_at < $1"#,
        column::millis(before)? as _
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let granted = column::time(row.granted_at)?;
            Ok(ActiveSince { license: column::license(row.license_idx)?, granted })
        })
        .collect()
}

/// Licenses with an active lease that was granted under a listing which is over on a day.
pub(crate) async fn beyond_listing(
    conn: &mut PgConnection,
    day: UtcDay,
) -> anyhow::Result<BTreeSet<LicenseIndex>> {
    let rows = sqlx::query_scalar!(
        r#"select l.license_idx as "license_idx!" from lease l join license o on o.idx = l.license_idx
           join listing s on s.collection = o.collection
           where l.ended_at is null and s.until_day <= $1
             and l.granted_at::bigint / 86400000 between s.from_day and s.until_day - 1"#,
        column::day_number(day)?
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(column::license).collect()
}

/// Of these licenses, those that no node runs.
pub(crate) async fn unleased(
    conn: &mut PgConnection,
    licenses: impl Iterator<Item = LicenseIndex>,
) -> anyhow::Result<BTreeSet<LicenseIndex>> {
    let licenses: Vec<i32> = licenses.map(column::license_number).collect::<anyhow::Result<_>>()?;
    let rows = sqlx::query_scalar!(
        r#"select idx as "idx!" from license o where idx = any($1) and not exists (
               select from lease l where l.license_idx = o.idx and l.ended_at is null)"#,
        &licenses
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(column::license).collect()
}

/// A node's leases, and the licenses it stands by for.
pub(crate) async fn of_node(
    conn: &mut PgConnection,
    node: i32,
    chain_id: u64,
) -> anyhow::Result<Vec<LeaseView>> {
    let rows = sqlx::query!(
        r#"select o.idx as "idx!", o.collection::bytea as "collection!", o.token_id::bytea as "token_id!",
                  o.license_hash::bytea as "hash!", s.project::bytea as "project!",
                  s.workload as "workload!", l.fence as "fence!", l.granted_at::bigint as "granted_at!",
                  l.node_idx = $1 as "held!", n.node_key::bytea as "node_key!"
           from lease l
           join license o on o.idx = l.license_idx
           join lateral (select * from listing s where s.collection = o.collection
                         order by s.from_day desc limit 1) s on true
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
                    collection: column::address(&row.collection)?,
                    token_id: column::uint256(&row.token_id)?,
                },
                license_hash: column::hash(&row.hash)?,
                index: column::license(row.idx)?,
                project: column::address(&row.project)?,
                workload: row.workload.parse::<Name>()?,
                node_key: column::address(&row.node_key)?,
                state: if row.held { LeaseState::Active } else { LeaseState::Standby },
                fence: column::fence(row.fence)?,
                granted_millis: column::unsigned(row.granted_at)?,
            })
        })
        .collect()
}

/// Active leases of a node, by license, and when each was granted.
pub(crate) async fn held_by(
    conn: &mut PgConnection,
    node: i32,
) -> anyhow::Result<Vec<ActiveSince>> {
    let rows = sqlx::query!(
        r#"select license_idx, granted_at::bigint as "granted_at!" from lease
           where node_idx = $1 and ended_at is null order by license_idx"#,
        node
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let granted = column::time(row.granted_at)?;
            Ok(ActiveSince { license: column::license(row.license_idx)?, granted })
        })
        .collect()
}

/// An active lease and the operator who must be entitled to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OperatedLease {
    pub(crate) license: LicenseIndex,
    pub(crate) id: LicenseId,
    pub(crate) operator: Address,
}

/// How many leases are active.
pub(crate) async fn count(conn: &mut PgConnection) -> anyhow::Result<usize> {
    let active =
        sqlx::query_scalar!(r#"select count(*) as "count!" from lease where ended_at is null"#)
            .fetch_one(conn)
            .await?;
    Ok(usize::try_from(active)?)
}

/// Columns of an [`OperatedLease`]; sqlx fills it by name.
struct Columns {
    idx: i32,
    collection: Vec<u8>,
    token_id: Vec<u8>,
    operator: Vec<u8>,
}

impl Columns {
    fn lease(self, chain_id: u64) -> anyhow::Result<OperatedLease> {
        Ok(OperatedLease {
            license: column::license(self.idx)?,
            id: LicenseId {
                chain_id,
                collection: column::address(&self.collection)?,
                token_id: column::uint256(&self.token_id)?,
            },
            operator: column::address(&self.operator)?,
        })
    }
}

/// The next active leases with their operators, by license; from the first on without `after`.
pub(crate) async fn operated_after(
    conn: &mut PgConnection,
    chain_id: u64,
    after: Option<LicenseIndex>,
    most: usize,
) -> anyhow::Result<Vec<OperatedLease>> {
    let rows = sqlx::query_as!(
        Columns,
        r#"select o.idx as "idx!", o.collection::bytea as "collection!",
                  o.token_id::bytea as "token_id!", l.operator::bytea as "operator!"
           from lease l join license o on o.idx = l.license_idx
           where l.ended_at is null and l.license_idx > $1 order by l.license_idx limit $2"#,
        after.map_or(Ok(-1), column::license_number)?,
        i64::try_from(most)?
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| row.lease(chain_id)).collect()
}

/// Active leases of these licenses, of these operators and of these collections.
pub(crate) async fn concerned(
    conn: &mut PgConnection,
    chain_id: u64,
    licenses: &[LicenseIndex],
    operators: &[Address],
    collections: &[Address],
) -> anyhow::Result<Vec<OperatedLease>> {
    let licenses: Vec<i32> =
        licenses.iter().copied().map(column::license_number).collect::<anyhow::Result<_>>()?;
    let bytes = |addresses: &[Address]| -> Vec<Vec<u8>> {
        addresses.iter().map(|address| address.to_vec()).collect()
    };
    let rows = sqlx::query_as!(
        Columns,
        r#"select o.idx as "idx!", o.collection::bytea as "collection!",
                  o.token_id::bytea as "token_id!", l.operator::bytea as "operator!"
           from lease l join license o on o.idx = l.license_idx
           where l.ended_at is null and (l.license_idx = any($1) or l.operator::bytea = any($2)
                 or o.collection::bytea = any($3))
           order by l.license_idx"#,
        &licenses,
        &bytes(operators),
        &bytes(collections)
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| row.lease(chain_id)).collect()
}

//! Rows of `node`: the operator of a node key, the end of the authorisation, the last right to a license, and
//! the newest nonces.

use nodesys_core::message::{NodeAuthorization, SignedAuthorization};
use nodesys_core::time::Timestamp;
use nodesys_core::{Address, U256};
use sqlx::PgConnection;

use super::column;

/// A node's authorisation.
#[derive(Debug, Clone)]
pub(crate) struct NodeRow {
    pub(crate) idx: i32,
    pub(crate) authorization: NodeAuthorization,
    pub(crate) revoked: bool,
    /// When the authorisation lapsed for want of a license.
    pub(crate) lapsed: Option<Timestamp>,
}

/// The raw columns of a [`NodeRow`]; sqlx fills it by name.
struct Columns {
    idx: i32,
    operator: Vec<u8>,
    nonce: Vec<u8>,
    not_after_secs: i64,
    revoked_at: Option<i64>,
    lapsed_at: Option<i64>,
}

impl Columns {
    fn row(&self, node_key: Address) -> anyhow::Result<NodeRow> {
        Ok(NodeRow {
            idx: self.idx,
            authorization: NodeAuthorization {
                operator: column::address(&self.operator)?,
                node_key,
                not_after: column::unsigned(self.not_after_secs)?,
                nonce: column::uint256(&self.nonce)?,
            },
            revoked: self.revoked_at.is_some(),
            lapsed: self.lapsed_at.map(column::time).transpose()?,
        })
    }
}

/// The authorisation in force.
pub(crate) async fn by_key(
    conn: &mut PgConnection,
    node_key: Address,
) -> anyhow::Result<Option<NodeRow>> {
    let row = sqlx::query_as!(
        Columns,
        r#"select idx as "idx!", operator::bytea as "operator!", nonce::bytea as "nonce!",
                  not_after_secs as "not_after_secs!", revoked_at::bigint as revoked_at,
                  case when lapsed_at >= authorized_at then lapsed_at end as lapsed_at
           from node where node_key = $1"#,
        node_key.as_slice() as _
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| row.row(node_key)).transpose()
}

/// The same, and the row stays as it is until the transaction ends.
pub(crate) async fn locked_by_key(
    conn: &mut PgConnection,
    node_key: Address,
) -> anyhow::Result<Option<NodeRow>> {
    let row = sqlx::query_as!(
        Columns,
        r#"select idx as "idx!", operator::bytea as "operator!", nonce::bytea as "nonce!",
                  not_after_secs as "not_after_secs!", revoked_at::bigint as revoked_at,
                  case when lapsed_at >= authorized_at then lapsed_at end as lapsed_at
           from node where node_key = $1 for update"#,
        node_key.as_slice() as _
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| row.row(node_key)).transpose()
}

/// Stores an authorisation in place of the node's last one.
pub(crate) async fn authorize(
    conn: &mut PgConnection,
    signed: &SignedAuthorization,
    now: Timestamp,
) -> anyhow::Result<()> {
    let authorization = &signed.authorization;
    let nonce = authorization.nonce.to_be_bytes::<32>();
    sqlx::query!(
        "insert into node (node_key, operator, nonce, not_after_secs, operator_signature,
                           node_signature, authorized_at, announced)
         values ($1, $2, $3, $4, $5, $6, $7, false)
         on conflict (node_key) do update set
            operator = excluded.operator, nonce = excluded.nonce,
            not_after_secs = excluded.not_after_secs, revoked_at = null,
            operator_signature = excluded.operator_signature,
            node_signature = excluded.node_signature, authorized_at = excluded.authorized_at,
            -- What the operator renews is no news.
            announced = node.announced and node.operator = excluded.operator
                        and node.revoked_at is null",
        authorization.node_key.as_slice() as _,
        authorization.operator.as_slice() as _,
        nonce.as_slice() as _,
        column::signed(authorization.not_after)?,
        signed.operator_signature.as_bytes().as_ref(),
        signed.node_signature.as_bytes().as_slice(),
        column::millis(now)? as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Nodes whose operators are still to be told that they were authorised; none changes hands until the
/// transaction ends.
pub(crate) async fn unannounced(conn: &mut PgConnection, limit: i64) -> anyhow::Result<Vec<i32>> {
    let rows = sqlx::query_scalar!(
        r#"select idx as "idx!" from node where not announced order by idx limit $1
           for update skip locked"#,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Records that the operator is told.
pub(crate) async fn announced(conn: &mut PgConnection, node: i32) -> anyhow::Result<()> {
    sqlx::query!("update node set announced = true where idx = $1", node).execute(conn).await?;
    Ok(())
}

/// Revokes a node's authorisation; its nonce rises with it.
pub(crate) async fn revoke(
    conn: &mut PgConnection,
    node: i32,
    nonce: U256,
    now: Timestamp,
) -> anyhow::Result<()> {
    let nonce = nonce.to_be_bytes::<32>();
    sqlx::query!(
        "update node set revoked_at = coalesce(revoked_at, $2), nonce = $3 where idx = $1",
        node,
        column::millis(now)? as _,
        nonce.as_slice() as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A node as the request path knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeEntry {
    pub(crate) idx: u32,
    pub(crate) operator: Address,
    pub(crate) not_after_secs: u64,
    pub(crate) revoked: bool,
    /// When the authorisation lapsed for want of a license.
    pub(crate) lapsed: Option<Timestamp>,
    /// When the chain last allowed a license that it asked for, to the day.
    pub(crate) entitled: Option<Timestamp>,
}

/// The raw columns of a [`NodeEntry`]; sqlx fills it by name.
struct EntryColumns {
    idx: i32,
    operator: Vec<u8>,
    not_after_secs: i64,
    revoked: bool,
    lapsed_at: Option<i64>,
    entitled_at: Option<i64>,
}

impl TryFrom<EntryColumns> for NodeEntry {
    type Error = anyhow::Error;

    fn try_from(row: EntryColumns) -> anyhow::Result<Self> {
        Ok(Self {
            idx: u32::try_from(row.idx)?,
            operator: column::address(&row.operator)?,
            not_after_secs: column::unsigned(row.not_after_secs)?,
            revoked: row.revoked,
            lapsed: row.lapsed_at.map(column::time).transpose()?,
            entitled: row.entitled_at.map(column::time).transpose()?,
        })
    }
}

/// What the request path needs of a node.
pub(crate) async fn entry(
    conn: &mut PgConnection,
    node_key: Address,
) -> anyhow::Result<Option<NodeEntry>> {
    let row = sqlx::query_as!(
        EntryColumns,
        r#"select idx as "idx!", operator::bytea as "operator!", not_after_secs as "not_after_secs!",
                  revoked_at is not null as "revoked!", entitled_at,
                  case when lapsed_at >= authorized_at then lapsed_at end as lapsed_at
           from node where node_key = $1"#,
        node_key.as_slice() as _
    )
    .fetch_optional(conn)
    .await?;
    row.map(NodeEntry::try_from).transpose()
}

/// The same, and the row stays as it is until the transaction ends.
pub(crate) async fn locked_entry(
    conn: &mut PgConnection,
    node_key: Address,
) -> anyhow::Result<Option<NodeEntry>> {
    let row = sqlx::query_as!(
        EntryColumns,
        r#"select idx as "idx!", operator::bytea as "operator!", not_after_secs as "not_after_secs!",
                  revoked_at is not null as "revoked!", entitled_at,
                  case when lapsed_at >= authorized_at then lapsed_at end as lapsed_at
           from node where node_key = $1 for update"#,
        node_key.as_slice() as _
    )
    .fetch_optional(conn)
    .await?;
    row.map(NodeEntry::try_from).transpose()
}

/// Whether a node is authorised for this operator and its row is not locked; then locks the row
/// until the transaction ends.
pub(crate) async fn steady(
    conn: &mut PgConnection,
    node: i32,
    operator: Address,
    now: Timestamp,
) -> anyhow::Result<bool> {
    // Waiting for the row could be waiting in a circle: two nodes that stand by for each other.
    let found = sqlx::query_scalar!(
        r#"select idx as "idx!" from node
           where idx = $1 and operator = $2 and revoked_at is null and not_after_secs >= $3
           for share skip locked"#,
        node,
        operator.as_slice() as _,
        column::signed(now.secs())?
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.is_some())
}

/// Records that the chain allowed a license that a node asked for.
pub(crate) async fn record_entitled(
    conn: &mut PgConnection,
    node: i32,
    now: Timestamp,
) -> anyhow::Result<()> {
    let now = column::millis(now)?;
    sqlx::query!("update node set entitled_at = $2 where idx = $1", node, now)
        .execute(conn)
        .await?;
    Ok(())
}

/// Most authorisations that lapse at once.
const MOST_LAPSES: i64 = 10_000;

/// Ends the authorisations of nodes that since a moment had no lease and were allowed none; returns how many.
/// A node that is changed just now is left for the next time.
pub(crate) async fn lapse(
    conn: &mut PgConnection,
    since: Timestamp,
    now: Timestamp,
) -> anyhow::Result<u64> {
    let done = sqlx::query!(
        "update node set lapsed_at = $2 where idx in (
             select n.idx from node n
             where n.revoked_at is null and n.not_after_secs >= $3
               and (n.lapsed_at is null or n.lapsed_at < n.authorized_at)
               and greatest(n.authorized_at::bigint, n.entitled_at) < $1
               and not exists (select from standby s where s.node_idx = n.idx)
               and not exists (select from lease l where l.node_idx = n.idx
                               and (l.ended_at is null or l.ended_at::bigint >= $1))
             limit $4 for update skip locked)",
        column::millis(since)?,
        column::millis(now)?,
        column::signed(now.secs())?,
        MOST_LAPSES
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Node keys authorised, revoked, lapsed or found entitled since a moment, by any replica.
pub(crate) async fn changed_since(
    conn: &mut PgConnection,
    since: Timestamp,
) -> anyhow::Result<Vec<Address>> {
    let since = column::millis(since)?;
    let rows = sqlx::query_scalar!(
        r#"select node_key::bytea as "node_key!" from node
           where authorized_at::bigint >= $1 or revoked_at::bigint >= $1 or lapsed_at >= $1
                 or entitled_at >= $1"#,
        since
    )
    .fetch_all(conn)
    .await?;
    rows.iter().map(|bytes| column::address(bytes)).collect()
}

/// Key and operator of a node; it must exist.
pub(crate) async fn key_and_operator(
    conn: &mut PgConnection,
    node: i32,
) -> anyhow::Result<(Address, Address)> {
    let row = sqlx::query!(
        r#"select node_key::bytea as "node_key!", operator::bytea as "operator!" from node
           where idx = $1"#,
        node
    )
    .fetch_one(conn)
    .await?;
    Ok((column::address(&row.node_key)?, column::address(&row.operator)?))
}

/// The nonce of the last lease request that was taken; 0 before the first.
pub(crate) async fn lease_nonce(conn: &mut PgConnection, node: u32) -> anyhow::Result<u64> {
    let nonce = sqlx::query_scalar!(
        r#"select lease_nonce as "lease_nonce!" from node where idx = $1"#,
        i32::try_from(node)?
    )
    .fetch_one(conn)
    .await?;
    column::unsigned(nonce)
}

/// Records a lease request's nonce; false when a higher one is on record, that of the `latest` at most. An
/// equal one is a repeat.
pub(crate) async fn take_lease_nonce(
    conn: &mut PgConnection,
    node: i32,
    nonce: u64,
    latest: u64,
) -> anyhow::Result<bool> {
    let done = sqlx::query!(
        "update node set lease_nonce = $2
         where idx = $1 and (lease_nonce <= $2 or lease_nonce > $3)",
        node,
        column::signed(nonce)?,
        column::signed(latest)?
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The same for a request about notifications.
pub(crate) async fn take_notify_nonce(
    conn: &mut PgConnection,
    node: i32,
    nonce: u64,
    latest: u64,
) -> anyhow::Result<bool> {
    let done = sqlx::query!(
        "update node set notify_nonce = $2
         where idx = $1 and (notify_nonce <= $2 or notify_nonce > $3)",
        node,
        column::signed(nonce)?,
        column::signed(latest)?
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

//! Rows of `notify_target` and `notify_delivery`.

use nodesys_core::notify::{EventKind, NotifyTarget};
use nodesys_core::time::Timestamp;
use nodesys_core::webhook::Secret;
use sqlx::PgConnection;

use super::column;

/// A pending message.
pub(crate) struct Message {
    pub(crate) id: i64,
    pub(crate) url: String,
    pub(crate) secret: Secret,
    pub(crate) body: String,
}

impl Message {
    /// The same at each try, so that a receiver recognises a repeat.
    pub(crate) fn webhook_id(&self) -> String {
        format!("msg_{}", self.id)
    }
}

/// Adds a target, or finds the one with this URL; returns its number and its secret.
pub(crate) async fn add(
    conn: &mut PgConnection,
    node: i32,
    url: &str,
    secret: &[u8; 32],
    now: Timestamp,
) -> anyhow::Result<(i64, Secret)> {
    // The no-op update makes a known row come back.
    let row = sqlx::query!(
        r#"insert into notify_target (node_idx, url, secret, added_at) values ($1, $2, $3, $4)
           on conflict (node_idx, url) where removed_at is null do update set url = excluded.url
           returning id, secret"#,
        node,
        url,
        secret.as_slice(),
        column::millis(now)? as _
    )
    .fetch_one(conn)
    .await?;
    Ok((row.id, secret_of(&row.secret)?))
}

/// A node's targets with the counts of their messages, in order.
pub(crate) async fn targets(
    conn: &mut PgConnection,
    node: i32,
) -> anyhow::Result<Vec<NotifyTarget>> {
    let rows = sqlx::query!(
        r#"select t.id, t.url, t.added_at::bigint as "added_at!", t.last_error,
                  count(d.delivered_at) as "delivered!", count(d.failed_at) as "failed!",
                  count(d.id) - count(d.delivered_at) - count(d.failed_at) as "waiting!"
           from notify_target t left join notify_delivery d on d.target_id = t.id
           where t.node_idx = $1 and t.removed_at is null group by t.id order by t.id"#,
        node
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(NotifyTarget {
                target: column::unsigned(row.id)?,
                url: row.url,
                added_millis: column::unsigned(row.added_at)?,
                delivered: u32::try_from(row.delivered)?,
                waiting: u32::try_from(row.waiting)?,
                failed: u32::try_from(row.failed)?,
                last_error: row.last_error,
            })
        })
        .collect()
}

/// Removes a node's target and drops its undelivered messages. False when the node never had it;
/// idempotent.
pub(crate) async fn remove(
    conn: &mut PgConnection,
    node: i32,
    target: i64,
    now: Timestamp,
) -> anyhow::Result<bool> {
    let done = sqlx::query!(
        "update notify_target set removed_at = coalesce(removed_at, $3)
         where node_idx = $1 and id = $2",
        node,
        target,
        column::millis(now)? as _
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A stored message, and whether it is delivered.
pub(crate) struct TestRow {
    pub(crate) message: Message,
    pub(crate) delivered: bool,
}

/// Stores a test message for a target, or finds the one of the same request.
pub(crate) async fn test(
    conn: &mut PgConnection,
    target: i64,
    nonce: u64,
    body: &str,
    now: Timestamp,
) -> anyhow::Result<TestRow> {
    // The handler of the request sends it; for the task it is never due.
    let row = sqlx::query!(
        r#"with written as (
               insert into notify_delivery (target_id, nonce, kind, body, created_at, next_at)
               values ($1, $2, $3, $4, $5, 9223372036854775807)
               on conflict on constraint notify_delivery_test_once
               do update set nonce = excluded.nonce
               returning id, target_id, body, delivered_at)
           select w.id, w.body, w.delivered_at is not null as "delivered!", t.url, t.secret
           from written w join notify_target t on t.id = w.target_id"#,
        target,
        column::signed(nonce)?,
        EventKind::Test.as_str(),
        body,
        column::millis(now)? as _
    )
    .fetch_one(conn)
    .await?;
    let secret = secret_of(&row.secret)?;
    let message = Message { id: row.id, url: row.url, secret, body: row.body };
    Ok(TestRow { message, delivered: row.delivered })
}

/// Messages due now, with their number of tries. First come nodes that ever held a lease, since
/// authorisations cost nothing; of them, first tries; and of these one of each operator in turn, so
/// that nobody's messages wait for all of another's.
pub(crate) async fn due(
    conn: &mut PgConnection,
    now: Timestamp,
    limit: i64,
) -> anyhow::Result<Vec<(Message, u32)>> {
    let rows = sqlx::query!(
        r#"select d.id, d.body, d.attempts, t.url, t.secret
           from notify_delivery d join notify_target t on t.id = d.target_id
           join node n on n.idx = t.node_idx
           where d.delivered_at is null and d.failed_at is null and d.next_at <= $1
             and t.removed_at is null
           order by exists (select from lease l where l.node_idx = n.idx) desc, d.attempts > 0,
                    row_number() over (partition by n.operator, d.attempts > 0 order by d.id), d.id
           limit $2"#,
        column::millis(now)? as _,
        limit
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let secret = secret_of(&row.secret)?;
            let message = Message { id: row.id, url: row.url, secret, body: row.body };
            Ok((message, u32::try_from(row.attempts)?))
        })
        .collect()
}

/// Stores the message of an outage's beginning, for each target of the node.
pub(crate) async fn queue_for_node(
    conn: &mut PgConnection,
    node: i32,
    outage: i64,
    kind: EventKind,
    body: &str,
    now: Timestamp,
) -> anyhow::Result<()> {
    sqlx::query!(
        "insert into notify_delivery (target_id, outage_id, kind, body, created_at, next_at)
         select id, $2, $3, $4, $5, $5 from notify_target
         where node_idx = $1 and removed_at is null",
        node,
        outage,
        kind.as_str(),
        body,
        column::millis(now)? as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Stores the message of an outage's end, for each target with a message of its beginning.
pub(crate) async fn queue_for_told(
    conn: &mut PgConnection,
    outage: i64,
    kind: EventKind,
    body: &str,
    now: Timestamp,
) -> anyhow::Result<()> {
    sqlx::query!(
        "insert into notify_delivery (target_id, outage_id, kind, body, created_at, next_at)
         select d.target_id, $1, $2, $3, $4, $4
         from notify_delivery d join notify_target t on t.id = d.target_id
         where d.outage_id = $1 and t.removed_at is null",
        outage,
        kind.as_str(),
        body,
        column::millis(now)? as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Stores the message of a new node for the targets that all nodes of its operator had before, revoked ones
/// included: a URL is told once, at most `most` of them.
pub(crate) async fn queue_for_operator(
    conn: &mut PgConnection,
    node: i32,
    kind: EventKind,
    body: &str,
    now: Timestamp,
    most: i64,
) -> anyhow::Result<()> {
    sqlx::query!(
        "insert into notify_delivery (target_id, node_idx, kind, body, created_at, next_at)
         select min(t.id), $1, $2, $3, $4, $4
         from node new join node n on n.operator = new.operator
             join notify_target t on t.node_idx = n.idx
         where new.idx = $1 and t.removed_at is null and t.added_at < new.authorized_at
         group by t.url order by min(t.id) limit $5",
        node,
        kind.as_str(),
        body,
        column::millis(now)? as _,
        most
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A node with at least one target.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WatchedNode {
    pub(crate) node: i32,
    pub(crate) revoked: bool,
    /// Time its first target was added.
    pub(crate) since: Timestamp,
}

/// Every node that has a target.
pub(crate) async fn watched(conn: &mut PgConnection) -> anyhow::Result<Vec<WatchedNode>> {
    let rows = sqlx::query!(
        r#"select n.idx, n.revoked_at is not null as "revoked!", t.watched::bigint as "watched!"
           from node n join (
               select node_idx, min(added_at::bigint) as watched from notify_target
               where removed_at is null group by node_idx) t on t.node_idx = n.idx
           order by n.idx"#
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let since = column::time(row.watched)?;
            Ok(WatchedNode { node: row.idx, revoked: row.revoked, since })
        })
        .collect()
}

/// Records that a message was delivered.
pub(crate) async fn delivered(
    conn: &mut PgConnection,
    id: i64,
    now: Timestamp,
) -> anyhow::Result<()> {
    sqlx::query!(
        "update notify_delivery set delivered_at = $2, failed_at = null
         where id = $1 and delivered_at is null",
        id,
        column::millis(now)? as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records a failed try: the message is sent again at `next`, or given up.
pub(crate) async fn refused(
    conn: &mut PgConnection,
    id: i64,
    why: &str,
    next: Option<Timestamp>,
    now: Timestamp,
) -> anyhow::Result<()> {
    let failed = match next {
        Some(_) => None,
        None => Some(column::millis(now)?),
    };
    sqlx::query!(
        "with tried as (
             update notify_delivery
             set attempts = attempts + 1, next_at = coalesce($2, next_at), failed_at = $3
             where id = $1 and delivered_at is null returning target_id)
         update notify_target t set last_error = $4 from tried where t.id = tried.target_id",
        id,
        next.map(column::millis).transpose()? as _,
        failed as _,
        why.chars().take(500).collect::<String>()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A stored secret.
fn secret_of(bytes: &[u8]) -> anyhow::Result<Secret> {
    Ok(Secret::from_random(bytes.try_into()?))
}

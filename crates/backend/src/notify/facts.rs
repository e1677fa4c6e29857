//! What the decision is made from, and how it is written: rows of `outage` with their messages.

use nodesys_core::Address;
use nodesys_core::ids::LicenseIndex;
use nodesys_core::license::LicenseId;
use nodesys_core::notify::{Event, EventData, EventKind};
use nodesys_core::time::Timestamp;
use sqlx::PgConnection;

use super::watch::{Change, EndedAs, LeaseFacts, NodeFacts, Outage};
use crate::app::App;
use crate::sql;

/// Every node somebody wants to be told of, as the fold has it.
pub(super) async fn nodes(app: &App, conn: &mut PgConnection) -> anyhow::Result<Vec<NodeFacts>> {
    let rows = sqlx::query!(
        r#"select n.idx, n.revoked_at is not null as "revoked!", t.watched::bigint as "watched!"
           from node n join (
               select node_idx, min(added_at::bigint) as watched from notify_target
               where removed_at is null group by node_idx) t on t.node_idx = n.idx
           order by n.idx"#
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut nodes = Vec::with_capacity(rows.len());
    for row in rows {
        let watched = Timestamp::from_millis(sql::unsigned(row.watched)?);
        let number = u32::try_from(row.idx)?;
        let heard = app.ingest.with_fold(|fold| fold.heard_at(number));
        nodes.push(NodeFacts {
            node: row.idx,
            heard: heard.map_or(watched, |heard| heard.max(watched)),
            revoked: row.revoked,
            leases: leases(app, conn, row.idx, watched).await?,
        });
    }
    Ok(nodes)
}

async fn leases(
    app: &App,
    conn: &mut PgConnection,
    node: i32,
    watched: Timestamp,
) -> anyhow::Result<Vec<LeaseFacts>> {
    let rows = sqlx::query!(
        r#"select license_idx, granted_at::bigint as "granted_at!" from lease
           where node_idx = $1 and ended_at is null order by license_idx"#,
        node
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let license = LicenseIndex(u32::try_from(row.license_idx)?);
            let granted = Timestamp::from_millis(sql::unsigned(row.granted_at)?);
            let fit = app.ingest.with_fold(|fold| fold.renewed(license)).fit;
            let well = fit.unwrap_or_default().max(granted).max(watched);
            Ok(LeaseFacts { license, well })
        })
        .collect()
}

/// Outages that last.
pub(super) async fn open(conn: &mut PgConnection) -> anyhow::Result<Vec<Outage>> {
    let rows = sqlx::query!(
        "select id, node_idx, license_idx from outage where ended_at is null order by id"
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let license = row.license_idx.map(u32::try_from).transpose()?.map(LicenseIndex);
            Ok(Outage { id: row.id, node: row.node_idx, license })
        })
        .collect()
}

/// Writes a change, and its message for each target that is to be told.
pub(super) async fn write(
    conn: &mut PgConnection,
    chain_id: u64,
    change: &Change,
    now: Timestamp,
) -> anyhow::Result<()> {
    let now_millis = sql::signed(now.millis())?;
    match *change {
        Change::Begins { node, license, since } => {
            let license_idx = license.map(|license| i32::try_from(license.0)).transpose()?;
            let outage = sqlx::query_scalar!(
                "insert into outage (node_idx, license_idx, since, told_at)
                 values ($1, $2, $3, $4) returning id",
                node,
                license_idx,
                sql::signed(since.millis().min(now.millis()))? as _,
                now_millis as _
            )
            .fetch_one(&mut *conn)
            .await?;
            let kind =
                if license.is_some() { EventKind::WorkloadDown } else { EventKind::NodeDown };
            let body = event(conn, chain_id, kind, node, license, Some(since), now).await?;
            sqlx::query!(
                "insert into notify_delivery (target_id, outage_id, kind, body, created_at, next_at)
                 select id, $2, $3, $4, $5, $5 from notify_target
                 where node_idx = $1 and removed_at is null",
                node,
                outage,
                kind.as_str(),
                body,
                now_millis as _
            )
            .execute(conn)
            .await?;
        }
        Change::Ends { outage, ended } => {
            let since = sqlx::query_scalar!(
                r#"update outage set ended_at = $2, ended_as = $3 where id = $1
                   returning since::bigint as "since!""#,
                outage.id,
                now_millis as _,
                ended.as_str()
            )
            .fetch_one(&mut *conn)
            .await?;
            let kind = match (ended, outage.license) {
                (EndedAs::Unwatched, _) => return Ok(()),
                (EndedAs::Lost, _) => EventKind::WorkloadLost,
                (EndedAs::Back, Some(_)) => EventKind::WorkloadBack,
                (EndedAs::Back, None) => EventKind::NodeBack,
            };
            let since = Some(Timestamp::from_millis(sql::unsigned(since)?));
            let (node, license) = (outage.node, outage.license);
            let body = event(conn, chain_id, kind, node, license, since, now).await?;
            // Only who was told that it began.
            sqlx::query!(
                "insert into notify_delivery (target_id, outage_id, kind, body, created_at, next_at)
                 select d.target_id, $1, $2, $3, $4, $4
                 from notify_delivery d join notify_target t on t.id = d.target_id
                 where d.outage_id = $1 and t.removed_at is null",
                outage.id,
                kind.as_str(),
                body,
                now_millis as _
            )
            .execute(conn)
            .await?;
        }
    }
    Ok(())
}

/// The body of a message.
pub(super) async fn event(
    conn: &mut PgConnection,
    chain_id: u64,
    kind: EventKind,
    node: i32,
    license: Option<LicenseIndex>,
    since: Option<Timestamp>,
    now: Timestamp,
) -> anyhow::Result<String> {
    let (node_key, operator) = node_of(conn, node).await?;
    let (mut id, mut workload) = (None, None);
    if let Some(license) = license {
        let row = crate::license::by_index(conn, license).await?;
        id = Some(LicenseId { chain_id, ..row.id });
        workload = Some(row.workload);
    }
    let since = since.map(|since| since.to_string());
    let data = EventData { node_key, operator, since, license: id, workload };
    Ok(serde_json::to_string(&Event { kind, timestamp: now.to_string(), data })?)
}

async fn node_of(conn: &mut PgConnection, node: i32) -> anyhow::Result<(Address, Address)> {
    let row = sqlx::query!(
        r#"select node_key::bytea as "node_key!", operator::bytea as "operator!" from node
           where idx = $1"#,
        node
    )
    .fetch_one(conn)
    .await?;
    Ok((sql::address(&row.node_key)?, sql::address(&row.operator)?))
}

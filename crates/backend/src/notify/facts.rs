//! The inputs of the decision, and the storing of its outcome: outages with their messages.

use nodesys_core::Address;
use nodesys_core::ids::LicenseIndex;
use nodesys_core::license::LicenseId;
use nodesys_core::notify::{Event, EventData, EventKind};
use nodesys_core::time::Timestamp;
use sqlx::PgConnection;

use super::watch::{Change, LeaseFacts, NodeFacts};
use crate::db;
use crate::db::outage::EndedAs;
use crate::state::App;

/// New nodes that are told of in one run.
const MOST_NEW: i64 = 256;
/// URLs that are told of a new node.
const MOST_TOLD: i64 = 64;

/// Every node with a target, from the fold.
pub(super) async fn nodes(app: &App, conn: &mut PgConnection) -> anyhow::Result<Vec<NodeFacts>> {
    let mut nodes = Vec::new();
    for watched in db::notify::watched(conn).await? {
        let number = u32::try_from(watched.node)?;
        let heard = app.live.fold.read(|fold| fold.heard_at(number));
        nodes.push(NodeFacts {
            node: watched.node,
            heard: heard.map_or(watched.since, |heard| heard.max(watched.since)),
            revoked: watched.revoked,
            leases: leases(app, conn, watched.node, watched.since).await?,
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
    let held = db::active_lease::held_by(conn, node).await?;
    let facts = held.iter().map(|lease| {
        let fit = app.live.fold.read(|fold| fold.renewed(lease.license)).fit;
        let well = fit.unwrap_or_default().max(lease.granted).max(watched);
        LeaseFacts { license: lease.license, well }
    });
    Ok(facts.collect())
}

/// Stores a change, and its message for each target.
pub(super) async fn write(
    conn: &mut PgConnection,
    chain_id: u64,
    change: &Change,
    now: Timestamp,
) -> anyhow::Result<()> {
    match *change {
        Change::Begins { node, license, since } => {
            let outage = db::outage::begin(conn, node, license, since, now).await?;
            let kind =
                if license.is_some() { EventKind::WorkloadDown } else { EventKind::NodeDown };
            let body = event(conn, chain_id, kind, node, license, Some(since), now).await?;
            db::notify::queue_for_node(conn, node, outage, kind, &body, now).await
        }
        Change::Ends { outage, ended } => {
            let since = db::outage::end(conn, outage.id, ended, now).await?;
            let kind = match (ended, outage.license) {
                (EndedAs::Unwatched, _) => return Ok(()),
                (EndedAs::Lost, _) => EventKind::WorkloadLost,
                (EndedAs::Back, Some(_)) => EventKind::WorkloadBack,
                (EndedAs::Back, None) => EventKind::NodeBack,
            };
            let (node, license) = (outage.node, outage.license);
            let body = event(conn, chain_id, kind, node, license, Some(since), now).await?;
            db::notify::queue_for_told(conn, outage.id, kind, &body, now).await
        }
    }
}

/// Stores the messages of new nodes.
pub(super) async fn announce(
    app: &App,
    conn: &mut PgConnection,
    now: Timestamp,
) -> anyhow::Result<()> {
    let kind = EventKind::NodeAuthorized;
    for node in db::node::unannounced(conn, MOST_NEW).await? {
        let (node_key, operator) = db::node::key_and_operator(conn, node).await?;
        let link = app.front.as_ref().map(|front| front.link(&format!("/nodes/{node_key:#x}")));
        let data = EventData { link, ..about(node_key, operator) };
        let body = serde_json::to_string(&Event { kind, timestamp: now.to_string(), data })?;
        db::notify::queue_for_operator(conn, node, kind, &body, now, MOST_TOLD).await?;
        db::node::announced(conn, node).await?;
    }
    Ok(())
}

const fn about(node_key: Address, operator: Address) -> EventData {
    EventData { node_key, operator, since: None, license: None, workload: None, link: None }
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
    let (node_key, operator) = db::node::key_and_operator(conn, node).await?;
    let (mut id, mut workload) = (None, None);
    if let Some(license) = license {
        let row = db::license::by_index(conn, license).await?;
        id = Some(LicenseId { chain_id, ..row.id });
        workload = Some(row.workload);
    }
    let since = since.map(|since| since.to_string());
    let data = EventData { since, license: id, workload, ..about(node_key, operator) };
    Ok(serde_json::to_string(&Event { kind, timestamp: now.to_string(), data })?)
}

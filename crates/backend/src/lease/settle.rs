//! Settling one license: read the chain, lock the license, decide, write.
//!
//! Every lease change except a revocation goes through here, on a node's request or as time passes,
//! so that the order of standbys and the fence hold in any interleaving. The chain is read before
//! anything is locked; nothing is done without its answer.

use std::collections::{BTreeSet, HashMap};

use alloy::eips::BlockNumberOrTag;
use nodesys_chain::ownership;
use nodesys_core::Address;
use nodesys_core::ids::Fence;
use nodesys_core::license::{LicenseId, Right};
use nodesys_core::time::Timestamp;
use sqlx::PgConnection;

use super::decide::{Decision, Lease, Moment, decide};
use crate::db;
use crate::db::lease::{LeaseRow, NewLease};
use crate::db::license::LicenseRow;
use crate::db::node::NodeEntry;
use crate::db::{active_lease, lease, node, standby};
use crate::error::{ApiError, ApiResult};
use crate::live::fold::Renewed;
use crate::live::nodes::check_authorised;
use crate::liveness::Liveness;
use crate::nonce;
use crate::state::App;

/// Largest difference between replicas' clocks when a lease moves.
const SKEW_MILLIS: u64 = 5_000;

/// A node's request, its signature verified.
pub(super) struct Ask {
    pub(super) node_key: Address,
    pub(super) node: NodeEntry,
    pub(super) nonce: u64,
}

/// Settles a license; returns its newest lease.
pub(super) async fn settle(
    app: &App,
    license: &LicenseRow,
    ask: Option<&Ask>,
) -> ApiResult<Option<LeaseRow>> {
    let rights = rights(app, license, ask).await?;
    settle_with(app, license, ask, &rights).await
}

/// Like [`settle`], as time passes: if the chain cannot be read, no standby is promoted.
pub(super) async fn settle_by_time(app: &App, license: &LicenseRow) -> ApiResult<()> {
    let rights = rights(app, license, None).await.unwrap_or_else(|error| {
        tracing::warn!(license = %license.id, ?error, "standbys must wait until the chain is read");
        HashMap::new()
    });
    settle_with(app, license, None, &rights).await.map(drop)
}

/// The current rights of all operators concerned. Without a request or a standby the chain is not
/// read: the mirror checks the lease's own operator.
async fn rights(
    app: &App,
    license: &LicenseRow,
    ask: Option<&Ask>,
) -> ApiResult<HashMap<Address, Right>> {
    let mut operators = BTreeSet::new();
    {
        let mut conn = app.pool.acquire().await?;
        let now = app.clock.now();
        let standbys = standby::of_license(&mut conn, license, now).await?;
        operators.extend(standbys.iter().map(|standby| standby.operator));
        operators.extend(ask.map(|ask| ask.node.operator));
        if !operators.is_empty() {
            let newest = lease::newest(&mut conn, license.idx).await?;
            operators.extend(newest.map(|lease| lease.operator));
        }
        let collection = license.id.collection;
        if let Some(since) = db::mirror_source::collection_aside(&mut conn, collection).await?
            && !operators.is_empty()
        {
            return Err(ApiError::chain_unavailable(format!(
                "the chain's logs of collection {collection} have not been readable since {since}: \
                 leases stay, and none is granted until they are; it is tried again by itself"
            )));
        }
    }
    if operators.is_empty() {
        return Ok(HashMap::new());
    }
    let asks: Vec<(LicenseId, Address)> =
        operators.iter().map(|operator| (license.id, *operator)).collect();
    let read = ownership::rights_of(&app.chain, &asks, BlockNumberOrTag::Latest).await?;
    // Another chain's word is no answer, and may look like one.
    app.chain.recheck_chain().await?;
    Ok(operators.into_iter().zip(read.facts.iter().map(|(_, right)| *right)).collect())
}

/// The refusal of a request that was made before another.
pub(super) fn stale_nonce() -> ApiError {
    ApiError::nonce_stale(
        "a lease request with a higher nonce was taken: use the time in milliseconds",
    )
}

async fn settle_with(
    app: &App,
    license: &LicenseRow,
    ask: Option<&Ask>,
    rights: &HashMap<Address, Right>,
) -> ApiResult<Option<LeaseRow>> {
    if let Some(ask) = ask {
        check_right(license, ask.node.operator, rights.get(&ask.node.operator))?;
    }
    let now = app.clock.now();
    let mut tx = app.pool.begin().await?;
    db::license::lock(&mut tx, license.idx).await?;
    if let Some(ask) = ask {
        still_authorised(app, &mut tx, ask, now).await?;
    }
    let newest = lease::newest(&mut tx, license.idx).await?;
    if let Some(ask) = ask {
        let idx = i32::try_from(ask.node.idx).map_err(anyhow::Error::from)?;
        if !node::take_lease_nonce(&mut tx, idx, ask.nonce, nonce::latest(now)).await? {
            return Err(stale_nonce());
        }
        if !ask.node.is_entitled_today(now) {
            node::record_entitled(&mut tx, idx, now).await?;
        }
        if newest.as_ref().is_some_and(|lease| lease.active() && lease.node_key == ask.node_key) {
            tx.commit().await?;
            learn_right(app, ask, now);
            return Ok(newest);
        }
        if let Some(other) = active_lease::same_workload(&mut tx, idx, license).await? {
            return Err(ApiError::workload_taken(format!(
                "the node already runs license {other} of workload {}: one license per node and \
                 workload",
                license.workload
            )));
        }
        standby::ask(&mut tx, license.idx, idx, now).await?;
    }
    let standbys = standby::of_license(&mut tx, license, now).await?;
    let mut moment = Moment::new(now, &Liveness::until(&mut tx, now).await?);
    let vouched = app.reference.may_decide(&app.clock).is_ok();
    if !vouched {
        // Nobody vouches for the time: no lease is silent for too long.
        moment.overdue = Timestamp::default();
    }
    let today = now.day();
    let renewed = app.live.fold.read(|fold| fold.renewed(license.idx));
    let listed = license.days.include(today) || !vouched;
    let facts = newest.as_ref().map(|lease| {
        // One of an earlier listing ended with it.
        let of_this = lease.granted.day() >= license.days.from || !vouched;
        facts(lease, renewed, listed && of_this)
    });
    // Nobody runs what is not listed.
    let right = |operator: Address| match listed {
        true => rights.get(&operator).map(|right| right.allows()),
        false => Some(false),
    };
    let decision = decide(facts.as_ref(), &standbys, right, &moment);
    let changed = apply(&mut tx, license, newest.as_ref(), &decision, now).await?;
    let settled =
        if changed.is_some() { lease::newest(&mut tx, license.idx).await? } else { newest };
    tx.commit().await?;
    if let Some(ask) = ask {
        learn_right(app, ask, now);
    }
    if changed.is_some() {
        // From the rows, with their marks. A granted lease is read when it is first carried.
        app.live.leases.learn_ends(&mut *app.pool.acquire().await?).await?;
    }
    Ok(settled)
}

/// After the commit: a right that memory does not know yet is read with the node's next heartbeat.
fn learn_right(app: &App, ask: &Ask, now: Timestamp) {
    if !ask.node.is_entitled_today(now) {
        app.live.nodes.forget(ask.node_key);
    }
}

/// A lease's row, for the decision.
const fn facts(row: &LeaseRow, renewed: Renewed, listed: bool) -> Lease {
    let LeaseRow { node, operator, granted, ended, .. } = *row;
    Lease { node, operator, granted, listed, renewed, ended }
}

fn check_right(license: &LicenseRow, operator: Address, right: Option<&Right>) -> ApiResult<()> {
    match right {
        Some(right) if right.allows() => Ok(()),
        Some(Right::Expired { at_secs }) => Err(ApiError::not_entitled(format!(
            "license {} has expired at {}: renew it, then ask again",
            license.id,
            Timestamp::from_secs(*at_secs)
        ))),
        _ => Err(ApiError::not_entitled(format!(
            "operator {operator} is neither holder, renter nor delegate of license {}",
            license.id
        ))),
    }
}

/// The written change: the fence that ended with it.
#[derive(Clone, Copy)]
struct Changed {
    ended: Option<Fence>,
}

/// Writes a decision; `None` when nothing changed.
async fn apply(
    conn: &mut PgConnection,
    license: &LicenseRow,
    newest: Option<&LeaseRow>,
    decision: &Decision,
    now: Timestamp,
) -> anyhow::Result<Option<Changed>> {
    let (to, reason) = match *decision {
        Decision::Stay => return Ok(None),
        Decision::End(reason) => (None, Some(reason)),
        // A standby whose row is being changed is not promoted now: the next run sees the change.
        Decision::Grant { node, operator, ends } => {
            let steady = node::steady(conn, node, operator, now).await?;
            (steady.then_some((node, operator)), ends)
        }
    };
    let mut changed = Changed { ended: None };
    if let (Some(reason), Some(lease)) = (reason, newest) {
        lease::end(conn, license.idx, lease.fence, reason, now).await?;
        tracing::info!(license = %license.id, fence = %lease.fence, node = %lease.node_key,
            reason = reason.as_str(), "a lease ended");
        metrics::counter!("nodesys_leases_ended_total", "reason" => reason.as_str()).increment(1);
        changed.ended = Some(lease.fence);
    }
    let Some((node, operator)) = to else { return Ok(changed.ended.is_some().then_some(changed)) };
    let above = newest.map_or(Fence::ZERO, |lease| lease.fence);
    let fence = Fence::checked_new(above.get() + 1)
        .ok_or_else(|| anyhow::anyhow!("license {} is out of fencing numbers", license.id))?;
    // After another node's lease: not this minute, nor one that a replica whose clock is ahead
    // may have credited already.
    let earns_from = match newest {
        None => now.minute(),
        Some(lease) if lease.node == node => lease.earns_from,
        Some(_) => now.plus_millis(SKEW_MILLIS).minute().next(),
    };
    let lease = NewLease { node, operator, fence, earns_from };
    lease::insert(conn, license, &lease, now).await?;
    standby::leave(conn, license.idx, node).await?;
    tracing::info!(license = %license.id, %fence, %operator, "a lease was granted");
    metrics::counter!("nodesys_leases_granted_total").increment(1);
    Ok(Some(changed))
}

/// Checks that the node is as it was when its operator's right was read, and locks its row until
/// the transaction ends. Another replica may have revoked it a moment ago.
async fn still_authorised(
    app: &App,
    conn: &mut PgConnection,
    ask: &Ask,
    now: Timestamp,
) -> ApiResult<()> {
    let found = node::locked_entry(conn, ask.node_key).await?;
    if found.is_some_and(|found| found.same_authorization(&ask.node)) {
        return Ok(());
    }
    app.live.nodes.forget(ask.node_key);
    if let Some(found) = found {
        check_authorised(&found, now)?;
    }
    Err(ApiError::busy("the node's authorisation changed meanwhile: ask again"))
}

/// Ends the lease of an operator denied by the chain, and promotes the next entitled standby.
pub(super) async fn end_denied(
    app: &App,
    license: &LicenseRow,
    operator: Address,
) -> ApiResult<()> {
    let mut rights = rights(app, license, None).await.unwrap_or_default();
    rights.insert(operator, Right::None);
    settle_with(app, license, None, &rights).await.map(drop)
}

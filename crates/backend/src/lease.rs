//! Leases: one license runs on one node at a time, under a fencing number that only rises.
//!
//! States of a license: unleased -> active -> ended -> active (with a higher fence) ... A lease row
//! is written when it is granted and once more when it ends; renewals are the heartbeats
//! themselves. A lease ends when no heartbeat carried it for 10 minutes and 30 seconds in which the
//! backend was up, when the chain says the operator may not run it, or when the node is revoked.

mod db;

use axum::Router;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Json, Path, State};
use axum::routing::{get, post};
use nodesys_core::api::{LeaseState, LeaseView};
use nodesys_core::ids::Fence;
use nodesys_core::message::{LeaseRequest, Signed};
use nodesys_core::time::Timestamp;
use nodesys_core::{Address, B256};
use sqlx::PgConnection;

use crate::app::{App, AppState};
use crate::error::{ApiError, ApiResult};
use crate::heartbeat::{LeaseEntry, NodeEntry};
use crate::license::{self, LicenseRow};
use crate::periodic::Periodic;
use crate::{node, sql};

pub(crate) use db::{
    EndReason, active_by_hash, all_active, end, end_all_of_node, ended_since, of_node,
};

/// How long a lease lives after the last heartbeat that carried it.
const TTL_MILLIS: u64 = 600_000;
/// How much later its end is acted on.
const GRACE_MILLIS: u64 = 30_000;
/// The longest gap between two liveness records that still counts as being up.
pub(crate) const ALIVE_GAP_MILLIS: u64 = 90_000;

/// The stage's routes, below `/v1`.
pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/leases", post(request)).route("/leases/{license}", get(show))
}

/// Asks for a license's lease. Whoever holds it already gets the same answer again.
#[utoipa::path(post, path = "/v1/leases", tag = "lease", request_body = Signed<LeaseRequest>,
    responses((status = 200, body = LeaseView)))]
pub(crate) async fn request(
    State(app): State<AppState>,
    body: Result<Json<Signed<LeaseRequest>>, JsonRejection>,
) -> ApiResult<Json<LeaseView>> {
    let Json(signed) = body?;
    let now = app.clock.now();
    let node = app.ingest.authorised_node(&app, signed.message.node_key, now).await?;
    let request =
        signed.verify(&app.domain, signed.message.node_key).map_err(ApiError::bad_signature)?;
    if i64::try_from(request.nonce).is_err() {
        return Err(ApiError::bad_request("the nonce must be below 2^63: use milliseconds"));
    }
    grant(&app, request, node).await.map(Json)
}

/// The newest lease of a license.
#[utoipa::path(get, path = "/v1/leases/{license}", tag = "lease",
    params(("license" = String, Path)), responses((status = 200, body = LeaseView)))]
pub(crate) async fn show(
    State(app): State<AppState>,
    path: Result<Path<B256>, PathRejection>,
) -> ApiResult<Json<LeaseView>> {
    let Path(hash) = path?;
    let mut conn = app.pool.acquire().await?;
    let license = known(license::by_hash(&mut conn, hash).await?, hash)?;
    let lease = db::newest(&mut conn, license.idx).await?;
    let lease = lease.ok_or_else(|| ApiError::not_leased(format!("license {}", license.id)))?;
    Ok(Json(lease.view(&license)))
}

fn known(license: Option<LicenseRow>, hash: B256) -> ApiResult<LicenseRow> {
    license.ok_or_else(|| {
        ApiError::unknown_license(format!(
            "no license has the hash {hash}: it may be minted in a block that is not final yet, or \
             its collection is not listed by a project"
        ))
    })
}

async fn grant(app: &App, request: &LeaseRequest, node: NodeEntry) -> ApiResult<LeaseView> {
    let license = {
        let mut conn = app.pool.acquire().await?;
        known(license::by_hash(&mut conn, request.license).await?, request.license)?
    };
    let right = license::right(app, &license.id, node.operator).await?;
    if !right.allows() {
        return Err(ApiError::not_entitled(format!(
            "operator {} is neither holder, renter nor delegate of license {}",
            node.operator, license.id
        )));
    }
    // Whether the present holder of the lease has lost its right is read before rows are locked.
    let displaced = displaced(app, &license, node).await?;

    let node_idx = i32::try_from(node.idx).map_err(anyhow::Error::from)?;
    let now = app.clock.now();
    let mut tx = app.pool.begin().await?;
    db::lock_license(&mut tx, license.idx).await?;
    still_authorised(app, &mut tx, request.node_key, node, now).await?;
    if !db::take_nonce(&mut tx, node_idx, request.nonce).await? {
        return Err(ApiError::nonce_stale(
            "a lease request with a higher nonce was taken: use the time in milliseconds",
        ));
    }
    let newest = db::newest(&mut tx, license.idx).await?;
    let mut ended = None;
    if let Some(lease) = newest.as_ref().filter(|lease| lease.active()) {
        if lease.node_key == request.node_key {
            tx.commit().await?;
            return Ok(lease.view(&license));
        }
        if displaced == Some(lease.fence) {
            db::end(&mut tx, license.idx, lease.fence, EndReason::NotEntitled, now).await?;
            ended = Some(lease.fence);
        } else {
            db::stand_by(&mut tx, license.idx, node_idx, now).await?;
            tx.commit().await?;
            return Ok(LeaseView {
                node_key: request.node_key,
                state: LeaseState::Standby,
                ..lease.view(&license)
            });
        }
    }
    if let Some(other) = db::same_workload(&mut tx, node_idx, &license).await? {
        return Err(ApiError::workload_taken(format!(
            "the node already runs license {other} of workload {}: one license per node and workload",
            license.workload
        )));
    }
    let above = newest.map_or(Fence::ZERO, |lease| lease.fence);
    let fence = Fence::checked_new(above.get() + 1)
        .ok_or_else(|| anyhow::anyhow!("license {} is out of fencing numbers", license.id))?;
    db::insert(&mut tx, &license, node_idx, node.operator, fence, now).await?;
    tx.commit().await?;
    if let Some(fence) = ended {
        app.ingest.lease_ended(license.idx, fence);
    }
    let entry = LeaseEntry { license: license.idx, node_key: request.node_key, fence };
    app.ingest.lease_granted(license.hash, entry);
    metrics::counter!("leases_granted_total").increment(1);
    Ok(LeaseView {
        license: license.id,
        license_hash: license.hash,
        index: license.idx,
        project: license.project,
        workload: license.workload,
        node_key: request.node_key,
        state: LeaseState::Active,
        fence,
        granted_millis: now.millis(),
    })
}

/// What was known of the node when its operator's right was read still holds; its row stays as it
/// is until the transaction ends. Another replica may have revoked it a moment ago.
async fn still_authorised(
    app: &App,
    conn: &mut PgConnection,
    node_key: Address,
    known: NodeEntry,
    now: Timestamp,
) -> ApiResult<()> {
    let found = node::locked_entry(conn, node_key).await?;
    if found == Some(known) {
        return Ok(());
    }
    app.ingest.forget_node(node_key);
    if let Some(found) = found {
        found.check_authorised(now)?;
    }
    Err(ApiError::busy("the node's authorisation changed meanwhile: ask again"))
}

/// The fence of the active lease, when it is another operator's and the chain denies it now: a
/// newly entitled operator takes over at once.
async fn displaced(app: &App, license: &LicenseRow, node: NodeEntry) -> ApiResult<Option<Fence>> {
    let newest = {
        let mut conn = app.pool.acquire().await?;
        db::newest(&mut conn, license.idx).await?
    };
    match newest.filter(|lease| lease.active() && lease.operator != node.operator) {
        Some(lease) if !license::right(app, &license.id, lease.operator).await?.allows() => {
            Ok(Some(lease.fence))
        }
        _ => Ok(None),
    }
}

/// Each minute: ends leases that no heartbeat has carried in time.
pub(crate) struct Expiry {
    app: AppState,
}

impl Expiry {
    pub(crate) const fn new(app: AppState) -> Self {
        Self { app }
    }
}

impl Periodic for Expiry {
    const NAME: &'static str = "lease expiry";

    async fn tick(&mut self) -> anyhow::Result<()> {
        let now = self.app.clock.now();
        let cutoff = Timestamp::from_millis(now.millis().saturating_sub(TTL_MILLIS + GRACE_MILLIS));
        let mut tx = self.app.pool.begin().await?;
        if !db::lock_expiry(&mut tx).await? {
            return Ok(());
        }
        let alive = db::alive_intervals(&mut tx, cutoff).await?;
        if !up_throughout(&alive, cutoff, now) {
            return Ok(());
        }
        self.app.ingest.follow(&mut tx, None, now).await?;
        let mut ended = Vec::new();
        for (license, fence) in db::active_before(&mut tx, cutoff).await? {
            let renewed = self.app.ingest.with_fold(|fold| fold.renewed_at(license));
            if renewed.is_none_or(|at| at < cutoff) {
                db::end(&mut tx, license, fence, EndReason::Expired, now).await?;
                ended.push((license, fence));
            }
        }
        tx.commit().await?;
        for (license, fence) in ended {
            tracing::info!(%license, %fence, "a lease expired");
            metrics::counter!("leases_expired_total").increment(1);
            self.app.ingest.lease_ended(license, fence);
        }
        Ok(())
    }
}

/// Whether the intervals in which writers were alive cover all of `from..=to`, so that silence was
/// the nodes' and not the backend's.
fn up_throughout(alive: &[(Timestamp, Timestamp)], from: Timestamp, to: Timestamp) -> bool {
    let mut alive = alive.to_vec();
    alive.sort_unstable();
    let mut covered = from;
    for (start, end) in alive {
        if start > covered {
            break;
        }
        covered = covered.max(end.plus_millis(ALIVE_GAP_MILLIS));
    }
    covered >= to
}

/// Reads a fence column.
fn fence(value: i64) -> anyhow::Result<Fence> {
    Fence::checked_new(sql::unsigned(value)?).ok_or_else(|| anyhow::anyhow!("fence out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_counts_only_while_the_backend_was_up() {
        let at = Timestamp::from_millis;
        let up = |alive: &[(u64, u64)], from, to| {
            let alive: Vec<_> = alive.iter().map(|(a, b)| (at(*a), at(*b))).collect();
            up_throughout(&alive, at(from), at(to))
        };
        assert!(up(&[(0, 1_000_000)], 100_000, 1_000_000));
        assert!(up(&[(500_000, 1_000_000), (0, 450_000)], 100_000, 1_050_000));
        assert!(!up(&[(0, 300_000), (500_000, 1_000_000)], 100_000, 1_000_000));
        assert!(!up(&[(200_000, 1_000_000)], 100_000, 1_000_000));
        assert!(!up(&[], 0, 1));
    }
}

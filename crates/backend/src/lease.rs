//! Leases: one license runs on one node at a time, under a fencing number that only rises.
//!
//! States of a license: unleased -> active -> ended -> active (with a higher fence) ... A lease row
//! is written when it is granted and once more when it ends; renewals are the heartbeats
//! themselves. A lease ends when nothing renewed it for 10 minutes and 30 seconds in which the
//! backend was up, when the chain says the operator may not run it, or when the node is revoked.
//! Nodes that ask meanwhile stand by, in order, as long as they keep asking. [`decide`] decides
//! each license's lease, from facts alone.

mod decide;
mod pace;
mod recheck;
mod settle;
mod task;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Extension, Json, Path, State};
use nodesys_core::B256;
use nodesys_core::api::{LeaseState, LeaseView};
use nodesys_core::ids::Fence;
use nodesys_core::message::{LeaseRequest, Signed};
use nodesys_core::time::Timestamp;
use nodesys_service::network::Network;

use sqlx::PgConnection;

use crate::db;
use crate::db::license::LicenseRow;
use crate::db::node::NodeEntry;
use crate::error::{ApiError, ApiResult};
use crate::nonce;
use crate::state::{App, AppState};

pub(crate) use recheck::Recheck;
pub(crate) use task::{Expiry, PERIOD};

/// Asks for a license's lease. Its holder gets the same answer again; other nodes become standbys, and
/// ask again each minute to keep their place.
#[utoipa::path(post, path = "/v1/leases", tag = "lease", operation_id = "requestLease",
    request_body = Signed<LeaseRequest>,
    responses((status = 200, description = "The lease, or the place as a standby.",
        body = LeaseView)))]
pub(crate) async fn request(
    State(app): State<AppState>,
    Extension(network): Extension<Network>,
    body: Result<Json<Signed<LeaseRequest>>, JsonRejection>,
) -> ApiResult<Json<LeaseView>> {
    let Json(signed) = body?;
    app.may_count()?;
    let now = app.clock.now();
    let lookup = || app.limits.lookup(network);
    let node = app.live.nodes.authorised(signed.message.node_key, now, lookup).await?;
    let request =
        signed.verify(&app.domain, signed.message.node_key).map_err(ApiError::bad_signature)?;
    nonce::of_node(request.nonce, now)?;
    ask(&app, request, node).await.map(Json)
}

/// The newest lease of a license.
#[utoipa::path(get, path = "/v1/leases/{license}", tag = "lease", operation_id = "getLease",
    params(("license" = String, Path)),
    responses((status = 200, description = "The lease.", body = LeaseView)))]
pub(crate) async fn show(
    State(app): State<AppState>,
    path: Result<Path<B256>, PathRejection>,
) -> ApiResult<Json<LeaseView>> {
    let Path(hash) = path?;
    let mut conn = app.pool.acquire().await?;
    let license = known(db::license::by_hash(&mut conn, hash).await?, hash)?;
    let lease = db::lease::newest(&mut conn, license.idx).await?;
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

/// Refuses a license whose collection is listed no more.
fn still_listed(license: &LicenseRow, now: Timestamp) -> ApiResult<()> {
    if license.days.include(now.day()) {
        return Ok(());
    }
    let until = license.days.until.unwrap_or(license.days.from);
    Err(ApiError::unknown_license(format!(
        "the collection of license {} is not listed since {until}: nothing is earned with it until a project \
         lists it anew",
        license.id
    )))
}

/// Whether the request was taken before. One older than the last that was taken is refused.
async fn is_repeat(
    conn: &mut PgConnection,
    request: &LeaseRequest,
    node: &NodeEntry,
    now: Timestamp,
) -> ApiResult<bool> {
    match db::node::lease_nonce(conn, node.idx).await? {
        // Taken from a clock that was ahead, before nonces in the future were refused.
        taken if nonce::of_node(taken, now).is_err() && taken > now.millis() => Ok(false),
        taken if request.nonce < taken => Err(settle::stale_nonce()),
        taken => Ok(request.nonce == taken),
    }
}

async fn ask(app: &App, request: &LeaseRequest, node: NodeEntry) -> ApiResult<LeaseView> {
    let mut conn = app.pool.acquire().await?;
    let license = known(db::license::by_hash(&mut conn, request.license).await?, request.license)?;
    still_listed(&license, app.clock.now())?;
    let newest = if is_repeat(&mut conn, request, &node, app.clock.now()).await? {
        // It was decided when it first came. Whoever sends it again learns what is so now, and costs
        // no read of the chain.
        db::lease::newest(&mut conn, license.idx).await?
    } else {
        drop(conn);
        app.limits.lease(request.node_key)?;
        let ask = settle::Ask { node_key: request.node_key, node, nonce: request.nonce };
        settle::settle(app, &license, Some(&ask)).await?
    };
    Ok(match newest {
        Some(lease) if lease.active() && lease.node_key == request.node_key => lease.view(&license),
        newest => LeaseView {
            license: license.id,
            license_hash: license.hash,
            index: license.idx,
            project: license.project,
            workload: license.workload.clone(),
            node_key: request.node_key,
            state: LeaseState::Standby,
            fence: newest.as_ref().map_or(Fence::ZERO, |lease| lease.fence),
            granted_millis: newest.map_or(0, |lease| lease.granted.millis()),
        },
    })
}

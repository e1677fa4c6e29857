//! Nodes: an operator's wallet authorises a node key; the node key agrees; the wallet may revoke. The
//! authorisation of a node that gets no license lapses.

mod fleet;
mod lapse;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Json, Path, State};
use nodesys_core::Address;
use nodesys_core::api::NodeView;
use nodesys_core::message::{
    MAX_AUTHORIZATION_SECS, Message, NodeAuthorization, NodeRevocation, SignedAuthorization,
    SignedRevocation,
};
use nodesys_core::time::Timestamp;

use crate::db::node::NodeRow;
use crate::error::{ApiError, ApiResult};
use crate::state::{App, AppState};
use crate::{chain, db, nonce};

pub(crate) use fleet::*;
pub(crate) use lapse::{Lapse, PERIOD};

/// Names the wallet in a refusal.
const WALLET: &str = "operator's wallet";

/// Stores an authorisation. Repeating it has no effect; a higher nonce replaces it.
#[utoipa::path(post, path = "/v1/nodes", tag = "node", operation_id = "authorizeNode",
    request_body = SignedAuthorization,
    responses((status = 200, description = "The node under its new authorisation.",
        body = NodeView)))]
pub(crate) async fn authorize(
    State(app): State<AppState>,
    body: Result<Json<SignedAuthorization>, JsonRejection>,
) -> ApiResult<Json<NodeView>> {
    let Json(signed) = body?;
    if !is_stored(&app, &signed).await? {
        check_authorization(&app, &signed).await?;
        store(&app, &signed).await?;
    }
    view(&app, signed.authorization.node_key).await.map(Json)
}

/// Ends a node's authorisation and its leases.
#[utoipa::path(post, path = "/v1/nodes/revocations", tag = "node", operation_id = "revokeNode",
    request_body = SignedRevocation,
    responses((status = 200, description = "The node without an authorisation.", body = NodeView)))]
pub(crate) async fn revoke(
    State(app): State<AppState>,
    body: Result<Json<SignedRevocation>, JsonRejection>,
) -> ApiResult<Json<NodeView>> {
    let Json(signed) = body?;
    let revocation = &signed.revocation;
    {
        // A pair that is not stored costs nobody a read of the chain.
        let mut conn = app.pool.acquire().await?;
        let known = db::node::by_key(&mut conn, revocation.node_key).await?;
        let known = of_operator(known, revocation)?;
        // Whatever nonce the authorisation has, its own ends it.
        if revocation.nonce != known.authorization.nonce {
            nonce::of_wallet(revocation.nonce, app.clock.now())?;
        }
    }
    let (digest, signature) = (revocation.digest(&app.domain), &signed.operator_signature);
    chain::verify_wallet(&app.chain, WALLET, revocation.operator, digest, signature).await?;
    end(&app, &signed).await?;
    view(&app, revocation.node_key).await.map(Json)
}

/// The authorisation in force and the node's leases.
#[utoipa::path(get, path = "/v1/nodes/{node_key}", tag = "node", operation_id = "getNode",
    params(("node_key" = String, Path)),
    responses((status = 200, description = "The node.", body = NodeView)))]
pub(crate) async fn show(
    State(app): State<AppState>,
    path: Result<Path<Address>, PathRejection>,
) -> ApiResult<Json<NodeView>> {
    let Path(node_key) = path?;
    view(&app, node_key).await.map(Json)
}

async fn check_authorization(app: &App, signed: &SignedAuthorization) -> ApiResult<()> {
    let authorization = &signed.authorization;
    let now = app.clock.now().secs();
    if authorization.not_after < now {
        let until = Timestamp::from_secs(authorization.not_after);
        return Err(ApiError::authorization_expired(format!(
            "it ended at {until}: sign a new one"
        )));
    }
    // First: a clock that is ahead makes both too high, and is the reason.
    nonce::of_wallet(authorization.nonce, app.clock.now())?;
    if authorization.not_after > now.saturating_add(MAX_AUTHORIZATION_SECS) {
        return Err(ApiError::authorization_expired(
            "it runs for more than 90 days: sign a shorter one",
        ));
    }
    let digest = authorization.digest(&app.domain);
    signed
        .node_signature
        .verify(digest, authorization.node_key)
        .map_err(|error| ApiError::bad_signature(format!("node key: {error}")))?;
    let (operator, signature) = (authorization.operator, &signed.operator_signature);
    chain::verify_wallet(&app.chain, WALLET, operator, digest, signature).await
}

/// Whether the authorisation is stored already. One that would be refused is refused here, before it
/// costs a signature or a read of the chain.
async fn is_stored(app: &App, signed: &SignedAuthorization) -> ApiResult<bool> {
    let mut conn = app.pool.acquire().await?;
    let known = db::node::by_key(&mut conn, signed.authorization.node_key).await?;
    known.map_or(Ok(false), |known| is_same(&known, &signed.authorization))
}

/// Whether an authorisation is the node's own; otherwise it must have a higher nonce.
fn is_same(known: &NodeRow, new: &NodeAuthorization) -> ApiResult<bool> {
    let old = &known.authorization;
    if old == new && !known.revoked && known.lapsed.is_none() {
        return Ok(true);
    }
    if old.nonce >= new.nonce && known.revoked {
        return Err(ApiError::authorization_revoked(format!(
            "the node was revoked with nonce {}: sign a new authorisation with a higher one",
            old.nonce
        )));
    }
    if old.nonce >= new.nonce
        && let Some(lapsed) = known.lapsed
    {
        return Err(ApiError::authorization_expired(format!(
            "the node's authorisation lapsed at {lapsed} for want of a license: sign a new one with a nonce above {}",
            old.nonce
        )));
    }
    if old.nonce >= new.nonce {
        return Err(ApiError::authorization_replaced(format!(
            "nonce {} is not above {}, which is stored: sign with a higher one",
            new.nonce, old.nonce
        )));
    }
    Ok(false)
}

/// The node, if its operator's revocation may end it.
fn of_operator(known: Option<NodeRow>, revocation: &NodeRevocation) -> ApiResult<NodeRow> {
    let known = known
        .filter(|known| known.authorization.operator == revocation.operator)
        .ok_or_else(|| {
            ApiError::unknown_node(format!(
                "{} has not authorised node {}",
                revocation.operator, revocation.node_key
            ))
        })?;
    let nonce = known.authorization.nonce;
    if revocation.nonce < nonce {
        return Err(ApiError::authorization_replaced(format!(
            "the revocation's nonce {} is below the authorisation's {nonce}",
            revocation.nonce
        )));
    }
    Ok(known)
}

async fn store(app: &App, signed: &SignedAuthorization) -> ApiResult<()> {
    let new = &signed.authorization;
    let mut tx = app.pool.begin().await?;
    let now = app.clock.now();
    let mut ended = false;
    if let Some(known) = db::node::locked_by_key(&mut tx, new.node_key).await? {
        if is_same(&known, new)? {
            return Ok(());
        }
        if known.authorization.operator != new.operator {
            ended = db::lease::end_all_of_node(&mut tx, known.idx, now).await?;
        }
    }
    db::node::authorize(&mut tx, signed, now).await?;
    tx.commit().await?;
    forget(app, new.node_key, ended).await
}

async fn end(app: &App, signed: &SignedRevocation) -> ApiResult<()> {
    let revocation = &signed.revocation;
    let mut tx = app.pool.begin().await?;
    let now = app.clock.now();
    let known = db::node::locked_by_key(&mut tx, revocation.node_key).await?;
    let known = of_operator(known, revocation)?;
    // The nonce rises with the revocation, so that the revoked authorisation cannot come back.
    db::node::revoke(&mut tx, known.idx, revocation.nonce, now).await?;
    let ended = db::lease::end_all_of_node(&mut tx, known.idx, now).await?;
    tx.commit().await?;
    forget(app, revocation.node_key, ended).await
}

/// Applies a committed change to memory.
async fn forget(app: &App, node_key: Address, ended: bool) -> ApiResult<()> {
    app.live.nodes.forget(node_key);
    if ended {
        // From the rows, with their marks.
        app.live.leases.learn_ends(&mut *app.pool.acquire().await?).await?;
    }
    Ok(())
}

async fn view(app: &App, node_key: Address) -> ApiResult<NodeView> {
    let mut conn = app.pool.acquire().await?;
    let row = db::node::by_key(&mut conn, node_key)
        .await?
        .ok_or_else(|| ApiError::unknown_node(format!("no authorisation for node {node_key}")))?;
    let leases = db::active_lease::of_node(&mut conn, row.idx, app.domain.chain_id()).await?;
    let last = leases
        .iter()
        .filter_map(|lease| app.live.fold.read(|fold| fold.renewed_at(lease.index)))
        .max();
    Ok(NodeView {
        authorization: row.authorization,
        revoked: row.revoked,
        lapsed_millis: row.lapsed.map(Timestamp::millis),
        last_heartbeat_millis: last.map(Timestamp::millis),
        leases,
    })
}

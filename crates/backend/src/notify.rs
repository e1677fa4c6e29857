//! Notifications: webhooks that report outages of a node or its workloads.
//!
//! Targets belong to a node and are managed by requests signed by its key. The job finds outages
//! and sends messages; a message is stored first, once, and retried until it is delivered.

mod address;
mod facts;
mod send;
mod task;
mod watch;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Json, State};
use nodesys_core::message::Signed;
use nodesys_core::notify::{
    EventKind, MAX_TARGETS, NotifyAction, NotifyAdded, NotifyRequest, NotifyTarget,
};
use nodesys_service::network::Network;
use sqlx::PgTransaction;

use crate::db;
use crate::error::{ApiError, ApiResult};
use crate::nonce;
use crate::state::{App, AppState};

pub(crate) use task::{Notify, PERIOD};

type Body = Result<Json<Signed<NotifyRequest>>, JsonRejection>;

/// Adds a webhook for a node; adding the same URL again returns the same target and secret.
#[utoipa::path(post, path = "/v1/notify", tag = "notify", operation_id = "addNotifyTarget",
    request_body = Signed<NotifyRequest>,
    responses((status = 200,
        description = "The webhook, with the secret that signs its messages.", body = NotifyAdded)))]
pub(crate) async fn add(
    State(app): State<AppState>,
    Extension(network): Extension<Network>,
    body: Body,
) -> ApiResult<Json<NotifyAdded>> {
    let Json(signed) = body?;
    add_target(&app, network, &signed).await.map(Json)
}

/// A node's webhooks and the state of their messages.
#[utoipa::path(post, path = "/v1/notify/list", tag = "notify", operation_id = "listNotifyTargets",
    request_body = Signed<NotifyRequest>,
    responses((status = 200, description = "The webhooks.", body = Vec<NotifyTarget>)))]
pub(crate) async fn list(
    State(app): State<AppState>,
    Extension(network): Extension<Network>,
    body: Body,
) -> ApiResult<Json<Vec<NotifyTarget>>> {
    let Json(signed) = body?;
    let mut taken = take(&app, network, &signed, NotifyAction::List).await?;
    let targets = db::notify::targets(&mut taken.tx, taken.node).await?;
    taken.tx.commit().await?;
    Ok(Json(targets))
}

/// Removes a webhook; its undelivered messages are dropped.
#[utoipa::path(post, path = "/v1/notify/remove", tag = "notify",
    operation_id = "removeNotifyTarget", request_body = Signed<NotifyRequest>,
    responses((status = 200, description = "The webhooks that are left.",
        body = Vec<NotifyTarget>)))]
pub(crate) async fn remove(
    State(app): State<AppState>,
    Extension(network): Extension<Network>,
    body: Body,
) -> ApiResult<Json<Vec<NotifyTarget>>> {
    let Json(signed) = body?;
    let mut taken = take(&app, network, &signed, NotifyAction::Remove).await?;
    let number = number(&signed.message)?;
    if !db::notify::remove(&mut taken.tx, taken.node, number, app.clock.now()).await? {
        return Err(unknown(signed.message.target));
    }
    let targets = db::notify::targets(&mut taken.tx, taken.node).await?;
    taken.tx.commit().await?;
    Ok(Json(targets))
}

/// Sends a test message to a webhook now and reports whether it was accepted.
#[utoipa::path(post, path = "/v1/notify/test", tag = "notify", operation_id = "testNotifyTarget",
    request_body = Signed<NotifyRequest>,
    responses((status = 200, description = "The webhook. The test message is in its counts.",
        body = NotifyTarget)))]
pub(crate) async fn test(
    State(app): State<AppState>,
    Extension(network): Extension<Network>,
    body: Body,
) -> ApiResult<Json<NotifyTarget>> {
    let Json(signed) = body?;
    send_test(&app, network, &signed).await.map(Json)
}

/// A verified request with its nonce recorded, in an uncommitted transaction.
struct Taken<'a> {
    tx: PgTransaction<'a>,
    node: i32,
}

async fn take<'a>(
    app: &'a App,
    network: Network,
    signed: &Signed<NotifyRequest>,
    action: NotifyAction,
) -> ApiResult<Taken<'a>> {
    let node = verify(app, network, signed, action).await?;
    take_nonce(app, node, signed.message.nonce).await
}

async fn take_nonce(app: &App, node: i32, nonce: u64) -> ApiResult<Taken<'_>> {
    let mut tx = app.pool.begin().await?;
    if !db::node::take_notify_nonce(&mut tx, node, nonce, nonce::latest(app.clock.now())).await? {
        return Err(ApiError::nonce_stale(
            "a notify request with a higher nonce was taken: use the time in milliseconds",
        ));
    }
    Ok(Taken { tx, node })
}

/// The node, if the request is its own and for this route.
async fn verify(
    app: &App,
    network: Network,
    signed: &Signed<NotifyRequest>,
    action: NotifyAction,
) -> ApiResult<i32> {
    let request = &signed.message;
    if request.action != action {
        return Err(ApiError::bad_request(format!(
            "the request is for {:?}, the route for {action:?}",
            request.action
        )));
    }
    let lookup = || app.limits.lookup(network);
    let node = app.live.nodes.authorised(request.node_key, app.clock.now(), lookup).await?;
    signed.verify(&app.domain, request.node_key).map_err(ApiError::bad_signature)?;
    app.limits.notify(request.node_key)?;
    nonce::of_node(request.nonce, app.clock.now())?;
    Ok(i32::try_from(node.idx).map_err(anyhow::Error::from)?)
}

async fn add_target(
    app: &App,
    network: Network,
    signed: &Signed<NotifyRequest>,
) -> ApiResult<NotifyAdded> {
    let request = &signed.message;
    let url = address::parse(&request.url, app.allow_private_webhooks)
        .map_err(ApiError::target_refused)?;
    // Signature, nonce and room come before a name is looked up, over no connection of ours. What is
    // refused by then leaves no trace.
    let mut taken = take(app, network, signed, NotifyAction::Add).await?;
    let node = taken.node;
    check_room(&db::notify::targets(&mut taken.tx, node).await?, &request.url)?;
    drop(taken);
    // As it stands the name leads somewhere public; it is checked again at each message.
    app.resolver
        .resolve(&url, app.allow_private_webhooks)
        .await
        .map_err(ApiError::target_refused)?;
    let mut taken = take_nonce(app, node, request.nonce).await?;
    // The secret is made, not drawn: equal for a repeated request, unknown without the key.
    let secret = app
        .receipt_key
        .derive(&format!("nodesys webhook {} {} {}", request.node_key, request.nonce, request.url));
    let (id, secret) =
        db::notify::add(&mut taken.tx, taken.node, &request.url, &secret, app.clock.now()).await?;
    let targets = db::notify::targets(&mut taken.tx, taken.node).await?;
    check_room(&targets, &request.url)?;
    taken.tx.commit().await?;
    Ok(NotifyAdded { target: find(targets, id)?, secret: secret.expose().to_string() })
}

/// Refuses one target too many, the one with this URL included.
fn check_room(targets: &[NotifyTarget], url: &str) -> ApiResult<()> {
    let others = targets.iter().filter(|target| target.url != url).count();
    if others < MAX_TARGETS {
        return Ok(());
    }
    Err(ApiError::too_many_targets(format!(
        "a node has at most {MAX_TARGETS} targets: remove one first"
    )))
}

async fn send_test(
    app: &AppState,
    network: Network,
    signed: &Signed<NotifyRequest>,
) -> ApiResult<NotifyTarget> {
    let mut taken = take(app, network, signed, NotifyAction::Test).await?;
    app.limits.notify_test(signed.message.node_key)?;
    let (node, id, now) = (taken.node, number(&signed.message)?, app.clock.now());
    find(db::notify::targets(&mut taken.tx, node).await?, id)?;
    let chain_id = app.domain.chain_id();
    let body =
        facts::event(&mut taken.tx, chain_id, EventKind::Test, node, None, None, now).await?;
    let row = db::notify::test(&mut taken.tx, id, signed.message.nonce, &body, now).await?;
    taken.tx.commit().await?;
    if !row.delivered {
        let answer = send::send(app, &row.message).await;
        let last_try = u32::MAX - 1;
        task::record(app, &row.message, last_try, &answer).await?;
        if let Err(refused) = answer {
            return Err(ApiError::target_failed(format!(
                "{} did not take the message: {}",
                row.message.url, refused.why
            )));
        }
    }
    let mut conn = app.pool.acquire().await?;
    find(db::notify::targets(&mut conn, node).await?, id)
}

fn number(request: &NotifyRequest) -> ApiResult<i64> {
    i64::try_from(request.target).map_err(|_| unknown(request.target))
}

fn find(targets: Vec<NotifyTarget>, id: i64) -> ApiResult<NotifyTarget> {
    let id = u64::try_from(id).map_err(anyhow::Error::from)?;
    targets.into_iter().find(|target| target.target == id).ok_or_else(|| unknown(id))
}

fn unknown(target: u64) -> ApiError {
    ApiError::unknown_target(format!("the node has no target {target}: list them first"))
}

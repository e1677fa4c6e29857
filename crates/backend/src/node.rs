//! Nodes: an operator's wallet authorises a node key; the node key agrees; the wallet may revoke.

use axum::Router;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Json, Path, State};
use axum::routing::{get, post};
use nodesys_contracts::wallet_signature::{self, WalletSignatureError};
use nodesys_core::api::NodeView;
use nodesys_core::message::{
    MAX_AUTHORIZATION_SECS, Message, NodeAuthorization, SignedAuthorization, SignedRevocation,
};
use nodesys_core::signature::WalletSignature;
use nodesys_core::time::Timestamp;
use nodesys_core::{Address, B256};
use sqlx::PgConnection;

use crate::app::{App, AppState};
use crate::error::{ApiError, ApiResult};
use crate::heartbeat::NodeEntry;
use crate::{lease, sql};

/// The stage's routes, below `/v1`.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/nodes", post(authorize))
        .route("/nodes/revocations", post(revoke))
        .route("/nodes/{node_key}", get(show))
}

/// Stores an authorisation. The same one again answers the same; a higher nonce replaces.
#[utoipa::path(post, path = "/v1/nodes", tag = "node", request_body = SignedAuthorization,
    responses((status = 200, body = NodeView)))]
pub(crate) async fn authorize(
    State(app): State<AppState>,
    body: Result<Json<SignedAuthorization>, JsonRejection>,
) -> ApiResult<Json<NodeView>> {
    let Json(signed) = body?;
    check_authorization(&app, &signed).await?;
    store(&app, &signed).await?;
    view(&app, signed.authorization.node_key).await.map(Json)
}

/// Ends a node's authorisation and its leases.
#[utoipa::path(post, path = "/v1/nodes/revocations", tag = "node", request_body = SignedRevocation,
    responses((status = 200, body = NodeView)))]
pub(crate) async fn revoke(
    State(app): State<AppState>,
    body: Result<Json<SignedRevocation>, JsonRejection>,
) -> ApiResult<Json<NodeView>> {
    let Json(signed) = body?;
    let revocation = &signed.revocation;
    let digest = revocation.digest(&app.domain);
    verify_wallet(&app, revocation.operator, digest, &signed.operator_signature).await?;
    end(&app, &signed).await?;
    view(&app, revocation.node_key).await.map(Json)
}

/// The authorisation in force and the node's leases.
#[utoipa::path(get, path = "/v1/nodes/{node_key}", tag = "node",
    params(("node_key" = String, Path)), responses((status = 200, body = NodeView)))]
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
    verify_wallet(app, authorization.operator, digest, &signed.operator_signature).await
}

async fn verify_wallet(
    app: &App,
    operator: Address,
    digest: B256,
    signature: &WalletSignature,
) -> ApiResult<()> {
    let verified = wallet_signature::verify(&app.chain, operator, digest, signature).await;
    // On another chain the address may be another's contract, or none.
    app.chain.recheck_chain().await?;
    verified.map_err(|error| match error {
        WalletSignatureError::Signature(error) => {
            ApiError::bad_signature(format!("operator's wallet: {error}"))
        }
        WalletSignatureError::Chain(error) => error.into(),
    })
}

async fn store(app: &App, signed: &SignedAuthorization) -> ApiResult<()> {
    let a = &signed.authorization;
    let mut tx = app.pool.begin().await?;
    let now = app.clock.now();
    let known = sqlx::query!(
        r#"select idx as "idx!", operator::bytea as "operator!", nonce::bytea as "nonce!",
                  not_after_secs as "not_after_secs!", revoked_at::bigint as revoked_at
           from node where node_key = $1 for update"#,
        a.node_key.as_slice() as _
    )
    .fetch_optional(&mut *tx)
    .await?;
    let mut ended = Vec::new();
    if let Some(known) = &known {
        let nonce = sql::uint256(&known.nonce)?;
        let same = nonce == a.nonce
            && sql::address(&known.operator)? == a.operator
            && sql::unsigned(known.not_after_secs)? == a.not_after
            && known.revoked_at.is_none();
        if same {
            return Ok(());
        }
        if nonce >= a.nonce && known.revoked_at.is_some() {
            return Err(ApiError::authorization_revoked(format!(
                "the node was revoked with nonce {nonce}: sign a new authorisation with a higher one"
            )));
        }
        if nonce >= a.nonce {
            return Err(ApiError::authorization_replaced(format!(
                "nonce {} is not above {nonce}, which is stored: sign with a higher one",
                a.nonce
            )));
        }
        if sql::address(&known.operator)? != a.operator {
            ended = lease::end_all_of_node(&mut tx, known.idx, now).await?;
        }
    }
    let nonce = a.nonce.to_be_bytes::<32>();
    sqlx::query!(
        "insert into node (node_key, operator, nonce, not_after_secs, operator_signature,
                           node_signature, authorized_at)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (node_key) do update set
            operator = excluded.operator, nonce = excluded.nonce,
            not_after_secs = excluded.not_after_secs, revoked_at = null,
            operator_signature = excluded.operator_signature,
            node_signature = excluded.node_signature, authorized_at = excluded.authorized_at",
        a.node_key.as_slice() as _,
        a.operator.as_slice() as _,
        nonce.as_slice() as _,
        sql::signed(a.not_after)?,
        signed.operator_signature.as_bytes().as_ref(),
        signed.node_signature.as_bytes().as_slice(),
        sql::signed(now.millis())? as _
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    app.ingest.forget_node(a.node_key);
    for (license, fence) in ended {
        app.ingest.lease_ended(license, fence);
    }
    Ok(())
}

async fn end(app: &App, signed: &SignedRevocation) -> ApiResult<()> {
    let revocation = &signed.revocation;
    let unknown = || {
        ApiError::unknown_node(format!(
            "{} has not authorised node {}",
            revocation.operator, revocation.node_key
        ))
    };
    let mut tx = app.pool.begin().await?;
    let now = app.clock.now();
    let known = sqlx::query!(
        r#"select idx as "idx!", operator::bytea as "operator!", nonce::bytea as "nonce!"
           from node where node_key = $1 for update"#,
        revocation.node_key.as_slice() as _
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(unknown)?;
    if sql::address(&known.operator)? != revocation.operator {
        return Err(unknown());
    }
    let nonce = sql::uint256(&known.nonce)?;
    if revocation.nonce < nonce {
        return Err(ApiError::authorization_replaced(format!(
            "the revocation's nonce {} is below the authorisation's {nonce}",
            revocation.nonce
        )));
    }
    // The nonce rises with the revocation, so that the revoked authorisation cannot come back.
    let nonce = revocation.nonce.to_be_bytes::<32>();
    sqlx::query!(
        "update node set revoked_at = coalesce(revoked_at, $2), nonce = $3 where idx = $1",
        known.idx,
        sql::signed(now.millis())? as _,
        nonce.as_slice() as _
    )
    .execute(&mut *tx)
    .await?;
    let ended = lease::end_all_of_node(&mut tx, known.idx, now).await?;
    tx.commit().await?;
    app.ingest.forget_node(revocation.node_key);
    for (license, fence) in ended {
        app.ingest.lease_ended(license, fence);
    }
    Ok(())
}

async fn view(app: &App, node_key: Address) -> ApiResult<NodeView> {
    let mut conn = app.pool.acquire().await?;
    let row = sqlx::query!(
        r#"select idx as "idx!", operator::bytea as "operator!", nonce::bytea as "nonce!",
                  not_after_secs as "not_after_secs!", revoked_at::bigint as revoked_at
           from node where node_key = $1"#,
        node_key.as_slice() as _
    )
    .fetch_optional(&mut *conn)
    .await?
    .ok_or_else(|| ApiError::unknown_node(format!("no authorisation for node {node_key}")))?;
    let leases = lease::of_node(&mut conn, row.idx, app.domain.chain_id()).await?;
    let last = leases
        .iter()
        .filter_map(|lease| app.ingest.with_fold(|fold| fold.renewed_at(lease.index)))
        .max();
    Ok(NodeView {
        authorization: NodeAuthorization {
            operator: sql::address(&row.operator)?,
            node_key,
            not_after: sql::unsigned(row.not_after_secs)?,
            nonce: sql::uint256(&row.nonce)?,
        },
        revoked: row.revoked_at.is_some(),
        last_heartbeat_millis: last.map(Timestamp::millis),
        leases,
    })
}

/// The raw columns of a [`NodeEntry`]; sqlx fills it by name.
struct EntryColumns {
    idx: i32,
    operator: Vec<u8>,
    not_after_secs: i64,
    revoked: bool,
}

impl TryFrom<EntryColumns> for NodeEntry {
    type Error = anyhow::Error;

    fn try_from(row: EntryColumns) -> anyhow::Result<Self> {
        Ok(Self {
            idx: u32::try_from(row.idx)?,
            operator: sql::address(&row.operator)?,
            not_after_secs: sql::unsigned(row.not_after_secs)?,
            revoked: row.revoked,
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
                  revoked_at is not null as "revoked!"
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
                  revoked_at is not null as "revoked!"
           from node where node_key = $1 for update"#,
        node_key.as_slice() as _
    )
    .fetch_optional(conn)
    .await?;
    row.map(NodeEntry::try_from).transpose()
}

/// Whether a node is authorised for this operator, and its row nobody's just now; then it stays as
/// it is until the transaction ends.
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
        sql::signed(now.secs())?
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.is_some())
}

/// Node keys authorised or revoked since a moment, by any replica.
pub(crate) async fn changed_since(
    conn: &mut PgConnection,
    since: Timestamp,
) -> anyhow::Result<Vec<Address>> {
    let since = sql::signed(since.millis())?;
    let rows = sqlx::query_scalar!(
        r#"select node_key::bytea as "node_key!" from node
           where authorized_at::bigint >= $1 or revoked_at::bigint >= $1"#,
        since
    )
    .fetch_all(conn)
    .await?;
    rows.iter().map(|bytes| sql::address(bytes)).collect()
}

//! All routes, each written once: the served ones are the documented ones.

use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower_http::trace::TraceLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admit::admit;
use crate::error::{ApiError, Fault};
use crate::state::AppState;
use crate::{
    claim, commit, db, heartbeat, lease, license, node, notify, openapi, points, project, release,
    root, tree, uptime,
};

/// How long a request may take, its body included.
const REQUEST_LIMIT: Duration = Duration::from_secs(60);

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Node System backend",
        description = "Errors are RFC 9457 problem documents with a stable `code`. 64-bit numbers \
                       and amounts are decimal strings, days are YYYY-MM-DD, hashes and addresses \
                       0x hex. A project is named by its name or its distributor's address."
    ),
    components(schemas(nodesys_core::api::Problem))
)]
struct Document;

/// The documented routes. To add one: write the handler in its stage, and its line here.
fn documented() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(project::network))
        .routes(routes!(project::list))
        .routes(routes!(project::show))
        .routes(routes!(node::authorize))
        .routes(routes!(node::revoke))
        .routes(routes!(node::show))
        .routes(routes!(lease::request))
        .routes(routes!(lease::show))
        .routes(routes!(license::show))
        .routes(routes!(heartbeat::open_session))
        .routes(routes!(heartbeat::take))
        .routes(routes!(notify::add))
        .routes(routes!(notify::list))
        .routes(routes!(notify::remove))
        .routes(routes!(notify::test))
        .routes(routes!(release::store, release::show))
        .routes(routes!(uptime::show_day))
        .routes(routes!(uptime::file))
        .routes(routes!(uptime::attestation))
        .routes(routes!(uptime::license_day))
        .routes(routes!(points::upload, points::show))
        .routes(routes!(points::rewards))
        .routes(routes!(commit::take))
        .routes(routes!(commit::show))
        .routes(routes!(commit::bundle_file))
        .routes(routes!(tree::show))
        .routes(routes!(root::list))
        .routes(routes!(claim::show))
}

/// The OpenAPI document of all routes as pretty JSON, also kept as `openapi.json`.
pub fn openapi_json() -> String {
    openapi::complete(documented().into_openapi())
}

/// Everything that is served.
pub(crate) fn router(app: AppState) -> Router {
    let (v1, _) = documented().split_for_parts();
    let v1 = v1
        .route(
            "/v1/openapi.json",
            get(|| async { ([(header::CONTENT_TYPE, "application/json")], openapi_json()) }),
        )
        .layer(from_fn(limit_time));
    v1.route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .merge(nodesys_service::metrics::route(app.metrics.clone()))
        .fallback(|| async { ApiError::not_found("no such route; see /v1/openapi.json") })
        .method_not_allowed_fallback(|| async {
            ApiError::method_not_allowed("see /v1/openapi.json")
        })
        .layer(from_fn_with_state(app.clone(), admit))
        // `note_refusal` logs failures, each kind once.
        .layer(TraceLayer::new_for_http().on_failure(()))
        .layer(from_fn_with_state(app.clone(), note_refusal))
        .with_state(app)
}

/// Answers a request that takes too long. Its work may continue; a retry does no harm.
async fn limit_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_LIMIT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            ApiError::busy("no answer within 60 s: send the same request again").into_response()
        }
    }
}

/// Logs requests refused through no fault of the caller.
async fn note_refusal(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if let Some(Fault { code, why }) = response.extensions().get() {
        app.refusals.note(code, why);
    }
    response
}

/// Ready when the database takes writes and the writer of heartbeats runs. The chain is no part of it:
/// heartbeats are counted without, and a balancer that took every replica out would lose minutes.
async fn ready(State(app): State<AppState>) -> Result<String, ApiError> {
    if !db::takes_writes(&mut *app.pool.acquire().await?).await? {
        return Err(ApiError::busy(
            "the database takes no writes: a failover, or the wrong server",
        ));
    }
    app.reference.may_count(&app.clock)?;
    if app.live.queue.is_closed() {
        return Err(ApiError::busy("the writer of heartbeats has ended: restart this replica"));
    }
    Ok(match app.chain_lost_since() {
        None => "ready\n".to_owned(),
        Some(since) => format!("ready, degraded: the chain has not been followed since {since}\n"),
    })
}

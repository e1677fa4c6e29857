//! All routes, each written once: the served ones are the documented ones.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
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
use crate::web::Site;
use crate::{
    claim, commit, db, heartbeat, lease, license, login, measure, node, notify, openapi, pairing,
    points, project, release, root, tree, uptime,
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
        .routes(routes!(node::fleet))
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
        .routes(routes!(uptime::license_days))
        .routes(routes!(points::upload, points::show))
        .routes(routes!(points::rewards))
        .routes(routes!(commit::take))
        .routes(routes!(commit::show))
        .routes(routes!(commit::bundle_file))
        .routes(routes!(tree::show))
        .routes(routes!(root::list))
        .routes(routes!(root::badge))
        .routes(routes!(claim::show))
        .routes(routes!(login::write_message))
        .routes(routes!(login::sign_in, login::show, login::sign_out))
        .routes(routes!(login::list))
        .routes(routes!(login::end_one))
        .routes(routes!(pairing::begin))
        .routes(routes!(pairing::state))
        .routes(routes!(pairing::claim))
        .routes(routes!(pairing::sign))
}

/// The OpenAPI document of all routes as pretty JSON, also kept as `openapi.json`.
pub fn openapi_json() -> String {
    openapi::complete(documented().into_openapi())
}

/// Everything that is served, on one listener; the dashboard last, an empty site where there is none.
pub(crate) fn router(app: AppState, site: Arc<Site>) -> Router {
    let metrics = metrics_route(&app);
    for_strangers(app, site, metrics)
}

/// What strangers reach where metrics have a listener of their own. `/readyz` stays: operators' programs
/// ask it, and balancers that know one port.
pub(crate) fn public_router(app: AppState, site: Arc<Site>) -> Router {
    for_strangers(app, site, Router::new())
}

/// What probes and Prometheus reach, without the limits for strangers.
pub(crate) fn admin_router(app: AppState) -> Router {
    probes().merge(metrics_route(&app)).with_state(app)
}

fn metrics_route(app: &AppState) -> Router<AppState> {
    let (handle, app) = (app.metrics.clone(), app.clone());
    nodesys_service::metrics::route(handle, move || measure::at_scrape(&app))
}

fn probes() -> Router<AppState> {
    Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready))
}

fn for_strangers(app: AppState, site: Arc<Site>, more: Router<AppState>) -> Router {
    let (v1, _) = documented().split_for_parts();
    let v1 = v1
        .route(
            "/v1/openapi.json",
            get(|| async { ([(header::CONTENT_TYPE, "application/json")], openapi_json()) }),
        )
        .layer(from_fn(limit_time));
    v1.merge(probes())
        .merge(more)
        .fallback(async move |request: Request| site.answer(&request))
        .method_not_allowed_fallback(|| async {
            ApiError::method_not_allowed("see /v1/openapi.json")
        })
        .layer(from_fn_with_state(app.clone(), admit))
        // `note` logs failures, each kind once.
        .layer(TraceLayer::new_for_http().on_failure(()))
        .layer(from_fn_with_state(app.clone(), note))
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

/// Measures requests, and logs those refused through no fault of the caller.
async fn note(
    State(app): State<AppState>,
    route: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let begun = app.clock.monotonic_millis();
    let response = next.run(request).await;
    if let Some(route) = route {
        let took = Duration::from_millis(app.clock.monotonic_millis().saturating_sub(begun));
        let route = route.as_str().to_owned();
        metrics::histogram!("nodesys_http_request_duration_seconds", "route" => route).record(took);
    }
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
    app.may_count()?;
    if app.live.queue.is_closed() {
        return Err(ApiError::busy("the writer of heartbeats has ended: restart this replica"));
    }
    Ok(match app.health.in_words() {
        None => "ready\n".to_owned(),
        Some(wrong) => format!("ready, degraded: {wrong}\n"),
    })
}

//! The listener: `POST /v1/health` and `POST /v1/ticket` for workloads, `GET /v1/status`, `/healthz`
//! and `/readyz` for people and probes.
//!
//! A post is small and carries its workload's token; an invalid one is answered with a problem
//! document and changes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use nodesys_clock::Clock;
use nodesys_core::api::Problem;
use nodesys_core::ticket::TicketRequest;

use crate::health::{HealthBoard, HealthPost};
use crate::tickets::Tickets;
use crate::view::View;

const MAX_POST_BYTES: usize = 8 * 1024;

/// The handlers' shared state.
pub(crate) struct Shared {
    pub(crate) board: HealthBoard,
    pub(crate) view: View,
    pub(crate) clock: Clock,
    pub(crate) tickets: Tickets,
    /// Whether this manager acts: false while another one of the cluster does.
    pub(crate) acts: AtomicBool,
}

/// The routes.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/v1/status", get(status))
        .route("/v1/health", post(health))
        .route("/v1/ticket", post(ticket))
        .fallback(|| async {
            problem(StatusCode::NOT_FOUND, "not_found", "no such route; see /v1/status")
        })
        .layer(DefaultBodyLimit::max(MAX_POST_BYTES))
        .with_state(shared)
}

async fn status(State(shared): State<Arc<Shared>>) -> Response {
    Json(shared.view.status(&shared.board, shared.clock.monotonic_millis())).into_response()
}

/// Ready only while this manager acts, so that workloads reach the acting one.
async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    if shared.acts.load(Ordering::Acquire) {
        "ok\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "another manager acts\n").into_response()
    }
}

async fn health(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let ((workload, release), body) = match posted(&shared, &headers, body) {
        Ok(posted) => posted,
        Err(refused) => return *refused,
    };
    match serde_json::from_slice::<HealthPost>(&body) {
        Ok(post) => {
            let now_millis = shared.clock.monotonic_millis();
            shared.board.hear(workload, release, post, now_millis);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => {
            let detail = format!("{error}; a post is {{\"status\":\"healthy|starting|degraded\"}}");
            problem(StatusCode::BAD_REQUEST, "bad_request", &detail)
        }
    }
}

async fn ticket(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let ((workload, _), body) = match posted(&shared, &headers, body) {
        Ok(posted) => posted,
        Err(refused) => return *refused,
    };
    let TicketRequest { audience } = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => {
            let detail = format!("{error}; a request is {{\"audience\":\"https://...\"}}");
            return problem(StatusCode::BAD_REQUEST, "bad_request", &detail);
        }
    };
    let Some((project, fence)) = shared.view.held(workload) else {
        let detail = "this node does not hold the license's lease now: ask again later";
        return problem(StatusCode::CONFLICT, "not_leased", detail);
    };
    let license = shared.board.workloads()[workload].license.hash();
    let now = shared.clock.now();
    Json(shared.tickets.sign(project, license, fence, &audience, now)).into_response()
}

/// The posting workload and release, by the token, and the body.
fn posted(
    shared: &Shared,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<((usize, u64), Bytes), Box<Response>> {
    let Some(sender) = bearer(headers).and_then(|token| shared.board.sender_of(token)) else {
        let detail = "send the workload's own token: Authorization: Bearer <token>";
        let mut refused = problem(StatusCode::UNAUTHORIZED, "unauthorized", detail);
        let scheme = HeaderValue::from_static("Bearer");
        refused.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        return Err(Box::new(refused));
    };
    match body {
        Ok(body) => Ok((sender, body)),
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let detail = "a post of a workload has at most 8 KiB";
            Err(Box::new(problem(rejection.status(), "too_large", detail)))
        }
        Err(rejection) => {
            Err(Box::new(problem(rejection.status(), "bad_request", &rejection.body_text())))
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn problem(status: StatusCode, code: &str, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("Refused");
    let problem = Problem::new(status.as_u16(), code, title, detail.to_owned());
    nodesys_service::problem::response(problem, None)
}

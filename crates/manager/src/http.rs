//! The listener: `POST /v1/health` for workloads, `GET /v1/status`, `/healthz` and `/readyz` for
//! people and probes.
//!
//! A post is small and carries its workload's token; whatever is wrong with it is answered by a
//! problem document and changes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use nodesys_clock::Clock;
use nodesys_core::api::Problem;

use crate::health::{Board, HealthPost};
use crate::view::View;

const MAX_POST_BYTES: usize = 8 * 1024;

/// What the handlers share.
pub(crate) struct Shared {
    pub(crate) board: Board,
    pub(crate) view: View,
    pub(crate) clock: Clock,
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
        .fallback(|| async {
            problem(StatusCode::NOT_FOUND, "not_found", "no such route; see /v1/status")
        })
        .layer(DefaultBodyLimit::max(MAX_POST_BYTES))
        .with_state(shared)
}

async fn status(State(shared): State<Arc<Shared>>) -> Response {
    Json(shared.view.status(&shared.board, shared.clock.monotonic_millis())).into_response()
}

/// Workloads are led to the manager that acts.
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
    body: Result<axum::body::Bytes, axum::extract::rejection::BytesRejection>,
) -> Response {
    let sender = bearer(&headers).and_then(|token| shared.board.sender_of(token));
    let Some((workload, release)) = sender else {
        let detail = "send the workload's own token: Authorization: Bearer <token>";
        let mut refused = problem(StatusCode::UNAUTHORIZED, "unauthorized", detail);
        let scheme = HeaderValue::from_static("Bearer");
        refused.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        return refused;
    };
    let body = match body {
        Ok(body) => body,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            return problem(rejection.status(), "too_large", "a health post has at most 8 KiB");
        }
        Err(rejection) => {
            return problem(rejection.status(), "bad_request", &rejection.body_text());
        }
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

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn problem(status: StatusCode, code: &str, detail: &str) -> Response {
    let problem = Problem {
        kind: format!("urn:nodesys:problem:{code}"),
        title: status.canonical_reason().unwrap_or("Refused").to_owned(),
        status: status.as_u16(),
        detail: detail.to_owned(),
        code: code.to_owned(),
        difference: None,
    };
    let mut response = (status, Json(problem)).into_response();
    let json = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

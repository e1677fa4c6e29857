//! Problem documents (RFC 9457) over HTTP. The document itself is [`nodesys_core::api::Problem`].

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use nodesys_core::api::Problem;

/// The answer to a refused request; `retry_after_secs` where the same request may do better later.
pub fn response(problem: Problem, retry_after_secs: Option<u32>) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(problem)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(Problem::CONTENT_TYPE));
    if let Some(secs) = retry_after_secs {
        headers.insert(header::RETRY_AFTER, secs.into());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_refusal_is_a_problem_document() {
        let problem =
            Problem::new(503, "busy", "Try again in a moment", "the queue is full".into());
        let response = response(problem.clone(), Some(1));
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        let body = axum::body::to_bytes(response.into_body(), 1024).await.unwrap();
        assert_eq!(serde_json::from_slice::<Problem>(&body).unwrap(), problem);
        assert_eq!(problem.kind, "urn:nodesys:problem:busy");
    }
}

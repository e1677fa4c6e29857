//! Answers that a client may have already: files under an `ETag` of what they are made from, and JSON under
//! that of its bytes.

use anyhow::Context as _;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use nodesys_core::keccak256;
use serde::Serialize;

/// The tag of an answer.
pub(crate) fn tag(of: &str) -> String {
    format!("\"{of}\"")
}

/// The answer without its body, if the client has it.
pub(crate) fn same(headers: &HeaderMap, tag: &str) -> Option<Response> {
    let given = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut given = given.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    let has = given.any(|given| given.trim().trim_start_matches("W/") == tag);
    has.then(|| (StatusCode::NOT_MODIFIED, [(header::ETAG, tag.to_owned())]).into_response())
}

/// The answer.
pub(crate) fn file(kind: &'static str, tag: String, bytes: impl Into<Vec<u8>>) -> Response {
    let headers = [(header::CONTENT_TYPE, kind.to_owned()), (header::ETAG, tag)];
    (headers, bytes.into()).into_response()
}

/// The answer as JSON, without its body if the client has it. A cache asks again each time.
pub(crate) fn json(headers: &HeaderMap, body: &impl Serialize) -> anyhow::Result<Response> {
    let bytes = serde_json::to_vec(body).context("writing an answer")?;
    let tag = tag(&keccak256(&bytes).to_string());
    let answer = same(headers, &tag).unwrap_or_else(|| file("application/json", tag, bytes));
    Ok(([(header::CACHE_CONTROL, "no-cache")], answer).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_has_it_is_told_so() {
        let tag = tag("abc");
        let has = |given: &'static str| {
            let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, given.parse().unwrap())]);
            same(&headers, &tag).is_some()
        };
        assert!(has("\"abc\"") && has("W/\"abc\"") && has("\"x\", \"abc\""));
        assert!(!has("\"ab\"") && !has("abc") && same(&HeaderMap::new(), &tag).is_none());
    }
}

//! Errors of the master's HTTP routes: an RFC 9457 problem document with a stable `code`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use nodesys_core::api::Problem;
use nodesys_service::problem;

/// A refused request.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    retry_after_secs: Option<u32>,
}

pub(crate) type ApiResult<T> = Result<T, ApiError>;

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident => $status:ident, $title:literal;)*) => {
        impl ApiError {
            $($(#[$doc])*
            pub(crate) fn $name(detail: impl std::fmt::Display) -> Self {
                Self::new(StatusCode::$status, stringify!($name), $title, detail.to_string())
            })*
        }
    };
}

problems! {
    bad_request => BAD_REQUEST, "The request cannot be read";
    not_found => NOT_FOUND, "Not found";
    missing_ticket => UNAUTHORIZED, "A ticket is missing";
    bad_ticket => UNAUTHORIZED, "The ticket is not valid";
    ticket_expired => UNAUTHORIZED, "The ticket has expired";
    /// The ticket's node does not hold the license's lease with this fence.
    lease_lost => FORBIDDEN, "The node does not hold the license's lease";
    /// The task is not leased to this license.
    not_leased => FORBIDDEN, "The task is not leased to this license";
    task_expired => CONFLICT, "The lease of the task has ended";
    already_done => CONFLICT, "Another result was accepted before";
    late => CONFLICT, "The task has ended without this result";
    too_large => PAYLOAD_TOO_LARGE, "The request is too large";
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, title: &'static str, detail: String) -> Self {
        Self { status, code, title, detail, retry_after_secs: None }
    }

    fn try_later(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: String,
    ) -> Self {
        Self { retry_after_secs: Some(1), ..Self::new(status, code, title, detail) }
    }

    /// Too many requests at once; nothing was stored.
    pub(crate) fn busy(detail: impl std::fmt::Display) -> Self {
        let title = "Try again in a moment";
        Self::try_later(StatusCode::SERVICE_UNAVAILABLE, "busy", title, detail.to_string())
    }

    /// One license sends too many requests; nothing was stored.
    pub(crate) fn rate_limited(detail: impl std::fmt::Display) -> Self {
        let title = "Too many requests";
        Self::try_later(StatusCode::TOO_MANY_REQUESTS, "rate_limited", title, detail.to_string())
    }

    /// The lease cannot be checked now, so nothing was decided.
    pub(crate) fn lease_unknown(detail: impl std::fmt::Display) -> Self {
        let (status, title) = (StatusCode::SERVICE_UNAVAILABLE, "The lease cannot be checked now");
        Self::try_later(status, "lease_unknown", title, detail.to_string())
    }

    /// The stable code.
    pub(crate) const fn code(&self) -> &'static str {
        self.code
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = Problem::new(self.status.as_u16(), self.code, self.title, self.detail);
        let mut response = problem::response(problem, self.retry_after_secs);
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

/// An internal fault: logged in full, reported without details.
impl From<anyhow::Error> for ApiError {
    fn from(error: anyhow::Error) -> Self {
        tracing::error!(error = format!("{error:#}"), "a request failed");
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        let detail = "the master's log has the details; nothing was stored".to_owned();
        Self::new(status, "internal", "The master failed", detail)
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        /// Deadlock resolved, statement cancelled, lock timeout.
        const PASSING: [&str; 4] = ["40001", "40P01", "57014", "55P03"];
        let passing = |error: &dyn sqlx::error::DatabaseError| {
            error.code().is_some_and(|code| PASSING.contains(&&*code) || code.starts_with("57P"))
        };
        match &error {
            // A server that stops or starts may answer outside the protocol.
            sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => {
                Self::busy("the database does not answer; nothing was stored")
            }
            sqlx::Error::Database(database) if passing(&**database) => {
                Self::busy("the database cancelled the request; nothing was stored")
            }
            _ => anyhow::Error::from(error).context("database").into(),
        }
    }
}

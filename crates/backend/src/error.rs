//! One error at HTTP: an RFC 9457 problem document with a stable `code`.

use std::sync::Arc;

use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use nodesys_chain::ChainError;
use nodesys_core::api::Problem;
use nodesys_core::files::Difference;
use nodesys_service::problem;

/// A refused request.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    retry_after_secs: Option<u32>,
    difference: Option<Box<Difference>>,
    /// The cause on our side, for the log only.
    cause: Option<anyhow::Error>,
}

/// The reason for a refusal that is not the caller's fault: an extension of the response.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    pub(crate) why: Arc<str>,
}

pub(crate) type ApiResult<T> = Result<T, ApiError>;

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident => $status:ident, $title:literal;)*) => {
        impl ApiError {
            $($(#[$doc])*
            pub(crate) fn $name(detail: impl std::fmt::Display) -> Self {
                Self::new(StatusCode::$status, stringify!($name), $title, detail.to_string())
            })*

            /// Every code of a problem.
            pub(crate) const CODES: &[&str] =
                &[$(stringify!($name),)* "day_closed", "busy", "chain_unavailable", "internal"];
        }
    };
}

problems! {
    bad_request => BAD_REQUEST, "The request cannot be read";
    not_found => NOT_FOUND, "Nothing there";
    unknown_node => NOT_FOUND, "The node is not authorised";
    unknown_license => NOT_FOUND, "No such license";
    unknown_project => NOT_FOUND, "No such project";
    not_leased => NOT_FOUND, "No node has ever leased the license";
    bad_signature => UNAUTHORIZED, "The signature does not hold";
    authorization_expired => FORBIDDEN, "The authorisation's time is over or too long";
    authorization_revoked => FORBIDDEN, "The authorisation was revoked";
    authorization_replaced => CONFLICT, "A higher nonce is in force";
    nonce_stale => CONFLICT, "The request was made before another";
    clock_wrong => CONFLICT, "The request's time is not ours";
    not_entitled => FORBIDDEN, "The operator may not run the license";
    workload_taken => CONFLICT, "The node runs another license of this workload";
    wrong_minute => CONFLICT, "The heartbeat is for another minute";
    stale_challenge => CONFLICT, "The challenge is not one of the last three minutes";
    seq_stale => CONFLICT, "The sequence number was used";
    too_large => PAYLOAD_TOO_LARGE, "The request is too large";
    rate_limited => TOO_MANY_REQUESTS, "Too many requests";
    day_open => CONFLICT, "The day is not closed yet";
    out_of_order => CONFLICT, "A day before must be committed first";
    committed => CONFLICT, "The day is committed";
    wrong_previous => UNPROCESSABLE_ENTITY, "The commit does not follow the one before";
    points_invalid => UNPROCESSABLE_ENTITY, "The points do not hold";
    root_differs => UNPROCESSABLE_ENTITY, "The commit is not what the published data gives";
    quota_exceeded => UNPROCESSABLE_ENTITY, "The day's rise is above the daily quota";
    underfunded => UNPROCESSABLE_ENTITY, "The distributor cannot pay the total";
    unknown_target => NOT_FOUND, "No such target";
    too_many_targets => CONFLICT, "The node has as many targets as it may have";
    target_refused => UNPROCESSABLE_ENTITY, "The URL cannot be a target";
    release_invalid => UNPROCESSABLE_ENTITY, "The body is not the release of this hash";
    not_announced => CONFLICT, "The chain does not announce the release";
    target_failed => BAD_GATEWAY, "The target did not take the message";
    login_off => NOT_FOUND, "This backend has no login";
    not_signed_in => UNAUTHORIZED, "Nobody is signed in";
    cross_site => FORBIDDEN, "The request is not from a page of this backend";
    login_text_old => FORBIDDEN, "The text's time is over";
    login_text_used => CONFLICT, "The text was used";
    unknown_pairing => NOT_FOUND, "No such pairing";
    wrong_code => FORBIDDEN, "The code is not the node's";
    pairing_claimed => CONFLICT, "Another account has typed the code";
    method_not_allowed => METHOD_NOT_ALLOWED, "The route takes another method";
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, title: &'static str, detail: String) -> Self {
        Self { status, code, title, detail, retry_after_secs: None, difference: None, cause: None }
    }

    fn try_later(code: &'static str, title: &'static str, detail: String) -> Self {
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, title, detail);
        Self { retry_after_secs: Some(1), ..error }
    }

    /// The day closed before the heartbeat was stored; nothing was stored.
    pub(crate) fn day_closed(detail: impl std::fmt::Display) -> Self {
        Self::try_later("day_closed", "The day is closed", detail.to_string())
    }

    /// A queue is full or the program is stopping; nothing was stored.
    pub(crate) fn busy(detail: impl std::fmt::Display) -> Self {
        Self::try_later("busy", "Try again in a moment", detail.to_string())
    }

    /// The chain could not be read, or not far enough, so nothing was decided.
    pub(crate) fn chain_unavailable(detail: impl std::fmt::Display) -> Self {
        Self::try_later("chain_unavailable", "The chain cannot be read now", detail.to_string())
    }

    /// Names the time after which the same request may do better.
    pub(crate) fn retry_after(self, secs: u64) -> Self {
        Self { retry_after_secs: Some(u32::try_from(secs).unwrap_or(u32::MAX)), ..self }
    }

    fn caused_by(self, cause: anyhow::Error) -> Self {
        Self { cause: Some(cause), ..self }
    }

    /// Names the first row that differs.
    pub(crate) fn with_difference(mut self, difference: Difference) -> Self {
        self.difference = Some(Box::new(difference));
        self
    }

    #[cfg(test)]
    pub(crate) const fn code(&self) -> &'static str {
        self.code
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        metrics::counter!("nodesys_http_problems_total", "code" => self.code).increment(1);
        let fault = (self.status == StatusCode::SERVICE_UNAVAILABLE).then(|| Fault {
            code: self.code,
            why: match &self.cause {
                Some(cause) => format!("{cause:#}").into(),
                None => self.detail.as_str().into(),
            },
        });
        let difference = self.difference.map(|difference| *difference);
        let problem = Problem::new(self.status.as_u16(), self.code, self.title, self.detail);
        let problem = Problem { difference, ..problem };
        let mut response = problem::response(problem, self.retry_after_secs);
        if let Some(fault) = fault {
            response.extensions_mut().insert(fault);
        }
        response
    }
}

/// A fault of ours: logged in full, reported in general terms.
impl From<anyhow::Error> for ApiError {
    fn from(error: anyhow::Error) -> Self {
        if error.downcast_ref().is_some_and(database_away) {
            return Self::busy("the database does not answer: send the same request again")
                .caused_by(error);
        }
        tracing::error!(error = format!("{error:#}"), "a request failed");
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        let detail = "the backend's log says more; the same request may be sent again".to_owned();
        Self::new(status, "internal", "The backend failed", detail)
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        anyhow::Error::from(error).context("database").into()
    }
}

/// Whether the connection, not the statement, is at fault: a retry may succeed.
fn database_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) => true,
        // A server that dies or comes up refuses a connection in the middle of its first words.
        sqlx::Error::Protocol(_) => true,
        // Connection trouble, too few resources (a full disk among them), an operator's stop, a server that became a
        // standby, a disk that fails.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["08", "53", "57P", "25006", "58030"].iter().any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}

/// The chain did not answer, so nothing was decided. The backend's RPC is not public: the whole
/// error goes to the log only.
impl From<ChainError> for ApiError {
    fn from(error: ChainError) -> Self {
        let detail = match &error {
            ChainError::Unreachable { .. } => "the backend's RPC does not answer".to_owned(),
            ChainError::WrongChain { expected, found, .. } => {
                format!("the backend's RPC is on chain {found}, expected chain {expected}")
            }
            ChainError::Behind { newest, known, .. } => {
                format!(
                    "the newest block of the backend's RPC is {newest}, behind block {known}, which is final"
                )
            }
            ChainError::NoCode { address, what } => {
                format!("the backend's RPC has no contract at {address}, which should be {what}")
            }
            _ => "the backend's RPC gave no usable answer".to_owned(),
        };
        Self::chain_unavailable(format!("{detail}; nothing was decided, try again in a minute"))
            .caused_by(error.into())
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Self::too_large(rejection.body_text())
        } else {
            Self::bad_request(rejection.body_text())
        }
    }
}

impl From<BytesRejection> for ApiError {
    fn from(rejection: BytesRejection) -> Self {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Self::too_large(rejection.body_text())
        } else {
            Self::bad_request(rejection.body_text())
        }
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

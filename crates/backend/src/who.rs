//! Who asks: what the table of routes requires of a caller is required here, before a handler runs.
//!
//! A signature in a body is its handler's to check. What a caller shows beside the body, a cookie, is
//! checked here and becomes a [`Person`], which no handler can have otherwise.

use axum::http::{HeaderMap, Method};
use nodesys_core::Address;

use crate::db;
use crate::error::{ApiError, ApiResult};
use crate::front::Front;
use crate::limits::Caller;
use crate::state::App;

/// Somebody who is signed in: an extension of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) account: Address,
    /// The login's number.
    pub(crate) login: u64,
}

/// Refuses a caller whom the route does not take. `None` where it takes everybody, or a signature decides.
pub(crate) async fn admit(
    app: &App,
    caller: Caller,
    method: &Method,
    headers: &HeaderMap,
) -> ApiResult<Option<Person>> {
    match caller {
        Caller::Anyone | Caller::Signer(_) => Ok(None),
        Caller::Page => front(app)?.check_origin(headers).map(|()| None),
        Caller::Login => signed_in(app, method, headers).await.map(Some),
    }
}

/// The backend's public address.
pub(crate) fn front(app: &App) -> ApiResult<&Front> {
    app.front.as_ref().ok_or_else(|| {
        ApiError::login_off("this backend has no login: its operator has set no --public-url")
    })
}

async fn signed_in(app: &App, method: &Method, headers: &HeaderMap) -> ApiResult<Person> {
    let front = front(app)?;
    if !method.is_safe() {
        front.check_origin(headers)?;
    }
    let no = || {
        ApiError::not_signed_in(
            "no login goes on under this request's cookie: sign in with POST /v1/login",
        )
    };
    let token = front.token(headers).ok_or_else(no)?;
    let mut conn = app.pool.acquire().await?;
    let login = db::login::by_token(&mut conn, token.hash(), app.clock.now()).await?;
    login.map(|login| Person { account: login.account, login: login.id }).ok_or_else(no)
}

//! Logins: a wallet signs a text of ours, and its owner's browser is that account for twelve hours.
//!
//! A login shows its account's own view and manages it. Where a signature is needed, it replaces none.

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Extension, Json, Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use nodesys_core::Address;
use nodesys_core::login::{LoginMessage, LoginMessageRequest, LoginRequest, LoginView};
use nodesys_core::text::line;

use crate::db::login::LoginRow;
use crate::error::{ApiError, ApiResult};
use crate::front::{LOGIN_MILLIS, Nonce, Token};
use crate::state::{App, AppState};
use crate::who::{Person, front};
use crate::{chain, db};

/// Logins that an account may have.
pub(crate) const MOST_LOGINS: i64 = 16;
/// Longest text that is kept of what a browser says of itself, in characters.
const MOST_PROGRAM: usize = 200;

/// Writes the text that a wallet signs to sign in (EIP-4361).
#[utoipa::path(post, path = "/v1/login/messages", tag = "login", operation_id = "writeLoginMessage",
    request_body = LoginMessageRequest,
    responses((status = 200, description = "The text, to be signed as it is.", body = LoginMessage)))]
pub(crate) async fn write_message(
    State(app): State<AppState>,
    body: Result<Json<LoginMessageRequest>, JsonRejection>,
) -> ApiResult<Json<LoginMessage>> {
    let Json(LoginMessageRequest { account }) = body?;
    let (message, nonce, until) = front(&app)?.write(account, app.clock.now());
    Ok(Json(LoginMessage { message, nonce: nonce.to_string(), until_millis: until.millis() }))
}

/// Signs in: the signed text becomes a cookie. A text is taken once.
#[utoipa::path(post, path = "/v1/login", tag = "login", operation_id = "signIn",
    request_body = LoginRequest,
    responses((status = 200, description = "The login; its secret is in the cookie.",
        body = LoginView)))]
pub(crate) async fn sign_in(
    State(app): State<AppState>,
    headers: HeaderMap,
    body: Result<Json<LoginRequest>, JsonRejection>,
) -> ApiResult<Response> {
    let Json(request) = body?;
    let (token, login) = begin(&app, &headers, &request).await?;
    let cookie = front(&app)?.cookie(&token);
    let view = view(&login, login.id);
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Json(view)).into_response())
}

/// The login of this request.
#[utoipa::path(get, path = "/v1/login", tag = "login", operation_id = "getLogin",
    responses((status = 200, description = "The login.", body = LoginView)))]
pub(crate) async fn show(
    State(app): State<AppState>,
    Extension(person): Extension<Person>,
) -> ApiResult<Json<LoginView>> {
    let logins = of(&app, person).await?;
    logins.into_iter().find(|login| login.current).map(Json).ok_or_else(|| {
        ApiError::not_signed_in("the login has just ended: sign in with POST /v1/login")
    })
}

/// Signs out: ends the login of this request.
#[utoipa::path(delete, path = "/v1/login", tag = "login", operation_id = "signOut",
    responses((status = 200, description = "The account's other logins.", body = Vec<LoginView>)))]
pub(crate) async fn sign_out(
    State(app): State<AppState>,
    Extension(person): Extension<Person>,
) -> ApiResult<Response> {
    end(&app, person.account, person.login).await?;
    let cookie = front(&app)?.no_cookie();
    let left = of(&app, person).await?;
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Json(left)).into_response())
}

/// The account's logins, the newest first.
#[utoipa::path(get, path = "/v1/logins", tag = "login", operation_id = "listLogins",
    responses((status = 200, description = "The logins.", body = Vec<LoginView>)))]
pub(crate) async fn list(
    State(app): State<AppState>,
    Extension(person): Extension<Person>,
) -> ApiResult<Json<Vec<LoginView>>> {
    of(&app, person).await.map(Json)
}

/// Ends a login of the account; one that has ended already stays so.
#[utoipa::path(delete, path = "/v1/logins/{login}", tag = "login", operation_id = "endLogin",
    params(("login" = String, Path)),
    responses((status = 200, description = "The logins that are left.", body = Vec<LoginView>)))]
pub(crate) async fn end_one(
    State(app): State<AppState>,
    Extension(person): Extension<Person>,
    path: Result<Path<u64>, PathRejection>,
) -> ApiResult<Json<Vec<LoginView>>> {
    let Path(login) = path?;
    end(&app, person.account, login).await?;
    of(&app, person).await.map(Json)
}

async fn begin(
    app: &App,
    headers: &HeaderMap,
    request: &LoginRequest,
) -> ApiResult<(Token, LoginRow)> {
    let (front, now, account) = (front(app)?, app.clock.now(), request.account);
    let nonce = Nonce::parse(&request.nonce)?;
    let digest = front.digest(account, &nonce, now)?;
    chain::verify_wallet(&app.chain, "account", account, digest, &request.signature).await?;
    app.limits.login(account)?;
    let token = Token::draw();
    let login = LoginRow {
        // Given by the database.
        id: 0,
        account,
        program: program(headers),
        begun: now,
        until: now.plus_millis(LOGIN_MILLIS),
    };
    let mut tx = app.pool.begin().await?;
    if !db::login::take_nonce(&mut tx, &nonce.0, nonce.until()).await? {
        return Err(ApiError::login_text_used(
            "somebody has signed in with this text already: ask for a new one",
        ));
    }
    // The browser's cookie is replaced, so nobody could end the login before.
    if let Some(before) = front.token(headers) {
        db::login::end_by_token(&mut tx, before.hash()).await?;
    }
    let login = db::login::begin(&mut tx, token.hash(), &login, MOST_LOGINS).await?;
    tx.commit().await?;
    metrics::counter!("nodesys_logins_begun_total").increment(1);
    Ok((token, login))
}

/// What the browser says of itself.
fn program(headers: &HeaderMap) -> String {
    let said = headers.get(header::USER_AGENT).map_or(&[][..], |value| value.as_bytes());
    let said: String = String::from_utf8_lossy(said).chars().take(MOST_PROGRAM).collect();
    line(&said).into_owned()
}

async fn of(app: &App, person: Person) -> ApiResult<Vec<LoginView>> {
    let mut conn = app.pool.acquire().await?;
    let logins = db::login::of_account(&mut conn, person.account, app.clock.now()).await?;
    Ok(logins.iter().map(|login| view(login, person.login)).collect())
}

async fn end(app: &App, account: Address, login: u64) -> ApiResult<()> {
    Ok(db::login::end(&mut *app.pool.acquire().await?, account, login).await?)
}

fn view(login: &LoginRow, current: u64) -> LoginView {
    LoginView {
        login: login.id,
        account: login.account,
        program: login.program.clone(),
        begun_millis: login.begun.millis(),
        until_millis: login.until.millis(),
        current: login.id == current,
    }
}

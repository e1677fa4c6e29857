//! Pairing by a code: a node waits here for its operator, who types the code in a browser and signs there.
//!
//! Nothing is authorised here. The wallet's signature goes to the node, which adds its own and hands both in
//! at `POST /v1/nodes`, as after an exchange of files.

use alloy::signers::k256::elliptic_curve::rand_core::{OsRng, RngCore as _};
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Extension, Json, Path, State};
use nodesys_core::message::typed_data::typed_data;
use nodesys_core::message::{MAX_AUTHORIZATION_SECS, Message as _, NodeAuthorization};
use nodesys_core::pairing::{
    Code, MAX_MACHINE, PairingBegun, PairingClaim, PairingQuestion, PairingRequest,
    PairingSignature, PairingState, PairingView, words,
};
use nodesys_core::text::line;
use nodesys_core::{Address, B256};
use sqlx::{PgConnection, PgTransaction};

use crate::db::pairing::PairingRow;
use crate::error::{ApiError, ApiResult};
use crate::front::Token;
use crate::state::{App, AppState};
use crate::who::{Person, front};
use crate::{chain, db, nonce};

/// How long a pairing goes on.
const PAIRING_MILLIS: u64 = 10 * 60_000;
/// Wrong codes that end one.
const MOST_TRIES: u32 = 5;

type PairingPath = Result<Path<String>, PathRejection>;

/// Begins a pairing: a link to open, and apart from it a code to type there.
#[utoipa::path(post, path = "/v1/pairings", tag = "pairing", operation_id = "beginPairing",
    request_body = PairingRequest,
    responses((status = 200, description = "The pairing, with its code and secret.",
        body = PairingBegun)))]
pub(crate) async fn begin(
    State(app): State<AppState>,
    body: Result<Json<PairingRequest>, JsonRejection>,
) -> ApiResult<Json<PairingBegun>> {
    let Json(request) = body?;
    begin_one(&app, &request).await.map(Json)
}

/// How far a pairing is, for the node that began it: it asks every three seconds.
#[utoipa::path(post, path = "/v1/pairings/state", tag = "pairing", operation_id = "getPairingState",
    request_body = PairingQuestion,
    responses((status = 200, description = "Who has typed the code, and the signature.",
        body = PairingState)))]
pub(crate) async fn state(
    State(app): State<AppState>,
    body: Result<Json<PairingQuestion>, JsonRejection>,
) -> ApiResult<Json<PairingState>> {
    let Json(PairingQuestion { pairing, secret }) = body?;
    let row = find(&app, &mut *app.pool.acquire().await?, &pairing).await?;
    if Token::parse(&secret).is_none_or(|secret| secret.hash() != row.secret_hash) {
        return Err(unknown());
    }
    Ok(Json(PairingState { operator: row.operator, operator_signature: row.signature }))
}

/// Types the code: the pairing is the account's from now on, and shows what there is to sign.
#[utoipa::path(post, path = "/v1/pairings/{pairing}/claims", tag = "pairing",
    operation_id = "claimPairing", params(("pairing" = String, Path)), request_body = PairingClaim,
    responses((status = 200, description = "What there is to sign.", body = PairingView)))]
pub(crate) async fn claim(
    State(app): State<AppState>,
    Extension(person): Extension<Person>,
    path: PairingPath,
    body: Result<Json<PairingClaim>, JsonRejection>,
) -> ApiResult<Json<PairingView>> {
    let (Path(pairing), Json(PairingClaim { code })) = (path?, body?);
    app.limits.pairing_code(person.account)?;
    let mut tx = app.pool.begin().await?;
    let row = find(&app, &mut tx, &pairing).await?;
    check_code(&app, tx, &row, &code, person.account).await?;
    view(&app, row, person.account).map(Json)
}

/// Hands in the wallet's signature, which the node fetches.
#[utoipa::path(post, path = "/v1/pairings/{pairing}/signature", tag = "pairing",
    operation_id = "signPairing", params(("pairing" = String, Path)),
    request_body = PairingSignature,
    responses((status = 200, description = "The pairing, signed.", body = PairingView)))]
pub(crate) async fn sign(
    State(app): State<AppState>,
    Extension(person): Extension<Person>,
    path: PairingPath,
    body: Result<Json<PairingSignature>, JsonRejection>,
) -> ApiResult<Json<PairingView>> {
    let (Path(pairing), Json(PairingSignature { signature })) = (path?, body?);
    let account = person.account;
    // The chain is asked while no row is locked.
    let row = claimed(&app, &mut *app.pool.acquire().await?, &pairing, account).await?;
    let digest = authorization(&row, account).digest(&app.domain);
    chain::verify_wallet(&app.chain, "operator's wallet", account, digest, &signature).await?;
    let mut tx = app.pool.begin().await?;
    let mut row = claimed(&app, &mut tx, &pairing, account).await?;
    db::pairing::sign(&mut tx, row.id, &signature).await?;
    tx.commit().await?;
    row.signature = Some(signature);
    view(&app, row, account).map(Json)
}

async fn begin_one(app: &App, request: &PairingRequest) -> ApiResult<PairingBegun> {
    let (front, now) = (front(app)?, app.clock.now());
    nonce::of_wallet(request.nonce, now)?;
    let last = now.secs().saturating_add(MAX_AUTHORIZATION_SECS);
    if request.not_after < now.secs() || request.not_after > last {
        return Err(ApiError::authorization_expired(
            "not_after must lie ahead, by 90 days at most: ask for another time",
        ));
    }
    let machine = line(&request.machine).into_owned();
    if machine.chars().count() > MAX_MACHINE {
        return Err(ApiError::bad_request(format!(
            "the machine's name is longer than {MAX_MACHINE} characters"
        )));
    }
    let mut id = [0; 16];
    OsRng.fill_bytes(&mut id);
    let (code, secret) = (draw_code(), Token::draw());
    let row = PairingRow {
        id,
        secret_hash: secret.hash(),
        code_hash: front.hidden(&id, code.as_str()),
        node_key: request.node_key,
        not_after: request.not_after,
        nonce: request.nonce,
        machine,
        until: now.plus_millis(PAIRING_MILLIS),
        tries: 0,
        operator: None,
        signature: None,
    };
    db::pairing::begin(&mut *app.pool.acquire().await?, &row).await?;
    let pairing = alloy::hex::encode(id);
    Ok(PairingBegun {
        link: front.link(&format!("/pair/{pairing}")),
        pairing,
        code,
        secret: secret.text().to_string(),
        until_millis: row.until.millis(),
    })
}

fn draw_code() -> Code {
    loop {
        let mut bytes = [0; 8];
        OsRng.fill_bytes(&mut bytes);
        if let Some(code) = Code::from_random(bytes) {
            return code;
        }
    }
}

fn unknown() -> ApiError {
    ApiError::unknown_pairing(
        "no such pairing goes on: each ends after ten minutes; run `nodesys pair` again",
    )
}

async fn find(app: &App, conn: &mut PgConnection, pairing: &str) -> ApiResult<PairingRow> {
    let mut id = [0; 16];
    alloy::hex::decode_to_slice(pairing, &mut id).map_err(|_| unknown())?;
    db::pairing::locked(conn, id, app.clock.now()).await?.ok_or_else(unknown)
}

/// The pairing, if this account has typed its code.
async fn claimed(
    app: &App,
    conn: &mut PgConnection,
    pairing: &str,
    account: Address,
) -> ApiResult<PairingRow> {
    let row = find(app, conn, pairing).await?;
    if row.operator == Some(account) { Ok(row) } else { Err(unknown()) }
}

/// Makes the pairing the account's, or counts a wrong code.
async fn check_code(
    app: &App,
    mut tx: PgTransaction<'_>,
    row: &PairingRow,
    code: &Code,
    account: Address,
) -> ApiResult<()> {
    if row.tries >= MOST_TRIES {
        return Err(ApiError::wrong_code(format!(
            "{MOST_TRIES} wrong codes were typed, so this pairing has ended: run `nodesys pair` again"
        )));
    }
    if front(app)?.hidden(&row.id, code.as_str()) != row.code_hash {
        db::pairing::wrong_code(&mut tx, row.id).await?;
        tx.commit().await?;
        let left = MOST_TRIES - row.tries - 1;
        return Err(ApiError::wrong_code(format!(
            "the node shows another code; {left} tries are left"
        )));
    }
    match row.operator {
        Some(operator) if operator == account => Ok(()),
        Some(_) => Err(ApiError::pairing_claimed(
            "another account has typed this code: if that was not you, stop the node's `nodesys pair` \
             and run it again",
        )),
        None => {
            db::pairing::claim(&mut tx, row.id, account).await?;
            Ok(tx.commit().await?)
        }
    }
}

const fn authorization(row: &PairingRow, operator: Address) -> NodeAuthorization {
    NodeAuthorization {
        operator,
        node_key: row.node_key,
        not_after: row.not_after,
        nonce: row.nonce,
    }
}

fn view(app: &App, row: PairingRow, operator: Address) -> ApiResult<PairingView> {
    let authorization = authorization(&row, operator);
    let digest: B256 = authorization.digest(&app.domain);
    Ok(PairingView {
        pairing: alloy::hex::encode(row.id),
        typed_data: typed_data(&authorization, &app.domain),
        words: words(digest),
        authorization,
        machine: row.machine,
        signed: row.signature.is_some(),
        until_millis: row.until.millis(),
    })
}

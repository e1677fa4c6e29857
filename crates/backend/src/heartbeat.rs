//! Heartbeats: `POST /v1/sessions` and `POST /v1/heartbeats`, from bytes to a signed receipt.
//!
//! Checks run cheapest first: size, parse, known node, authorisation, minute, challenge, rate,
//! sequence, signature, lease lines. A heartbeat that passes is queued for the group commit in
//! [`writer`], and answered only once its batch is on disk.

mod alive;
mod seal;
mod writer;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Json, State};
use nodesys_core::B256;
use nodesys_core::api::{LineResult, Receipt, Session, SessionRequest};
use nodesys_core::message::{Heartbeat, MAX_LEASES, Message, Signed, Status};
use nodesys_core::time::{Minute, Timestamp};
use nodesys_service::network::Network;
use tokio::sync::oneshot;

use crate::db::active_lease::LeaseEntry;
use crate::error::{ApiError, ApiResult};
use crate::live::answers::Remembered;
use crate::live::pending::{Line, Pending};
use crate::state::{App, AppState};

#[cfg(test)]
pub(crate) use alive::Alive;
#[cfg(test)]
pub(crate) use writer::spawn_group_commit;
pub(crate) use writer::spawn_writer;

/// Time after a minute's end in which its heartbeat is still accepted.
const LATE_MILLIS: u64 = 5_000;
/// A challenge and the server's time, before the first heartbeat.
#[utoipa::path(post, path = "/v1/sessions", tag = "heartbeat", operation_id = "openSession",
    request_body = SessionRequest,
    responses((status = 200, description = "A challenge, and the server's time.", body = Session)))]
pub(crate) async fn open_session(
    State(app): State<AppState>,
    Extension(network): Extension<Network>,
    body: Result<Json<SessionRequest>, JsonRejection>,
) -> ApiResult<Json<Session>> {
    let Json(request) = body?;
    app.may_count()?;
    app.live.nodes.get(request.node_key, || app.limits.lookup(network)).await?;
    let now = app.clock.now();
    let challenge = app.live.challenges.of(request.node_key, now.minute());
    Ok(Json(Session { server_time_millis: now.millis(), challenge }))
}

/// One signed heartbeat; the answer is a receipt, after the commit.
#[utoipa::path(post, path = "/v1/heartbeats", tag = "heartbeat", operation_id = "sendHeartbeat",
    request_body = Signed<Heartbeat>,
    responses((status = 200, description = "The receipt. What it credits is on disk.",
        body = Receipt)))]
pub(crate) async fn take(
    State(app): State<AppState>,
    Extension(network): Extension<Network>,
    body: Result<Json<Signed<Heartbeat>>, JsonRejection>,
) -> ApiResult<Json<Receipt>> {
    let Json(signed) = body?;
    accept(&app, network, signed).await.map(Json)
}

async fn accept(app: &AppState, network: Network, signed: Signed<Heartbeat>) -> ApiResult<Receipt> {
    let heartbeat = &signed.message;
    check_lines(heartbeat)?;
    app.may_count()?;
    let now = app.clock.now();
    let lookup = || app.limits.lookup(network);
    let node = app.live.nodes.authorised(heartbeat.node_key, now, lookup).await?;
    check_minute(heartbeat.minute, now)?;
    let challenge_minute = app
        .live
        .challenges
        .minute_of(heartbeat.node_key, heartbeat.challenge, now.minute())
        .ok_or_else(|| {
            ApiError::stale_challenge(
                "take the challenge of the last receipt, or ask POST /v1/sessions for one",
            )
        })?;
    app.limits.heartbeat(heartbeat.node_key, network)?;
    let heartbeat_hash = heartbeat.struct_hash();
    match app.live.answers.remembered(heartbeat, heartbeat_hash, now)? {
        Remembered::Answered(receipt) => {
            // Only who signed it gets the answer again.
            verify(app, &signed)?;
            return Ok(*receipt);
        }
        Remembered::New => {}
    }
    verify(app, &signed)?;
    let lines = judge(app, node.idx, heartbeat).await?;

    let (reply, answer) = oneshot::channel();
    let in_flight =
        app.live.answers.begin(heartbeat.node_key, heartbeat.seq, heartbeat_hash, now)?;
    let (node_idx, entitled, hash) = (node.idx, node.is_entitled(now), heartbeat_hash);
    let pending = Pending { node_idx, entitled, hash, signed, challenge_minute, lines, reply };
    app.live
        .queue
        .try_send(pending)
        .map_err(|_| ApiError::busy("too many heartbeats are waiting for the disk"))?;
    let receipt = answer
        .await
        .map_err(|_| ApiError::busy("the backend is stopping; nothing was stored"))??;
    in_flight.answered(&receipt);
    Ok(receipt)
}

fn verify(app: &AppState, signed: &Signed<Heartbeat>) -> ApiResult<()> {
    signed.verify(&app.domain, signed.message.node_key).map(|_| ()).map_err(ApiError::bad_signature)
}

fn check_lines(heartbeat: &Heartbeat) -> ApiResult<()> {
    if heartbeat.leases.len() > MAX_LEASES {
        return Err(ApiError::bad_request(format!("more than {MAX_LEASES} leases")));
    }
    let mut licenses: Vec<_> = heartbeat.leases.iter().map(|line| line.license).collect();
    licenses.sort_unstable();
    match licenses.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ApiError::bad_request(format!("license {} is listed twice", pair[0]))),
        None => Ok(()),
    }
}

/// The server's current minute, or the one before within [`LATE_MILLIS`] of its end.
fn check_minute(minute: Minute, now: Timestamp) -> ApiResult<()> {
    let current = now.minute();
    let late = minute.next() == current && now.millis_since(current.start()) <= LATE_MILLIS;
    if minute == current || late {
        return Ok(());
    }
    Err(ApiError::wrong_minute(format!(
        "the heartbeat is for minute {}, the server's is {}: count minutes from the last receipt's \
         server time",
        minute.0, current.0
    )))
}

/// Judges each line: whether the node holds this lease with this fence.
async fn judge(app: &App, node: u32, heartbeat: &Heartbeat) -> ApiResult<Vec<Line>> {
    let lines = &heartbeat.leases;
    let licenses: Vec<B256> = lines.iter().map(|line| line.license).collect();
    let fits = |place: usize, entry: &LeaseEntry| {
        (entry.node_key, entry.fence) == (heartbeat.node_key, lines[place].fence)
            && entry.is_listed(heartbeat.minute.day())
    };
    let found = app.live.leases.find(node, &licenses, fits).await?;
    let judged = lines.iter().zip(found).map(|(line, entry)| match entry {
        Some(entry) => {
            let earns = heartbeat.minute >= entry.earns_from;
            Line { held: Some(entry.license), result: earned(line.status, earns) }
        }
        None => Line::LOST,
    });
    Ok(judged.collect())
}

/// The credit for a held lease's status in a minute that may be its own, before the bound on
/// `updating`.
const fn earned(status: Status, own_minute: bool) -> LineResult {
    match (status, own_minute) {
        (Status::Healthy | Status::Updating, true) => LineResult::Credited,
        (Status::Healthy | Status::Updating, false) => LineResult::NewLease,
        (Status::Starting | Status::Degraded | Status::Down, _) => LineResult::NotHealthy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_ends_five_seconds_late() {
        let minute = Minute(29_453_760);
        let at = |millis| check_minute(minute, minute.start().plus_millis(millis));
        assert!(at(0).is_ok() && at(59_999).is_ok() && at(65_000).is_ok());
        assert_eq!(at(65_001).unwrap_err().code(), "wrong_minute");
        let before = Timestamp::from_millis(minute.start().millis() - 1);
        assert_eq!(check_minute(minute, before).unwrap_err().code(), "wrong_minute");
        assert_eq!(at(10 * 60_000).unwrap_err().code(), "wrong_minute");
    }
}

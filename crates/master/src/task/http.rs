//! `POST /v1/tasks/lease` and `POST /v1/tasks/{id}/result`, for workloads with a ticket.
//!
//! In the order of checks: room, ticket, lease and allowance, size, then the body, then the
//! database. A result is answered once its transaction has committed, with the same answer for
//! right and wrong ones, so that a workload cannot tell which tasks have known answers.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures::StreamExt as _;
use nodesys_core::ids::TaskId;
use nodesys_core::task::{
    LeaseTasks, MAX_LEASED, MAX_RESULT_BYTES, ResultTaken, TaskResult, canonical_text, output_hash,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::sync::SemaphorePermit;

use super::Tasks;
use super::gate::{Cost, Shown};
use super::queue::Leased;
use super::result::{Given, Taken, take};
use crate::error::{ApiError, ApiResult};

/// Requests under way at once; each may hold a body.
pub(crate) const SLOTS: usize = 256;
const MAX_LEASE_BODY_BYTES: usize = 1024;
/// How much of a body that is too large is read and dropped, so that the sender hears why.
const DRAINED_BYTES: usize = 16 * 1024 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The routes.
pub(crate) fn routes(tasks: Arc<Tasks>) -> Router {
    Router::new()
        .route("/v1/tasks/lease", post(lease))
        .route("/v1/tasks/{id}/result", post(result))
        .with_state(tasks)
}

async fn lease(
    State(tasks): State<Arc<Tasks>>,
    headers: HeaderMap,
    body: Body,
) -> ApiResult<Response> {
    let (_room, shown) = enter(&tasks, &headers)?;
    let holder = tasks.gate.admit(&shown, Cost::Lease).await?;
    let body = sized(body, &headers, MAX_LEASE_BODY_BYTES).await?;
    let LeaseTasks { max } = parse(&read(body, MAX_LEASE_BODY_BYTES).await?)?;
    if max == 0 || max > MAX_LEASED {
        return Err(ApiError::bad_request(format!("max is {max}, expected 1 to {MAX_LEASED}")));
    }
    let leased = tasks.queue.lease(&holder, max, tasks.clock.now()).await?;
    if leased.len() < usize::from(max) {
        tasks.idle.notify_one();
    }
    Answer::of(&leased).map_err(Into::into)
}

async fn result(
    State(tasks): State<Arc<Tasks>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> ApiResult<Json<ResultTaken>> {
    let (_room, shown) = enter(&tasks, &headers)?;
    let task: TaskId = id.parse().map_err(ApiError::bad_request)?;
    let holder = tasks.gate.admit(&shown, Cost::Result).await?;
    let body = sized(body, &headers, MAX_RESULT_BYTES).await?;
    let TaskResult { output } = parse(&read(body, MAX_RESULT_BYTES).await?)?;
    let given = Given { output: canonical_text(&output), output_hash: output_hash(&output) };
    let taken = take(&tasks.queue, task, &holder, &given, tasks.clock.now()).await;
    answer(task, taken.map_err(database)?)
}

fn enter<'a>(tasks: &'a Tasks, headers: &HeaderMap) -> ApiResult<(SemaphorePermit<'a>, Shown)> {
    let room = tasks.slots.try_acquire();
    let room = room.map_err(|_| ApiError::busy("too many requests at once"))?;
    Ok((room, tasks.gate.ticket(headers)?))
}

/// A database that is only busy is told from one that fails.
fn database(error: anyhow::Error) -> ApiError {
    match error.downcast::<sqlx::Error>() {
        Ok(error) => error.into(),
        Err(error) => error.into(),
    }
}

fn answer(task: TaskId, taken: Taken) -> ApiResult<Json<ResultTaken>> {
    match taken {
        Taken::Stored(stored) => Ok(Json(stored)),
        Taken::NoTask => Err(ApiError::not_found(format!("there is no task {task}"))),
        Taken::NotLeased => Err(ApiError::not_leased(format!(
            "task {task} is not leased to this license with this fence: lease tasks first"
        ))),
        Taken::TaskExpired => Err(ApiError::task_expired(format!(
            "the lease of task {task} ended before its result came: lease it again"
        ))),
        Taken::AlreadyDone => Err(ApiError::already_done(format!(
            "this license has answered task {task} with another output, which stands"
        ))),
        Taken::Late => Err(ApiError::late(format!(
            "task {task} ended without this result; drop it and lease others"
        ))),
    }
}

/// Refuses a body that says that it is too large.
async fn sized(body: Body, headers: &HeaderMap, most: usize) -> ApiResult<Body> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    match length.and_then(|text| text.parse::<usize>().ok()) {
        Some(length) if length > most => {
            if length <= DRAINED_BYTES {
                drain(body).await;
            }
            Err(too_large(most))
        }
        _ => Ok(body),
    }
}

async fn drain(body: Body) {
    let all = async {
        let mut chunks = body.into_data_stream();
        while let Some(Ok(_)) = chunks.next().await {}
    };
    // Whoever sends too slowly hears nothing.
    let _ = tokio::time::timeout(BODY_TIMEOUT, all).await;
}

async fn read(body: Body, most: usize) -> ApiResult<Vec<u8>> {
    let all = async {
        let (mut chunks, mut bytes) = (body.into_data_stream(), Vec::new());
        while let Some(chunk) = chunks.next().await {
            let chunk =
                chunk.map_err(|error| ApiError::bad_request(format!("the body: {error}")))?;
            if bytes.len() + chunk.len() > most {
                return Err(too_large(most));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    };
    tokio::time::timeout(BODY_TIMEOUT, all).await.unwrap_or_else(|_| {
        let secs = BODY_TIMEOUT.as_secs();
        Err(ApiError::bad_request(format!("the body did not arrive within {secs} seconds")))
    })
}

fn too_large(most: usize) -> ApiError {
    ApiError::too_large(format!(
        "at most {most} bytes are taken: keep large outputs elsewhere and send their hash"
    ))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> ApiResult<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        ApiError::bad_request(format!("the body is not what is expected: {error}"))
    })
}

/// [`nodesys_core::task::LeasedTasks`], with inputs as they are stored.
#[derive(Serialize)]
struct Answer<'a> {
    tasks: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    id: TaskId,
    input: &'a RawValue,
    #[serde(serialize_with = "nodesys_core::message::decimal::serialize")]
    expires_millis: u64,
}

impl Answer<'_> {
    fn of(leased: &[Leased]) -> anyhow::Result<Response> {
        let mut tasks = Vec::with_capacity(leased.len());
        for task in leased {
            let input = serde_json::from_str(&task.input)?;
            tasks.push(Line { id: task.id, input, expires_millis: task.expires.millis() });
        }
        let body = serde_json::to_vec(&Answer { tasks })?;
        Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
    }
}

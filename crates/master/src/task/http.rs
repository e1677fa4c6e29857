//! `POST /v1/tasks/lease` and `POST /v1/tasks/{id}/result`, for workloads with a ticket.
//!
//! Checks come in this order: a free slot, ticket, the license's slots, lease and allowance, size, body,
//! database. A
//! result is acknowledged once its transaction has committed. Right and wrong results get the same
//! answer, so that a workload cannot tell which tasks have known answers.

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

use super::allowance::Cost;
use super::gate::CheckedTicket;
use super::queue::LeasedTask;
use super::result::{GivenOutput, ResultOutcome, take};
use super::slots::Slot;
use super::state::Tasks;
use crate::error::{ApiError, ApiResult};

const MAX_LEASE_BODY_BYTES: usize = 1024;
/// Bytes of an oversized body that are read and dropped, so that its sender receives the answer.
const DRAINED_BYTES: usize = 16 * 1024 * 1024;
/// Time limit for the arrival of a body.
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
    let (_slot, ticket) = enter(&tasks, &headers)?;
    let holder = tasks.gate.admit(&ticket, Cost::Lease).await?;
    let body = sized(body, &headers, MAX_LEASE_BODY_BYTES).await?;
    let LeaseTasks { max } = parse(&read(body, MAX_LEASE_BODY_BYTES).await?)?;
    if max == 0 || max > MAX_LEASED {
        return Err(ApiError::bad_request(format!("max is {max}, expected 1 to {MAX_LEASED}")));
    }
    let leased = tasks.queue.lease(&holder, max, tasks.clock.now()).await?;
    if leased.len() < usize::from(max) {
        tasks.idle.notify_one();
    }
    LeasedTasksBody::of(&leased).map_err(Into::into)
}

async fn result(
    State(tasks): State<Arc<Tasks>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> ApiResult<Json<ResultTaken>> {
    let (_slot, ticket) = enter(&tasks, &headers)?;
    let task: TaskId = id.parse().map_err(ApiError::bad_request)?;
    let holder = tasks.gate.admit(&ticket, Cost::Result).await?;
    let body = sized(body, &headers, MAX_RESULT_BYTES).await?;
    let TaskResult { output } = parse(&read(body, MAX_RESULT_BYTES).await?)?;
    let given = GivenOutput { output: canonical_text(&output), output_hash: output_hash(&output) };
    let taken = take(&tasks.queue, task, &holder, &given, tasks.clock.now()).await;
    answer(task, taken.map_err(database)?)
}

fn enter(tasks: &Tasks, headers: &HeaderMap) -> ApiResult<(Slot, CheckedTicket)> {
    let slot = tasks.slots.enter();
    let mut slot = slot.ok_or_else(|| ApiError::busy("too many requests at once"))?;
    let ticket = tasks.gate.ticket(headers)?;
    if !slot.belongs_to(ticket.license(), ticket.node_key()) {
        return Err(ApiError::busy("too many requests of this license at once"));
    }
    Ok((slot, ticket))
}

/// Tells a busy database from one that fails.
fn database(error: anyhow::Error) -> ApiError {
    match error.downcast::<sqlx::Error>() {
        Ok(error) => error.into(),
        Err(error) => error.into(),
    }
}

fn answer(task: TaskId, outcome: ResultOutcome) -> ApiResult<Json<ResultTaken>> {
    match outcome {
        ResultOutcome::Stored(stored) => Ok(Json(stored)),
        ResultOutcome::NoTask => Err(ApiError::not_found(format!("there is no task {task}"))),
        ResultOutcome::NotLeased => Err(ApiError::not_leased(format!(
            "task {task} is not leased to this license with this fence: lease tasks first"
        ))),
        ResultOutcome::TaskExpired => Err(ApiError::task_expired(format!(
            "the lease of task {task} ended before its result came: lease it again"
        ))),
        ResultOutcome::AlreadyDone => Err(ApiError::already_done(format!(
            "this license has answered task {task} with another output; the first one counts"
        ))),
        ResultOutcome::Late => Err(ApiError::late(format!(
            "task {task} ended without this result; drop it and lease others"
        ))),
    }
}

/// Refuses a body whose declared length is too large.
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
    // A sender that is too slow gets no answer.
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
        "at most {most} bytes are accepted: store large outputs elsewhere and send their hash"
    ))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> ApiResult<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        ApiError::bad_request(format!("the body is not the expected JSON: {error}"))
    })
}

/// [`nodesys_core::task::LeasedTasks`], with the inputs' stored text.
#[derive(Serialize)]
struct LeasedTasksBody<'a> {
    tasks: Vec<TaskBody<'a>>,
}

#[derive(Serialize)]
struct TaskBody<'a> {
    id: TaskId,
    input: &'a RawValue,
    #[serde(serialize_with = "nodesys_core::message::decimal::serialize")]
    expires_millis: u64,
}

impl LeasedTasksBody<'_> {
    fn of(leased: &[LeasedTask]) -> anyhow::Result<Response> {
        let mut tasks = Vec::with_capacity(leased.len());
        for task in leased {
            let input = serde_json::from_str(&task.input)?;
            tasks.push(TaskBody { id: task.id, input, expires_millis: task.expires.millis() });
        }
        let body = serde_json::to_vec(&LeasedTasksBody { tasks })?;
        Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
    }
}

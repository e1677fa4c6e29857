//! Tasks: what a project asks of its workloads, and when an answer is accepted.
//!
//! A task is leased to up to `copies` licenses and done when `agree` of them gave the same output
//! ([`judge`]). A task with a known answer (a canary) judges each output by itself, and looks like
//! any other. Outputs are equal when their canonical JSON
//! ([RFC 8785](https://www.rfc-editor.org/rfc/rfc8785)) is; so numbers that matter
//! beyond 2^53 go as strings. The master keeps the queue; nothing here knows of time or storage.

use alloy_primitives::{B256, keccak256};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bundle::canonical_json;
use crate::ids::{Name, TaskId};

/// The largest input of a task, in bytes of canonical JSON: a hundred leased at once are 6 MiB.
pub const MAX_INPUT_BYTES: usize = 64 * 1024;
/// The largest body of a result, in bytes.
pub const MAX_RESULT_BYTES: usize = 1024 * 1024;
/// The most tasks leased at once.
pub const MAX_LEASED: u16 = 100;
/// The most characters of a task's key.
pub const MAX_KEY_CHARS: usize = 200;
/// The most licenses that one task is leased to at the same time.
pub const MAX_COPIES: u16 = 100;
/// The most leases of one task, however they end.
pub const MAX_ATTEMPTS: u16 = 1000;
/// How long a leased task may take, in seconds: from the shortest to the longest.
pub const TIME_LIMIT_SECS: std::ops::RangeInclusive<u32> = 5..=7 * 86_400;

const DEFAULT_TIME_LIMIT_SECS: u32 = 600;
const DEFAULT_ATTEMPTS_PER_COPY: u16 = 5;

/// A line of `task add`, as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    key: String,
    input: Value,
    workload: Option<Name>,
    copies: Option<u16>,
    agree: Option<u16>,
    expected: Option<Value>,
    max_attempts: Option<u16>,
    time_limit_secs: Option<u32>,
}

/// A task as its project wants it: checked and complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskSpec {
    /// The project's own name for it: the same key again is the same task.
    pub key: String,
    /// What the workload is given, as canonical JSON.
    pub input: String,
    /// Only licenses of this workload get it; any where absent.
    pub workload: Option<Name>,
    /// How many licenses answer it.
    pub copies: u16,
    /// How many of them must agree: more than half.
    pub agree: u16,
    /// Hash of the known answer of a canary.
    pub expected: Option<B256>,
    /// How often it is leased before it is given up.
    pub max_attempts: u16,
    /// How long one lease of it may take, in seconds.
    pub time_limit_secs: u32,
}

/// Why a task is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTask {
    /// Not a task's JSON.
    #[error(
        "not a task: {0}; a line is {{\"key\":\"...\",\"input\":...}} and may have workload, \
         copies, agree, expected, max_attempts, time_limit_secs"
    )]
    Json(String),
    /// An empty or long key, or one with control characters.
    #[error("key: 1 to {MAX_KEY_CHARS} characters without control characters are expected")]
    Key,
    /// The input is too large.
    #[error("input has {0} bytes, at most {MAX_INPUT_BYTES} are taken: pass a reference instead")]
    Input(usize),
    /// Copies out of range.
    #[error("copies is {0}, expected 1 to {MAX_COPIES}")]
    Copies(u16),
    /// No majority.
    #[error(
        "agree is {agree} of {copies} copies: more than half must agree, and not more than all"
    )]
    Agree {
        /// How many must agree.
        agree: u16,
        /// Of how many.
        copies: u16,
    },
    /// Attempts out of range.
    #[error("max_attempts is {given}, expected {copies} (the copies) to {MAX_ATTEMPTS}")]
    Attempts {
        /// What was given.
        given: u16,
        /// The copies.
        copies: u16,
    },
    /// A time limit out of range.
    #[error("time_limit_secs is {0}, expected 5 to 604800 (a week)")]
    TimeLimit(u32),
}

impl TaskSpec {
    /// Reads a line of `task add`: JSON, with what is left out filled in.
    ///
    /// # Errors
    ///
    /// [`BadTask`] names the first field that is unknown, missing or out of range.
    ///
    /// # Examples
    ///
    /// ```
    /// use nodesys_core::task::{BadTask, TaskSpec};
    ///
    /// let task = TaskSpec::parse(br#"{"key":"frame-7","input":{"scene":"x","frame":7},"copies":3}"#)?;
    /// assert_eq!(task.input, r#"{"frame":7,"scene":"x"}"#, "canonical: the order is none of its own");
    /// assert_eq!((task.agree, task.max_attempts, task.time_limit_secs), (2, 15, 600));
    ///
    /// let lone = TaskSpec::parse(br#"{"key":"frame-7","input":7,"copies":3,"agree":1}"#);
    /// assert_eq!(lone, Err(BadTask::Agree { agree: 1, copies: 3 }), "two answers could win");
    /// # Ok::<(), BadTask>(())
    /// ```
    pub fn parse(line: &[u8]) -> Result<Self, BadTask> {
        let line: Line =
            serde_json::from_slice(line).map_err(|error| BadTask::Json(error.to_string()))?;
        let copies = line.copies.unwrap_or(1);
        if copies == 0 || copies > MAX_COPIES {
            return Err(BadTask::Copies(copies));
        }
        let agree = line.agree.unwrap_or(copies / 2 + 1);
        // A majority, or which output wins would depend on the order in which they come.
        if agree > copies || agree.saturating_mul(2) <= copies {
            return Err(BadTask::Agree { agree, copies });
        }
        // No overflow: there are at most 100 copies.
        let most = line.max_attempts.unwrap_or(copies * DEFAULT_ATTEMPTS_PER_COPY);
        if most < copies || most > MAX_ATTEMPTS {
            return Err(BadTask::Attempts { given: most, copies });
        }
        let time_limit_secs = line.time_limit_secs.unwrap_or(DEFAULT_TIME_LIMIT_SECS);
        if !TIME_LIMIT_SECS.contains(&time_limit_secs) {
            return Err(BadTask::TimeLimit(time_limit_secs));
        }
        let characters = line.key.chars().count();
        if characters == 0 || characters > MAX_KEY_CHARS || line.key.chars().any(char::is_control) {
            return Err(BadTask::Key);
        }
        let input = canonical_text(&line.input);
        if input.len() > MAX_INPUT_BYTES {
            return Err(BadTask::Input(input.len()));
        }
        Ok(Self {
            key: line.key,
            input,
            workload: line.workload,
            copies,
            agree,
            expected: line.expected.as_ref().map(output_hash),
            max_attempts: most,
            time_limit_secs,
        })
    }

    /// keccak256 over all of it: the same key with another hash is another task.
    pub fn hash(&self) -> B256 {
        keccak256(canonical_json(self))
    }
}

/// Canonical JSON as text.
pub fn canonical_text(value: &Value) -> String {
    String::from_utf8(canonical_json(value)).expect("JSON is UTF-8")
}

/// What outputs are compared by: keccak256 of their canonical JSON.
pub fn output_hash(output: &Value) -> B256 {
    keccak256(canonical_json(output))
}

/// How a task is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreement {
    /// How many licenses answer.
    pub copies: u16,
    /// How many must agree: more than half.
    pub agree: u16,
    /// The known answer of a canary.
    pub expected: Option<B256>,
}

/// What an output is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Others must answer first.
    Pending,
    /// It counts: it is the agreed or the known answer.
    Accepted,
    /// It does not count.
    Rejected,
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Waits for answers.
    Open,
    /// Has its answer.
    Done,
    /// Given up: see its [`DeadReason`].
    Dead,
}

/// Why a task was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadReason {
    /// Too many leases ended without a result.
    Attempts,
    /// The outputs given cannot agree any more.
    Disagreement,
}

/// What the outputs so far come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Where the task stands.
    pub state: TaskState,
    /// Each output's worth, in the order given.
    pub verdicts: Vec<Verdict>,
}

/// Judges a task by its outputs, each of another license.
///
/// More than half of the copies must agree, so at most one output can win, and the judgement does
/// not depend on the order in which outputs come.
///
/// # Examples
///
/// ```
/// use nodesys_core::task::{Agreement, TaskState, Verdict, judge, output_hash};
/// use serde_json::json;
///
/// let by = Agreement { copies: 3, agree: 2, expected: None };
/// let [good, bad] = [json!({ "hash": "0x01" }), json!("none")].map(|output| output_hash(&output));
/// assert_eq!(judge(&by, &[good]).state, TaskState::Open);
/// let done = judge(&by, &[good, bad, good]);
/// assert_eq!(done.state, TaskState::Done);
/// assert_eq!(done.verdicts, [Verdict::Accepted, Verdict::Rejected, Verdict::Accepted]);
/// ```
pub fn judge(by: &Agreement, outputs: &[B256]) -> Judgement {
    if let Some(expected) = by.expected {
        let one = |output: &B256| match *output == expected {
            true => Verdict::Accepted,
            false => Verdict::Rejected,
        };
        let all = outputs.len() >= usize::from(by.copies);
        // A canary waits for all copies even when it was answered: it is there to test each of them.
        let state = if all { TaskState::Done } else { TaskState::Open };
        return Judgement { state, verdicts: outputs.iter().map(one).collect() };
    }
    let votes = |output: &B256| outputs.iter().filter(|other| *other == output).count();
    // Which of several equally common ones this is decides nothing: none has a majority then.
    let most = outputs.iter().max_by_key(|output| votes(output));
    let best = most.map_or(0, votes);
    let (agree, copies) = (usize::from(by.agree), usize::from(by.copies));
    if best >= agree {
        let one = |output: &B256| match Some(output) == most {
            true => Verdict::Accepted,
            false => Verdict::Rejected,
        };
        return Judgement { state: TaskState::Done, verdicts: outputs.iter().map(one).collect() };
    }
    let (state, verdict) = if best + copies.saturating_sub(outputs.len()) < agree {
        (TaskState::Dead, Verdict::Rejected)
    } else {
        (TaskState::Open, Verdict::Pending)
    };
    Judgement { state, verdicts: vec![verdict; outputs.len()] }
}

/// The body of `POST /v1/tasks/lease`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseTasks {
    /// How many tasks at most, 1 to [`MAX_LEASED`].
    pub max: u16,
}

/// A leased task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeasedTask {
    /// Its number.
    pub id: TaskId,
    /// What is to be worked on.
    pub input: Value,
    /// When the lease of it ends, milliseconds since 1970: later results are refused.
    #[serde(with = "crate::message::decimal")]
    pub expires_millis: u64,
}

/// The answer: no tasks where there are none now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeasedTasks {
    /// The tasks.
    pub tasks: Vec<LeasedTask>,
}

/// The body of `POST /v1/tasks/{id}/result`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskResult {
    /// What came of it: any JSON.
    pub output: Value,
}

/// The answer to a result, the same for right and wrong ones: it is stored, durably.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultTaken {
    /// The task.
    pub task: TaskId,
    /// keccak256 of the output's canonical JSON.
    pub output_hash: B256,
}

#[cfg(test)]
mod tests;

//! Tasks: fetched from the project's master, worked on, reported.
//!
//! The sample's task is a hash chain: `{"seed": "0x..", "length": n}` gives `{"last": "0x.."}`, the
//! seed hashed `length` times. A short one is worked on at once; a long one on a thread of its own,
//! so that neither health posts nor a stepped clock wait for it. A result that cannot be reported
//! is kept and sent again; a master that cannot be reached is told to the log and asked again.

use std::time::Duration;

use alloy_primitives::{B256, keccak256};
use nodesys_core::ids::TaskId;
use nodesys_core::task::{LeaseTasks, LeasedTask, LeasedTasks, TaskResult};
use nodesys_core::ticket::{Origin, TicketRequest, TicketView};
use nodesys_core::time::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::task::JoinHandle;

/// A master that does not answer must not keep health posts waiting.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
/// Chains up to this length are worked on at once.
const SHORT_HASHES: u64 = 50_000;
/// Short tasks worked on before the next health post, so that every workload gets its share.
const AT_ONCE: usize = 2;
/// A ticket is replaced this long before it ends.
const TICKET_MARGIN_SECS: u64 = 60;

/// The project's master, as this workload reaches it.
pub(crate) struct Master {
    http: reqwest::Client,
    manager: String,
    token: String,
    url: String,
    audience: Origin,
    ticket: Option<TicketView>,
    /// How long an empty queue is left alone.
    idle: Duration,
    /// When the queue is asked again.
    idle_until: Timestamp,
    working: Option<JoinHandle<Finished>>,
    unreported: Option<Finished>,
    done: u64,
    reached: bool,
}

struct Finished {
    id: TaskId,
    last: B256,
}

/// A hash chain to be worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Chain {
    seed: B256,
    length: u64,
}

impl Chain {
    fn last(self) -> B256 {
        (0..self.length).fold(self.seed, |last, _| keccak256(last))
    }
}

/// Why something did not work out.
enum Failed {
    /// It may later: the network, a busy master, a ticket that ended.
    Later(String),
    /// It will not: the master refuses the result.
    Refused(String),
}

impl Master {
    pub(crate) fn new(
        url: &str,
        manager: &str,
        token: &str,
        idle: Duration,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            http: reqwest::Client::builder().timeout(REQUEST_TIMEOUT).build()?,
            manager: manager.trim_end_matches('/').to_owned(),
            token: token.to_owned(),
            audience: url.parse()?,
            url: url.trim_end_matches('/').to_owned(),
            ticket: None,
            idle,
            idle_until: Timestamp::default(),
            working: None,
            unreported: None,
            done: 0,
            reached: true,
        })
    }

    /// How many tasks were reported.
    pub(crate) const fn done(&self) -> u64 {
        self.done
    }

    /// Ends when the long task under way is worked out; never while there is none.
    pub(crate) async fn worked(&mut self) {
        match &mut self.working {
            Some(working) => {
                match working.await {
                    Ok(finished) => self.unreported = Some(finished),
                    Err(error) => tracing::warn!(%error, "a task was not worked out"),
                }
                self.working = None;
            }
            None => std::future::pending().await,
        }
    }

    /// Reports what is finished and works on what there is; what fails is told when it begins and
    /// when it ends.
    pub(crate) async fn step(&mut self, now: Timestamp) {
        let problem = match self.work(now).await {
            Ok(()) => None,
            Err(Failed::Later(problem) | Failed::Refused(problem)) => Some(problem),
        };
        match (&problem, self.reached) {
            (Some(problem), true) => {
                tracing::warn!(problem, "no tasks; trying again at the next interval");
            }
            (None, false) => tracing::info!("the master hands out tasks again"),
            _ => {}
        }
        self.reached = problem.is_none();
    }

    async fn work(&mut self, now: Timestamp) -> Result<(), Failed> {
        for _ in 0..AT_ONCE {
            if let Some(finished) = self.unreported.take() {
                match self.report(&finished, now).await {
                    Ok(()) => self.done += 1,
                    Err(Failed::Later(problem)) => {
                        self.unreported = Some(finished);
                        return Err(Failed::Later(problem));
                    }
                    Err(Failed::Refused(problem)) => {
                        tracing::warn!(task = %finished.id, problem, "a result was refused");
                    }
                }
            }
            if self.working.is_some() || now < self.idle_until {
                return Ok(());
            }
            let Some(task) = self.lease(now).await? else {
                let idle = u64::try_from(self.idle.as_millis()).unwrap_or(u64::MAX);
                self.idle_until = now.plus_millis(idle);
                return Ok(());
            };
            let chain: Chain = serde_json::from_value(task.input)
                .map_err(|error| Failed::Later(format!("task {}: {error}", task.id)))?;
            let id = task.id;
            if chain.length <= SHORT_HASHES {
                self.unreported = Some(Finished { id, last: chain.last() });
            } else {
                let work = move || Finished { id, last: chain.last() };
                self.working = Some(tokio::task::spawn_blocking(work));
            }
        }
        Ok(())
    }

    async fn lease(&mut self, now: Timestamp) -> Result<Option<LeasedTask>, Failed> {
        // The same request again gets the same task until it is answered.
        let url = format!("{}/v1/tasks/lease", self.url);
        let leased: LeasedTasks = self.post(&url, &json!(LeaseTasks { max: 1 }), now).await?;
        Ok(leased.tasks.into_iter().next())
    }

    async fn report(&mut self, finished: &Finished, now: Timestamp) -> Result<(), Failed> {
        let url = format!("{}/v1/tasks/{}/result", self.url, finished.id);
        let result = TaskResult { output: json!({ "last": finished.last }) };
        self.post::<serde_json::Value>(&url, &json!(result), now).await.map(drop)
    }

    async fn post<T: DeserializeOwned>(
        &mut self,
        url: &str,
        body: &serde_json::Value,
        now: Timestamp,
    ) -> Result<T, Failed> {
        let ticket = self.ticket(now).await?.ticket.to_string();
        let sent = self.http.post(url).bearer_auth(ticket).json(body);
        let answer = answered(sent, "the master").await;
        if answer.is_err() {
            // Whatever it was, the next try is made with a ticket that is as good as can be.
            self.ticket = None;
        }
        answer
    }

    async fn ticket(&mut self, now: Timestamp) -> Result<TicketView, Failed> {
        if let Some(ticket) = &self.ticket
            && now.secs() + TICKET_MARGIN_SECS <= ticket.not_after
        {
            return Ok(ticket.clone());
        }
        let url = format!("{}/v1/ticket", self.manager);
        let request = TicketRequest { audience: self.audience.clone() };
        let sent = self.http.post(url).bearer_auth(&self.token).json(&request);
        let ticket: TicketView = match answered(sent, "the manager").await {
            Ok(ticket) => ticket,
            // Without a ticket nothing is lost for good.
            Err(Failed::Later(problem) | Failed::Refused(problem)) => {
                return Err(Failed::Later(problem));
            }
        };
        self.ticket = Some(ticket.clone());
        Ok(ticket)
    }
}

/// Sends a request; `who` is asked.
async fn answered<T: DeserializeOwned>(
    request: reqwest::RequestBuilder,
    who: &str,
) -> Result<T, Failed> {
    let answer = request.send().await;
    let answer =
        answer.map_err(|error| Failed::Later(format!("{who} does not answer: {error}")))?;
    let status = answer.status();
    let text = answer.text().await.map_err(|error| Failed::Later(format!("{who}: {error}")))?;
    if status.is_success() {
        return serde_json::from_str(&text).map_err(|error| {
            Failed::Later(format!("{who} answers otherwise than agreed: {error}"))
        });
    }
    let problem = format!("{who} answered {status}: {text:.500}");
    // A ticket can be replaced, a lease come back and a server recover; a result refused for
    // itself stays refused.
    let later = status.is_server_error() || matches!(status.as_u16(), 401 | 429);
    Err(if later { Failed::Later(problem) } else { Failed::Refused(problem) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_its_seed_hashed_so_often() {
        let chain = |text: &str| serde_json::from_str::<Chain>(text);
        let seed = B256::repeat_byte(5);
        assert_eq!(Chain { seed, length: 0 }.last(), seed);
        assert_eq!(Chain { seed, length: 2 }.last(), keccak256(keccak256(seed)));
        let text = format!("{{\"seed\":\"{seed}\",\"length\":2}}");
        assert_eq!(chain(&text).unwrap(), Chain { seed, length: 2 });
        for bad in ["{}", "7", "{\"seed\":\"0x05\",\"length\":1}"] {
            assert!(chain(bad).is_err(), "{bad}");
        }
    }
}

//! The stepped clock itself: stops while a program is awake, then jumps. Every program sees a jump
//! before any loop wakes.
//!
//! A program that was stopped (SIGSTOP) holds nothing: it is left behind, until it says something again.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use nodesys_core::time::Timestamp;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Notify, mpsc};

use crate::ClockError;
use crate::stepped::{Hello, Line, Report, line};

/// Real time between two looks whether a program that is waited for was stopped.
const LOOK: Duration = Duration::from_secs(1);

/// A stepped clock, listening on a free loopback port.
pub struct ClockServer {
    addr: SocketAddr,
    shared: Arc<Shared>,
    /// Real time for which a program may hold the clock.
    patience: Duration,
    accepting: tokio::task::JoinHandle<()>,
}

struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    now: Timestamp,
    next_id: u64,
    clients: BTreeMap<u64, Client>,
}

struct Client {
    name: String,
    pid: u32,
    /// Stopped: time passes without it.
    frozen: bool,
    until: Option<Timestamp>,
    /// Its last reported time.
    seen: Timestamp,
    lines: mpsc::UnboundedSender<Vec<u8>>,
}

impl Client {
    fn set_frozen(&mut self, frozen: bool, now: Timestamp) {
        if self.frozen && !frozen && self.until.is_some_and(|until| until < now) {
            // It has slept past its moment, and is awake until it says otherwise.
            self.until = Some(now);
        }
        self.frozen = frozen;
    }
}

/// Whether a process of this machine is stopped, by Linux's own word. One of a pod has a number of another
/// kind, and is not found or not stopped.
fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before the state is in parentheses, and may hold some.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

#[expect(clippy::disallowed_methods, reason = "a stopped program says nothing, in real time")]
async fn look_again() {
    tokio::time::sleep(LOOK).await;
}

impl State {
    fn awake(&self) -> impl Iterator<Item = &Client> {
        let awake =
            |client: &&Client| !client.frozen && client.until.is_some_and(|at| at <= self.now);
        self.clients.values().filter(awake)
    }

    /// Programs with a loop that have not read the present time yet.
    fn behind(&self) -> impl Iterator<Item = &Client> {
        let behind =
            |client: &&Client| !client.frozen && client.until.is_some() && client.seen < self.now;
        self.clients.values().filter(behind)
    }

    fn tell(&self, message: Line) {
        let message = line(&message);
        for client in self.clients.values() {
            // A client that has gone is taken out by its own task.
            let _ = client.lines.send(message.clone());
        }
    }
}

impl ClockServer {
    /// Starts a clock, stopped at `start`.
    pub async fn start(start: Timestamp, patience: Duration) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let state = State { now: start, next_id: 0, clients: BTreeMap::new() };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() });
        let accepting = tokio::spawn(accept(listener, shared.clone()));
        Ok(Self { addr, shared, patience, accepting })
    }

    /// The address for programs' `--clock`.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The clock's time.
    pub async fn now(&self) -> Timestamp {
        self.shared.state.lock().await.now
    }

    /// Waits until every program sleeps past the clock's time.
    pub async fn settle(&self) -> Result<(), ClockError> {
        self.wait_for_none(|state| state.awake().collect()).await
    }

    /// Waits until no program is awake.
    async fn wait_for_none(&self, left: impl Fn(&State) -> Vec<&Client>) -> Result<(), ClockError> {
        let none_left = async {
            loop {
                let changed = self.shared.changed.notified();
                if left(&*self.shared.state.lock().await).is_empty() {
                    return;
                }
                tokio::select! {
                    () = changed => {}
                    () = look_again() => self.leave_stopped_behind().await,
                }
            }
        };
        if tokio::time::timeout(self.patience, none_left).await.is_ok() {
            return Ok(());
        }
        let state = self.shared.state.lock().await;
        let who: Vec<&str> = left(&state).iter().map(|client| client.name.as_str()).collect();
        Err(ClockError::Held {
            now: state.now,
            waited_secs: self.patience.as_secs(),
            who: who.join(", "),
        })
    }

    /// Lets time pass without a stopped program (SIGSTOP), or waits for it again. One that somebody else has
    /// stopped is found out in a second or two.
    pub async fn set_frozen(&self, pid: u32, frozen: bool) {
        let mut state = self.shared.state.lock().await;
        let now = state.now;
        for client in state.clients.values_mut().filter(|client| client.pid == pid) {
            client.set_frozen(frozen, now);
        }
        drop(state);
        self.shared.changed.notify_waiters();
    }

    /// Finds the programs that were stopped while they are waited for.
    async fn leave_stopped_behind(&self) {
        let mut state = self.shared.state.lock().await;
        for client in state.clients.values_mut().filter(|client| is_stopped(client.pid)) {
            client.frozen = true;
        }
    }

    /// Moves time on to `target`, through every moment a program waits for and every whole minute
    /// between. `on_minute` runs at each whole minute before the programs see it, and again must
    /// succeed; it moves the chain's time.
    pub async fn run_until<E: std::fmt::Display>(
        &self,
        target: Timestamp,
        mut on_minute: impl AsyncFnMut(Timestamp) -> Result<(), E>,
    ) -> Result<(), ClockError> {
        loop {
            self.settle().await?;
            let (now, next) = {
                let state = self.shared.state.lock().await;
                let waiting = state.clients.values().filter(|client| !client.frozen);
                let earliest = waiting.filter_map(|client| client.until).min();
                let minute = state.now.minute().next().start();
                let next = earliest.map_or(minute, |earliest| earliest.min(minute)).min(target);
                (state.now, next)
            };
            if now >= target {
                return Ok(());
            }
            if next == next.minute().start() {
                let failed =
                    |problem: E| ClockError::Step { now: next, problem: problem.to_string() };
                on_minute(next).await.map_err(failed)?;
            }
            let mut state = self.shared.state.lock().await;
            state.now = next;
            state.tell(Line::Now(next));
            drop(state);
            self.wait_for_none(|state| state.behind().collect()).await?;
            self.shared.state.lock().await.tell(Line::Wake(next));
        }
    }
}

impl Drop for ClockServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        tokio::spawn(async move {
            // A connection that breaks is a program that ended.
            let _ = serve(stream, &shared).await;
        });
    }
}

async fn serve(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.into_split();
    let mut incoming = BufReader::new(read).lines();
    let Some(first) = incoming.next_line().await? else { return Ok(()) };
    let Hello { name, pid, holds } = serde_json::from_str(&first).map_err(std::io::Error::other)?;

    let (lines, mut outgoing) = mpsc::unbounded_channel::<Vec<u8>>();
    let id = {
        let mut state = shared.state.lock().await;
        let id = state.next_id;
        state.next_id += 1;
        let now = state.now;
        let _ = lines.send(line(&Line::Now(now)));
        let until = holds.then_some(now);
        state.clients.insert(id, Client { name, pid, frozen: false, until, seen: now, lines });
        id
    };
    let writer = tokio::spawn(async move {
        while let Some(line) = outgoing.recv().await {
            if write.write_all(&line).await.is_err() {
                break;
            }
        }
    });
    while let Ok(Some(text)) = incoming.next_line().await {
        let Ok(report) = serde_json::from_str::<Report>(&text) else { break };
        let mut state = shared.state.lock().await;
        let now = state.now;
        if let Some(client) = state.clients.get_mut(&id) {
            // Whoever says something goes on.
            if client.frozen && !is_stopped(client.pid) {
                client.set_frozen(false, now);
            }
            client.seen = report.now;
            // A report made before the client saw the present step says nothing of this step,
            // unless it waits for something later.
            client.until = match report.until {
                Some(until) if report.now < now && until <= now => Some(now),
                until => until,
            };
        }
        drop(state);
        shared.changed.notify_waiters();
    }
    shared.state.lock().await.clients.remove(&id);
    shared.changed.notify_waiters();
    writer.abort();
    Ok(())
}

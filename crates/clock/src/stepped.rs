//! A program's end of the stepped clock.
//!
//! Wire: lines of JSON over TCP. The client says `{"name": ..., "pid": ..., "holds": bool}` first;
//! the server answers `{"now": millis}` at once. A client that holds counts as awake from the
//! start, so time cannot slip past a program that is still starting; the client says
//! `{"now": millis, "until": millis}` whenever either changes, `until` being the earliest moment it
//! waits for, not after `now` while a loop is awake and null when it has no loop. Order on the
//! connection makes the reports unambiguous.
//!
//! A step is two lines: at `{"now": millis}` a client reads the new time and says so, but wakes
//! nobody; at `{"wake": millis}`, sent once every client that has a loop has said so, the due loops
//! wake. So a program asked by an awakened loop reads the same time as that loop.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nodesys_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

/// The client's first line.
#[derive(Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) name: String,
    pub(crate) pid: u32,
    pub(crate) holds: bool,
}

/// The server's lines.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    Now(Timestamp),
    Wake(Timestamp),
}

/// The client's further lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) now: Timestamp,
    pub(crate) until: Option<Timestamp>,
}

pub(crate) struct Stepped {
    state: Mutex<State>,
    /// Time up to which loops have been woken.
    woken: watch::Sender<Timestamp>,
    reports: mpsc::UnboundedSender<Report>,
}

struct State {
    now: Timestamp,
    next_id: u64,
    /// Each sleeper's wake time; `None` while it is awake.
    sleepers: BTreeMap<u64, Option<Timestamp>>,
    reported: Option<Report>,
}

impl State {
    /// The report the server should have.
    fn report(&self) -> Report {
        let until = self.sleepers.values().map(|wake| wake.unwrap_or(self.now)).min();
        Report { now: self.now, until }
    }
}

impl Stepped {
    pub(crate) async fn connect(
        addr: SocketAddr,
        name: &str,
        holds: bool,
    ) -> io::Result<Arc<Self>> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        let hello = Hello { name: name.to_owned(), pid: std::process::id(), holds };
        write.write_all(&line(&hello)).await?;
        let Some(Line::Now(now)) = next_line(&mut lines).await? else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };

        let (reports, mut outgoing) = mpsc::unbounded_channel::<Report>();
        let reported = Some(Report { now, until: holds.then_some(now) });
        let state = State { now, next_id: 0, sleepers: BTreeMap::new(), reported };
        let stepped =
            Arc::new(Self { state: Mutex::new(state), woken: watch::Sender::new(now), reports });
        tokio::spawn(async move {
            while let Some(report) = outgoing.recv().await {
                if write.write_all(&line(&report)).await.is_err() {
                    break;
                }
            }
        });
        // When the server goes away time stands still for good; whoever started it ends this
        // program too.
        let weak = Arc::downgrade(&stepped);
        tokio::spawn(async move {
            while let Ok(Some(line)) = next_line(&mut lines).await {
                let Some(stepped) = weak.upgrade() else { break };
                match line {
                    Line::Now(now) => stepped.set_now(now),
                    Line::Wake(now) => stepped.wake(now),
                }
            }
        });
        Ok(stepped)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, so a poisoned state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, state: &mut State) {
        let report = state.report();
        if state.reported != Some(report) {
            state.reported = Some(report);
            // The receiver ends only with the connection; then nobody is left to tell.
            let _ = self.reports.send(report);
        }
    }

    fn set_now(&self, now: Timestamp) {
        let mut state = self.lock();
        state.now = now;
        self.tell(&mut state);
    }

    fn wake(&self, now: Timestamp) {
        let mut state = self.lock();
        for wake in state.sleepers.values_mut() {
            if wake.is_some_and(|wake| wake <= now) {
                *wake = None;
            }
        }
        self.tell(&mut state);
        drop(state);
        self.woken.send_replace(now);
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.lock().now
    }

    pub(crate) fn add_sleeper(&self) -> u64 {
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        state.sleepers.insert(id, None);
        self.tell(&mut state);
        id
    }

    pub(crate) fn remove_sleeper(&self, id: u64) {
        let mut state = self.lock();
        state.sleepers.remove(&id);
        self.tell(&mut state);
    }

    fn set(&self, id: u64, wake: Option<Timestamp>) {
        let mut state = self.lock();
        let wake = wake.filter(|wake| *wake > state.now);
        state.sleepers.insert(id, wake);
        self.tell(&mut state);
    }

    pub(crate) async fn sleep_until(&self, id: u64, wake: Timestamp) {
        struct Awake<'a>(&'a Stepped, u64);
        impl Drop for Awake<'_> {
            fn drop(&mut self) {
                self.0.set(self.1, None);
            }
        }
        let mut woken = self.woken.subscribe();
        let _awake = Awake(self, id);
        self.set(id, Some(wake));
        // The sender lives in `self`, so waiting cannot fail.
        let _ = woken.wait_for(|woken| *woken >= wake).await;
    }
}

pub(crate) fn line<T: Serialize>(message: &T) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(message).expect("plain structs always serialise");
    bytes.push(b'\n');
    bytes
}

async fn next_line<R: tokio::io::AsyncBufRead + Unpin>(
    lines: &mut tokio::io::Lines<R>,
) -> io::Result<Option<Line>> {
    match lines.next_line().await? {
        Some(line) => Ok(Some(serde_json::from_str(&line).map_err(io::Error::other)?)),
        None => Ok(None),
    }
}

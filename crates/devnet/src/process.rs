//! A process of ours: started with its output in a log, awaited by its ready file, ended by pid.
//!
//! Each runs in a process group of its own, so that Ctrl-C reaches the devnet alone, which then ends
//! them in order. One that is dropped is killed.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use nodesys_service::ready::Ready;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

/// Time limit for a program's start.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Time limit for a program's end.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// Interval between checks of another process.
const POLL: Duration = Duration::from_millis(20);
/// Lines of a log that an error shows.
const LOG_LINES: usize = 15;
/// Ports of programs that restart on the same port. No system uses these for outgoing connections:
/// any other can be taken while the program is down, even by a client that tries to reach it.
const PORTS: std::ops::Range<u16> = 15_000..30_000;

/// A running process.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program; its output is appended to `log`.
    pub fn spawn(name: &str, mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let open = || {
            std::fs::File::options()
                .create(true)
                .append(true)
                .open(log)
                .with_context(|| format!("cannot write the log {}", log.display()))
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(open()?)
            .stderr(open()?)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// Its name, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id, while it has not been waited for.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until `look` returns a value; fails if the process ends or takes too long.
    pub async fn wait_for<T>(
        &mut self,
        what: &str,
        mut look: impl FnMut() -> Option<T>,
    ) -> anyhow::Result<T> {
        let waiting = async {
            loop {
                if let Some(found) = look() {
                    return Ok(found);
                }
                if let Some(status) = self.child.try_wait()? {
                    bail!("{} ended ({status}) before {what}", self.name);
                }
                pause().await;
            }
        };
        let found = tokio::time::timeout(START_TIMEOUT, waiting).await;
        let found = found.unwrap_or_else(|_| {
            bail!("{} has taken more than {} s: {what}", self.name, START_TIMEOUT.as_secs())
        });
        found.with_context(|| format!("the end of {}:\n{}", self.log.display(), tail(&self.log)))
    }

    /// Waits for the ready file.
    pub async fn ready(&mut self, file: &Path) -> anyhow::Result<Ready> {
        self.wait_for("it was ready", || Ready::read(file).ok().flatten()).await
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self.pid().with_context(|| format!("{} has ended", self.name))?;
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("a process id")?;
        kill_process(pid, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Asks it to end and waits; if it does not end in time it is killed, which is an error.
    pub async fn stop(self) -> anyhow::Result<ExitStatus> {
        self.stop_by(Signal::TERM).await
    }

    /// As [`Self::stop`], asked by another signal.
    pub async fn stop_by(mut self, signal: Signal) -> anyhow::Result<ExitStatus> {
        if self.child.try_wait()?.is_none() {
            self.signal(signal)?;
        }
        match tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => {
                self.child.kill().await?;
                bail!("{} did not end within {} s", self.name, STOP_TIMEOUT.as_secs())
            }
        }
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Waits until it has ended by itself.
    pub async fn ends(&mut self) -> anyhow::Result<()> {
        match tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await {
            Ok(ended) => Ok(ended.map(drop)?),
            Err(_) => bail!("{} has not ended after {} s", self.name, STOP_TIMEOUT.as_secs()),
        }
    }

    /// Kills it at once (SIGKILL).
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.with_context(|| format!("cannot kill {}", self.name))
    }
}

/// A moment of real time, to look at another process again.
#[expect(clippy::disallowed_methods, reason = "waits for another process, in real time")]
pub async fn pause() {
    tokio::time::sleep(POLL).await;
}

/// A free loopback address, which stays free while its program is down.
pub(crate) fn free_addr() -> anyhow::Result<SocketAddr> {
    for _ in 0..1_000 {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, rand::random_range(PORTS)));
        match TcpListener::bind(addr) {
            Ok(_) => return Ok(addr),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error).with_context(|| format!("cannot listen on {addr}")),
        }
    }
    bail!("no port from {} to {} is free", PORTS.start, PORTS.end)
}

/// The last lines of a log.
pub fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

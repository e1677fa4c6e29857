//! The clock: the one place in the workspace that reads time and sleeps.
//!
//! A program takes a [`Clock`] and never asks the system. In production it is the system's clock.
//! The demo and the tests run every program on one *stepped* clock ([`ClockServer`]): time stops
//! until every loop of every program sleeps, then jumps to the next moment any of them waits for,
//! so a UTC day is as short as the machine allows and the same each run.
//!
//! A loop sleeps on its own [`Sleeper`]. While a sleeper is awake the stepped clock stops; a
//! one-shot command reads the time with [`Clock::observer`] and never holds it. A program that dies
//! releases the clock, since its connection closes.

mod server;
mod stepped;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use nodesys_core::time::Timestamp;

pub use server::ClockServer;
use stepped::Stepped;

/// The only chain on which a stepped clock is accepted.
pub use nodesys_core::DEVELOPMENT_CHAIN_ID;

/// The reason a clock cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// A stepped clock outside the development chain.
    #[error(
        "--clock is for the development chain {DEVELOPMENT_CHAIN_ID} only, but the RPC is on chain {0}"
    )]
    NotDevelopment(u64),
    /// The clock's server does not answer.
    #[error("the stepped clock at {addr} does not answer: {source}")]
    Unreachable {
        /// Its expected address.
        addr: SocketAddr,
        /// The connection's error.
        source: std::io::Error,
    },
    /// A program held the clock for too long.
    #[error("the clock stands at {now}: waited {waited_secs} s for {who}")]
    Held {
        /// The clock's time.
        now: Timestamp,
        /// Real seconds waited.
        waited_secs: u64,
        /// The programs that are awake.
        who: String,
    },
    /// The action at each step failed.
    #[error("the step to {now} failed: {problem}")]
    Step {
        /// The target of the step.
        now: Timestamp,
        /// The error.
        problem: String,
    },
}

/// A source of time; cheap to clone.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System { started: std::time::Instant },
    Stepped(Arc<Stepped>),
    Moved { from: Box<Clock>, ahead_millis: Arc<AtomicI64> },
}

impl Clock {
    /// The system's clock.
    #[expect(clippy::disallowed_methods, reason = "the clock module")]
    pub fn system() -> Self {
        Self(Source::System { started: std::time::Instant::now() })
    }

    /// Follows a stepped clock, which stops from now until this program's first sleeper sleeps.
    /// `name` identifies the holder in the server's errors.
    pub async fn stepped(addr: SocketAddr, name: &str) -> Result<Self, ClockError> {
        Self::connect(addr, name, true).await
    }

    /// Reads a stepped clock without ever holding it: for one-shot commands.
    pub async fn observer(addr: SocketAddr, name: &str) -> Result<Self, ClockError> {
        Self::connect(addr, name, false).await
    }

    async fn connect(addr: SocketAddr, name: &str, holds: bool) -> Result<Self, ClockError> {
        let stepped = Stepped::connect(addr, name, holds)
            .await
            .map_err(|source| ClockError::Unreachable { addr, source })?;
        Ok(Self(Source::Stepped(stepped)))
    }

    /// The configured clock: the system's, or with `--clock ADDR` a stepped one, which is refused
    /// unless the chain is [`DEVELOPMENT_CHAIN_ID`].
    pub async fn from_flag(
        addr: Option<SocketAddr>,
        chain_id: u64,
        name: &str,
    ) -> Result<Self, ClockError> {
        match addr {
            None => Ok(Self::system()),
            Some(_) if chain_id != DEVELOPMENT_CHAIN_ID => {
                Err(ClockError::NotDevelopment(chain_id))
            }
            Some(addr) => Self::stepped(addr, name).await,
        }
    }

    /// Now.
    #[expect(clippy::disallowed_methods, reason = "the clock module")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System { .. } => {
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                let millis = since.map_or(0, |since| since.as_millis());
                Timestamp::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
            }
            Source::Stepped(stepped) => stepped.now(),
            Source::Moved { from, ahead_millis } => {
                let ahead = ahead_millis.load(Ordering::Relaxed);
                let millis = from.now().millis().saturating_add_signed(ahead);
                Timestamp::from_millis(millis)
            }
        }
    }

    /// The same clock, wrong by as many milliseconds as the number says; its monotonic time is right. For
    /// tests of what a wrong clock does.
    pub fn movable(&self) -> (Self, Arc<AtomicI64>) {
        let ahead_millis = Arc::new(AtomicI64::new(0));
        let from = Box::new(self.clone());
        (Self(Source::Moved { from, ahead_millis: ahead_millis.clone() }), ahead_millis)
    }

    /// Milliseconds on a monotonic clock, for measuring elapsed time.
    #[expect(clippy::disallowed_methods, reason = "the clock module")]
    pub fn monotonic_millis(&self) -> u64 {
        match &self.0 {
            Source::System { started } => {
                let elapsed = std::time::Instant::now().duration_since(*started);
                u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
            }
            Source::Stepped(stepped) => stepped.now().millis(),
            Source::Moved { from, .. } => from.monotonic_millis(),
        }
    }

    /// A loop's own place to sleep. Make it before the program reports ready: from here on a
    /// stepped clock waits for the loop.
    pub fn sleeper(&self) -> Sleeper {
        let id = match &self.0 {
            Source::Moved { from, .. } => return from.sleeper(),
            Source::System { .. } => 0,
            Source::Stepped(stepped) => stepped.add_sleeper(),
        };
        Sleeper { clock: self.clone(), id }
    }
}

/// One loop's sleep. While awake, it holds a stepped clock.
pub struct Sleeper {
    clock: Clock,
    id: u64,
}

impl Sleeper {
    /// Sleeps until `wake`; returns at once when that has passed. May be dropped midway, as in a
    /// `select!` with something that wakes the loop early.
    #[expect(clippy::disallowed_methods, reason = "the clock module")]
    pub async fn sleep_until(&mut self, wake: Timestamp) {
        match &self.clock.0 {
            Source::System { .. } | Source::Moved { .. } => {
                let millis = wake.millis_since(self.clock.now());
                tokio::time::sleep(Duration::from_millis(millis)).await;
            }
            Source::Stepped(stepped) => stepped.sleep_until(self.id, wake).await,
        }
    }

    /// Sleeps for a while.
    pub async fn sleep(&mut self, duration: Duration) {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.sleep_until(self.clock.now().plus_millis(millis)).await;
    }

    /// Its clock.
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        if let Source::Stepped(stepped) = &self.clock.0 {
            stepped.remove_sleeper(self.id);
        }
    }
}

#[cfg(test)]
mod tests;

//! The manager's decisions of each minute, from its observations: pure, no clock, no network.
//!
//! Times called `millis` are monotonic ([`nodesys_clock::Clock::monotonic_millis`]); a
//! [`Timestamp`] here is the server's time, estimated by [`ServerTime`]. Invariants: one heartbeat
//! is planned for each minute, never one for a past minute, and a workload silent for 30 seconds is
//! down.

use alloy_primitives::keccak256;
use nodesys_core::ids::{Fence, Seq};
use nodesys_core::message::{Heartbeat, LeaseStatus, Status};
use nodesys_core::time::{Minute, Timestamp, UtcDay};
use nodesys_core::{Address, B256, U256};

/// A health post older than this is stale.
pub const STALE_MILLIS: u64 = 30_000;

/// Largest step back of the server's time that is waited out: half a lease's life.
const WAITED_MINUTES: u64 = 5;

/// Minutes for which a challenge is valid, its own included.
const CHALLENGE_MINUTES: u64 = 3;

/// A workload's last report and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Arrival of the post.
    pub at_millis: u64,
    /// The reported status.
    pub status: Status,
}

/// A workload's status: its report of the last 30 seconds; before its first report `starting` for
/// `grace_millis` from the manager's start; else down.
pub fn status(
    last: Option<Heard>,
    started_millis: u64,
    grace_millis: u64,
    now_millis: u64,
) -> Status {
    match last {
        Some(heard) if now_millis.saturating_sub(heard.at_millis) <= STALE_MILLIS => heard.status,
        None if now_millis.saturating_sub(started_millis) <= grace_millis => Status::Starting,
        _ => Status::Down,
    }
}

/// The severity of a status: 0 is healthy.
pub const fn worse(status: Status) -> u8 {
    match status {
        Status::Healthy => 0,
        Status::Updating => 1,
        Status::Degraded => 2,
        Status::Starting => 3,
        Status::Down => 4,
    }
}

/// Most minutes a workload may report `updating`: for one release, and on one day.
const UPDATING_PER_RELEASE: u16 = 5;
const UPDATING_PER_DAY: u16 = 10;

/// The minutes in which a workload reported `updating`. The backend credits no more than these
/// bounds, so afterwards the node reports the true status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UpdatingMinutes {
    day: Option<UtcDay>,
    on_day: u16,
    release: u64,
    of_release: u16,
    last: Option<Minute>,
}

impl UpdatingMinutes {
    /// The status to send in `minute` for a workload in `status`: `updating` instead of anything
    /// but healthy, during an update and within the bounds. The same minute counts once, however
    /// often it is signed.
    pub fn said(&mut self, status: Status, updating: bool, release: u64, minute: Minute) -> Status {
        if status == Status::Healthy || !updating {
            return status;
        }
        if self.day != Some(minute.day()) {
            (self.day, self.on_day) = (Some(minute.day()), 0);
        }
        if self.release != release {
            (self.release, self.of_release) = (release, 0);
        }
        if self.last == Some(minute) {
            return Status::Updating;
        }
        if self.on_day >= UPDATING_PER_DAY || self.of_release >= UPDATING_PER_RELEASE {
            return status;
        }
        self.on_day += 1;
        self.of_release += 1;
        self.last = Some(minute);
        Status::Updating
    }
}

/// The second of each minute at which this node sends, so that nodes spread over the minute:
/// keccak256 of the address, as a big-endian number, mod 60.
pub fn offset_secs(node_key: Address) -> u64 {
    let hash = U256::from_be_bytes(keccak256(node_key).0);
    (hash % U256::from(60)).to::<u64>()
}

/// The server's time: its last answer, plus the time since on the monotonic clock.
///
/// An answer counts from its arrival, so the estimate lags by the return trip: a heartbeat for the
/// previous minute is still accepted for 5 seconds, an early one never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerTime {
    said: Timestamp,
    at_millis: u64,
}

impl ServerTime {
    /// The server said `said`, and it arrived at `now_millis`.
    pub const fn new(said: Timestamp, now_millis: u64) -> Self {
        Self { said, at_millis: now_millis }
    }

    /// The server's time now.
    pub const fn now(&self, now_millis: u64) -> Timestamp {
        self.said.plus_millis(now_millis.saturating_sub(self.at_millis))
    }

    /// Applies a receipt's time. The answer to a repeated heartbeat may be the first, older one: it
    /// never sets time back.
    #[must_use]
    pub fn heard(self, said: Timestamp, now_millis: u64, repeated: bool) -> Self {
        if repeated && said < self.now(now_millis) { self } else { Self::new(said, now_millis) }
    }
}

/// The next heartbeat: its minute, and its time by the server's clock (a past moment means at
/// once).
///
/// `done` is the last minute handled, sent or given up. A late loop skips past minutes. A program
/// that starts after its offset waits for the next minute: its workloads have had no time to
/// report. A small step back of the server's time is waited out, so that no minute is sent twice; a
/// large one is followed.
pub fn next_send(now: Timestamp, done: Option<Minute>, offset_secs: u64) -> (Minute, Timestamp) {
    let current = now.minute();
    let at = |minute: Minute| minute.start().plus_millis(offset_secs * 1000);
    let minute = match done {
        Some(done) if done.0 <= current.0.saturating_add(WAITED_MINUTES) => {
            current.max(done.next())
        }
        _ if now <= at(current) => current,
        _ => current.next(),
    };
    (minute, at(minute))
}

/// A challenge, with its minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Challenge {
    /// The challenge to sign.
    pub value: B256,
    /// The minute it was made in.
    pub minute: Minute,
}

/// The challenge to sign in `minute`; `None` if a session must be requested first.
pub fn usable_challenge(challenge: Option<Challenge>, minute: Minute) -> Option<B256> {
    challenge
        .filter(|challenge| minute.0 < challenge.minute.0.saturating_add(CHALLENGE_MINUTES))
        .map(|challenge| challenge.value)
}

/// A lease held by the node, and its workload's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldLease {
    /// The license's hash.
    pub license: B256,
    /// The lease's fencing number.
    pub fence: Fence,
    /// Its workload's status.
    pub status: Status,
    /// The release it runs; 0 outside a cluster.
    pub release: u64,
}

/// The minute's message. A node without leases reports only itself.
pub fn heartbeat(
    node_key: Address,
    minute: Minute,
    seq: Seq,
    challenge: B256,
    held: &[HeldLease],
) -> Heartbeat {
    let line = |held: &HeldLease| LeaseStatus {
        license: held.license,
        fence: held.fence,
        status: held.status,
        release: held.release,
    };
    Heartbeat { node_key, minute, seq, challenge, leases: held.iter().map(line).collect() }
}

/// The reason a heartbeat got no receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No answer, or a request to try again.
    Passing,
    /// The challenge is too old, or the backend has another secret.
    StaleChallenge,
    /// The node's minute is not the server's.
    WrongMinute,
    /// The number is used, perhaps before the node lost its state.
    SeqStale,
    /// Anything else: a retry does not help.
    Refused,
}

/// The remedy within the same minute, at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Send the same bytes again: the backend repeats its first answer.
    SameBytes,
    /// Request a session, then sign anew.
    NewSession,
    /// Sign anew with a number beyond any used before.
    NewSeq,
    /// Give this minute up; it is never sent later.
    GiveUp,
}

/// The remedies tried in this minute, each once.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tries {
    again: bool,
    session: bool,
    seq: bool,
}

impl Tries {
    /// The remedy after a failure.
    pub const fn after(&mut self, failure: Failure) -> Retry {
        let (used, retry) = match failure {
            Failure::Passing => (&mut self.again, Retry::SameBytes),
            Failure::StaleChallenge | Failure::WrongMinute => {
                (&mut self.session, Retry::NewSession)
            }
            Failure::SeqStale => (&mut self.seq, Retry::NewSeq),
            Failure::Refused => return Retry::GiveUp,
        };
        if *used {
            return Retry::GiveUp;
        }
        *used = true;
        retry
    }
}

#[cfg(test)]
mod tests;

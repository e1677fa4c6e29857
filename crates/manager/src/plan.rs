//! What the manager decides each minute from what it has seen: pure, no clock, no network.
//!
//! Times called `millis` are monotonic ([`nodesys_clock::Clock::monotonic_millis`]); a
//! [`Timestamp`] here is the server's time, estimated by [`ServerTime`]. What stays true: one
//! heartbeat is planned for each minute, never one for a minute that has passed, and a workload
//! nobody has heard of for 30 seconds is down.

use alloy_primitives::keccak256;
use nodesys_core::ids::{Fence, Seq};
use nodesys_core::message::{Heartbeat, LeaseStatus, Status};
use nodesys_core::time::{Minute, Timestamp, UtcDay};
use nodesys_core::{Address, B256, U256};

/// A health post older than this says nothing any more.
pub const STALE_MILLIS: u64 = 30_000;

/// How far the server's time may go back and be waited for: half a lease's time.
const WAITED_MINUTES: u64 = 5;

/// Minutes for which a challenge is taken, its own included.
const CHALLENGE_MINUTES: u64 = 3;

/// What a workload said last, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// When its post arrived.
    pub at_millis: u64,
    /// What it said.
    pub status: Status,
}

/// How a workload is: as it said within 30 seconds; before its first word `starting` for
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

/// An order of how ill a status is: 0 is well.
pub const fn worse(status: Status) -> u8 {
    match status {
        Status::Healthy => 0,
        Status::Updating => 1,
        Status::Degraded => 2,
        Status::Starting => 3,
        Status::Down => 4,
    }
}

/// How many minutes a workload may say that it updates: for one release, and on one day.
const UPDATING_PER_RELEASE: u16 = 5;
const UPDATING_PER_DAY: u16 = 10;

/// The minutes in which a workload said that it updates. The backend credits no more than these
/// bounds, so a node that is still not up says so plainly after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UpdatingMinutes {
    day: Option<UtcDay>,
    on_day: u16,
    release: u64,
    of_release: u16,
    last: Option<Minute>,
}

impl UpdatingMinutes {
    /// What to say in `minute` of a workload that is `status`: `updating` instead of anything but
    /// healthy, while an update is on its way and the bounds allow it. The same minute counts once,
    /// however often it is signed.
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

/// The server's time: what it last said, plus what has passed since on the monotonic clock.
///
/// An answer is counted from its arrival, so the estimate lags by the way back: a heartbeat for
/// the minute before is still taken for 5 seconds, one that is early never.
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

    /// Takes what a receipt says. The answer to a repeated heartbeat may be the first one, made
    /// a while ago: it never sets time back.
    #[must_use]
    pub fn heard(self, said: Timestamp, now_millis: u64, repeated: bool) -> Self {
        if repeated && said < self.now(now_millis) { self } else { Self::new(said, now_millis) }
    }
}

/// The next heartbeat: for which minute, and when by the server's time (a moment that has passed
/// means at once).
///
/// `done` is the last minute that was dealt with, sent or given up. A loop that comes late skips
/// what has passed. A program that starts behind its offset waits for the next minute: its
/// workloads have had no time to speak. A server whose time went back a little is waited for, so
/// that no minute is sent twice; one that went back far is followed.
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

/// What a heartbeat's answer depends on, with the minute it was given in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Challenge {
    /// To be signed.
    pub value: B256,
    /// The minute it was made in.
    pub minute: Minute,
}

/// The challenge to sign in `minute`; `None` when a session must be asked for first.
pub fn usable_challenge(challenge: Option<Challenge>, minute: Minute) -> Option<B256> {
    challenge
        .filter(|challenge| minute.0 < challenge.minute.0.saturating_add(CHALLENGE_MINUTES))
        .map(|challenge| challenge.value)
}

/// A lease that the node holds, and how its workload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldLease {
    /// The license's hash.
    pub license: B256,
    /// The lease's fencing number.
    pub fence: Fence,
    /// How its workload is.
    pub status: Status,
    /// The release it runs; 0 outside a cluster.
    pub release: u64,
}

/// The minute's message. A node without leases says that it is there.
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

/// Why a heartbeat got no receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No answer, or one that says to try again.
    Passing,
    /// The challenge is too old, or the backend has another secret.
    StaleChallenge,
    /// The node's idea of the minute is not the server's.
    WrongMinute,
    /// The number was used, perhaps before the node lost its state.
    SeqStale,
    /// Anything else: saying it again does not help.
    Refused,
}

/// What to do about it within the same minute, at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Send the same bytes again: the backend answers a repeat as it did the first.
    SameBytes,
    /// Ask for a session, then sign anew.
    NewSession,
    /// Sign anew with a number beyond any used before.
    NewSeq,
    /// Leave this minute; it is never sent later.
    GiveUp,
}

/// What was tried in this minute: each remedy once.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tries {
    again: bool,
    session: bool,
    seq: bool,
}

impl Tries {
    /// What to do after a failure.
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

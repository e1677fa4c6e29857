//! The decision about a license's lease, from facts alone, the same at every replica.
//!
//! The facts are the license's newest lease, its standbys, and their operators' rights on chain.
//! Invariants: an active lease ends only because the chain denies its operator, its listing is over, or it
//! was silent for its time; only an operator confirmed by the chain gets a lease; the longest-waiting
//! standby comes first.

use nodesys_core::Address;
use nodesys_core::time::Timestamp;

use crate::db::lease::EndReason;
use crate::db::standby::Standby;
use crate::live::fold::Renewed;
use crate::liveness::Liveness;

/// Life of a lease after the last heartbeat that renewed it.
const TTL_MILLIS: u64 = 600_000;
/// Delay until its end takes effect.
const GRACE_MILLIS: u64 = 30_000;
/// Time in which the node of an expired lease has preference over newcomers.
const PREFERENCE_MILLIS: u64 = 120_000;
/// Time until a standby that stops asking is dropped.
const STANDBY_MILLIS: u64 = 300_000;

/// The start of a lease's silence. While there is a standby, `degraded` and `down` do not renew:
/// such heartbeats count only up to the first standby's request.
pub(super) fn counted_from(
    renewed: Renewed,
    granted: Timestamp,
    waiting_since: Option<Timestamp>,
) -> Timestamp {
    let carried = match (renewed.carried, waiting_since) {
        (Some(carried), Some(since)) => Some(carried.min(since)),
        (carried, _) => carried,
    };
    carried.max(renewed.fit).map_or(granted, |renewed| renewed.max(granted))
}

/// A license's newest lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) node: i32,
    pub(super) operator: Address,
    pub(super) granted: Timestamp,
    /// Whether the listing under which it was granted still runs.
    pub(super) listed: bool,
    pub(super) renewed: Renewed,
    pub(super) ended: Option<(Timestamp, EndReason)>,
}

/// A moment, and the cutoffs of each time limit before it, not counting minutes in which the
/// backend was down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) now: Timestamp,
    /// A lease silent since before this has expired.
    pub(super) overdue: Timestamp,
    /// The former node of a lease that expired before this has lost its preference.
    pub(super) preferred: Timestamp,
    /// A standby that last asked before this is dropped.
    pub(super) forgotten: Timestamp,
}

impl Moment {
    pub(super) fn new(now: Timestamp, liveness: &Liveness) -> Self {
        let earlier = |millis| liveness.earlier(now, millis);
        Self {
            now,
            overdue: earlier(TTL_MILLIS + GRACE_MILLIS),
            preferred: earlier(PREFERENCE_MILLIS),
            forgotten: earlier(STANDBY_MILLIS),
        }
    }
}

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing changes.
    Stay,
    /// The lease ends, and nobody gets it yet.
    End(EndReason),
    /// A standby gets the lease; the active one, if any, ends.
    Grant { node: i32, operator: Address, ends: Option<EndReason> },
}

/// Decides. `right` is an operator's right on chain to run the license, or unknown; `standbys` are
/// in the order of their first requests.
pub(super) fn decide(
    lease: Option<&Lease>,
    standbys: &[Standby],
    right: impl Fn(Address) -> Option<bool>,
    at: &Moment,
) -> Decision {
    let waiting = || standbys.iter().filter(|standby| standby.asked >= at.forgotten);
    let candidates: Vec<&Standby> =
        waiting().filter(|standby| standby.able && right(standby.operator) == Some(true)).collect();
    let first = candidates.first().copied();
    let Some(lease) = lease else { return grant(first, None) };
    match lease.ended {
        None => {
            let waiting_since = waiting().map(|standby| standby.since).min();
            let reason = if !lease.listed || right(lease.operator) == Some(false) {
                EndReason::NotEntitled
            } else if counted_from(lease.renewed, lease.granted, waiting_since) < at.overdue {
                EndReason::Expired
            } else {
                return Decision::Stay;
            };
            grant(first, Some(reason))
        }
        // A node that the chain denies has no preference.
        Some((ended, EndReason::Expired))
            if ended >= at.preferred && right(lease.operator) != Some(false) =>
        {
            let former = candidates.iter().copied().find(|standby| standby.node == lease.node);
            let waited = candidates.iter().copied().find(|standby| standby.since < ended);
            grant(former.or(waited), None)
        }
        Some(_) => grant(first, None),
    }
}

const fn grant(to: Option<&Standby>, ends: Option<EndReason>) -> Decision {
    match (to, ends) {
        (Some(to), ends) => Decision::Grant { node: to.node, operator: to.operator, ends },
        (None, Some(reason)) => Decision::End(reason),
        (None, None) => Decision::Stay,
    }
}

#[cfg(test)]
mod tests;

//! A license's days: what became of the minutes that were not credited, and a range of days in numbers.

use serde::{Deserialize, Serialize};

use crate::license::LicenseId;
use crate::time::UtcDay;

/// Minutes of a day in which the license was expected to run, and that were not credited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Missing {
    /// The first of them, of the day's 1440.
    pub from: u16,
    /// The first minute after them.
    pub to: u16,
    /// Why they were not.
    pub cause: MissingCause,
}

/// Why a minute was not credited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissingCause {
    /// The backend's own downtime: it counts for nobody.
    Excused,
    /// No node had the lease yet.
    NoLease,
    /// The last lease had ended since its node was silent.
    Expired,
    /// The last lease had ended since the chain denied its operator the right.
    NotEntitled,
    /// The last lease had ended since its node was revoked.
    Revoked,
    /// The last lease had ended since its node gave it up.
    Moved,
    /// The lease was granted in this minute, which may have been another node's.
    NewLease,
    /// A heartbeat said that the workload was not healthy, or was updating for too long.
    NotHealthy,
    /// No heartbeat carried the lease.
    Silent,
    /// One of the last two: which is kept for today and yesterday only.
    NotCredited,
}

/// `GET /v1/licenses/{collection}/{token_id}/uptime`: a license's days in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LicenseDays {
    /// The license.
    pub license: LicenseId,
    /// The days that the backend has, in rising order. Days before the network's first and later ones are left out.
    pub days: Vec<DayCount>,
}

/// A license's day in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DayCount {
    /// The day.
    #[schema(value_type = String)]
    pub day: UtcDay,
    /// Whether it is closed, so that its numbers never change.
    pub closed: bool,
    /// Its minutes; null while a closed day is not counted yet, which takes minutes.
    pub counts: Option<MinuteCounts>,
}

/// Numbers of minutes of a license's day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MinuteCounts {
    /// Credited.
    pub minutes: u16,
    /// In which it was expected to run; of an open day, of those that have passed.
    pub expected: u16,
    /// Of the expected ones, not credited and excused; known once the day is closed.
    pub excused: u16,
}

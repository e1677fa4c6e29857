//! Who and what the story is about: days, licenses, rewards, the cluster.

use std::net::IpAddr;

use nodesys_core::ids::Points;
use nodesys_core::points::Rule;
use nodesys_core::time::UtcDay;

use crate::deploy::{LicenseRef, Plan, TOKEN};
use crate::in_cluster::ClusterParts;

/// A cluster in whose network the demo runs.
#[derive(Debug, Clone)]
pub struct Kubernetes {
    /// How pods reach what listens on this network's loopback.
    pub host: IpAddr,
    /// The cluster.
    pub parts: ClusterParts,
    /// The sample workload's image, by digest; the cluster has it.
    pub workload_image: String,
}

/// The day the story begins: 2026-01-06.
pub(super) const FIRST_DAY: UtcDay = UtcDay(20_459);
/// What the project pays for a day.
pub(super) const DAY_REWARD: u128 = 1_000 * TOKEN;
/// Tasks put into the queue on the first day.
pub(super) const TASKS: usize = 240;
/// Points of a task; a minute is worth one.
pub(super) const PER_TASK: u64 = 5;
/// How long a post is pending.
pub(super) const DELAY_SECS: u64 = 3_600;

pub(super) const A1: LicenseRef = LicenseRef { workload: 0, token: 1 };
pub(super) const A2: LicenseRef = LicenseRef { workload: 0, token: 2 };
pub(super) const B1: LicenseRef = LicenseRef { workload: 1, token: 1 };
pub(super) const B2: LicenseRef = LicenseRef { workload: 1, token: 2 };

/// A point for each minute, five for each task.
pub(super) fn rule() -> Rule {
    Rule::UptimeTasks {
        rate: Points::checked_new(1440).expect("1440 is below 2^63"),
        per_task: Points::checked_new(PER_TASK).expect("5 is below 2^63"),
        max_tasks: 1000,
        minimum_uptime_ppm: 0,
    }
}

pub(super) fn plan() -> Plan {
    Plan {
        project: "acme",
        workloads: vec![("alpha", "A"), ("beta", "B")],
        funds: 100 * DAY_REWARD,
        daily_quota: DAY_REWARD * 11 / 10,
        delay_secs: DELAY_SECS,
    }
}

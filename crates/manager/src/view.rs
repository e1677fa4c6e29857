//! The manager's status at `GET /v1/status`: the last accepted receipt, not belief.
//!
//! The loop updates it after each step; readers see the last complete state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use alloy_primitives::{Address, B256};
use nodesys_core::api::LineResult;
use nodesys_core::ids::{Fence, Name};
use nodesys_core::message::Status;
use nodesys_core::release::Version;
use nodesys_core::time::{Minute, Timestamp};
use serde::Serialize;

use crate::health::HealthBoard;

/// The node's state with a license.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lease {
    /// Not requested, or refused.
    #[default]
    None,
    /// Another node holds it; this one stands by.
    Standby,
    /// This node holds it.
    Held(Fence),
}

/// The last accepted receipt.
#[derive(Debug, Clone)]
pub(crate) struct LastReceipt {
    pub(crate) minute: Minute,
    pub(crate) server_time: Timestamp,
    pub(crate) count: u64,
}

/// One workload's part.
#[derive(Debug, Clone, Default)]
pub(crate) struct LeaseView {
    pub(crate) lease: Lease,
    /// The license's project, from the backend's grant of the lease.
    pub(crate) project: Option<Address>,
    /// The reason for a refusal.
    pub(crate) problem: Option<String>,
    /// The result of its line in the last receipt.
    pub(crate) last_result: Option<LineResult>,
}

/// The state of a workload's releases, in a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct ReleaseView {
    /// The running version, to which an update rolls back.
    pub(crate) current: Option<Version>,
    /// The version being rolled out.
    pub(crate) rollout: Option<Version>,
    /// The runnable version on chain.
    pub(crate) announced: Option<String>,
    /// Failed versions, with reasons.
    pub(crate) quarantined: BTreeMap<Version, String>,
    /// The problem.
    pub(crate) problem: Option<String>,
    /// The condition waited for.
    pub(crate) waits: Option<String>,
    /// The reason its pod is not ready.
    pub(crate) trouble: Option<String>,
    /// The operator's objects that are not as `nodesys workload add` made them.
    pub(crate) changed: Vec<String>,
    /// Time of the last read of the chain.
    pub(crate) chain_read: Option<String>,
}

/// The loop's part of the status.
#[derive(Debug, Clone, Default)]
pub(crate) struct LoopStatus {
    pub(crate) receipt_key: Option<Address>,
    pub(crate) last_receipt: Option<LastReceipt>,
    pub(crate) last_error: Option<(Timestamp, String)>,
    pub(crate) leases: Vec<LeaseView>,
    /// Empty outside a cluster.
    pub(crate) releases: Vec<ReleaseView>,
}

/// The shared view.
pub(crate) struct View {
    shown: Mutex<LoopStatus>,
    node_key: Address,
    backend: String,
    pinned: bool,
}

impl View {
    pub(crate) fn new(node_key: Address, backend: String, pinned: bool, workloads: usize) -> Self {
        let leases = vec![LeaseView::default(); workloads];
        let shown = Mutex::new(LoopStatus { leases, ..LoopStatus::default() });
        Self { shown, node_key, backend, pinned }
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut LoopStatus)) {
        change(&mut self.lock());
    }

    /// The project and the fence of a workload's license, while this node holds its lease.
    pub(crate) fn held(&self, workload: usize) -> Option<(Address, Fence)> {
        let shown = self.lock();
        let lease = shown.leases.get(workload)?;
        match lease.lease {
            Lease::Held(fence) => Some((lease.project?, fence)),
            Lease::None | Lease::Standby => None,
        }
    }

    /// The projects of the node's licenses, as far as leases were granted.
    pub(crate) fn projects(&self) -> BTreeSet<Address> {
        self.lock().leases.iter().filter_map(|lease| lease.project).collect()
    }

    fn lock(&self) -> MutexGuard<'_, LoopStatus> {
        // Fields are replaced one by one; after a panic the program stops anyway.
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn status(&self, board: &HealthBoard, now_millis: u64) -> StatusBody {
        let shown = self.lock().clone();
        let mut releases = shown.releases.into_iter();
        let workloads = board.workloads().iter().zip(shown.leases).enumerate();
        let workloads = workloads
            .map(|(i, (workload, lease))| {
                let last = board.last(i);
                let ago = last.as_ref().map(|post| now_millis.saturating_sub(post.heard.at_millis));
                let (lease_word, fence) = match lease.lease {
                    Lease::None => ("none", None),
                    Lease::Standby => ("standby", None),
                    Lease::Held(fence) => ("held", Some(fence)),
                };
                WorkloadBody {
                    name: workload.name.clone(),
                    collection: workload.license.collection,
                    token_id: workload.license.token_id.to_string(),
                    license_hash: workload.license.hash(),
                    lease: lease_word,
                    fence,
                    lease_problem: lease.problem,
                    last_result: lease.last_result,
                    status: board.status(i, now_millis),
                    heard_secs_ago: ago.map(|millis| millis / 1000),
                    work: last.as_ref().and_then(|post| post.work).map(|work| work.to_string()),
                    detail: last.and_then(|post| post.detail),
                    release: releases.next(),
                }
            })
            .collect();
        StatusBody {
            version: env!("CARGO_PKG_VERSION"),
            node_key: self.node_key,
            backend: self.backend.clone(),
            heartbeat_offset_secs: crate::plan::offset_secs(self.node_key),
            receipt_key: shown.receipt_key,
            receipt_key_pinned: self.pinned,
            last_receipt: shown.last_receipt.map(|last| ReceiptBody {
                minute: last.minute.0.to_string(),
                time: last.server_time.to_string(),
                server_time_millis: last.server_time.millis().to_string(),
                accepted: last.count.to_string(),
            }),
            last_error: shown.last_error.map(|(at, message)| ErrorBody {
                time: at.to_string(),
                at_millis: at.millis().to_string(),
                message,
            }),
            workloads,
        }
    }
}

/// The body of `GET /v1/status`; 64-bit numbers are decimal strings.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StatusBody {
    version: &'static str,
    node_key: Address,
    backend: String,
    heartbeat_offset_secs: u64,
    receipt_key: Option<Address>,
    receipt_key_pinned: bool,
    last_receipt: Option<ReceiptBody>,
    last_error: Option<ErrorBody>,
    workloads: Vec<WorkloadBody>,
}

#[derive(Debug, Clone, Serialize)]
struct ReceiptBody {
    minute: String,
    time: String,
    server_time_millis: String,
    /// Receipts accepted since the manager's start.
    accepted: String,
}

#[derive(Debug, Clone, Serialize)]
struct ErrorBody {
    time: String,
    at_millis: String,
    message: String,
}

#[derive(Debug, Clone, Serialize)]
struct WorkloadBody {
    name: Name,
    collection: Address,
    token_id: String,
    license_hash: B256,
    lease: &'static str,
    fence: Option<Fence>,
    lease_problem: Option<String>,
    last_result: Option<LineResult>,
    status: Status,
    heard_secs_ago: Option<u64>,
    work: Option<String>,
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<ReleaseView>,
}

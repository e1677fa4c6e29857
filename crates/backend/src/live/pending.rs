//! A heartbeat between its checks and its answer.

use nodesys_core::B256;
use nodesys_core::api::{LineResult, Receipt};
use nodesys_core::ids::LicenseIndex;
use nodesys_core::message::{Heartbeat, Signed};
use nodesys_core::time::Minute;
use tokio::sync::oneshot;

use crate::error::ApiResult;

/// One line of a heartbeat, judged.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// The license's index; `None` for a lease the node does not hold.
    pub(crate) held: Option<LicenseIndex>,
    /// The verdict.
    pub(crate) result: LineResult,
}

impl Line {
    /// The node does not hold the lease.
    pub(crate) const LOST: Self = Self { held: None, result: LineResult::LeaseLost };
}

/// A heartbeat that passed every check, waiting for its group commit.
pub(crate) struct Pending {
    pub(crate) node_idx: u32,
    /// Whether the chain allows the node a license.
    pub(crate) entitled: bool,
    pub(crate) hash: B256,
    pub(crate) signed: Signed<Heartbeat>,
    pub(crate) challenge_minute: Minute,
    pub(crate) lines: Vec<Line>,
    pub(crate) reply: oneshot::Sender<ApiResult<Receipt>>,
}

//! An operator's fleet: `GET /v1/operators/{operator}`.

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use super::optional_decimal;
use crate::ids::{Fence, Name};
use crate::license::LicenseId;
use crate::message::Status;

/// `GET /v1/operators/{operator}`: a page of an operator's nodes, a row for each license that a node runs or waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Fleet {
    /// The wallet that authorised the nodes.
    #[schema(value_type = String)]
    pub operator: Address,
    /// In the order in which the nodes were first authorised.
    pub rows: Vec<FleetRow>,
    /// What to ask for the page after this one as `?after=`; null on the last.
    pub next: Option<String>,
}

/// A node, with one of its licenses where it has any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FleetRow {
    /// The node.
    #[schema(value_type = String)]
    pub node_key: Address,
    /// Last second of its authorisation, seconds since 1970.
    #[serde(with = "crate::message::decimal")]
    #[schema(value_type = String)]
    pub not_after: u64,
    /// How it is.
    pub state: FleetState,
    /// The node's last accepted heartbeat of today or yesterday, milliseconds since 1970.
    #[serde(with = "optional_decimal")]
    #[schema(value_type = Option<String>)]
    pub heard_millis: Option<u64>,
    /// The license of this row.
    pub license: Option<FleetLicense>,
}

/// A license that a node runs or waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FleetLicense {
    /// The license.
    pub license: LicenseId,
    /// Whose project it is.
    #[schema(value_type = String)]
    pub project: Address,
    /// The workload it licenses.
    pub workload: Name,
    /// Fencing number of its newest lease, whoever has it.
    #[schema(value_type = String)]
    pub fence: Fence,
    /// When the node was granted the lease, or first asked for it; milliseconds since 1970.
    #[serde(with = "crate::message::decimal")]
    #[schema(value_type = String)]
    pub since_millis: u64,
    /// Credited minutes of the present UTC day, whichever node ran it.
    pub minutes: u16,
    /// The status that the node's last heartbeat gave its workload, if it runs it.
    pub status: Option<Status>,
    /// The release that this heartbeat named.
    #[serde(with = "optional_decimal")]
    #[schema(value_type = Option<String>)]
    pub release: Option<u64>,
}

/// How a row of a fleet is. Only `up` and `late` earn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FleetState {
    /// Its heartbeats come, and the workload is healthy or updating.
    Up,
    /// No heartbeat for two and a half minutes.
    Late,
    /// No heartbeat for five minutes, or the workload is starting, degraded or down.
    Down,
    /// It waits for a license that another node runs.
    Standby,
    /// It neither runs a license nor waits for one.
    NoLicense,
    /// Its authorisation has ended by itself, by its time or for want of a license.
    Expired,
    /// Its operator revoked it.
    Revoked,
}

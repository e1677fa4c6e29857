//! Notices: which webhooks are told of a node's outages, and what they are told.
//!
//! Whoever has the node key manages the node's targets, each by a signed [`NotifyRequest`]. What a
//! target receives is an [`Event`], signed as [`crate::webhook`] says.
//!
//! # Examples
//!
//! ```
//! use nodesys_core::Address;
//! use nodesys_core::message::{Domain, Signed};
//! use nodesys_core::notify::{EventKind, NotifyAction, NotifyRequest};
//! use nodesys_core::signature::SigningKey;
//!
//! let node = SigningKey::from_bytes(&[7; 32])?;
//! let request = NotifyRequest {
//!     node_key: node.address(),
//!     action: NotifyAction::Add,
//!     url: "https://alerts.example.org/hook".to_owned(),
//!     target: 0,
//!     nonce: 1_767_225_600_000,
//! };
//! let registry = Domain::new(31_337, Address::repeat_byte(1));
//! let signed = Signed::new(request, &registry, &node);
//! assert_eq!(signed.verify(&registry, node.address())?.action, NotifyAction::Add);
//!
//! assert_eq!(EventKind::parse("node.down"), Some(EventKind::NodeDown));
//! # Ok::<(), nodesys_core::signature::SignatureError>(())
//! ```

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use crate::ids::Name;
use crate::license::LicenseId;
use crate::message::{Message, decimal};

/// The Solidity struct, whose name and field order are the EIP-712 type string.
pub mod sol {
    alloy_sol_types::sol! {
        struct NotifyRequest { address nodeKey; uint8 action; string url; uint64 target; uint64 nonce; }
    }
}

/// Targets a node may have.
pub const MAX_TARGETS: usize = 8;
/// Longest URL of a target, in bytes.
pub const MAX_URL_BYTES: usize = 2048;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum NotifyAction {
    /// A new target.
    Add = 0,
    /// The node's targets.
    List = 1,
    /// A target is told no more.
    Remove = 2,
    /// A target is sent a test now.
    Test = 3,
}

/// A node manages who is told of its outages; signed by the node key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NotifyRequest {
    /// The node.
    #[schema(value_type = String)]
    pub node_key: Address,
    /// What is asked for.
    pub action: NotifyAction,
    /// The new target's URL; empty otherwise.
    pub url: String,
    /// The target's number; 0 where none is meant.
    #[serde(with = "decimal")]
    #[schema(value_type = String)]
    pub target: u64,
    /// Milliseconds since 1970 by the node's clock; an older request is refused.
    #[serde(with = "decimal")]
    #[schema(value_type = String)]
    pub nonce: u64,
}

impl Message for NotifyRequest {
    type Sol = sol::NotifyRequest;

    fn to_sol(&self) -> sol::NotifyRequest {
        sol::NotifyRequest {
            nodeKey: self.node_key,
            action: self.action as u8,
            url: self.url.clone(),
            target: self.target,
            nonce: self.nonce,
        }
    }
}

/// A target, as every route of `/v1/notify` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NotifyTarget {
    /// Its number.
    #[serde(with = "decimal")]
    #[schema(value_type = String)]
    pub target: u64,
    /// Where messages go.
    pub url: String,
    /// When it was added, milliseconds since 1970.
    #[serde(with = "decimal")]
    #[schema(value_type = String)]
    pub added_millis: u64,
    /// Messages it has taken.
    pub delivered: u32,
    /// Messages that are being tried.
    pub waiting: u32,
    /// Messages given up.
    pub failed: u32,
    /// What the last failed try said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// `POST /v1/notify`: the target and the secret its messages are signed with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NotifyAdded {
    /// The target.
    #[serde(flatten)]
    pub target: NotifyTarget,
    /// `whsec_...`: the receiver checks signatures with it. Keep it secret.
    pub secret: String,
}

impl std::fmt::Debug for NotifyAdded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the secret, which a log would keep.
        f.debug_struct("NotifyAdded").field("target", &self.target).finish_non_exhaustive()
    }
}

/// What a message tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventKind {
    /// No heartbeat of the node for five minutes.
    #[serde(rename = "node.down")]
    NodeDown,
    /// The node is heard again.
    #[serde(rename = "node.back")]
    NodeBack,
    /// The node is heard, but says that a workload has been degraded or down for five minutes.
    #[serde(rename = "workload.down")]
    WorkloadDown,
    /// The workload is well again.
    #[serde(rename = "workload.back")]
    WorkloadBack,
    /// The node holds the license no longer, so it says nothing more of the workload.
    #[serde(rename = "workload.lost")]
    WorkloadLost,
    /// A wallet has authorised a new node, told to the webhooks of all its nodes.
    #[serde(rename = "node.authorized")]
    NodeAuthorized,
    /// Somebody asked for it.
    #[serde(rename = "test")]
    Test,
}

impl EventKind {
    const ALL: [Self; 7] = [
        Self::NodeDown,
        Self::NodeBack,
        Self::WorkloadDown,
        Self::WorkloadBack,
        Self::WorkloadLost,
        Self::NodeAuthorized,
        Self::Test,
    ];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NodeDown => "node.down",
            Self::NodeBack => "node.back",
            Self::WorkloadDown => "workload.down",
            Self::WorkloadBack => "workload.back",
            Self::WorkloadLost => "workload.lost",
            Self::NodeAuthorized => "node.authorized",
            Self::Test => "test",
        }
    }

    /// From how it is written.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// The body of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// When it was found, as `2026-01-31T12:00:00Z`.
    pub timestamp: String,
    /// To whom.
    pub data: EventData,
}

/// Whom a message is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventData {
    /// The node.
    pub node_key: Address,
    /// The wallet that runs it.
    pub operator: Address,
    /// Down since about when: the last sign of the node, or of the workload being well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The license, where the message is about a workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<LicenseId>,
    /// The workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<Name>,
    /// The node's page, where its authorisation can be ended; with `node.authorized` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_targets_secret_is_not_shown() {
        let target = NotifyTarget {
            target: 7,
            url: "https://hooks.example.org".to_owned(),
            added_millis: 1,
            delivered: 0,
            waiting: 0,
            failed: 0,
            last_error: None,
        };
        let added = NotifyAdded { target, secret: "whsec_SECRET".to_owned() };
        assert!(serde_json::to_string(&added).unwrap().contains("SECRET"), "it is sent");
        let shown = format!("{added:?}");
        assert!(shown.contains("hooks.example.org") && !shown.contains("SECRET"), "{shown}");
    }

    #[test]
    fn kinds_are_read_as_they_are_written() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::parse(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert_eq!(EventKind::parse("node.gone"), None);
    }
}

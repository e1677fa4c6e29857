//! What `nodesys-manager probe` prints and `nodesys doctor --isolation` reads: one line of JSON per address.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// How an attempt to connect ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Connected.
    Reached,
    /// Refused by the host, or by a rule.
    Refused,
    /// No answer.
    Silent,
}

/// A line of the probe's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The address that was tried.
    pub target: SocketAddr,
    /// How it ended.
    pub outcome: Outcome,
}

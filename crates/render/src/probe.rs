//! The output of `nodesys-manager probe`, read by `nodesys doctor --isolation`: one line of JSON
//! per address.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The outcome of an attempt to connect.
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
    /// The tried address.
    pub target: SocketAddr,
    /// The outcome.
    pub outcome: Outcome,
}

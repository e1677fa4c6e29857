//! A node as the backend has it, printed.

use std::fmt;

use nodesys_core::api::{LeaseState, LeaseView, NodeView};
use nodesys_core::time::Timestamp;
use serde::Serialize;

use crate::output::{moment, table};

/// `NodeView`, for people.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct NodeReport(pub(crate) NodeView);

/// A lease's state in a word.
pub(crate) const fn state_word(state: LeaseState) -> &'static str {
    match state {
        LeaseState::Active => "active",
        LeaseState::Standby => "standby",
        LeaseState::Ended => "ended",
    }
}

/// Leases as a table.
pub(crate) fn leases(leases: &[LeaseView]) -> comfy_table::Table {
    let mut table = table(&["license", "workload", "state", "fence", "granted"]);
    for lease in leases {
        table.add_row([
            lease.license.to_string(),
            lease.workload.to_string(),
            state_word(lease.state).to_owned(),
            lease.fence.to_string(),
            Timestamp::from_millis(lease.granted_millis).to_string(),
        ]);
    }
    table
}

impl fmt::Display for NodeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NodeView { authorization, revoked, lapsed_millis, last_heartbeat_millis, leases: held } =
            &self.0;
        writeln!(f, "node key        {}", authorization.node_key)?;
        writeln!(f, "operator        {}", authorization.operator)?;
        writeln!(f, "authorised      until {}", moment(authorization.not_after))?;
        if *revoked {
            writeln!(f, "revoked         yes")?;
        }
        if let Some(millis) = lapsed_millis {
            writeln!(f, "lapsed          {}, without a license", Timestamp::from_millis(*millis))?;
        }
        match last_heartbeat_millis {
            Some(millis) => writeln!(f, "last heartbeat  {}", Timestamp::from_millis(*millis))?,
            None => writeln!(f, "last heartbeat  none")?,
        }
        if held.is_empty() {
            write!(f, "leases          none")
        } else {
            write!(f, "{}", leases(held))
        }
    }
}

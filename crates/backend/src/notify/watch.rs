//! Decides from facts alone which outages begin and end.
//!
//! A node is down after five minutes of silence in which the backend was up. A workload is down
//! when its live node has reported it degraded or down for that long. While a node is down, no news
//! of its workloads is sent.

use nodesys_core::ids::LicenseIndex;
use nodesys_core::time::Timestamp;

use crate::db::outage::{EndedAs, Outage};

/// A node with a target.
#[derive(Debug, Clone)]
pub(super) struct NodeFacts {
    pub(super) node: i32,
    /// The last accepted heartbeat, or when its first target was added.
    pub(super) heard: Timestamp,
    /// Whether its operator has revoked it.
    pub(super) revoked: bool,
    pub(super) leases: Vec<LeaseFacts>,
}

/// A lease held by the node.
#[derive(Debug, Clone, Copy)]
pub(super) struct LeaseFacts {
    pub(super) license: LicenseIndex,
    /// The last heartbeat with a status other than degraded and down, or the grant.
    pub(super) well: Timestamp,
}

/// The changes to store and report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Begins { node: i32, license: Option<LicenseIndex>, since: Timestamp },
    Ends { outage: Outage, ended: EndedAs },
}

/// Compares the present state with the reported one. Down means: last sign of life before
/// `down_before`.
pub(super) fn changes(nodes: &[NodeFacts], open: &[Outage], down_before: Timestamp) -> Vec<Change> {
    let mut changes = Vec::new();
    for outage in open {
        let node = nodes.iter().find(|facts| facts.node == outage.node);
        if let Some(ended) = ended(node, outage, down_before) {
            changes.push(Change::Ends { outage: *outage, ended });
        }
    }
    for facts in nodes.iter().filter(|facts| !facts.revoked) {
        let told = |license| {
            open.iter().any(|outage| outage.node == facts.node && outage.license == license)
        };
        if facts.heard < down_before {
            if !told(None) {
                let since = facts.heard;
                changes.push(Change::Begins { node: facts.node, license: None, since });
            }
            continue;
        }
        for lease in facts.leases.iter().filter(|lease| lease.well < down_before) {
            let license = Some(lease.license);
            if !told(license) {
                changes.push(Change::Begins { node: facts.node, license, since: lease.well });
            }
        }
    }
    changes
}

fn ended(node: Option<&NodeFacts>, outage: &Outage, down_before: Timestamp) -> Option<EndedAs> {
    let Some(facts) = node.filter(|facts| !facts.revoked) else { return Some(EndedAs::Unwatched) };
    let Some(license) = outage.license else {
        return (facts.heard >= down_before).then_some(EndedAs::Back);
    };
    match facts.leases.iter().find(|lease| lease.license == license) {
        None => Some(EndedAs::Lost),
        Some(lease) => (lease.well >= down_before).then_some(EndedAs::Back),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A1: LicenseIndex = LicenseIndex(1);
    const B1: LicenseIndex = LicenseIndex(2);

    const fn at(minutes: u64) -> Timestamp {
        Timestamp::from_millis(minutes * 60_000)
    }

    fn node(heard: u64, leases: &[(LicenseIndex, u64)]) -> NodeFacts {
        let leases =
            leases.iter().map(|(license, well)| LeaseFacts { license: *license, well: at(*well) });
        NodeFacts { node: 7, heard: at(heard), revoked: false, leases: leases.collect() }
    }

    fn open(license: Option<LicenseIndex>) -> Outage {
        Outage { id: 1, node: 7, license }
    }

    /// At minute 100.
    fn go(node: &NodeFacts, open: &[Outage]) -> Vec<Change> {
        changes(std::slice::from_ref(node), open, at(95))
    }

    fn begins(license: Option<LicenseIndex>, since: u64) -> Change {
        Change::Begins { node: 7, license, since: at(since) }
    }

    fn ends(license: Option<LicenseIndex>, ended: EndedAs) -> Change {
        Change::Ends { outage: open(license), ended }
    }

    #[test]
    fn a_node_is_down_after_five_minutes_and_told_once() {
        assert_eq!(go(&node(95, &[]), &[]), []);
        assert_eq!(go(&node(94, &[]), &[]), [begins(None, 94)]);
        assert_eq!(go(&node(94, &[]), &[open(None)]), []);
        assert_eq!(go(&node(99, &[]), &[open(None)]), [ends(None, EndedAs::Back)]);
        // Its workloads went with it.
        assert_eq!(go(&node(94, &[(A1, 94)]), &[]), [begins(None, 94)]);
    }

    #[test]
    fn a_workload_is_down_while_its_node_is_heard() {
        let sick = node(99, &[(A1, 94), (B1, 99)]);
        assert_eq!(go(&sick, &[]), [begins(Some(A1), 94)]);
        assert_eq!(go(&sick, &[open(Some(A1))]), []);
        let well = node(99, &[(A1, 99), (B1, 99)]);
        assert_eq!(go(&well, &[open(Some(A1))]), [ends(Some(A1), EndedAs::Back)]);
        let lost = node(99, &[(B1, 99)]);
        assert_eq!(go(&lost, &[open(Some(A1))]), [ends(Some(A1), EndedAs::Lost)]);
        // The node falls silent too: the workload's outage lasts, the node's begins.
        let silent = node(94, &[(A1, 90)]);
        assert_eq!(go(&silent, &[open(Some(A1))]), [begins(None, 94)]);
    }

    #[test]
    fn what_nobody_watches_ends_without_a_word() {
        let unwatched = ends(None, EndedAs::Unwatched);
        assert_eq!(changes(&[], &[open(None)], at(95)), [unwatched]);
        let revoked = NodeFacts { revoked: true, ..node(80, &[(A1, 80)]) };
        assert_eq!(go(&revoked, &[open(None)]), [unwatched]);
        assert_eq!(go(&revoked, &[]), []);
    }
}

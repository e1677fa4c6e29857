//! The node as the backend has it: authorisation, last accepted heartbeat, leases.

use std::fmt;

use nodesys_core::api::{LeaseState, NodeView};
use nodesys_core::time::Timestamp;
use serde::Serialize;

use crate::exit::Exit;
use crate::manager::status::STALE_MILLIS;
use crate::node;
use crate::output::{ago, moment};
use crate::pair::view::NodeReport;
use crate::setup::Setup;
use crate::status::section::Section;

/// The node as the backend has it.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct NodeStatus(NodeView);

pub(crate) async fn section(setup: &Setup, now: Timestamp) -> Section<NodeStatus> {
    if setup.settings.backend.is_none() {
        return Section::not_configured("give --backend URL");
    }
    Section::from_result(read(setup, now).await)
}

async fn read(setup: &Setup, now: Timestamp) -> anyhow::Result<(NodeStatus, Vec<String>)> {
    let backend = setup.backend()?;
    let path = setup.node_key_file()?;
    let node = match (path.exists(), setup.authorization()) {
        (true, _) => node::key::read(&path)?.address(),
        (false, Some(kept)) => kept.authorization.node_key,
        (false, None) => {
            let words = format!("no node key in {}: `nodesys pair request`", path.display());
            return Err(Exit::NotFound.because(words));
        }
    };
    let view = backend.node(node).await?;
    let problems = problems(&view, now);
    Ok((NodeStatus(view), problems))
}

/// How its authorisation has ended.
pub(crate) fn ended(view: &NodeView, now: Timestamp) -> Option<String> {
    let until = view.authorization.not_after;
    if view.revoked {
        return Some("its authorisation was revoked: pair it again".to_owned());
    }
    if let Some(lapsed) = view.lapsed_millis.map(Timestamp::from_millis) {
        return Some(format!(
            "its authorisation lapsed at {lapsed}, after 30 days without a license: see `nodesys license list`, \
             then pair it again"
        ));
    }
    let over = until < now.secs();
    over.then(|| format!("its authorisation ended at {}: pair it again", moment(until)))
}

fn problems(view: &NodeView, now: Timestamp) -> Vec<String> {
    let mut problems = Vec::new();
    problems.extend(ended(view, now));
    let active = view.leases.iter().any(|lease| lease.state == LeaseState::Active);
    let waits = view.leases.iter().any(|lease| lease.state == LeaseState::Standby);
    if !active && !waits {
        problems.push("it holds no lease, so it earns nothing".to_owned());
    }
    let last = view.last_heartbeat_millis.map(Timestamp::from_millis);
    match last {
        Some(last) if active && now.millis_since(last) > STALE_MILLIS => {
            problems.push(format!("its last accepted heartbeat is of {}", ago(now, last)));
        }
        None if active => problems.push("no heartbeat of its leases was accepted yet".to_owned()),
        _ => {}
    }
    problems
}

impl fmt::Display for NodeStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", NodeReport(self.0.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodesys_core::api::LeaseView;
    use nodesys_core::ids::{Fence, LicenseIndex};
    use nodesys_core::license::LicenseId;
    use nodesys_core::message::NodeAuthorization;
    use nodesys_core::{Address, B256, U256};

    const NOW: Timestamp = Timestamp::from_secs(1_767_312_000);

    fn view(state: LeaseState) -> NodeView {
        let license = LicenseId { chain_id: 1, collection: Address::ZERO, token_id: U256::from(1) };
        NodeView {
            authorization: NodeAuthorization {
                operator: Address::ZERO,
                node_key: Address::ZERO,
                not_after: NOW.secs() + 1,
                nonce: U256::ZERO,
            },
            revoked: false,
            lapsed_millis: None,
            last_heartbeat_millis: Some(NOW.millis() - 60_000),
            leases: vec![LeaseView {
                license,
                license_hash: B256::ZERO,
                index: LicenseIndex(0),
                project: Address::ZERO,
                workload: "alpha".parse().unwrap(),
                node_key: Address::ZERO,
                state,
                fence: Fence::ZERO,
                granted_millis: 0,
            }],
        }
    }

    #[test]
    fn what_keeps_a_node_from_earning_is_named() {
        assert_eq!(problems(&view(LeaseState::Active), NOW), [""; 0]);
        assert_eq!(problems(&view(LeaseState::Standby), NOW), [""; 0]);
        let one = |view: NodeView, part: &str| {
            let found = problems(&view, NOW);
            assert!(found.len() == 1 && found[0].contains(part), "{found:?}");
        };
        one(view(LeaseState::Ended), "no lease");
        let active = || view(LeaseState::Active);
        one(NodeView { revoked: true, ..active() }, "revoked");
        one(NodeView { lapsed_millis: Some(NOW.millis()), ..active() }, "lapsed at");
        one(NodeView { last_heartbeat_millis: Some(0), ..active() }, "ago");
        one(NodeView { last_heartbeat_millis: None, ..active() }, "no heartbeat");
        let mut ended = active();
        ended.authorization.not_after = NOW.secs() - 1;
        one(ended, "ended at");
    }
}

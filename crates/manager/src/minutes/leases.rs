//! Leases: requested at the start and after each heartbeat, for every license not held; before it
//! if the last request got no answer.
//!
//! A standby learns of its promotion by asking. The next heartbeat shows whether a lease is valid:
//! the backend answers a stale fence with `lease_lost`, and the node asks again.

use anyhow::ensure;
use nodesys_core::api::LeaseState;
use nodesys_core::message::{LeaseRequest, Signed};
use nodesys_sdk::client::Error;

use super::{Minutes, with_advice};
use crate::view::Lease;

impl Minutes {
    /// Requests the lease of every license the node does not hold.
    pub(super) async fn ask_for_leases(&mut self) {
        self.unasked = false;
        for workload in 0..self.leases.len() {
            if matches!(self.leases[workload], Lease::Held(_)) {
                continue;
            }
            match self.ask_for_lease(workload).await {
                Ok(lease) => self.set_lease(workload, lease, None),
                Err(error) => {
                    let passing = error.downcast_ref::<Error>().is_some_and(Error::is_passing);
                    let lease = if passing { self.leases[workload] } else { Lease::None };
                    self.set_lease(workload, lease, Some(format!("{error:#}")));
                    if passing {
                        // The others would fail too, and the minute is short.
                        self.unasked = true;
                        break;
                    }
                }
            }
        }
    }

    async fn ask_for_lease(&mut self, workload: usize) -> anyhow::Result<Lease> {
        let (node_key, license) = (self.node_key, self.licenses[workload]);
        let nonce = self.state.next_nonce(self.clock.now().millis())?;
        let request = LeaseRequest { node_key, license, nonce };
        let signed = Signed::new(request, &self.settings.domain, &self.settings.node_key);
        let answer = self.client.request_lease(&signed).await.map_err(with_advice)?;
        ensure!(answer.license_hash == license, "the backend answers for another license");
        let name = &self.shared.board.workloads()[workload].name;
        ensure!(
            answer.workload == *name,
            "the license is for workload {}, the configuration says {name}",
            answer.workload
        );
        let project = answer.project;
        self.shared.view.update(|shown| shown.leases[workload].project = Some(project));
        match answer.state {
            LeaseState::Active if answer.node_key == node_key => Ok(Lease::Held(answer.fence)),
            LeaseState::Active | LeaseState::Standby => Ok(Lease::Standby),
            LeaseState::Ended => Ok(Lease::None),
        }
    }

    /// Records the node's state with a license, and logs changes.
    pub(super) fn set_lease(&mut self, workload: usize, lease: Lease, problem: Option<String>) {
        let license = self.shared.board.workloads()[workload].license;
        if self.leases[workload] != lease {
            tracing::info!(%license, ?lease, "lease");
            self.leases[workload] = lease;
        }
        self.shared.view.update(|shown| {
            let slot = &mut shown.leases[workload];
            if let Some(problem) = problem.as_ref().filter(|now| slot.problem.as_ref() != Some(now))
            {
                tracing::warn!(%license, problem, "no lease");
            }
            (slot.lease, slot.problem) = (lease, problem);
        });
    }
}

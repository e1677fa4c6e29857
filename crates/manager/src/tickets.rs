//! Tickets: the node's signed statement, for a workload's project, that it holds a license's lease.
//!
//! A workload asks with its own token and gets a ticket for its own license only, and only while
//! this node holds the lease. It names the ticket's audience: a ticket is for one project and one
//! service, so a workload cannot act for another project's.

use nodesys_core::ids::Fence;
use nodesys_core::message::{Domain, Signed, WorkloadTicket};
use nodesys_core::signature::{SignatureError, SigningKey};
use nodesys_core::ticket::{MAX_TICKET_SECS, Origin, TicketText, TicketView};
use nodesys_core::time::Timestamp;
use nodesys_core::{Address, B256};

use crate::config::Settings;

/// A minute less than a ticket's longest life, since clocks differ.
const TICKET_SECS: u64 = MAX_TICKET_SECS - 60;

/// Signs tickets with the node key.
pub(crate) struct Tickets {
    key: SigningKey,
    domain: Domain,
}

impl Tickets {
    pub(crate) fn new(settings: &Settings) -> Result<Self, SignatureError> {
        // The heartbeat loop owns the settings; both sign with the one node key.
        let key = SigningKey::from_hex(&settings.node_key.to_hex())?;
        Ok(Self { key, domain: settings.domain })
    }

    pub(crate) fn sign(
        &self,
        project: Address,
        license: B256,
        fence: Fence,
        audience: &Origin,
        now: Timestamp,
    ) -> TicketView {
        let (audience, not_after) = (audience.audience(), now.secs() + TICKET_SECS);
        let ticket = WorkloadTicket { project, license, fence, audience, not_after };
        TicketView { ticket: TicketText(Signed::new(ticket, &self.domain, &self.key)), not_after }
    }
}

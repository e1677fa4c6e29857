//! Admission of requests: checks the ticket, then the license's lease, cheapest check first.
//!
//! A ticket names a license and a fence. The backend, asked at most every [`FRESH_MILLIS`],
//! confirms that the ticket's node holds that lease. The chain, read over the master's own RPC,
//! confirms that the project lists the license's collection, and gives its workload. While either
//! does not answer, only previously admitted tickets are admitted, until they expire.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, header};
use nodesys_chain::Provider;
use nodesys_chain::listing::last_listing;
use nodesys_clock::Clock;
use nodesys_core::api::{LeaseState, LeaseView};
use nodesys_core::bundle::ProjectInfo;
use nodesys_core::ids::{Fence, Name};
use nodesys_core::listing::Listing;
use nodesys_core::message::{Domain, WorkloadTicket};
use nodesys_core::ticket::{Origin, TicketError, TicketText};
use nodesys_core::{Address, B256};
use nodesys_sdk::client::Client;
use tokio::sync::Semaphore;

use super::allowance::{Allowance, Cost, PER_SECOND};
use super::queue::LeaseHolder;
use crate::error::{ApiError, ApiResult};

/// Time for which the backend's answer about a lease is used without asking again.
const FRESH_MILLIS: u64 = 30_000;
/// Time for which the chain's answer about a listed collection is used.
const LISTED_MILLIS: u64 = 600_000;
/// Shortest time until the backend is asked again after it contradicted a ticket or did not answer.
const AGAIN_MILLIS: u64 = 2_000;
/// Time limit of one question, and of a request's wait for its turn to ask.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// Questions under way at once, over all licenses.
const ASKING: usize = 8;
/// Number of remembered licenses above which those without a fresh answer are dropped.
const REMEMBERED: usize = 100_000;
/// Checks tickets and leases.
pub(crate) struct Gate {
    domain: Domain,
    project: ProjectInfo,
    audience: Origin,
    backend: Client,
    provider: Provider,
    clock: Clock,
    asking: Semaphore,
    licenses: Mutex<HashMap<B256, License>>,
    /// Listings of this project by collection, and the time of the chain's answer.
    listed: Mutex<HashMap<Address, (Listing, u64)>>,
}

/// A ticket with a valid signature, whose lease is not checked yet.
pub(crate) struct CheckedTicket {
    message: WorkloadTicket,
    node_key: Address,
}

impl CheckedTicket {
    pub(super) const fn license(&self) -> B256 {
        self.message.license
    }

    pub(super) const fn node_key(&self) -> Address {
        self.node_key
    }
}

/// A remembered license.
struct License {
    /// `None` if no node holds its lease.
    lease: Option<Lease>,
    /// Time of the last answer of backend and chain.
    asked_millis: Option<u64>,
    /// Time of their last failure to answer.
    failed_millis: Option<u64>,
    allowance: Allowance,
}

#[derive(Clone, PartialEq, Eq)]
struct Lease {
    node_key: Address,
    fence: Fence,
    workload: Name,
    /// The latest expiry of a ticket that was admitted on a fresh answer.
    until_secs: u64,
}

impl Gate {
    pub(crate) fn new(
        project: &ProjectInfo,
        audience: Origin,
        backend: &Client,
        provider: Provider,
        clock: Clock,
    ) -> Self {
        Self {
            domain: Domain::new(project.chain_id, project.registry),
            project: project.clone(),
            audience,
            backend: backend.clone().with_timeout(ASK_TIMEOUT),
            provider,
            clock,
            asking: Semaphore::new(ASKING),
            licenses: Mutex::default(),
            listed: Mutex::default(),
        }
    }

    /// The ticket of a request, after every check that needs no request of ours.
    pub(super) fn ticket(&self, headers: &HeaderMap) -> ApiResult<CheckedTicket> {
        let how = "send Authorization: Bearer <ticket>, with a ticket of POST /v1/ticket at the \
                   node's manager";
        let value = headers.get(header::AUTHORIZATION).ok_or(how);
        let value = value.map_err(ApiError::missing_ticket)?;
        let text = value.to_str().ok().and_then(|text| text.split_once(' '));
        let text = text.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let (_, text) = text.ok_or_else(|| ApiError::missing_ticket(how))?;
        let refuse = |error: TicketError| match error {
            TicketError::Expired(_) => ApiError::ticket_expired(error),
            error => ApiError::bad_ticket(error),
        };
        let ticket: TicketText = text.trim().parse().map_err(refuse)?;
        let now = self.clock.now();
        let node_key = ticket
            .check(&self.domain, self.project.distributor, &self.audience, now)
            .map_err(refuse)?;
        Ok(CheckedTicket { message: ticket.0.message, node_key })
    }

    /// Succeeds when the ticket's node holds the license's lease with its fence, and the license
    /// has not asked too often.
    pub(super) async fn admit(&self, ticket: &CheckedTicket, cost: Cost) -> ApiResult<LeaseHolder> {
        let known = match self.remembered(ticket) {
            Some(answer) => answer,
            None => {
                let asked = self.ask(ticket).await;
                self.remember(ticket, asked)
            }
        };
        let workload = known?;
        self.spend(ticket.message.license, cost)?;
        let WorkloadTicket { license, fence, .. } = ticket.message;
        Ok(LeaseHolder { license, node_key: ticket.node_key, fence, workload })
    }

    /// The decision from memory; `None` if it is too old or contradicts the ticket.
    fn remembered(&self, ticket: &CheckedTicket) -> Option<ApiResult<Name>> {
        let now = self.clock.monotonic_millis();
        let mut licenses = self.lock();
        let license = licenses.get_mut(&ticket.message.license)?;
        let age = license.asked_millis.map_or(u64::MAX, |at| now.saturating_sub(at));
        let failed_lately =
            license.failed_millis.is_some_and(|at| now.saturating_sub(at) < AGAIN_MILLIS);
        let matching = license.lease.as_mut().filter(|lease| lease.is_of(ticket));
        match matching {
            Some(lease) if age < FRESH_MILLIS => {
                lease.until_secs = lease.until_secs.max(ticket.message.not_after);
                Some(Ok(lease.workload.clone()))
            }
            // A ticket that was admitted before does not wait for a backend that has just failed.
            Some(lease) if failed_lately && ticket.message.not_after <= lease.until_secs => {
                Some(Ok(lease.workload.clone()))
            }
            Some(_) => None,
            None if age < AGAIN_MILLIS => Some(Err(lost(license.lease.as_ref(), ticket))),
            None => None,
        }
    }

    /// Asks the backend for the lease's node, and the chain for the collection's project. `Ok(None)`
    /// if no node holds the lease.
    async fn ask(&self, ticket: &CheckedTicket) -> Result<Option<Lease>, ApiError> {
        let turn = tokio::time::timeout(ASK_TIMEOUT, self.asking.acquire()).await;
        let _turn = turn
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| ApiError::busy("too many new licenses at once; nothing was stored"))?;
        let license = ticket.message.license;
        let view = match self.backend.lease(license).await {
            Ok(view) => view,
            Err(error) if matches!(error.code(), Some("not_leased" | "unknown_license")) => {
                return Ok(None);
            }
            Err(error) => return Err(unknown(&error.to_string())),
        };
        if view.state != LeaseState::Active || !self.is_of(&view, license) {
            return Ok(None);
        }
        let Some(workload) = self.workload_of(view.license.collection).await? else {
            return Ok(None);
        };
        let LeaseView { node_key, fence, .. } = view;
        Ok(Some(Lease { node_key, fence, workload, until_secs: 0 }))
    }

    /// Whether the backend's answer is about this license and this project.
    fn is_of(&self, view: &LeaseView, license: B256) -> bool {
        view.license.chain_id == self.project.chain_id
            && view.license.hash() == license
            && view.project == self.project.distributor
    }

    /// The workload of a collection that this project lists today, or `None` where it does not.
    async fn workload_of(&self, collection: Address) -> ApiResult<Option<Name>> {
        let now = self.clock.monotonic_millis();
        let today = self.clock.now().day();
        if let Some((listing, at)) = locked(&self.listed).get(&collection)
            && now.saturating_sub(*at) < LISTED_MILLIS
            && listing.days.include(today)
        {
            return Ok(Some(listing.workload.clone()));
        }
        let last = last_listing(&self.provider, self.project.registry, collection).await;
        let last = last.map_err(|error| unknown(&format!("the chain: {error}")))?;
        let ours = |listing: &Listing| {
            listing.project == self.project.distributor && listing.days.include(today)
        };
        let Some(listing) = last.filter(ours) else { return Ok(None) };
        let workload = listing.workload.clone();
        locked(&self.listed).insert(collection, (listing, now));
        Ok(Some(workload))
    }

    fn remember(
        &self,
        ticket: &CheckedTicket,
        asked: Result<Option<Lease>, ApiError>,
    ) -> ApiResult<Name> {
        let now = self.clock.monotonic_millis();
        let mut licenses = self.lock();
        if licenses.len() >= REMEMBERED {
            let fresh = |at: u64| now.saturating_sub(at) < FRESH_MILLIS;
            licenses.retain(|_, known| known.asked_millis.is_some_and(fresh));
        }
        let license = licenses.entry(ticket.message.license).or_insert_with(|| License {
            lease: None,
            asked_millis: None,
            failed_millis: None,
            allowance: Allowance::full(now),
        });
        match asked {
            Ok(lease) => {
                (license.asked_millis, license.failed_millis) = (Some(now), None);
                // Tickets admitted on an earlier answer for the same lease stay admitted.
                let until = license
                    .lease
                    .take()
                    .filter(|old| lease.as_ref().is_some_and(|new| old.same(new)));
                license.lease = lease;
                let Some(lease) = license.lease.as_mut().filter(|lease| lease.is_of(ticket)) else {
                    return Err(lost(license.lease.as_ref(), ticket));
                };
                let until = until.map_or(0, |old| old.until_secs);
                lease.until_secs = until.max(ticket.message.not_after);
                Ok(lease.workload.clone())
            }
            Err(error) => {
                if error.code() == "lease_unknown" {
                    license.failed_millis = Some(now);
                }
                match license.lease.as_ref().filter(|lease| lease.is_of(ticket)) {
                    Some(lease) if ticket.message.not_after <= lease.until_secs => {
                        Ok(lease.workload.clone())
                    }
                    _ => Err(error),
                }
            }
        }
    }

    fn spend(&self, license: B256, cost: Cost) -> ApiResult<()> {
        let now = self.clock.monotonic_millis();
        let mut licenses = self.lock();
        let enough = licenses
            .get_mut(&license)
            .is_none_or(|license| license.allowance.spend(cost as u32, now));
        if enough {
            return Ok(());
        }
        Err(ApiError::rate_limited(format!(
            "a license may send {PER_SECOND} results a second, a lease counting as {}; lease more \
             tasks at once",
            Cost::Lease as u32
        )))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<B256, License>> {
        locked(&self.licenses)
    }
}

fn locked<T>(map: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is an assignment or two, so a poisoned map is still whole.
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lease {
    fn is_of(&self, ticket: &CheckedTicket) -> bool {
        self.node_key == ticket.node_key && self.fence == ticket.message.fence
    }

    fn same(&self, other: &Self) -> bool {
        (self.node_key, self.fence) == (other.node_key, other.fence)
    }
}

fn lost(lease: Option<&Lease>, ticket: &CheckedTicket) -> ApiError {
    let WorkloadTicket { license, fence, .. } = &ticket.message;
    let node = ticket.node_key;
    match lease {
        None => ApiError::lease_lost(format!(
            "no node holds the lease of license {license} in this project; the ticket is signed by {node}"
        )),
        Some(lease) if lease.node_key != node => ApiError::lease_lost(format!(
            "another node holds the lease of license {license}; the ticket is signed by {node}"
        )),
        Some(lease) => ApiError::lease_lost(format!(
            "the lease of license {license} has fence {}, the ticket says {fence}",
            lease.fence
        )),
    }
}

fn unknown(why: &str) -> ApiError {
    ApiError::lease_unknown(format!("the lease cannot be checked now: {why}"))
}

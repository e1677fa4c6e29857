//! What strangers may ask of us, in one table: who may call a route, how large, how often, at what cost.
//!
//! A rate counts by network (an IPv4 address or an IPv6 /64) before anything of the request is read,
//! and where the table says so by key: before a signature is checked by key *and* network, so that
//! nobody uses up what is another's, after it by key alone. Heartbeats have no rate by network, since a
//! farm may stand behind one address: they count by known node, once the challenge fits; a network pays
//! only for rows of nodes that have to be looked up.
//!
//! Every store of counts is bounded. When one is full of recent keys, new keys share one count.

mod table;

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::HeaderMap;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use nodesys_clock::Clock;
use nodesys_core::Address;
use nodesys_service::network::{Network, Proxies};

use crate::error::{ApiError, ApiResult};
#[cfg(test)]
pub(crate) use table::per_network;
pub(crate) use table::{Caller, FILE_BODY, ROUTES, Route};
use table::{RATES, Rate};

/// Keys of one rate that are remembered. One takes some 100 bytes.
const MOST_KEYS: usize = 65_536;

/// The counts of all rates.
pub(crate) struct Limits {
    proxies: Proxies,
    /// By place in [`RATES`].
    by_network: Vec<Counts<Network>>,
    /// Rows of unknown or outdated nodes that are looked up.
    lookups: Counts<Network>,
    /// Heartbeats of a node from a network, before the signature.
    heartbeats: Counts<(Address, Network)>,
    /// Requests of a node, after the signature.
    leases: Counts<Address>,
    notify: Counts<Address>,
    notify_tests: Counts<Address>,
    /// Reads of a project's reward signer for signatures that do not fit the known one.
    signers: Counts<Address>,
    /// Logins of an account, after the signature.
    logins: Counts<Address>,
    /// Codes that an account types.
    pairing_codes: Counts<Address>,
}

impl Limits {
    /// `clock` refills the counts.
    pub(crate) fn new(clock: &Clock, proxies: Proxies) -> Self {
        Self {
            proxies,
            by_network: RATES.iter().map(|rate| Counts::new(*rate, clock)).collect(),
            lookups: Counts::new(table::LOOKUPS, clock),
            heartbeats: Counts::new(table::HEARTBEATS, clock),
            leases: Counts::new(table::LEASES, clock),
            notify: Counts::new(table::NOTIFY, clock),
            notify_tests: Counts::new(table::NOTIFY_TESTS, clock),
            signers: Counts::new(table::SIGNERS, clock),
            logins: Counts::new(table::LOGINS, clock),
            pairing_codes: Counts::new(table::PAIRING_CODES, clock),
        }
    }

    /// Proxies whose word about their client counts.
    #[cfg(test)]
    pub(crate) const fn proxies(&self) -> &Proxies {
        &self.proxies
    }

    /// The network that a request comes from.
    pub(crate) fn network(&self, peer: IpAddr, headers: &HeaderMap) -> Network {
        Network::of(self.proxies.client(peer, headers))
    }

    /// Before anything else of a request.
    pub(crate) fn request(&self, route: &Route, network: Network) -> ApiResult<()> {
        match route.rate.and_then(|rate| self.by_network.get(rate)) {
            Some(counts) => counts.take(network),
            None => Ok(()),
        }
    }

    /// Before a node's row is read for a stranger.
    pub(crate) fn lookup(&self, network: Network) -> ApiResult<()> {
        self.lookups.take(network)
    }

    /// Before a heartbeat's signature is checked.
    pub(crate) fn heartbeat(&self, node_key: Address, network: Network) -> ApiResult<()> {
        self.heartbeats.take((node_key, network))
    }

    /// Before a node's signed request for a lease costs reads of the chain.
    pub(crate) fn lease(&self, node_key: Address) -> ApiResult<()> {
        self.leases.take(node_key)
    }

    /// After the signature of a node's request about its webhooks.
    pub(crate) fn notify(&self, node_key: Address) -> ApiResult<()> {
        self.notify.take(node_key)
    }

    /// Before a test message is sent.
    pub(crate) fn notify_test(&self, node_key: Address) -> ApiResult<()> {
        self.notify_tests.take(node_key)
    }

    /// After the signature of a login.
    pub(crate) fn login(&self, account: Address) -> ApiResult<()> {
        self.logins.take(account)
    }

    /// Before a code is compared.
    pub(crate) fn pairing_code(&self, account: Address) -> ApiResult<()> {
        self.pairing_codes.take(account)
    }

    /// Before a project's signer is read from the chain for a signature nobody vouches for.
    pub(crate) fn signer(&self, project: Address) -> ApiResult<()> {
        self.signers.take(project)
    }
}

type Limiter<K> = RateLimiter<K, HashMapStateStore<K>, Ticks, NoOpMiddleware<Nanos>>;

/// The counts of one rate, by key.
struct Counts<K: Hash + Eq + Clone> {
    name: &'static str,
    limiter: Limiter<Option<K>>,
    clock: Ticks,
    most_keys: usize,
    /// When old keys were last dropped, in milliseconds.
    swept: AtomicU64,
}

impl<K: Hash + Eq + Clone> Counts<K> {
    fn new(rate: Rate, clock: &Clock) -> Self {
        let clock = Ticks(clock.clone());
        let limiter = RateLimiter::hashmap_with_clock(rate.quota(), clock.clone());
        Self { name: rate.name, limiter, clock, most_keys: MOST_KEYS, swept: AtomicU64::new(0) }
    }

    fn take(&self, key: K) -> ApiResult<()> {
        if self.limiter.len() > self.most_keys && self.may_sweep() {
            self.limiter.retain_recent();
        }
        let full = self.limiter.len() > self.most_keys;
        let key = if full { None } else { Some(key) };
        self.limiter.check_key(&key).map_err(|until| {
            let wait = until.wait_time_from(governor::clock::Clock::now(&self.clock));
            let secs = wait.as_secs().saturating_add(1);
            ApiError::rate_limited(format!("the limit `{}`: send it again in {secs} s", self.name))
                .retry_after(secs)
        })
    }

    /// True once a second: looking through a full store costs milliseconds.
    fn may_sweep(&self) -> bool {
        let now = self.clock.0.monotonic_millis();
        let swept = self.swept.load(Ordering::Relaxed);
        now.saturating_sub(swept) >= 1000
            && self.swept.compare_exchange(swept, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// The program's clock, for the counts.
#[derive(Clone)]
struct Ticks(Clock);

impl governor::clock::Clock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.monotonic_millis().saturating_mul(1_000_000))
    }
}

impl Rate {
    fn quota(self) -> Quota {
        let burst = NonZeroU32::new(self.burst).unwrap_or(NonZeroU32::MIN);
        let every = Duration::from_millis(60_000 / u64::from(self.per_minute.max(1)));
        Quota::with_period(every).unwrap_or(Quota::per_minute(burst)).allow_burst(burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(most_keys: usize) -> Counts<u32> {
        let rate = Rate { name: "test", burst: 2, per_minute: 60 };
        Counts { most_keys, ..Counts::new(rate, &Clock::system()) }
    }

    #[test]
    fn a_key_uses_up_its_own_count_only() {
        let counts = counts(8);
        assert!(counts.take(1).is_ok() && counts.take(1).is_ok());
        assert_eq!(counts.take(1).unwrap_err().code(), "rate_limited");
        assert!(counts.take(2).is_ok());
    }

    #[test]
    fn a_store_that_is_full_grows_no_more() {
        let counts = counts(8);
        let refused = (0..1000).filter(|key| counts.take(*key).is_err()).count();
        assert!(refused > 900, "{refused}");
        assert!(counts.limiter.len() <= 8 + 2, "{}", counts.limiter.len());
    }
}

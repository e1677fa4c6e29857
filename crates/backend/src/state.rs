//! State shared by handlers and jobs. It knows no stage.

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use nodesys_chain::ChainError;
use nodesys_chain::provider::Provider;
use nodesys_clock::Clock;
use nodesys_core::message::Domain;
use nodesys_core::signature::SigningKey;
use nodesys_core::ticket::Origin;
use nodesys_service::network::Proxies;
use sqlx::PgPool;
use tokio::sync::{Notify, Semaphore};
use zeroize::Zeroizing;

use crate::db;
use crate::error::ApiResult;
use crate::front::Front;
use crate::health::Health;
use crate::key_record::KeyRecord;
use crate::limits::Limits;
use crate::live::Live;
use crate::reference::Reference;
use crate::refusals::Refusals;
use crate::resolver::Resolver;

/// Releases whose announcement may be looked up on chain at once.
const RELEASE_LOOKUPS: usize = 2;

/// State shared by handlers and jobs.
pub(crate) struct App {
    pub(crate) pool: PgPool,
    pub(crate) clock: Clock,
    /// Reads of the chain, over the backend's own RPC.
    pub(crate) chain: Provider,
    /// EIP-712 domain of off-chain messages.
    pub(crate) domain: Domain,
    /// Depth below the head at which a block is final, on a chain without a `finalized` tag.
    pub(crate) final_depth: u64,
    /// First block the mirror follows.
    pub(crate) first_block: u64,
    /// With one RPC: after how long a page is read again, before it counts as read.
    pub(crate) vouch_after_secs: u64,
    /// Requests a minute for the check of all leases.
    pub(crate) rights_requests: usize,
    pub(crate) receipt_key: SigningKey,
    /// When the registry has it count.
    pub(crate) key_record: KeyRecord,
    /// The request path's memory.
    pub(crate) live: Live,
    /// Wakes the poster when a commit was accepted.
    pub(crate) commit_accepted: Arc<Notify>,
    /// Whether webhooks may lead to private addresses and to http.
    pub(crate) allow_private_webhooks: bool,
    /// Looks up the names of webhooks.
    pub(crate) resolver: Resolver,
    /// Whether our clock can be believed.
    pub(crate) reference: Reference,
    /// What strangers may ask.
    pub(crate) limits: Limits,
    /// Our public address; without one nobody signs in.
    pub(crate) front: Option<Front>,
    /// Permits to look up a release on chain.
    pub(crate) release_lookups: Semaphore,
    /// Refused requests, counted instead of logged one by one.
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) metrics: PrometheusHandle,
    /// What is wrong with our view of the chain.
    pub(crate) health: Health,
}

pub(crate) type AppState = Arc<App>;

/// The parts of an [`App`], before it has read its database.
pub(crate) struct Parts {
    pub(crate) pool: PgPool,
    pub(crate) clock: Clock,
    pub(crate) chain: Provider,
    pub(crate) domain: Domain,
    pub(crate) final_depth: u64,
    pub(crate) first_block: u64,
    pub(crate) vouch_after_secs: u64,
    /// Requests a minute for the check of all leases.
    pub(crate) rights_requests: usize,
    pub(crate) receipt_key: SigningKey,
    pub(crate) key_record: KeyRecord,
    pub(crate) challenge_secret: Zeroizing<[u8; 32]>,
    /// Heartbeats that may wait for the disk before new ones are refused.
    pub(crate) queue: usize,
    pub(crate) allow_private_webhooks: bool,
    /// Proxies in front of this program.
    pub(crate) proxies: Proxies,
    /// Where people reach this program.
    pub(crate) public_url: Option<Origin>,
    pub(crate) reference: Reference,
    pub(crate) metrics: PrometheusHandle,
}

impl App {
    /// Loads the request path's memory: active leases and the open days' minutes.
    pub(crate) async fn start(parts: Parts) -> anyhow::Result<AppState> {
        let now = parts.clock.now();
        if let Some(known) = db::mirror_source::highest(&mut *parts.pool.acquire().await?).await? {
            parts.chain.known_final(known);
        }
        let live = Live::start(&parts.pool, now, parts.challenge_secret, parts.queue).await?;
        let limits = Limits::new(&parts.clock, parts.proxies);
        let front = parts.public_url.map(|site| {
            let secret = parts.receipt_key.derive("nodesys login text");
            Front::new(site, parts.domain.chain_id(), secret)
        });
        Ok(Arc::new(Self {
            reference: parts.reference,
            limits,
            front: front.transpose()?,
            resolver: Resolver::default(),
            pool: parts.pool,
            clock: parts.clock,
            chain: parts.chain,
            domain: parts.domain,
            final_depth: parts.final_depth,
            first_block: parts.first_block,
            vouch_after_secs: parts.vouch_after_secs,
            rights_requests: parts.rights_requests,
            receipt_key: parts.receipt_key,
            key_record: parts.key_record,
            live,
            commit_accepted: Arc::new(Notify::new()),
            allow_private_webhooks: parts.allow_private_webhooks,
            release_lookups: Semaphore::new(RELEASE_LOOKUPS),
            refusals: Arc::default(),
            metrics: parts.metrics,
            health: Health::default(),
        }))
    }

    /// Whether heartbeats and requests for leases may be taken, and liveness recorded: our clock can be believed, and
    /// our receipts will be.
    pub(crate) fn may_count(&self) -> ApiResult<()> {
        self.reference.may_count(&self.clock)?;
        self.key_record.counts(self.clock.now())
    }

    /// Reads when our receipt key counts.
    pub(crate) async fn read_key_record(&self) -> Result<(), ChainError> {
        let (registry, key) = (self.domain.verifying_contract(), self.receipt_key.address());
        self.key_record.read(&self.chain, registry, key).await
    }

    /// The chain's own time, which decides whether a root is active; read once in a moment for all
    /// requests. While the chain cannot be read, its last known time: a root that was active still is.
    pub(crate) async fn chain_secs(&self) -> ApiResult<u64> {
        let now = self.clock.now();
        let read = async {
            let secs = self.chain.latest_block().await?.secs;
            self.chain.recheck_chain().await?;
            ApiResult::Ok(secs)
        };
        let head = &self.live.chain.head_secs;
        let read = head.get_or_read((), now, read).await;
        read.or_else(|error| head.last(()).ok_or(error))
    }
}

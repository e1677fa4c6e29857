//! A world to test in: a chain, a database, a clock that only tests move, and replicas of the
//! backend on real sockets. No job runs by itself: a test calls its tick.

pub(crate) mod books;
pub(crate) mod browser;
pub(crate) mod node;
pub(crate) mod receiver;
pub(crate) mod wire;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use nodesys_chain::Provider;
use nodesys_chain::bindings::NodeLicense;
use nodesys_clock::{Clock, ClockServer};
use nodesys_core::api::{LeaseView, Problem};
use nodesys_core::license::LicenseId;
use nodesys_core::message::{Domain, LeaseRequest, Signed};
use nodesys_core::signature::SigningKey;
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_sdk::client::{Client, Error};
use nodesys_service::listener::{self, Bounds};
use nodesys_service::network::Proxies;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use crate::heartbeat::{Alive, spawn_group_commit};
use crate::key_record::KeyRecord;
use crate::lease::{Expiry, Recheck};
use crate::lifecycle::Lifecycle;
use crate::notify::Notify;
use crate::periodic::Periodic as _;
use crate::preflight;
use crate::reference::Reference;
use crate::root::{PostLimits, Poster};
use crate::router::router;
use crate::state::{App, AppState, Parts};
use crate::uptime::Close;
pub(crate) use node::Node;
use nodesys_testing::anvil::CHAIN_ID;
use nodesys_testing::chain::{Chain, DAY, poster_key, receipt_key};
use wire::Wire;

/// When the clock starts: half an hour after the chain, ten seconds into a minute.
pub(crate) const START: Timestamp =
    Timestamp::from_millis(DAY.start().millis() + 30 * 60_000 + 10_000);

/// Where people reach the replicas: a name that is no server's.
pub(crate) const SITE: &str = "https://nodes.example.org";

/// What a post may cost, as by default.
pub(crate) const LIMITS: PostLimits =
    PostLimits { gas: 500_000, gas_per_day: 2_000_000, fee_gwei: 500 };

/// A record that no test of other things ends.
fn for_ever() -> KeyRecord {
    KeyRecord::new(None, std::iter::once(0..u64::MAX).collect())
}

/// One running backend.
pub(crate) struct Replica {
    pub(crate) app: AppState,
    pub(crate) base: String,
    pub(crate) client: Client,
    pub(crate) alive: Alive,
    pub(crate) mirror: Recheck,
    lifecycle: Lifecycle,
    serving: Option<JoinHandle<()>>,
}

impl Replica {
    async fn start(parts: Parts) -> Self {
        let app = App::start(parts).await.unwrap();
        let lifecycle = Lifecycle::default();
        let alive = spawn_group_commit(&lifecycle, app.clone()).await.unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let routes = router(app.clone(), Arc::default());
        let stop = lifecycle.stop.clone();
        let bounds = Bounds::by_descriptors(Proxies::default());
        let serving = Some(tokio::spawn(listener::serve(listener, routes, bounds, stop)));
        let client = Client::new(&base).unwrap();
        let mirror = Recheck::new(app.clone());
        Self { app, base, client, alive, mirror, lifecycle, serving }
    }

    /// Stops it like a signal.
    pub(crate) async fn stop(mut self) {
        self.lifecycle.stop.cancel();
        self.serving.take().unwrap().await.unwrap();
        assert!(self.lifecycle.finish().await);
    }

    pub(crate) fn poster(&self) -> Poster {
        self.poster_within(LIMITS)
    }

    pub(crate) fn poster_within(&self, limits: PostLimits) -> Poster {
        Poster::new(self.app.clone(), poster_key(), limits)
    }

    pub(crate) async fn close(&self) {
        Close::new(self.app.clone()).tick().await.unwrap();
    }

    pub(crate) async fn close_or_not(&self) -> anyhow::Result<()> {
        Close::new(self.app.clone()).tick().await
    }

    pub(crate) async fn expire_or_not(&self) -> anyhow::Result<()> {
        Expiry::new(self.app.clone()).tick().await
    }

    pub(crate) async fn notify(&self) {
        Notify::new(self.app.clone()).tick().await.unwrap();
    }

    pub(crate) async fn expire(&self) {
        Expiry::new(self.app.clone()).tick().await.unwrap();
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.lifecycle.stop.cancel();
        self.lifecycle.served.cancel();
    }
}

/// Everything a test needs, with one replica running.
pub(crate) struct World {
    pub(crate) chain: Chain,
    /// From every replica to the chain.
    pub(crate) wire: Wire,
    pub(crate) pool: PgPool,
    pub(crate) replica: Replica,
    clock: ClockServer,
    observer: Clock,
    challenge_secret: Zeroizing<[u8; 32]>,
}

impl World {
    /// The project's licenses are in the mirror.
    pub(crate) async fn new(pool: PgPool) -> Self {
        Self::with_queue(pool, 64).await
    }

    pub(crate) async fn with_queue(pool: PgPool, queue: usize) -> Self {
        let chain = Chain::start().await;
        let wire = Wire::to(chain.anvil.addr).await;
        let clock = ClockServer::start(START, Duration::from_secs(30)).await.unwrap();
        let observer = Clock::observer(clock.addr(), "test").await.unwrap();
        let provider = Provider::connect(&wire.url().parse().unwrap(), Some(CHAIN_ID)).await;
        let domain = Domain::new(CHAIN_ID, chain.registry);
        let challenge_secret = preflight::database(&pool, &domain).await.unwrap().challenge_secret;
        let parts = Parts {
            pool: pool.clone(),
            clock: observer.clone(),
            chain: provider.unwrap(),
            domain,
            final_depth: 0,
            first_block: 0,
            vouch_after_secs: 0,
            rights_requests: 1_200,
            receipt_key: receipt_key(),
            key_record: for_ever(),
            challenge_secret: challenge_secret.clone(),
            queue,
            allow_private_webhooks: true,
            proxies: Proxies::default(),
            public_url: Some(SITE.parse().unwrap()),
            reference: Reference::new(Some(observer.clone()), 2_000),
            metrics: PrometheusBuilder::new().build_recorder().handle(),
        };
        let mut replica = Replica::start(parts).await;
        replica.mirror.tick().await.unwrap();
        Self { chain, wire, pool, replica, clock, observer, challenge_secret }
    }

    /// Another replica on the same database, with a pool of its own.
    pub(crate) async fn another(&self) -> Replica {
        self.with_pool(8).await
    }

    pub(crate) async fn with_pool(&self, connections: u32) -> Replica {
        let options = (*self.pool.connect_options()).clone();
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_secs(2))
            .connect_with(options)
            .await
            .unwrap();
        Replica::start(self.parts(pool)).await
    }

    /// A replica at which nobody signs in.
    pub(crate) async fn without_login(&self) -> Replica {
        let parts = self.parts(self.pool.clone());
        Replica::start(Parts { public_url: None, ..parts }).await
    }

    /// A replica that lets webhooks lead to the public internet only, as one does by default.
    pub(crate) async fn guarded(&self) -> Replica {
        let parts = self.parts(self.pool.clone());
        Replica::start(Parts { allow_private_webhooks: false, ..parts }).await
    }

    /// A replica that reads each page again after ten minutes.
    pub(crate) async fn that_vouches(&self) -> Replica {
        let parts = self.parts(self.pool.clone());
        Replica::start(Parts { vouch_after_secs: 600, ..parts }).await
    }

    /// A replica that may make so many requests a minute to check all leases.
    pub(crate) async fn that_checks_slowly(&self, rights_requests: usize) -> Replica {
        let parts = self.parts(self.pool.clone());
        Replica::start(Parts { rights_requests, ..parts }).await
    }

    /// A replica that believes a proxy on this machine about its client.
    pub(crate) async fn behind_a_proxy(&self) -> Replica {
        let parts = self.parts(self.pool.clone());
        let proxies = Proxies(vec!["127.0.0.0/8".parse().unwrap()]);
        Replica::start(Parts { proxies, ..parts }).await
    }

    /// A replica whose clock can be moved, beside the others'.
    pub(crate) async fn with_a_clock_of_its_own(&self) -> (Replica, Arc<AtomicI64>) {
        let (clock, ahead_millis) = self.observer.movable();
        let parts = self.parts(self.pool.clone());
        (Replica::start(Parts { clock, ..parts }).await, ahead_millis)
    }

    /// A replica with another receipt key, as far as it may start.
    pub(crate) async fn with_receipt_key(
        &self,
        receipt_key: SigningKey,
    ) -> anyhow::Result<Replica> {
        let parts = self.parts(self.pool.clone());
        let (chain, domain) = (&parts.chain, &parts.domain);
        let key_record =
            preflight::receipt_key(chain, domain, receipt_key.address(), 0, self.now()).await?;
        Ok(Replica::start(Parts { receipt_key, key_record, ..parts }).await)
    }

    fn parts(&self, pool: PgPool) -> Parts {
        let app = &self.replica.app;
        Parts {
            pool,
            clock: app.clock.clone(),
            chain: app.chain.clone(),
            domain: app.domain,
            final_depth: app.final_depth,
            first_block: app.first_block,
            vouch_after_secs: app.vouch_after_secs,
            rights_requests: app.rights_requests,
            receipt_key: receipt_key(),
            key_record: for_ever(),
            challenge_secret: self.challenge_secret.clone(),
            queue: 64,
            allow_private_webhooks: true,
            proxies: app.limits.proxies().clone(),
            public_url: Some(SITE.parse().unwrap()),
            reference: Reference::new(Some(self.observer.clone()), 2_000),
            metrics: PrometheusBuilder::new().build_recorder().handle(),
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.replica.client
    }

    pub(crate) fn domain(&self) -> &Domain {
        &self.replica.app.domain
    }

    /// Where a program follows the clock.
    pub(crate) const fn clock_addr(&self) -> SocketAddr {
        self.clock.addr()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.observer.now()
    }

    /// Advances the clock and the chain's time, and makes all blocks final.
    pub(crate) async fn go(&self, to: Timestamp) {
        self.go_without_chain(to).await;
        if self.chain.provider.latest_block().await.unwrap().secs < to.secs() {
            self.chain.mine_at(to.secs()).await;
        }
        self.chain.finalize().await;
    }

    /// Advances the clock.
    pub(crate) async fn go_without_chain(&self, to: Timestamp) {
        let nothing = async |_| Ok::<_, String>(());
        self.clock.run_until(to, nothing).await.unwrap();
        soon("the clock's step", async {
            while self.observer.now() < to {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Advances the clock minute by minute; the replica records that it is alive in each.
    pub(crate) async fn live(&mut self, minutes: u64) {
        for _ in 0..minutes {
            self.go_without_chain(self.now().minute().next().start()).await;
            self.replica.alive.tick().await.unwrap();
        }
    }

    /// Ends the day, closes it, and lets the mirror see the chain past it.
    pub(crate) async fn close_day(&mut self, day: UtcDay) {
        self.go(day.end().plus_millis(61 * 60_000)).await;
        self.replica.alive.tick().await.unwrap();
        self.replica.mirror.tick().await.unwrap();
        self.replica.close().await;
        assert!(self.client().day(day).await.unwrap().closed.is_some());
    }

    /// Sells a license on chain, in a block that is not final yet.
    pub(crate) async fn sell(&self, license: &LicenseId, from: &SigningKey, to: &SigningKey) {
        let collection = NodeLicense::new(license.collection, self.chain.provider.rpc());
        let call = collection.transferFrom(from.address(), to.address(), license.token_id);
        self.chain.send(from.address(), call.into_transaction_request()).await;
    }

    /// A node of this operator, authorised.
    pub(crate) async fn node(&self, operator: &SigningKey, number: u8) -> Node {
        let node = Node::new(operator, number);
        self.client().authorize_node(&node.authorization(self, 1)).await.unwrap();
        node
    }

    pub(crate) fn lease_request(&self, node: &Node, license: &LicenseId) -> Signed<LeaseRequest> {
        let request = LeaseRequest {
            node_key: node.address(),
            license: license.hash(),
            nonce: self.now().millis() + node.next_number(),
        };
        Signed::new(request, self.domain(), &node.key)
    }

    pub(crate) async fn lease(&self, node: &Node, license: &LicenseId) -> LeaseView {
        self.client().request_lease(&self.lease_request(node, license)).await.unwrap()
    }

    /// Every row of every table, as text.
    pub(crate) async fn rows(&self) -> BTreeMap<String, String> {
        let tables: Vec<String> = sqlx::query_scalar(
            "select relname::text from pg_class
             where relkind in ('r', 'p') and not relispartition
               and relnamespace = 'public'::regnamespace",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap();
        let mut rows = BTreeMap::new();
        for table in tables {
            let text = format!(
                "select coalesce(string_agg(t::text, E'\\n' order by t::text), '') from {table} t"
            );
            let text = sqlx::query_scalar(sqlx::AssertSqlSafe(text)).fetch_one(&self.pool).await;
            rows.insert(table, text.unwrap());
        }
        rows
    }

    /// Awaits a refusal with this code, and that it changed no row.
    pub(crate) async fn refused<T: Debug>(
        &self,
        code: &str,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Problem {
        let before = self.rows().await;
        let refusal = problem(request.await);
        assert_eq!(refusal.code, code, "{refusal:?}");
        assert_eq!(self.rows().await, before, "a refused request changed the database");
        refusal
    }

    /// Sends these bytes as JSON.
    pub(crate) async fn post_raw(&self, route: &str, body: impl Into<String>) -> Answer {
        let request = reqwest::Client::new()
            .post(format!("{}{route}", self.replica.base))
            .header("content-type", "application/json")
            .body(body.into());
        Answer::of(request.send().await.unwrap()).await
    }

    pub(crate) async fn get_raw(&self, route: &str) -> Answer {
        Answer::of(reqwest::get(format!("{}{route}", self.replica.base)).await.unwrap()).await
    }
}

/// Waits for a value that must arrive soon.
pub(crate) async fn soon<T>(what: &str, waiting: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(Duration::from_secs(30), waiting).await;
    waited.unwrap_or_else(|_| panic!("waited for 30 s: {what}"))
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn of(response: reqwest::Response) -> Self {
        let header = |name: &str| {
            response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        Self {
            status: response.status().as_u16(),
            content_type: header("content-type").unwrap_or_default(),
            retry_after: header("retry-after"),
            body: response.text().await.unwrap(),
        }
    }

    /// The body of a request that was answered.
    pub(crate) fn read<T: serde::de::DeserializeOwned>(&self) -> T {
        assert_eq!(self.status, 200, "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn problem(&self) -> Problem {
        assert_eq!(self.content_type, "application/problem+json", "{self:?}");
        let problem: Problem = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem.status, self.status);
        problem
    }
}

/// The problem document of a refusal.
pub(crate) fn problem<T: Debug>(result: Result<T, Error>) -> Problem {
    match result {
        Err(Error::Problem(problem)) => *problem,
        other => panic!("expected a problem document, got {other:?}"),
    }
}

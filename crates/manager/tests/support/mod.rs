//! A backend with the routes a manager uses and real signatures, which can misbehave on demand; and
//! a node on a stepped clock in front of it.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use nodesys_clock::{Clock, ClockServer};
use nodesys_core::api::{
    LeaseState, LeaseView, LineResult, Network, Problem, Receipt, Session, SessionRequest,
};
use nodesys_core::ids::{Fence, LicenseIndex};
use nodesys_core::license::LicenseId;
use nodesys_core::merkle::MerkleTree;
use nodesys_core::message::{
    Accepted, Domain, Heartbeat, LeaseRequest, Message as _, ReceiptBatch, Signed, Status,
};
use nodesys_core::time::{Minute, Timestamp};
use nodesys_core::{Address, B256, U256};
use nodesys_manager::Running;
use nodesys_manager::config::{HealthToken, Settings, Workload};
use nodesys_manager::receipts::KeptReceipt;
use nodesys_testing::key;
use nodesys_testing::server::Server;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub const CHAIN_ID: u64 = 31_337;
pub const REGISTRY: Address = Address::repeat_byte(0x5f);
pub const TOKEN: &str = "alpha-0123456789abcdef";
/// 2026-01-01, two minutes before midnight.
pub const START: Timestamp = Timestamp::from_secs(20_455 * 86_400 - 120);

pub fn domain() -> Domain {
    Domain::new(CHAIN_ID, REGISTRY)
}

pub fn license() -> LicenseId {
    LicenseId {
        chain_id: CHAIN_ID,
        collection: Address::repeat_byte(0xa1),
        token_id: U256::from(1),
    }
}

/// The backend's fault at its next heartbeat.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Says that the lease has gone to another node.
    LeaseLost,
    /// Credits another line than it signed for.
    Tamper,
    /// Signs with a key that is not the receipt key.
    WrongKey,
    /// Forgets the secret its challenges are made with.
    ForgetSecret,
    /// Stores the heartbeat, and a proxy between loses the answer.
    LoseAnswer,
    /// Has seen higher numbers.
    SeqStale,
}

pub struct World {
    pub faults: VecDeque<Fault>,
    /// Every heartbeat answered with a receipt, and its credit.
    pub accepted: Vec<(Heartbeat, u64)>,
    pub refused: Vec<&'static str>,
    pub lease_nonces: Vec<u64>,
    pub fence: u64,
    pub network: Network,
    /// Whether another node holds the lease.
    pub leased_elsewhere: bool,
    /// The backend's clock minus the node's.
    pub ahead_millis: u64,
    secret: u8,
    last_seq: u64,
}

/// The backend; it can be stopped and restarted at the same address.
pub struct Backend {
    pub world: Arc<Mutex<World>>,
    server: Server,
}

type Shared = (Arc<Mutex<World>>, Arc<ClockServer>);

impl Backend {
    fn start(clock: Arc<ClockServer>) -> Self {
        let world = World {
            faults: VecDeque::new(),
            accepted: Vec::new(),
            refused: Vec::new(),
            lease_nonces: Vec::new(),
            fence: 1,
            network: Network {
                chain_id: CHAIN_ID,
                registry: REGISTRY,
                receipt_key: key(2).address(),
                version: "test".to_owned(),
                now_millis: 0,
            },
            leased_elsewhere: false,
            ahead_millis: 0,
            secret: 1,
            last_seq: 0,
        };
        let world = Arc::new(Mutex::new(world));
        let routes = Router::new()
            .route("/v1/network", get(network))
            .route("/v1/sessions", post(session))
            .route("/v1/leases", post(lease))
            .route("/v1/heartbeats", post(heartbeat))
            .with_state((world.clone(), clock));
        Self { world, server: Server::start(routes) }
    }

    /// Ends every connection, as a process that dies does.
    pub fn down(&mut self) {
        self.server.down();
    }

    pub fn up(&mut self) {
        self.server.up();
    }

    pub const fn addr(&self) -> SocketAddr {
        self.server.addr
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }
}

async fn now(world: &Mutex<World>, clock: &ClockServer) -> Timestamp {
    let now = clock.now().await;
    now.plus_millis(world.lock().unwrap().ahead_millis)
}

fn challenge(secret: u8, node_key: Address, minute: Minute) -> B256 {
    let mut value = B256::repeat_byte(secret);
    value[..20].copy_from_slice(node_key.as_slice());
    value[24..].copy_from_slice(&minute.0.to_be_bytes());
    value
}

fn problem(world: &mut World, status: StatusCode, code: &'static str) -> Response {
    world.refused.push(code);
    let problem = Problem::new(status.as_u16(), code, "Refused", "by the test".to_owned());
    nodesys_service::problem::response(problem, None)
}

async fn network(State((world, _)): State<Shared>) -> Json<Network> {
    Json(world.lock().unwrap().network.clone())
}

async fn session(
    State((world, clock)): State<Shared>,
    Json(request): Json<SessionRequest>,
) -> Json<Session> {
    let now = now(&world, &clock).await;
    let secret = world.lock().unwrap().secret;
    let challenge = challenge(secret, request.node_key, now.minute());
    Json(Session { server_time_millis: now.millis(), challenge })
}

async fn lease(
    State((world, clock)): State<Shared>,
    Json(signed): Json<Signed<LeaseRequest>>,
) -> Response {
    let now = now(&world, &clock).await;
    let mut world = world.lock().unwrap();
    let request = signed.verify(&domain(), signed.message.node_key).unwrap();
    assert_eq!(request.license, license().hash());
    world.lease_nonces.push(request.nonce);
    let view = LeaseView {
        license: license(),
        license_hash: request.license,
        index: LicenseIndex(0),
        project: Address::repeat_byte(1),
        workload: "alpha".parse().unwrap(),
        node_key: request.node_key,
        state: if world.leased_elsewhere { LeaseState::Standby } else { LeaseState::Active },
        fence: Fence::checked_new(world.fence).unwrap(),
        granted_millis: now.millis(),
    };
    Json(view).into_response()
}

async fn heartbeat(
    State((world, clock)): State<Shared>,
    Json(signed): Json<Signed<Heartbeat>>,
) -> Response {
    let now = now(&world, &clock).await;
    let mut world = world.lock().unwrap();
    let fault = world.faults.pop_front();
    if fault == Some(Fault::ForgetSecret) {
        world.secret += 1;
    }
    let sent = signed.verify(&domain(), signed.message.node_key).unwrap().clone();
    if sent.minute != now.minute() {
        return problem(&mut world, StatusCode::CONFLICT, "wrong_minute");
    }
    let fresh = (sent.minute.0 - 2..=sent.minute.0)
        .any(|minute| challenge(world.secret, sent.node_key, Minute(minute)) == sent.challenge);
    if !fresh {
        return problem(&mut world, StatusCode::CONFLICT, "stale_challenge");
    }
    let repeat = world.accepted.last().is_some_and(|(last, _)| *last == sent);
    if !repeat && (sent.seq.get() <= world.last_seq || fault == Some(Fault::SeqStale)) {
        return problem(&mut world, StatusCode::CONFLICT, "seq_stale");
    }
    world.last_seq = sent.seq.get();
    if fault == Some(Fault::LeaseLost) {
        world.fence += 1;
    }
    let result = |line: &nodesys_core::message::LeaseStatus| {
        if line.fence.get() != world.fence {
            LineResult::LeaseLost
        } else if line.status == Status::Healthy {
            LineResult::Credited
        } else {
            LineResult::NotHealthy
        }
    };
    let results: Vec<LineResult> = sent.leases.iter().map(result).collect();
    let credited = u64::from(results.first() == Some(&LineResult::Credited));
    if !repeat {
        world.accepted.push((sent.clone(), credited));
    }
    if fault == Some(Fault::LoseAnswer) {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let next_challenge = challenge(world.secret, sent.node_key, sent.minute);
    let heartbeat_hash = sent.struct_hash();
    let (node_key, seq) = (sent.node_key, sent.seq);
    let mut accepted = Accepted { node_key, seq, heartbeat_hash, credited, next_challenge };
    let leaves = vec![B256::repeat_byte(7), accepted.struct_hash(), B256::repeat_byte(8)];
    let tree = MerkleTree::from_leaf_hashes(leaves);
    let batch =
        ReceiptBatch { minute: sent.minute, server_time_millis: now.millis(), root: tree.root() };
    let signer = if fault == Some(Fault::WrongKey) { key(3) } else { key(2) };
    let batch = Signed::new(batch, &domain(), &signer);
    if fault == Some(Fault::Tamper) {
        accepted.credited ^= 1;
    }
    Json(Receipt { batch, accepted, path: tree.path(1).unwrap(), results }).into_response()
}

/// A manager with one workload, on a stepped clock, in front of a [`Backend`].
pub struct Node {
    pub clock: Arc<ClockServer>,
    pub backend: Backend,
    pub home: TempDir,
    pub pinned: Option<Address>,
    running: Option<(Running, CancellationToken)>,
    workload: Option<tokio::task::JoinHandle<()>>,
    http: reqwest::Client,
}

impl Node {
    /// Everything but the manager.
    pub async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = ClockServer::start(START, Duration::from_secs(30)).await.unwrap();
        let clock = Arc::new(clock);
        Self {
            backend: Backend::start(clock.clone()),
            clock,
            home: tempfile::tempdir().unwrap(),
            pinned: Some(key(2).address()),
            running: None,
            workload: None,
            http: reqwest::Client::new(),
        }
    }

    /// A running node, its workload posting every 10 seconds.
    pub async fn running() -> Self {
        let mut node = Self::new().await;
        node.start().await;
        node.start_workload().await;
        node
    }

    pub async fn start(&mut self) {
        let settings = Settings {
            domain: domain(),
            backend: format!("http://{}", self.backend.addr()),
            receipt_key: self.pinned,
            node_key: key(1),
            state_dir: self.home.path().to_owned(),
            listen: "127.0.0.1:0".parse().unwrap(),
            clock: None,
            start_grace_secs: 120,
            workloads: vec![Workload {
                name: "alpha".parse().unwrap(),
                license: license(),
                token: Some(HealthToken::new(TOKEN).unwrap()),
            }],
            cluster: None,
        };
        let clock = Clock::stepped(self.clock.addr(), "manager").await.unwrap();
        let stop = CancellationToken::new();
        let running = nodesys_manager::start(settings, clock, stop.clone()).await.unwrap();
        self.running = Some((running, stop));
    }

    pub async fn stop(&mut self) {
        let (running, stop) = self.running.take().unwrap();
        stop.cancel();
        running.finished().await.unwrap();
    }

    pub async fn start_workload(&mut self) {
        let (url, http) = (self.url("/v1/health"), self.http.clone());
        let clock = Clock::stepped(self.clock.addr(), "workload").await.unwrap();
        let mut sleeper = clock.sleeper();
        self.workload = Some(tokio::spawn(async move {
            loop {
                let post = http.post(&url).bearer_auth(TOKEN);
                let body = serde_json::json!({"status": "healthy", "work": "5"});
                let status = post.json(&body).send().await.map(|answer| answer.status());
                assert_eq!(status.ok(), Some(StatusCode::NO_CONTENT));
                let next = sleeper.clock().now().secs() / 10 * 10 + 10;
                sleeper.sleep_until(Timestamp::from_secs(next)).await;
            }
        }));
    }

    pub async fn kill_workload(&mut self) {
        let workload = self.workload.take().unwrap();
        workload.abort();
        assert!(workload.await.unwrap_err().is_cancelled());
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.as_ref().unwrap().0.addr())
    }

    pub const fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Advances time to the end of the minute `minutes` later.
    pub async fn run(&self, minutes: u64) {
        let target = self.clock.now().await.plus_millis(minutes * 60_000);
        self.clock.run_until(target, async |_| Ok::<_, Infallible>(())).await.unwrap();
    }

    pub async fn status(&self) -> serde_json::Value {
        self.http.get(self.url("/v1/status")).send().await.unwrap().json().await.unwrap()
    }

    /// Minutes of the accepted heartbeats, counted from [`START`], and whether each was credited.
    pub fn accepted(&self) -> Vec<(u64, bool)> {
        let world = self.backend.world();
        let minute = |sent: &Heartbeat| sent.minute.0 - START.minute().0;
        world.accepted.iter().map(|(sent, credited)| (minute(sent), *credited == 1)).collect()
    }

    /// The receipts on disk, by day.
    pub fn kept(&self, day: &str) -> Vec<KeptReceipt> {
        let path: PathBuf = self.home.path().join(format!("receipts/{day}.ndjson"));
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

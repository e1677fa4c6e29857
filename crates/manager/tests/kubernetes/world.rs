//! A real Kubernetes API with its controllers, a real anvil with the registry, a server of releases,
//! and the manager between them, with no more rights than it has in production.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use alloy::providers::Provider as _;
use alloy::rpc::types::TransactionRequest;
use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::routing::get;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use kube::config::Kubeconfig;
use nodesys_chain::bindings::{DevToken, ProjectRegistry};
use nodesys_chain::release::announce_request;
use nodesys_chain::{Provider, RpcUrl};
use nodesys_clock::Clock;
use nodesys_core::license::LicenseId;
use nodesys_core::message::Domain;
use nodesys_core::release::Release;
use nodesys_core::signature::SigningKey;
use nodesys_core::{Address, U256, keccak256};
use nodesys_manager::Running;
use nodesys_manager::config::{ClusterSettings, Placement, Settings, Workload};
use nodesys_render::manager::{ManagerParts, manager_objects};
use nodesys_render::sandbox::Sandbox;
use nodesys_render::{Grant, MANAGER, MANAGER_NAMESPACE, Object, workload_namespace};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// The files of the server of releases, by path.
type Bodies = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

pub const HOUR: u64 = 3600;
const CHAIN_ID: u64 = 31_337;
/// The first of anvil's funded accounts ("test test test ... junk").
const FUNDED: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// Waits for a condition, and names it if it does not come true.
pub async fn wait_for<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    // Only an upper bound: on a busy machine everything takes its time.
    let secs = 600;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(secs), "not within {secs} s: {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The cluster of a test: its own, or the one of `NODESYS_KUBERNETES_DIR`, left running.
pub struct Cluster {
    pub client: kube::Client,
    kubeconfig: Kubeconfig,
    own: Option<TempDir>,
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test/kubernetes")
}

async fn client_of(file: Kubeconfig) -> kube::Client {
    let config = kube::Config::from_custom_kubeconfig(file, &Default::default()).await;
    kube::Client::try_from(config.unwrap()).unwrap()
}

impl Cluster {
    async fn up() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let shared = std::env::var_os("NODESYS_KUBERNETES_DIR").map(PathBuf::from);
        let own = shared.is_none().then(|| tempfile::tempdir().unwrap());
        let dir = shared.unwrap_or_else(|| own.as_ref().unwrap().path().join("cluster"));
        let mut up = Command::new(scripts().join("up"));
        if own.is_some() {
            up.arg("--until-exit").arg(std::process::id().to_string());
        }
        let said = up.arg("api").arg(&dir).stderr(Stdio::inherit()).output();
        let said = said.unwrap_or_else(|error| panic!("not run: test/kubernetes/up: {error}"));
        // Not green where it cannot run: the output above gives the reason.
        assert!(said.status.success(), "not run: test/kubernetes/up did not bring up a cluster");
        let told: Value = serde_json::from_slice(&said.stdout).unwrap();
        let kubeconfig = Kubeconfig::read_from(told["kubeconfig"].as_str().unwrap()).unwrap();
        let client = client_of(kubeconfig.clone()).await;
        Self { client, kubeconfig, own }
    }

    pub fn api(&self, object: &Object) -> Api<DynamicObject> {
        let (client, resource) = (self.client.clone(), object.resource());
        match object.namespace() {
            Some(namespace) => Api::namespaced_with(client, namespace, &resource),
            None => Api::all_with(client, &resource),
        }
    }

    /// Applies objects like the operator's command line.
    pub async fn apply(&self, objects: &[Object]) {
        for object in objects {
            let as_operator = PatchParams::apply("nodesys").force();
            let patch = Patch::Apply(object.manifest());
            let applied = self.api(object).patch(object.name(), &as_operator, &patch).await;
            applied.unwrap_or_else(|error| panic!("{object}: {error}"));
        }
    }

    /// A kubeconfig with the rights of the manager's service account and no others.
    async fn managers_kubeconfig(&self, into: &Path) -> PathBuf {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), MANAGER_NAMESPACE);
        let token = wait_for("the service account's token", async || {
            let all = secrets.list(&ListParams::default()).await.unwrap();
            let of_manager = all.items.into_iter().find(|secret| {
                let notes = secret.metadata.annotations.as_ref();
                notes.and_then(|it| it.get("kubernetes.io/service-account.name"))
                    == Some(&MANAGER.to_owned())
            })?;
            let token = of_manager.data?.remove("token")?;
            Some(String::from_utf8(token.0).unwrap())
        })
        .await;
        let mut config = serde_json::to_value(&self.kubeconfig).unwrap();
        for user in config["users"].as_array_mut().unwrap() {
            user["user"] = json!({ "token": token });
        }
        let path = into.join("manager.kubeconfig");
        std::fs::write(&path, config.to_string()).unwrap();
        path
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(own) = &self.own {
            let _ = Command::new(scripts().join("down"))
                .arg(own.path().join("cluster"))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
        }
    }
}

/// A chain with the registry and one project; the release delay is an hour.
pub struct Chain {
    anvil: Child,
    pub url: RpcUrl,
    pub provider: Provider,
    pub registry: Address,
    pub project: Address,
}

impl Chain {
    /// Chains of the same name have the same addresses.
    pub async fn start(name: &str) -> Self {
        let installed = "../../node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil";
        let binary = std::env::var_os("NODESYS_ANVIL")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(installed), PathBuf::from);
        let mut anvil = Command::new(binary)
            .args(["--port", "0", "--slots-in-an-epoch", "1"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines =
            std::io::BufRead::lines(std::io::BufReader::new(anvil.stdout.take().unwrap()));
        let address = lines
            .find_map(|line| Some(line.ok()?.strip_prefix("Listening on ")?.to_owned()))
            .unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        let url: RpcUrl = format!("http://{address}").parse().unwrap();
        let key = SigningKey::from_hex(FUNDED).unwrap();
        let provider = Provider::connect_with_key(&url, Some(CHAIN_ID), &key).await.unwrap();
        let owner = provider.sender().unwrap();
        let builder = DevToken::deploy_builder(provider.rpc(), "Dev".into(), "DEV".into(), owner);
        let token = deployed(&provider, builder.into_transaction_request()).await;
        let builder = ProjectRegistry::deploy_builder(provider.rpc(), owner);
        let registry = deployed(&provider, builder.into_transaction_request()).await;
        let bound = ProjectRegistry::new(registry, provider.rpc());
        let params = ProjectRegistry::ProjectParams {
            name: name.to_owned(),
            token,
            signer: owner,
            guardian: Address::ZERO,
            dailyQuota: 1,
            delay: 0,
            metadataURI: String::new(),
            claimsForContracts: false,
            userSalt: keccak256(name),
        };
        let project = bound.projectAddress(owner, params.clone()).call().await.unwrap();
        send(&provider, bound.reserveProject(project).into_transaction_request()).await;
        send(&provider, bound.createProject(params).into_transaction_request()).await;
        let call = bound.setReleaseKey(project, owner, HOUR);
        send(&provider, call.into_transaction_request()).await;
        Self { anvil, url, provider, registry, project }
    }

    pub async fn send(&self, request: TransactionRequest) {
        send(&self.provider, request).await;
    }

    /// Announces a release; it may run in an hour.
    pub async fn announce(&self, release: &Release) {
        let (workload, version) = (release.workload(), release.version().get());
        let hash = release.hash();
        self.send(announce_request(self.registry, self.project, workload, version, hash)).await;
    }

    /// Lets an hour pass.
    pub async fn pass_delay(&self) {
        let rpc = self.provider.rpc();
        let hour = [U256::from(HOUR)];
        let _: Value = rpc.raw_request("evm_increaseTime".into(), hour).await.unwrap();
        let _: Value = rpc.raw_request("evm_mine".into(), ()).await.unwrap();
    }

    /// Announces a release and lets its delay pass.
    pub async fn release(&self, release: &Release) {
        self.announce(release).await;
        self.pass_delay().await;
    }

    pub fn stop(&mut self) {
        self.anvil.kill().unwrap();
        self.anvil.wait().unwrap();
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        let _ = self.anvil.kill();
        let _ = self.anvil.wait();
    }
}

async fn send(provider: &Provider, request: TransactionRequest) {
    assert!(provider.send("sending", request).await.unwrap().status());
}

async fn deployed(provider: &Provider, request: TransactionRequest) -> Address {
    provider.send("deploying", request).await.unwrap().contract_address.unwrap()
}

/// Serves releases by their hash, like a backend, or other bytes as set.
pub struct Backend {
    pub url: String,
    pub bodies: Bodies,
    serving: tokio::task::JoinHandle<()>,
}

impl Backend {
    async fn start() -> Self {
        let bodies = Arc::new(Mutex::new(BTreeMap::<String, Vec<u8>>::new()));
        let routes = axum::Router::new()
            .route(
                "/v1/releases/{hash}",
                get(async |State(bodies): State<Bodies>, UrlPath(hash): UrlPath<String>| {
                    let body = bodies.lock().unwrap().get(&hash).cloned();
                    body.ok_or(StatusCode::NOT_FOUND)
                }),
            )
            .with_state(bodies.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, bodies, serving }
    }

    pub fn publish(&self, release: &Release) {
        let hash = release.hash().to_string();
        self.bodies.lock().unwrap().insert(hash, release.canonical());
    }

    pub fn stop(&self) {
        self.serving.abort();
    }
}

/// All of it.
pub struct World {
    pub cluster: Cluster,
    pub chain: Chain,
    pub backend: Backend,
    pub namespace: String,
    pub home: TempDir,
    pub grant: Grant,
    managers_kubeconfig: PathBuf,
    http: reqwest::Client,
}

/// A running manager.
pub struct Manager {
    running: Option<Running>,
    stop: CancellationToken,
    addr: std::net::SocketAddr,
}

/// A release of the test's workload.
pub fn release(version: u64, change: impl FnOnce(&mut Value)) -> Release {
    let mut value: Value =
        serde_json::from_str(include_str!("../../../core/schema/release.example.json")).unwrap();
    value["version"] = version.to_string().into();
    value["health"] = json!({ "by": "token" });
    value["update"] = json!({ "strategy": "recreate", "gate_secs": 10, "deadline_secs": 30 });
    change(&mut value);
    Release::parse(value.to_string().as_bytes()).unwrap()
}

impl World {
    /// Everything but a manager; the operator has added the workload of the project `name`.
    pub async fn new(name: &str) -> Self {
        let cluster = Cluster::up().await;
        let chain = Chain::start(name).await;
        let backend = Backend::start().await;
        let home = tempfile::tempdir().unwrap();
        let grant = Grant::of(&release(1, |_| ()));
        let key = Zeroizing::new("07".repeat(32));
        let rpc_urls = Zeroizing::new(String::new());
        let parts = ManagerParts {
            image: "nodesys.local/manager:none",
            config_json: "{}",
            node_key_hex: &key,
            rpc_urls: &rpc_urls,
        };
        cluster.apply(&manager_objects(&parts)).await;
        let managers_kubeconfig = cluster.managers_kubeconfig(home.path()).await;
        let workload = "render".parse().unwrap();
        let namespace = workload_namespace(chain.project, &workload);
        let world = Self {
            cluster,
            chain,
            backend,
            namespace,
            home,
            grant,
            managers_kubeconfig,
            http: reqwest::Client::new(),
        };
        world.cluster.apply(&world.sandbox()).await;
        world
    }

    /// The operator's objects of the workload.
    pub fn sandbox(&self) -> Vec<Object> {
        let workload = "render".parse().unwrap();
        let (project, grant) = (self.chain.project, &self.grant);
        Sandbox { project, workload: &workload, grant, local_ranges: &[] }.objects()
    }

    pub async fn manager(&self) -> Manager {
        self.manager_named("first", &[&self.chain.url]).await
    }

    pub async fn manager_named(&self, identity: &str, rpcs: &[&RpcUrl]) -> Manager {
        let collection = Address::repeat_byte(0xc0);
        let license = LicenseId { chain_id: CHAIN_ID, collection, token_id: U256::from(1) };
        let settings = Settings {
            domain: Domain::new(CHAIN_ID, self.chain.registry),
            backend: self.backend.url.clone(),
            receipt_key: None,
            node_key: SigningKey::from_bytes(&[7; 32]).unwrap(),
            state_dir: self.home.path().join(identity),
            listen: "127.0.0.1:0".parse().unwrap(),
            clock: None,
            start_grace_secs: 120,
            workloads: vec![Workload { name: "render".parse().unwrap(), license, token: None }],
            cluster: Some(ClusterSettings {
                kubeconfig: Some(self.managers_kubeconfig.clone()),
                rpcs: rpcs.iter().copied().cloned().collect(),
                manager_url: None,
                identity: identity.to_owned(),
                local_ranges: Vec::new(),
                placements: vec![Placement {
                    project: self.chain.project,
                    grant: self.grant.clone(),
                    release_urls: Vec::new(),
                }],
            }),
        };
        let stop = CancellationToken::new();
        let running =
            nodesys_manager::start(settings, Clock::system(), stop.clone()).await.unwrap();
        let addr = running.addr();
        Manager { running: Some(running), stop, addr }
    }

    /// A client with the manager's rights.
    pub async fn as_manager(&self) -> kube::Client {
        let file = Kubeconfig::read_from(&self.managers_kubeconfig).unwrap();
        client_of(file).await
    }

    pub fn namespaced<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.cluster.client.clone(), &self.namespace)
    }

    /// Plays the workload: reads its token like a pod, and posts that it is healthy.
    pub async fn post_healthy(&self, manager: &Manager, version: u64) -> StatusCode {
        let secret = self.namespaced::<Secret>().get("health-token").await.unwrap();
        let Some(token) = secret.data.and_then(|mut it| it.remove(&format!("release-{version}")))
        else {
            return StatusCode::UNAUTHORIZED;
        };
        let token = String::from_utf8(token.0).unwrap();
        let post = self.http.post(format!("http://{}/v1/health", manager.addr)).bearer_auth(token);
        post.json(&json!({ "status": "healthy" })).send().await.unwrap().status()
    }

    pub async fn get(&self, manager: &Manager, path: &str) -> (StatusCode, String) {
        let answer = self.http.get(format!("http://{}{path}", manager.addr)).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    /// The workload's part of the manager's status.
    pub async fn shown(&self, manager: &Manager) -> Value {
        let (_, text) = self.get(manager, "/v1/status").await;
        serde_json::from_str::<Value>(&text).unwrap()["workloads"][0].clone()
    }

    /// Waits for a condition of the status.
    pub async fn shows(&self, manager: &Manager, pointer: &str, holds: &str) -> Value {
        wait_for(&format!("{pointer} {holds:?}"), async || {
            let shown = self.shown(manager).await;
            let found = shown.pointer(pointer).cloned().unwrap_or(Value::Null);
            let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
            text.contains(holds).then_some(shown)
        })
        .await
    }

    /// The reasons of the events in the workload's namespace.
    pub async fn events(&self) -> Vec<String> {
        let events = self.namespaced::<k8s_openapi::api::core::v1::Event>();
        let all = events.list(&ListParams::default()).await.unwrap();
        let ours = all.items.into_iter().filter(|event| {
            event.reporting_component.as_deref() == Some("nodesys-manager")
                || event.source.as_ref().and_then(|it| it.component.as_deref())
                    == Some("nodesys-manager")
        });
        ours.filter_map(|event| event.reason).collect()
    }
}

impl Manager {
    /// Makes it check at once.
    pub fn wake(&self) {
        self.running.as_ref().unwrap().wake().notify_one();
    }

    pub async fn stop(mut self) {
        self.stop.cancel();
        self.running.take().unwrap().finished().await.unwrap();
    }

    /// Waits until it ends by itself; returns the reason.
    pub async fn ended(mut self) -> anyhow::Error {
        self.running.take().unwrap().finished().await.unwrap_err()
    }
}

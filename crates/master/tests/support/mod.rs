//! A real master process in front of real parts: anvil with our contracts and one project, the
//! Postgres of the test, a stepped clock. Only the backend is a stand-in, with the routes that the
//! master calls, so that tests set its answers and stop it.

#![allow(dead_code, reason = "each test and bench uses its part")]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

pub mod chain;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path as UrlPath, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use nodesys_core::api::{LeaseState, LeaseView, Problem};
use nodesys_core::ids::{Fence, LicenseIndex};
use nodesys_core::license::LicenseId;
use nodesys_core::message::{Domain, Signed, WorkloadTicket};
use nodesys_core::signature::SigningKey;
use nodesys_core::ticket::{Origin, TicketText};
use nodesys_core::uptime::ClosedUptime;
use nodesys_core::{Address, B256, U256};
use serde_json::{Value, json};
use tempfile::TempDir;

use chain::{Chain, signer};

pub const PUBLIC_URL: &str = "https://tasks.example.org";

type Leases = Arc<Mutex<HashMap<B256, LeaseView>>>;

/// A closed day: its `uptime.csv` and the backend's signature.
pub type Closed = Arc<Mutex<Option<(String, ClosedUptime)>>>;
type Downloads = Arc<AtomicUsize>;

/// The backend's `GET /v1/leases/{license}` and `/v1/uptime`, at a fixed address.
pub struct Backend {
    pub addr: SocketAddr,
    pub leases: Leases,
    pub closed: Closed,
    /// How often `uptime.csv` was fetched.
    downloads: Downloads,
    serving: Option<tokio::runtime::Runtime>,
}

impl Backend {
    fn start() -> Self {
        let addr = "127.0.0.1:0".parse().unwrap();
        let mut backend = Self {
            addr,
            leases: Leases::default(),
            closed: Closed::default(),
            downloads: Downloads::default(),
            serving: None,
        };
        backend.up();
        backend
    }

    pub fn up(&mut self) {
        let listener = std::net::TcpListener::bind(self.addr).unwrap();
        self.addr = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let routes =
            Router::new().route("/v1/leases/{license}", get(lease)).with_state(self.leases.clone());
        let uptime = Router::new()
            .route("/v1/uptime/{project}/{day}", get(uptime_csv))
            .route("/v1/uptime/{project}/{day}/closed", get(closed_uptime));
        let state = (self.closed.clone(), self.downloads.clone());
        let routes = routes.merge(uptime.with_state(state));
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, routes).await.unwrap();
        });
        self.serving = Some(runtime);
    }

    /// Number of fetches of `uptime.csv` since the last call.
    pub fn take_downloads(&self) -> usize {
        self.downloads.swap(0, Ordering::Relaxed)
    }

    /// Ends every connection, like a dying process.
    pub fn down(&mut self) {
        self.serving.take().unwrap().shutdown_background();
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if let Some(runtime) = self.serving.take() {
            runtime.shutdown_background();
        }
    }
}

async fn uptime_csv(State((closed, downloads)): State<(Closed, Downloads)>) -> String {
    downloads.fetch_add(1, Ordering::Relaxed);
    closed.lock().unwrap().as_ref().unwrap().0.clone()
}

async fn closed_uptime(State((closed, _)): State<(Closed, Downloads)>) -> Json<ClosedUptime> {
    Json(closed.lock().unwrap().as_ref().unwrap().1.clone())
}

async fn lease(State(leases): State<Leases>, UrlPath(license): UrlPath<B256>) -> Response {
    if let Some(view) = leases.lock().unwrap().get(&license) {
        return Json(view).into_response();
    }
    let problem = Problem {
        kind: "urn:nodesys:problem:unknown_license".to_owned(),
        title: "No such license".to_owned(),
        status: 404,
        detail: "by the test".to_owned(),
        code: "unknown_license".to_owned(),
        difference: None,
    };
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    (StatusCode::NOT_FOUND, kind, Json(problem)).into_response()
}

/// A node that holds a license's lease, as far as it knows.
pub struct Holder {
    pub license: LicenseId,
    pub key: SigningKey,
    pub fence: u64,
}

/// Everything but the masters.
pub struct World {
    pub chain: Chain,
    pub backend: Backend,
    pub home: TempDir,
    pub http: reqwest::Client,
    database_url: String,
}

impl World {
    pub async fn start(database_url: String) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let chain = Chain::start().await;
        let home = tempfile::tempdir().unwrap();
        let keystore = home.path().join("signer.json");
        nodesys_chain::keystore::create(&keystore, &signer(), "password").unwrap();
        std::fs::write(home.path().join("password"), "password\n").unwrap();
        let terms = json!({
            "day_reward": "1000",
            "rule": {
                "name": "uptime_tasks", "rate": "1440", "per_task": "10", "max_tasks": 100_000,
                "minimum_uptime_ppm": 0,
            },
            "beneficiary": "renter",
            "excluded": [],
        });
        std::fs::write(home.path().join("terms.json"), terms.to_string()).unwrap();
        Self { chain, backend: Backend::start(), home, http: reqwest::Client::new(), database_url }
    }

    /// Makes the backend claim that a node of its own holds the license of one of the project's
    /// tokens.
    pub fn holder(&self, token: u64) -> Holder {
        let license = LicenseId {
            chain_id: chain::CHAIN_ID,
            collection: self.chain.alpha,
            token_id: U256::from(token),
        };
        let mut bytes = [7; 32];
        bytes[24..].copy_from_slice(&token.to_be_bytes());
        let key = SigningKey::from_bytes(&bytes).unwrap();
        let holder = Holder { license, key, fence: 1 };
        self.grant(&holder);
        holder
    }

    pub fn grant(&self, holder: &Holder) {
        let view = LeaseView {
            license: holder.license,
            license_hash: holder.license.hash(),
            index: LicenseIndex(0),
            project: self.chain.distributor,
            workload: "beta".parse().unwrap(),
            node_key: holder.key.address(),
            state: LeaseState::Active,
            fence: Fence::checked_new(holder.fence).unwrap(),
            granted_millis: 0,
        };
        self.backend.leases.lock().unwrap().insert(view.license_hash, view);
    }

    /// A ticket, signed like a node's manager does.
    pub fn ticket(&self, holder: &Holder, not_after: u64) -> String {
        self.ticket_for(holder, self.chain.distributor, PUBLIC_URL, not_after)
    }

    pub fn ticket_for(
        &self,
        holder: &Holder,
        project: Address,
        audience: &str,
        not_after: u64,
    ) -> String {
        let ticket = WorkloadTicket {
            project,
            license: holder.license.hash(),
            fence: Fence::checked_new(holder.fence).unwrap(),
            audience: audience.parse::<Origin>().unwrap().audience(),
            not_after,
        };
        let domain = Domain::new(chain::CHAIN_ID, self.chain.registry);
        TicketText(Signed::new(ticket, &domain, &holder.key)).to_string()
    }

    /// The settings of every master command, as flags.
    pub fn flags(&self) -> Vec<String> {
        let home = |name: &str| self.home.path().join(name).display().to_string();
        let flags = [
            ("--backend", format!("http://{}", self.backend.addr)),
            ("--rpc", self.chain.url()),
            ("--chain-id", chain::CHAIN_ID.to_string()),
            ("--registry", self.chain.registry.to_string()),
            ("--project", "acme".to_owned()),
            ("--terms", home("terms.json")),
            ("--bundles", home("bundles")),
            ("--signer-keystore", home("signer.json")),
            ("--signer-password-file", home("password")),
            ("--database-url", self.database_url.clone()),
        ];
        flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
    }

    /// A master command; its output as JSON.
    pub fn command(&self, arguments: &[&str], input: &str) -> (bool, String) {
        use std::io::Write as _;
        let mut child = Command::new(env!("CARGO_BIN_EXE_nodesys-master"))
            .args(arguments)
            .args(self.flags())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that refuses early closes its input.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            (true, text(&output.stdout))
        } else {
            (false, text(&output.stderr))
        }
    }

    pub fn add(&self, lines: &str) -> Value {
        let (good, text) = self.command(&["task", "add", "-", "-o", "json"], lines);
        assert!(good, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    pub async fn master(&self, name: &str, clock: Option<SocketAddr>) -> Master {
        let ready = self.home.path().join(format!("{name}.ready"));
        let _ = std::fs::remove_file(&ready);
        let log_path = self.home.path().join(format!("{name}.log"));
        let log = std::fs::File::options().create(true).append(true).open(&log_path).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_nodesys-master"));
        command.arg("serve").args(self.flags()).args(["--listen", "127.0.0.1:0"]);
        command.args(["--public-url", PUBLIC_URL, "--ready-file"]).arg(&ready);
        if let Some(clock) = clock {
            command.args(["--clock", &clock.to_string()]);
        }
        let mut child = command.stderr(log).spawn().unwrap();
        let addr = wait_ready(&mut child, &ready, &log_path).await;
        Master { child, url: format!("http://{addr}"), http: self.http.clone() }
    }
}

#[expect(clippy::disallowed_methods, reason = "waits for another process, not for a time")]
async fn wait_ready(child: &mut Child, ready: &Path, log: &Path) -> String {
    for _ in 0..3000 {
        if let Ok(text) = std::fs::read_to_string(ready) {
            let ready: Value = serde_json::from_str(&text).unwrap();
            return ready["addr"].as_str().unwrap().to_owned();
        }
        if let Some(status) = child.try_wait().unwrap() {
            panic!("the master ended: {status}\n{}", std::fs::read_to_string(log).unwrap());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the master is not ready:\n{}", std::fs::read_to_string(log).unwrap());
}

/// A master process.
pub struct Master {
    child: Child,
    pub url: String,
    http: reqwest::Client,
}

/// An answer: its status, its problem's code, its body.
pub struct Answer {
    pub status: u16,
    pub code: String,
    pub body: Value,
}

impl Master {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub async fn post(&self, path: &str, ticket: Option<&str>, body: reqwest::Body) -> Answer {
        self.try_post(path, ticket, body).await.unwrap()
    }

    pub async fn try_post(
        &self,
        path: &str,
        ticket: Option<&str>,
        body: reqwest::Body,
    ) -> reqwest::Result<Answer> {
        post(&self.http, &format!("{}{path}", self.url), ticket, body).await
    }

    pub async fn lease(&self, ticket: &str, max: u16) -> Vec<Value> {
        let body = json!({ "max": max }).to_string();
        let answer = self.post("/v1/tasks/lease", Some(ticket), body.into()).await;
        assert_eq!(answer.status, 200, "{} {}", answer.code, answer.body);
        answer.body["tasks"].as_array().unwrap().clone()
    }

    pub async fn report(&self, ticket: &str, task: &Value, output: &Value) -> Answer {
        let path = format!("/v1/tasks/{}/result", task["id"].as_str().unwrap());
        let body = json!({ "output": output }).to_string();
        self.post(&path, Some(ticket), body.into()).await
    }
}

/// One request.
pub async fn post(
    http: &reqwest::Client,
    url: &str,
    ticket: Option<&str>,
    body: reqwest::Body,
) -> reqwest::Result<Answer> {
    let mut request = http.post(url).body(body);
    if let Some(ticket) = ticket {
        request = request.bearer_auth(ticket);
    }
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    let kind = answer.headers().get(header::CONTENT_TYPE).cloned();
    let text = answer.text().await?;
    let body: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    if status != 200 {
        assert_eq!(kind.unwrap(), "application/problem+json", "{body}");
        assert_eq!(body["status"], status);
        assert_eq!(body["type"], format!("urn:nodesys:problem:{}", body["code"].as_str().unwrap()));
        assert!(body["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{body}");
    }
    let code = body["code"].as_str().unwrap_or_default().to_owned();
    Ok(Answer { status, code, body })
}

/// One request, retried while the answer is to try later, as on an overloaded machine.
pub async fn post_patiently(
    http: &reqwest::Client,
    url: &str,
    ticket: &str,
    body: &Value,
) -> reqwest::Result<Value> {
    for _ in 0..100 {
        let answer = post(http, url, Some(ticket), body.to_string().into()).await?;
        if answer.status != 503 {
            assert_eq!(answer.status, 200, "{}", answer.body);
            return Ok(answer.body);
        }
    }
    panic!("{url}: a hundred times 503");
}

impl Drop for Master {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

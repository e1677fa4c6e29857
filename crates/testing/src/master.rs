//! A real master process in front of real parts: anvil with our contracts and one project, the
//! Postgres of the test, a stepped clock. Only the backend is a stand-in, with the routes that the
//! master calls, so that tests set its answers and stop it.

mod backend;

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::http::header;
use nodesys_core::api::{LeaseState, LeaseView, Problem};
use nodesys_core::ids::{Fence, LicenseIndex};
use nodesys_core::license::LicenseId;
use nodesys_core::message::{Domain, Signed, WorkloadTicket};
use nodesys_core::signature::SigningKey;
use nodesys_core::ticket::{Origin, TicketText};
use nodesys_core::{Address, U256};
use nodesys_service::ready::Ready;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::anvil::CHAIN_ID;
use crate::chain::{Chain, signer};
use crate::program::built;
pub use backend::Backend;

/// Where workloads are told that the master is.
pub const PUBLIC_URL: &str = "https://tasks.example.org";

/// A node that holds a license's lease, as far as it knows.
pub struct Holder {
    /// The license.
    pub license: LicenseId,
    /// The node's key.
    pub key: SigningKey,
    /// The lease's number.
    pub fence: u64,
}

/// Everything but the masters.
pub struct World {
    /// The chain with the project.
    pub chain: Chain,
    /// The stand-in for the backend.
    pub backend: Backend,
    /// Files of the masters.
    pub home: TempDir,
    /// For requests to the masters.
    pub http: reqwest::Client,
    database_url: String,
}

impl World {
    /// Starts it.
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
            chain_id: CHAIN_ID,
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

    /// Lets the backend say so.
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

    /// The same for any project and audience.
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
        let domain = Domain::new(CHAIN_ID, self.chain.registry);
        TicketText(Signed::new(ticket, &domain, &holder.key)).to_string()
    }

    /// The settings of every master command, as flags.
    pub fn flags(&self) -> Vec<String> {
        let home = |name: &str| self.home.path().join(name).display().to_string();
        let flags = [
            ("--backend", format!("http://{}", self.backend.addr())),
            ("--rpc", format!("{}/?key=SECRET", self.chain.anvil.url)),
            ("--chain-id", CHAIN_ID.to_string()),
            ("--registry", self.chain.registry.to_string()),
            ("--project", "acme".to_owned()),
            ("--terms", home("terms.json")),
            ("--bundles", home("bundles")),
            ("--transactions", home("transactions")),
            ("--signer-keystore", home("signer.json")),
            ("--signer-password-file", home("password")),
            ("--database-url", self.database_url.clone()),
        ];
        flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
    }

    /// A master command; its output as JSON.
    pub fn command(&self, arguments: &[&str], input: &str) -> (bool, String) {
        use std::io::Write as _;
        let mut child = Command::new(built("nodesys-master"))
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

    /// Adds tasks, a line each.
    pub fn add(&self, lines: &str) -> Value {
        let (good, text) = self.command(&["task", "add", "-", "-o", "json"], lines);
        assert!(good, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Starts a master and waits until it is ready.
    pub async fn master(&self, name: &str, clock: Option<SocketAddr>) -> Master {
        self.master_with(name, clock, &[]).await
    }

    /// The same with these variables. It logs to NAME.log at home.
    pub async fn master_with(
        &self,
        name: &str,
        clock: Option<SocketAddr>,
        environment: &[(&str, &str)],
    ) -> Master {
        let ready = self.home.path().join(format!("{name}.ready"));
        let _ = std::fs::remove_file(&ready);
        let log_path = self.home.path().join(format!("{name}.log"));
        let log = std::fs::File::options().create(true).append(true).open(&log_path).unwrap();
        let mut command = Command::new(built("nodesys-master"));
        command
            .arg("serve")
            .envs(environment.iter().copied())
            .args(self.flags())
            .args(["--listen", "127.0.0.1:0"]);
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
async fn wait_ready(child: &mut Child, ready: &Path, log: &Path) -> SocketAddr {
    for _ in 0..3000 {
        if let Some(ready) = Ready::read(ready).unwrap() {
            return ready.addr;
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
    /// Where it listens.
    pub url: String,
    http: reqwest::Client,
}

/// An answer: its status, its problem's code, its body.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The problem's code.
    pub code: String,
    /// The body.
    pub body: Value,
}

impl Master {
    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Posts, with a ticket or without.
    pub async fn post(&self, path: &str, ticket: Option<&str>, body: reqwest::Body) -> Answer {
        self.try_post(path, ticket, body).await.unwrap()
    }

    /// The same where the master may be gone.
    pub async fn try_post(
        &self,
        path: &str,
        ticket: Option<&str>,
        body: reqwest::Body,
    ) -> reqwest::Result<Answer> {
        post(&self.http, &format!("{}{path}", self.url), ticket, body).await
    }

    /// Leases tasks.
    pub async fn lease(&self, ticket: &str, max: u16) -> Vec<Value> {
        let body = json!({ "max": max }).to_string();
        let answer = self.post("/v1/tasks/lease", Some(ticket), body.into()).await;
        assert_eq!(answer.status, 200, "{} {}", answer.code, answer.body);
        answer.body["tasks"].as_array().unwrap().clone()
    }

    /// Reports a task's result.
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
        assert_eq!(kind.unwrap(), Problem::CONTENT_TYPE, "{body}");
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

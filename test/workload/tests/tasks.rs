//! The workload as a process, between a manager and a master that can be told to misbehave, on a
//! stepped clock.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy_primitives::{Address, B256, keccak256};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use nodesys_clock::ClockServer;
use nodesys_core::ids::Fence;
use nodesys_core::message::{Domain, Signed, WorkloadTicket};
use nodesys_core::signature::SigningKey;
use nodesys_core::ticket::{Origin, TicketRequest, TicketText, TicketView};
use nodesys_core::time::Timestamp;
use serde_json::{Value, json};

const START: Timestamp = Timestamp::from_secs(20_454 * 86_400);
const TOKEN: &str = "alpha-0123456789abcdef";

#[derive(Default)]
struct World {
    health: u64,
    tickets: u64,
    /// Tasks to hand out; one stays at the front until its result is taken.
    tasks: VecDeque<Value>,
    results: Vec<(String, Value)>,
    /// Statuses that the next results are refused with.
    refuse: VecDeque<StatusCode>,
}

type Shared = (Arc<Mutex<World>>, Arc<ClockServer>);

async fn serve(routes: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

async fn manager(shared: Shared) -> String {
    let health = post(async |State((world, _)): State<Shared>| {
        world.lock().unwrap().health += 1;
        StatusCode::NO_CONTENT
    });
    let ticket =
        post(async |State((world, clock)): State<Shared>, Json(body): Json<TicketRequest>| {
            let not_after = clock.now().await.secs() + 540;
            let mut world = world.lock().unwrap();
            world.tickets += 1;
            let ticket = WorkloadTicket {
                project: Address::repeat_byte(1),
                license: B256::repeat_byte(2),
                fence: Fence::checked_new(1).unwrap(),
                audience: body.audience.audience(),
                not_after,
            };
            let key = SigningKey::from_bytes(&[3; 32]).unwrap();
            let domain = Domain::new(31_337, Address::repeat_byte(4));
            Json(TicketView { ticket: TicketText(Signed::new(ticket, &domain, &key)), not_after })
        });
    let routes = Router::new().route("/v1/health", health).route("/v1/ticket", ticket);
    serve(routes.with_state(shared)).await
}

fn shown(headers: &HeaderMap) -> TicketText {
    let text = headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
    text.parse().unwrap()
}

async fn master(shared: Shared) -> String {
    let lease =
        post(async |State((world, clock)): State<Shared>, headers: HeaderMap, body: String| {
            assert_eq!(body, r#"{"max":1}"#);
            assert!(shown(&headers).0.message.not_after >= clock.now().await.secs());
            let world = world.lock().unwrap();
            Json(json!({ "tasks": world.tasks.front().into_iter().collect::<Vec<_>>() }))
        });
    let result = post(
        async |State((world, _)): State<Shared>,
               Path(id): Path<String>,
               Json(body): Json<Value>| {
            let mut world = world.lock().unwrap();
            let status = world.refuse.pop_front().unwrap_or(StatusCode::OK);
            if !status.is_server_error() {
                world.tasks.pop_front();
            }
            if status.is_success() {
                world.results.push((id, body["output"].clone()));
            }
            (status, Json(json!({})))
        },
    );
    let routes =
        Router::new().route("/v1/tasks/lease", lease).route("/v1/tasks/{id}/result", result);
    serve(routes.with_state(shared)).await
}

struct Test {
    world: Arc<Mutex<World>>,
    clock: Arc<ClockServer>,
    workload: Child,
    _home: tempfile::TempDir,
}

impl Test {
    async fn start(master: Option<String>) -> Self {
        let world = Arc::<Mutex<World>>::default();
        let clock = ClockServer::start(START, Duration::from_secs(20)).await.unwrap();
        let clock = Arc::new(clock);
        let shared = (world.clone(), clock.clone());
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("token"), TOKEN).unwrap();
        let ready = home.path().join("ready");
        let master = match master {
            Some(url) => url,
            None => self::master(shared.clone()).await,
        };
        assert!(master.parse::<Origin>().is_ok());
        let workload = Command::new(env!("CARGO_BIN_EXE_nodesys-sample-workload"))
            .args(["--manager", &manager(shared).await, "--master", &master])
            .args(["--clock", &clock.addr().to_string(), "--token-file"])
            .arg(home.path().join("token"))
            .arg("--ready-file")
            .arg(&ready)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let test = Self { world, clock, workload, _home: home };
        test.until(|_| ready.exists()).await;
        test
    }

    #[expect(clippy::disallowed_methods, reason = "waits for another process, not for a time")]
    async fn until(&self, done: impl Fn(&World) -> bool) {
        for _ in 0..2000 {
            if done(&self.world.lock().unwrap()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it did not come to pass");
    }

    fn add(&self, id: &str, length: u64) {
        let input = json!({ "seed": B256::repeat_byte(9), "length": length });
        let task = json!({ "id": id, "input": input, "expires_millis": "0" });
        self.world.lock().unwrap().tasks.push_back(task);
    }

    async fn pass(&self, secs: u64) {
        let target = self.clock.now().await.plus_millis(secs * 1000);
        self.clock.run_until(target, async |_| Ok::<_, Infallible>(())).await.unwrap();
        self.clock.settle().await.unwrap();
    }

    fn results(&self) -> Vec<(String, Value)> {
        self.world.lock().unwrap().results.clone()
    }
}

impl Drop for Test {
    fn drop(&mut self) {
        let _ = self.workload.kill();
        let _ = self.workload.wait();
    }
}

fn answer(id: &str, length: u64) -> (String, Value) {
    let last = (0..length).fold(B256::repeat_byte(9), |last, _| keccak256(last));
    (id.to_owned(), json!({ "last": last }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_are_worked_on_and_results_sent_until_they_are_taken() {
    let test = Test::start(None).await;
    for (id, length) in [("1", 0), ("2", 3), ("3", 1000)] {
        test.add(id, length);
    }
    // The first result finds the master ailing, the second is refused for good.
    let refuse = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::OK, StatusCode::CONFLICT];
    test.world.lock().unwrap().refuse.extend(refuse);
    // Three posts, and one more where the first found the queue before the tasks were in it.
    test.pass(40).await;
    assert_eq!(test.results(), [answer("1", 0), answer("3", 1000)]);
    // A ticket serves until a minute before it ends.
    let tickets = test.world.lock().unwrap().tickets;
    test.pass(300).await;
    assert_eq!(test.world.lock().unwrap().tickets, tickets);
    test.pass(600).await;
    assert!(test.world.lock().unwrap().tickets > tickets);
    assert!(test.world.lock().unwrap().health >= 92);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_task_keeps_neither_health_nor_time_waiting() {
    let test = Test::start(None).await;
    test.add("7", 400_000);
    let before = test.world.lock().unwrap().health;
    test.pass(60).await;
    assert!(test.world.lock().unwrap().health >= before + 5);
    test.until(|world| !world.results.is_empty()).await;
    assert_eq!(test.results(), [answer("7", 400_000)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_master_it_lives_on() {
    let test = Test::start(Some("http://127.0.0.1:1".to_owned())).await;
    let before = test.world.lock().unwrap().health;
    test.pass(120).await;
    assert!(test.world.lock().unwrap().health >= before + 11);
}

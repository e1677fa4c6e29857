//! The task routes of real master processes: refusals with their reasons, and crash safety.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nodesys_clock::ClockServer;
use nodesys_core::bitmap::DayBitmap;
use nodesys_core::files::{UptimeRow, write_file};
use nodesys_core::ids::LicenseIndex;
use nodesys_core::message::{DayClosed, Domain, Signed};
use nodesys_core::time::Timestamp;
use nodesys_core::uptime::{ClosedUptime, uptime_leaf};
use nodesys_core::{B256, U256, keccak256};
use nodesys_testing::chain::receipt_key;
use nodesys_testing::key;
use nodesys_testing::logs::{FILTERS, hide_the_secret};
use nodesys_testing::master::{Answer, Holder, Master, PUBLIC_URL, World, post_patiently};
use serde_json::{Value, json};
use sqlx::{ConnectOptions as _, PgPool, Row as _};

const START: Timestamp = Timestamp::from_secs(20_454 * 86_400 + 3_600);

struct Test {
    world: World,
    clock: Arc<ClockServer>,
    pool: PgPool,
}

impl Test {
    async fn start(pool: PgPool) -> Self {
        let url = pool.connect_options().to_url_lossy().to_string();
        let clock = ClockServer::start(START, Duration::from_secs(60)).await.unwrap();
        Self { world: World::start(url).await, clock: Arc::new(clock), pool }
    }

    async fn master(&self, name: &str) -> Master {
        self.world.master(name, Some(self.clock.addr())).await
    }

    async fn ticket(&self, holder: &Holder) -> String {
        self.world.ticket(holder, self.clock.now().await.secs() + 540)
    }

    /// Whole minutes, which wake the master's loops, so that it has seen the time.
    async fn pass(&self, minutes: u64) {
        let target = self.clock.now().await.plus_millis(minutes * 60_000);
        self.clock.run_until(target, async |_| Ok::<_, Infallible>(())).await.unwrap();
    }

    async fn number(&self, query: &'static str) -> i64 {
        sqlx::query(query).fetch_one(&self.pool).await.unwrap().get(0)
    }
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code.as_str()), (status, code), "{}", answer.body);
}

const LEASE: &str = "/v1/tasks/lease";

#[sqlx::test(migrations = false)]
async fn only_a_good_ticket_of_the_leases_node_gets_in(pool: PgPool) {
    let test = Test::start(pool).await;
    let (world, master) = (&test.world, test.master("master").await);
    world.add("{\"key\":\"a\",\"input\":1,\"workload\":\"alpha\"}");
    let one = json!({ "max": 1 }).to_string();
    let lease = async |ticket: Option<&str>| master.post(LEASE, ticket, one.clone().into()).await;
    let holder = world.holder(1);
    let now = test.clock.now().await.secs();

    refused(&lease(None).await, 401, "missing_ticket");
    refused(&lease(Some("0x00")).await, 401, "bad_ticket");
    let project = world.chain.distributor;
    let other = world.ticket_for(&holder, key(9).address(), PUBLIC_URL, now + 60);
    refused(&lease(Some(&other)).await, 401, "bad_ticket");
    let other = world.ticket_for(&holder, project, "https://other.example.org", now + 60);
    refused(&lease(Some(&other)).await, 401, "bad_ticket");
    refused(&lease(Some(&world.ticket(&holder, now + 700))).await, 401, "bad_ticket");
    refused(&lease(Some(&world.ticket(&holder, now - 1))).await, 401, "ticket_expired");
    // Nothing of these was asked of the backend; from here on it is.
    let forged = Holder { license: holder.license, key: key(9), fence: 1 };
    refused(&lease(Some(&world.ticket(&forged, now + 60))).await, 403, "lease_lost");
    let good = world.ticket(&holder, now + 540);
    assert_eq!(master.lease(&good, 1).await.len(), 1);

    // A takeover: the old node's fence is stale once the master has asked again.
    let taken_over = Holder { license: holder.license, key: key(8), fence: 2 };
    world.grant(&taken_over);
    test.pass(1).await;
    assert_eq!(master.lease(&test.ticket(&taken_over).await, 1).await, Vec::<Value>::new());
    refused(&lease(Some(&good)).await, 403, "lease_lost");
    let stale = Holder { fence: 1, ..taken_over };
    refused(&lease(Some(&test.ticket(&stale).await)).await, 403, "lease_lost");

    // The backend claims a license that does not exist, or is of another project.
    let mut foreign = world.holder(2);
    foreign.license.collection = world.chain.unlisted("other").await;
    refused(&lease(Some(&test.ticket(&foreign).await)).await, 403, "lease_lost");
    world.grant(&foreign);
    test.pass(1).await;
    refused(&lease(Some(&test.ticket(&foreign).await)).await, 403, "lease_lost");
}

#[sqlx::test(migrations = false)]
async fn results_are_taken_once_and_refused_by_name(pool: PgPool) {
    let test = Test::start(pool).await;
    let (world, master) = (&test.world, test.master("master").await);
    let lines: String = (0..4)
        .map(|i| {
            format!("{{\"key\":\"{i}\",\"input\":{i},\"time_limit_secs\":60,\"max_attempts\":1}}\n")
        })
        .collect();
    assert_eq!(world.add(&lines), json!({ "added": 4, "known": 0 }));
    assert_eq!(world.add(&lines), json!({ "added": 0, "known": 4 }));
    let (one, two) = (world.holder(1), world.holder(2));
    let (mine, other) = (test.ticket(&one).await, test.ticket(&two).await);
    let tasks = master.lease(&mine, 3).await;
    assert_eq!(master.lease(&mine, 3).await, tasks);
    assert_eq!(tasks[1]["input"], 1);
    let path = |task: &Value| format!("/v1/tasks/{}/result", task["id"].as_str().unwrap());

    let answer = master.post(&path(&tasks[0]), None, r#"{"output":1}"#.into()).await;
    refused(&answer, 401, "missing_ticket");
    refused(&master.report(&other, &tasks[0], &json!(1)).await, 403, "not_leased");
    for body in ["", "not json", "[]", "{}", r#"{"output":1,"more":2}"#] {
        let answer = master.post(&path(&tasks[0]), Some(&mine), body.into()).await;
        refused(&answer, 400, "bad_request");
    }
    for max in ["{\"max\":0}", "{\"max\":101}", "{\"max\":-1}", "{\"max\":1.5}", "{}"] {
        refused(&master.post(LEASE, Some(&mine), max.into()).await, 400, "bad_request");
    }
    let answer = master.post("/v1/tasks/x/result", Some(&mine), "{}".into()).await;
    refused(&answer, 400, "bad_request");
    refused(&master.report(&mine, &json!({"id":"99"}), &json!(1)).await, 404, "not_found");
    let large = format!("{{\"output\":\"{}\"}}", "x".repeat(10_000_000));
    let answer = master.post(&path(&tasks[0]), Some(&mine), large.clone().into()).await;
    refused(&answer, 413, "too_large");
    let chunks = large.as_bytes().chunks(600_000).map(|chunk| Ok::<_, Infallible>(chunk.to_vec()));
    let chunks = reqwest::Body::wrap_stream(futures::stream::iter(chunks.collect::<Vec<_>>()));
    // Without a length the master closes the connection at its limit.
    if let Ok(answer) = master.try_post(&path(&tasks[0]), Some(&mine), chunks).await {
        refused(&answer, 413, "too_large");
    }
    assert_eq!(test.number("select count(*) from task_result").await, 0);

    let taken = master.report(&mine, &tasks[0], &json!({"b": 1, "a": 2})).await;
    assert_eq!((taken.status, &taken.body["task"]), (200, &tasks[0]["id"]));
    let again = master.report(&mine, &tasks[0], &json!({"a": 2.0, "b": 1})).await;
    assert_eq!((again.status, again.body), (200, taken.body));
    refused(&master.report(&mine, &tasks[0], &json!(2)).await, 409, "already_done");

    // The second task's lease runs out while its result is on the way; then it is given up.
    let late = master.lease(&mine, 3).await;
    assert_eq!(late[0], tasks[1]);
    sqlx::query("update task set max_attempts = 2 where key = '1'")
        .execute(&test.pool)
        .await
        .unwrap();
    test.pass(2).await;
    refused(&master.report(&mine, &tasks[1], &json!(1)).await, 409, "task_expired");
    refused(&master.report(&mine, &tasks[2], &json!(1)).await, 409, "late");
    assert_eq!(test.number("select count(*) from task_result").await, 1);
    let (good, text) = world.command(&["task", "list", "--state", "dead", "-o", "json"], "");
    let dead: Value = serde_json::from_str(&text).unwrap();
    assert!(good && dead["tasks"].as_array().unwrap().len() == 2, "{text}");
    assert_eq!(dead["tasks"][0]["reason"], "attempts");
    let (good, text) = world.command(&["task", "show", "1", "-o", "json"], "");
    let shown: Value = serde_json::from_str(&text).unwrap();
    assert!(good, "{text}");
    assert_eq!(shown["leases"][0]["result"]["output"], json!({"a": 2, "b": 1}));
    assert_eq!(shown["leases"][0]["result"]["day"], "2026-01-01");
    let (good, text) = world.command(&["task", "show", "77"], "");
    assert!(!good && text.contains("task list"), "{text}");
    let (good, text) = world.command(&["task", "stats", "--day", "2026-01-01"], "");
    assert!(good && text.contains("dead     2") && text.contains("open"), "{text}");
}

#[sqlx::test(migrations = false)]
async fn without_a_backend_only_known_tickets_go_on_until_they_end(pool: PgPool) {
    let mut test = Test::start(pool).await;
    let master = test.master("master").await;
    let lines: String = (0..9).map(|i| format!("{{\"key\":\"{i}\",\"input\":{i}}}\n")).collect();
    test.world.add(&lines);
    let (known, new) = (test.world.holder(1), test.world.holder(2));
    let ticket = test.ticket(&known).await;
    assert_eq!(master.lease(&ticket, 1).await.len(), 1);
    test.world.backend.down();
    test.pass(2).await;
    let tasks = master.lease(&ticket, 2).await;
    assert_eq!(master.report(&ticket, &tasks[0], &json!(1)).await.status, 200);
    // The same lease with a newer ticket, and a license nobody has asked about.
    let body = || reqwest::Body::from(json!({ "max": 1 }).to_string());
    let newer = test.ticket(&known).await;
    refused(&master.post(LEASE, Some(&newer), body()).await, 503, "lease_unknown");
    let other = test.ticket(&new).await;
    refused(&master.post(LEASE, Some(&other), body()).await, 503, "lease_unknown");
    assert_eq!(master.lease(&ticket, 2).await.len(), 2);

    test.world.backend.up();
    test.pass(1).await;
    assert_eq!(master.lease(&newer, 2).await.len(), 2);
    assert_eq!(master.lease(&other, 1).await.len(), 1);
    test.world.backend.down();
    test.pass(10).await;
    refused(&master.post(LEASE, Some(&newer), body()).await, 401, "ticket_expired");
    test.world.backend.up();
}

#[sqlx::test(migrations = false)]
async fn one_license_cannot_take_all_the_room_and_a_blocked_database_says_so(pool: PgPool) {
    let test = Test::start(pool).await;
    let (world, master) = (&test.world, test.master("master").await);
    world.add("{\"key\":\"a\",\"input\":1}");
    let ticket = test.ticket(&world.holder(1)).await;
    let task = master.lease(&ticket, 1).await.remove(0);
    let mut blocker = test.pool.begin().await.unwrap();
    sqlx::query("lock table task in access exclusive mode").execute(&mut *blocker).await.unwrap();
    refused(&master.report(&ticket, &task, &json!(1)).await, 503, "busy");
    blocker.rollback().await.unwrap();
    assert_eq!(master.report(&ticket, &task, &json!(1)).await.status, 200);

    // Time stands still, so the allowance does not come back.
    let one = json!({ "max": 1 }).to_string();
    let mut statuses = Vec::new();
    for _ in 0..60 {
        statuses.push(master.post(LEASE, Some(&ticket), one.clone().into()).await.status);
    }
    assert_eq!((statuses[0], statuses.last()), (200, Some(&429)), "{statuses:?}");
    let answer = master.post(LEASE, Some(&ticket), one.clone().into()).await;
    refused(&answer, 429, "rate_limited");
    assert_eq!(master.lease(&test.ticket(&world.holder(2)).await, 1).await.len(), 0);
    test.pass(1).await;
    assert_eq!(master.lease(&ticket, 1).await.len(), 0);
}

#[sqlx::test(migrations = false)]
async fn two_masters_on_one_database_are_one_queue(pool: PgPool) {
    let test = Test::start(pool).await;
    let world = &test.world;
    let lines: String = (0..40).map(|i| format!("{{\"key\":\"{i}\",\"input\":{i}}}\n")).collect();
    world.add(&lines);
    let masters = [test.master("first").await, test.master("second").await];
    let tickets = [test.ticket(&world.holder(1)).await, test.ticket(&world.holder(2)).await];
    let (a, b) = tokio::join!(masters[0].lease(&tickets[0], 20), masters[1].lease(&tickets[1], 20));
    assert_eq!((a.len(), b.len()), (20, 20));
    assert!(a.iter().all(|task| !b.contains(task)));
    // Leased at one, answered at the other, and told again at the first.
    for task in &a {
        assert_eq!(masters[1].report(&tickets[0], task, &json!(7)).await.status, 200);
        assert_eq!(masters[0].report(&tickets[0], task, &json!(7)).await.status, 200);
    }
    assert_eq!(masters[0].lease(&tickets[1], 20).await, b);
    test.pass(11).await;
    let expired = test.number("select count(*) from task_attempt where state = 'expired'").await;
    assert_eq!(expired, 20);
    let ticket = world.ticket(&world.holder(3), test.clock.now().await.secs() + 540);
    assert_eq!(masters[1].lease(&ticket, 100).await.len(), 20);
    assert_eq!(test.number("select count(*) from task_result where day is not null").await, 20);
}

/// The backend closes a day in which the licenses of these tokens were up for so many minutes.
fn close(test: &Test, licenses: &[(u64, u16)]) {
    let (world, day) = (&test.world, START.day());
    let row = |(license, (token, minutes)): (u32, &(u64, u16))| UptimeRow {
        license: LicenseIndex(license),
        collection: world.chain.alpha,
        token_id: U256::from(*token),
        minutes: *minutes,
        expected: 1440,
        bitmap: DayBitmap::from_minute_on(1440 - minutes),
    };
    let csv = write_file(&(0..).zip(licenses).map(row).collect::<Vec<_>>());
    let (uptime_csv, excused) = (keccak256(&csv), DayBitmap::EMPTY);
    let closed = DayClosed {
        day: day.epoch(),
        uptime_hash: uptime_leaf(world.chain.distributor, uptime_csv, excused),
        evidence_root: B256::ZERO,
    };
    let (domain, key) = (Domain::new(31_337, world.chain.registry), receipt_key());
    let closed = Signed::new(closed, &domain, &key);
    let (receipt_key, path) = (key.address(), Vec::new());
    let word = ClosedUptime { closed, receipt_key, uptime_csv, excused, path };
    *world.backend.closed.lock().unwrap() = Some((csv, word));
}

/// `points preview` of the test's day: tasks and points of each license.
fn preview(world: &World) -> Vec<(Value, Value)> {
    let arguments = ["points", "preview", "--day", "2026-01-01", "-o", "json"];
    let (good, text) = world.command(&arguments, "");
    assert!(good, "{text}");
    let preview: Value = serde_json::from_str(&text).unwrap();
    let row = |row: &Value| (row["tasks"].clone(), row["points"].clone());
    preview["rows"].as_array().unwrap().iter().map(row).collect()
}

const CLOSED: &str = "select count(*) from task_queue where closed_through >= 20454";
const OF_NEXT_DAY: &str = "select count(*) from task_result where day = 20455";

#[sqlx::test(migrations = false)]
async fn only_a_commit_closes_the_task_counts_of_a_day(pool: PgPool) {
    let test = Test::start(pool).await;
    let (world, master) = (&test.world, test.master("master").await);
    let lines: String = (0..5).map(|i| format!("{{\"key\":\"{i}\",\"input\":{i}}}\n")).collect();
    world.add(&lines);
    let ticket = test.ticket(&world.holder(7)).await;
    let tasks = master.lease(&ticket, 5).await;
    for task in &tasks[..3] {
        assert_eq!(master.report(&ticket, task, &json!(1)).await.status, 200);
    }
    close(&test, &[(3, 1440), (7, 100)]);
    // One point a minute and ten a task: see the terms of the test.
    let points =
        |tasks: u64, points: &str| vec![(json!(0), json!("1440")), (json!(tasks), json!(points))];
    assert_eq!(preview(world), points(3, "130"));
    assert_eq!(world.backend.take_downloads(), 1, "uptime.csv is fetched once");
    assert_eq!(test.number(CLOSED).await, 0, "a preview closes nothing");
    // So a result that is accepted on that day still counts for it.
    assert_eq!(master.report(&ticket, &tasks[3], &json!(1)).await.status, 200);
    assert_eq!(preview(world), points(4, "140"));
    world.backend.take_downloads();

    world.chain.mint(7, key(0x40).address()).await;
    world.chain.pass(86_400).await;
    let commit = ["commit", "--day", "2026-01-01"];
    let (good, text) = world.command(&[&commit[..], &["--dry-run", "-o", "json"]].concat(), "");
    assert!(good, "{text}");
    let built: Value = serde_json::from_str(&text).unwrap();
    // All points are of one holder: the day's reward, less what does not divide.
    assert_eq!(built["allocated"], "999");
    assert_eq!(test.number(CLOSED).await, 0, "a dry run closes nothing");
    assert_eq!(world.backend.take_downloads(), 1, "uptime.csv is fetched once");

    // The stand-in for the backend takes no points, so this commit gets no further than that.
    let (good, text) = world.command(&commit, "");
    assert!(!good && text.contains("/v1/points/"), "{text}");
    assert_eq!(test.number(CLOSED).await, 1, "a commit closes the counts first");
    assert_eq!(test.number(OF_NEXT_DAY).await, 0);
    assert_eq!(master.report(&ticket, &tasks[4], &json!(1)).await.status, 200);
    assert_eq!(test.number(OF_NEXT_DAY).await, 1);
    assert_eq!(preview(world), points(4, "140"));
}

/// A generator of its own, so that a printed seed brings the same round back.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

fn seed() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    let random = || std::collections::hash_map::RandomState::new().build_hasher().finish();
    std::env::var("NODESYS_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(random)
}

const ROUNDS: u64 = 20;
const WORKERS: u64 = 20;
const TASKS: usize = 1000;

#[sqlx::test(migrations = false)]
async fn a_killed_master_loses_no_task_and_pays_none_twice(pool: PgPool) {
    let seed = seed();
    println!("seed: NODESYS_SEED={seed}");
    let mut random = Random(seed | 1);
    let test = Test::start(pool).await;
    let holders: Vec<Arc<Holder>> = (1..=WORKERS).map(|i| Arc::new(test.world.holder(i))).collect();
    let mut acknowledged = 0;
    for round in 0..ROUNDS {
        let lines: String = (0..TASKS)
            .map(|i| format!("{{\"key\":\"{round}-{i}\",\"input\":{i},\"time_limit_secs\":60,\"max_attempts\":50}}\n"))
            .collect();
        test.world.add(&lines);
        let master = test.master("master").await;
        acknowledged += killed_round(&test, &holders, master, &mut random).await;
        finish(&test, &holders).await;
        let done = i64::try_from(TASKS).unwrap() * i64::try_from(round + 1).unwrap();
        let counts = "select count(*) from task where state = 'done' and answered = 1 and live = 0";
        assert_eq!(test.number(counts).await, done, "round {round}");
        let paid = "select count(*) from task_result where verdict = 'accepted'";
        assert_eq!(test.number(paid).await, done, "round {round}");
        let twice = "select count(*) from (select task from task_result group by task
                     having count(*) <> 1) twice";
        assert_eq!(test.number(twice).await, 0, "round {round}");
    }
    println!("acknowledged before or at a kill: {acknowledged}");
    assert!(acknowledged > 0);
}

/// Every worker leases its part and reports it, until the master is killed at a random moment.
/// Every acknowledged result is in the database.
async fn killed_round(
    test: &Test,
    holders: &[Arc<Holder>],
    mut master: Master,
    random: &mut Random,
) -> usize {
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let leased = Arc::new(AtomicUsize::new(0));
    let mut workers = Vec::new();
    for holder in holders {
        let ticket = test.ticket(holder).await;
        let (http, url) = (test.world.http.clone(), master.url.clone());
        let (acknowledged, leased) = (acknowledged.clone(), leased.clone());
        workers.push(tokio::spawn(async move {
            let part = TASKS as u64 / WORKERS;
            let post = async |path: String, body: Value| {
                post_patiently(&http, &format!("{url}{path}"), &ticket, &body).await
            };
            let Ok(answer) = post(LEASE.to_owned(), json!({ "max": part })).await else { return };
            let tasks = answer["tasks"].as_array().unwrap().clone();
            leased.fetch_add(tasks.len(), Ordering::Relaxed);
            for task in tasks {
                let id = task["id"].as_str().unwrap().to_owned();
                let output = json!({ "output": task["input"] });
                if post(format!("/v1/tasks/{id}/result"), output).await.is_err() {
                    return;
                }
                acknowledged.lock().unwrap().push(id);
            }
        }));
    }
    // One round in four dies while leases are given, the others at some result.
    let (at, while_leasing) = (random.below(TASKS as u64), random.below(4) == 0);
    let reached = || {
        let results = acknowledged.lock().unwrap().len() as u64;
        let leases = leased.load(Ordering::Relaxed) as u64;
        if while_leasing { leases >= at } else { results >= at }
    };
    while !reached() && workers.iter().any(|worker| !worker.is_finished()) {
        tokio::task::yield_now().await;
    }
    master.kill();
    for worker in workers {
        worker.await.unwrap();
    }
    let ids: Vec<i64> = {
        let acknowledged = acknowledged.lock().unwrap();
        acknowledged.iter().map(|id| id.parse().unwrap()).collect()
    };
    let kept: i64 =
        sqlx::query("select count(*) from task_result where task = any($1) and day is not null")
            .bind(&ids)
            .fetch_one(&test.pool)
            .await
            .unwrap()
            .get(0);
    assert_eq!(kept, i64::try_from(ids.len()).unwrap(), "acknowledged results are gone");
    ids.len()
}

/// A new master; half the workers have died with their tasks, the others go on. Leases of the dead
/// expire, and all tasks are done.
async fn finish(test: &Test, holders: &[Arc<Holder>]) {
    let master = test.master("master").await;
    for turn in 0.. {
        let mut idle = true;
        for holder in holders.iter().step_by(if turn == 0 { 2 } else { 1 }) {
            let (ticket, http) = (test.ticket(holder).await, &test.world.http);
            let post = async |path: String, body: Value| {
                let url = format!("{}{path}", master.url);
                post_patiently(http, &url, &ticket, &body).await.unwrap()
            };
            let leased = post(LEASE.to_owned(), json!({ "max": 50 })).await;
            for task in leased["tasks"].as_array().unwrap() {
                idle = false;
                let id = task["id"].as_str().unwrap();
                let output = json!({ "output": task["input"] });
                post(format!("/v1/tasks/{id}/result"), output).await;
            }
        }
        if turn > 2 && idle {
            return;
        }
        test.pass(1).await;
    }
}

#[sqlx::test(migrations = false)]
async fn no_line_of_its_log_tells_the_rpcs_secret(pool: PgPool) {
    let world = World::start(pool.connect_options().to_url_lossy().to_string()).await;
    assert!(world.flags().iter().any(|flag| flag.ends_with("/?key=SECRET")));
    for filter in FILTERS {
        let master = world.master_with(filter, None, &[("NODESYS_LOG", filter)]).await;
        drop(master);
        let log = std::fs::read_to_string(world.home.path().join(format!("{filter}.log"))).unwrap();
        hide_the_secret(filter, &log, &world.chain.anvil.addr.to_string());
    }
}

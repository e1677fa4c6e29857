//! Tasks leased and answered per second of CPU, of the master and Postgres together.
//!
//! A real master process on a Postgres with fsync and synchronous_commit on; closed loop: each
//! connection leases 20 tasks, reports 20 results one by one, and begins again. CPU time comes from
//! /proc, so a busy machine hardly affects it. `scripts/bench tasks` runs it; it needs DATABASE_URL
//! and NODESYS_PG_DIR, that Postgres's folder.

use std::fs;

use nodesys_clock::Clock;
use nodesys_testing::master::World;
use serde_json::json;
use sqlx::{Connection as _, PgConnection, Row as _};

/// Unless NODESYS_BENCH_TASKS says otherwise.
const TASKS: usize = 20_000;
const WORKERS: u64 = 16;
/// Each worker rotates through its licenses, so that none exhausts its allowance.
const LICENSES: u64 = 8;
const AT_ONCE: u16 = 20;
/// USER_HZ, which Linux fixes for /proc on every machine we run on.
const TICKS_PER_SEC: f64 = 100.0;

#[tokio::main]
async fn main() {
    let url = std::env::var("DATABASE_URL").expect("DATABASE_URL");
    let folder = std::env::var("NODESYS_PG_DIR").expect("NODESYS_PG_DIR");
    let mut database = PgConnection::connect(&url).await.expect("Postgres answers");
    for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
        let show = format!("show {setting}");
        let row = sqlx::query(sqlx::AssertSqlSafe(show)).fetch_one(&mut database).await;
        assert_eq!(row.expect("a setting").get::<String, _>(0), "on", "{setting}");
    }
    let postmaster = fs::read_to_string(format!("{folder}/data/postmaster.pid")).expect("its pid");
    let postmaster: u32 =
        postmaster.lines().next().and_then(|pid| pid.parse().ok()).expect("a pid");

    let tasks = std::env::var("NODESYS_BENCH_TASKS").ok().and_then(|text| text.parse().ok());
    let tasks: usize = tasks.unwrap_or(TASKS);
    let world = World::start(url).await;
    let lines: String = (0..tasks)
        .map(|i| format!("{{\"key\":\"bench-{i}\",\"input\":{{\"seed\":{i},\"length\":100}}}}\n"))
        .collect();
    world.add(&lines);
    let master = world.master("master", None).await;
    let not_after = Clock::system().now().secs() + 590;
    let tickets: Vec<Vec<String>> = (0..WORKERS)
        .map(|worker| {
            let license = |i| world.holder(1 + worker * LICENSES + i);
            (0..LICENSES).map(|i| world.ticket(&license(i), not_after)).collect()
        })
        .collect();
    // All nodes are known before the measurement.
    for ticket in tickets.iter().flatten() {
        let body = json!({ "max": 0 }).to_string();
        assert_eq!(master.post("/v1/tasks/lease", Some(ticket), body.into()).await.status, 400);
    }

    let before = (cpu(master.pid()), cpu_of_postgres(postmaster));
    let mut done = 0;
    let work = tickets.iter().map(async |tickets| {
        let mut done = 0;
        for ticket in tickets.iter().cycle() {
            let tasks = master.lease(ticket, AT_ONCE).await;
            if tasks.is_empty() {
                return done;
            }
            for task in tasks {
                let answer = master.report(ticket, &task, &json!({ "last": task["id"] })).await;
                assert_eq!(answer.status, 200, "{}", answer.body);
                done += 1;
            }
        }
        done
    });
    for one in futures::future::join_all(work).await {
        done += one;
    }
    let (server, postgres) = (cpu(master.pid()) - before.0, cpu_of_postgres(postmaster) - before.1);
    assert_eq!(done, tasks);
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let tasks = done as f64;
    println!("tasks.per_cpu_second {:.0} tasks", tasks / (server + postgres));
    println!("tasks.server_us {:.0} us", server / tasks * 1e6);
    println!("tasks.pg_us {:.0} us", postgres / tasks * 1e6);
}

/// User and system seconds of a process and of its ended children.
fn cpu(pid: u32) -> f64 {
    let Some((_, times)) = stat(pid) else { return 0.0 };
    times
}

/// The postmaster and every process it has started.
fn cpu_of_postgres(postmaster: u32) -> f64 {
    let processes = fs::read_dir("/proc").expect("Linux").filter_map(Result::ok);
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let children = pids.filter_map(stat).filter(|(parent, _)| *parent == postmaster);
    cpu(postmaster) + children.map(|(_, times)| times).sum::<f64>()
}

/// A process's parent and its CPU seconds.
fn stat(pid: u32) -> Option<(u32, f64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold spaces; fields are counted after its bracket.
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    let ticks: f64 = fields[11..15].iter().filter_map(|field| field.parse::<f64>().ok()).sum();
    Some((fields[1].parse().ok()?, ticks / TICKS_PER_SEC))
}

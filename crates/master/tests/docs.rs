//! Every example of docs/tasks.md is run: files, commands, the workload in Python, the rules.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeMap;
use std::process::Command;

use axum::http::HeaderMap;
use axum::routing::post;
use axum::{Json, Router};
use nodesys_clock::Clock;
use nodesys_core::points::Rule;
use nodesys_testing::master::World;
use serde_json::{Value, json};
use sqlx::{ConnectOptions as _, PgPool, Row as _};

const TASKS: &str = include_str!("../../../docs/tasks.md");

/// The fenced blocks by language, in order.
fn blocks() -> BTreeMap<&'static str, Vec<String>> {
    let mut blocks: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for block in TASKS.split("\n```").skip(1).step_by(2) {
        let (language, text) = block.split_once('\n').unwrap();
        blocks.entry(language).or_default().push(format!("{text}\n"));
    }
    blocks
}

#[test]
fn the_rules_are_rules() {
    let blocks = blocks();
    assert_eq!(blocks["json"].len(), 2);
    for block in &blocks["json"] {
        let rule: Rule = serde_json::from_str(block).unwrap();
        rule.check().unwrap();
        assert!(rule.counts_tasks());
    }
}

/// The manager's ticket route, for one workload.
async fn manager(ticket: String) -> String {
    let route = post(async move |headers: HeaderMap, Json(body): Json<Value>| {
        assert_eq!(headers["authorization"], "Bearer alpha-token");
        assert!(body["audience"].is_string());
        Json(json!({ "ticket": ticket, "not_after": "0" }))
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new().route("/v1/ticket", route);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

#[sqlx::test(migrations = false)]
async fn the_commands_and_the_workload_run(pool: PgPool) {
    let blocks = blocks();
    let url = pool.connect_options().to_url_lossy().to_string();
    let world = World::start(url).await;
    let home = world.home.path();
    std::fs::write(home.join("tasks.ndjson"), &blocks["ndjson"][0]).unwrap();
    let master = world.master("master", None).await;
    let run = |block: &str| {
        for line in block.lines() {
            let arguments: Vec<&str> = line.split(' ').collect();
            assert_eq!(arguments[0], "nodesys-master", "{line}");
            let arguments: Vec<String> = arguments[1..]
                .iter()
                .map(|word| match *word {
                    "tasks.ndjson" => home.join(word).display().to_string(),
                    word => word.to_owned(),
                })
                .collect();
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let (good, text) = world.command(&arguments, "");
            assert!(good, "{line}\n{text}");
        }
    };
    run(&blocks["sh"][0]);

    let holder = world.holder(1);
    let ticket = world.ticket(&holder, Clock::system().now().secs() + 540);
    std::fs::write(home.join("token"), "alpha-token\n").unwrap();
    std::fs::write(home.join("workload.py"), &blocks["python"][0]).unwrap();
    let mut python = Command::new("python3");
    python
        .arg(home.join("workload.py"))
        .env("NODESYS_MANAGER", manager(ticket).await)
        .env("NODESYS_MASTER", &master.url)
        .env("NODESYS_TOKEN_FILE", home.join("token"))
        .env("ONCE", "1");
    let output = tokio::task::spawn_blocking(move || python.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let accepted = sqlx::query("select count(*) from task_result where verdict = 'accepted'")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(accepted.get::<i64, _>(0), 3);
    for block in &blocks["sh"][1..] {
        run(block);
    }
}

//! The API as a whole: every route is documented, every refusal is a problem document.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::get;
use nodesys_core::api::Problem;
use serde_json::Value;
use sqlx::PgPool;

use super::support::{Node, World, problem};
use crate::periodic::Periodic as _;
use crate::refusals::Report;
use crate::router::{admin_router, public_router, router};
use nodesys_testing::anvil::CHAIN_ID;
use nodesys_testing::chain::{alice, receipt_key};

#[sqlx::test(migrations = "../../migrations/backend")]
async fn every_documented_route_is_there(pool: PgPool) {
    let world = World::new(pool).await;
    let document: Value =
        serde_json::from_str(&world.get_raw("/v1/openapi.json").await.body).unwrap();
    let http = reqwest::Client::new();
    let mut codes = BTreeSet::new();
    let mut routes = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            // Bad values for every parameter: a route that exists says so in words of its own.
            let route = path.replace(['{', '}'], "");
            let method = method.to_uppercase().parse().unwrap();
            let url = format!("{}{route}", world.replica.base);
            let answer = http.request(method, url).send().await.unwrap();
            let status = answer.status().as_u16();
            assert_ne!(status, 405, "{path}");
            routes += 1;
            if status == 200 {
                continue;
            }
            let problem: Problem = answer.json().await.unwrap();
            assert_eq!(problem.status, status);
            assert!(!problem.detail.contains("no such route"), "{path} is documented only");
            codes.insert(problem.code);
        }
    }
    assert!(routes >= 24, "{routes}");
    let expected = ["bad_request", "cross_site", "not_signed_in", "unknown_project"];
    assert_eq!(codes, BTreeSet::from(expected.map(ToOwned::to_owned)));
}

/// Every documented path with its method.
pub(crate) fn documented_paths() -> Vec<(String, String)> {
    let document: Value = serde_json::from_str(&crate::openapi_json()).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    let each = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().keys();
        methods.map(|method| (path.clone(), method.clone())).collect::<Vec<_>>()
    });
    each.collect()
}

/// Routes that are served and, on purpose, not documented.
pub(crate) const UNDOCUMENTED: [(&str, &str); 4] =
    [("get", "/healthz"), ("get", "/metrics"), ("get", "/readyz"), ("get", "/v1/openapi.json")];

/// The paths that a router serves. Only its debug form shows them.
fn served_paths(router: &Router) -> BTreeSet<String> {
    let debug = format!("{router:?}");
    let paths =
        debug.split("RouteId(").filter_map(|part| part.split_once("): \"")?.1.split_once('"'));
    let paths = paths.map(|(path, _)| path.to_owned());
    // The fallback is a route of its own.
    paths.filter(|path| path != "/" && !path.contains('*')).collect()
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn what_is_served_and_what_is_documented_are_the_same(pool: PgPool) {
    let world = World::new(pool).await;
    let http = reqwest::Client::new();
    let mut served = BTreeSet::new();
    for path in served_paths(&router(world.replica.app.clone(), Arc::default())) {
        for method in ["get", "post", "put", "patch", "delete"] {
            let url = format!("{}{}", world.replica.base, path.replace(['{', '}'], ""));
            let request = http.request(method.to_uppercase().parse().unwrap(), url);
            let status = request.send().await.unwrap().status().as_u16();
            // Served, though not with these bad values for its parameters.
            if status != 405 {
                served.insert((method.to_owned(), path.clone()));
            }
        }
    }
    let document: Value = serde_json::from_str(&crate::openapi_json()).unwrap();
    let mut expected: BTreeSet<(String, String)> =
        UNDOCUMENTED.map(|(method, path)| (method.to_owned(), path.to_owned())).into();
    for (path, methods) in document["paths"].as_object().unwrap() {
        expected.extend(methods.as_object().unwrap().keys().map(|m| (m.clone(), path.clone())));
    }
    assert_eq!(served, expected);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn only_metrics_leave_the_public_listener_for_one_of_their_own(pool: PgPool) {
    let world = World::new(pool).await;
    let app = &world.replica.app;
    let (all, public) = (
        served_paths(&router(app.clone(), Arc::default())),
        served_paths(&public_router(app.clone(), Arc::default())),
    );
    let moved: Vec<_> = all.difference(&public).collect();
    assert_eq!(moved, ["/metrics"]);
    let admin: Vec<_> = served_paths(&admin_router(app.clone())).into_iter().collect();
    assert_eq!(admin, ["/healthz", "/metrics", "/readyz"]);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_route_that_is_not_documented_is_found(pool: PgPool) {
    let world = World::new(pool).await;
    let routes = router(world.replica.app.clone(), Arc::default());
    let more = routes.clone().route("/v1/hidden/{number}", get(async || "found"));
    let (before, after) = (served_paths(&routes), served_paths(&more));
    let new: Vec<_> = after.difference(&before).collect();
    assert_eq!(new, ["/v1/hidden/{number}"]);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn the_network_is_what_was_configured(pool: PgPool) {
    let world = World::new(pool).await;
    let network = world.client().network().await.unwrap();
    assert_eq!((network.chain_id, network.registry), (CHAIN_ID, world.chain.registry));
    assert_eq!(network.receipt_key, receipt_key().address());
    let projects = world.get_raw("/v1/projects").await;
    let project = world.get_raw("/v1/projects/acme").await;
    let by_address = world.get_raw(&format!("/v1/projects/{}", world.chain.distributor)).await;
    assert_eq!(project.body, by_address.body);
    assert_eq!(projects.body, format!("[{}]", project.body));
    assert_eq!(world.get_raw("/v1/projects/acme2").await.problem().code, "unknown_project");
    world.client().health().await.unwrap();
    world.client().ready().await.unwrap();
    assert_eq!(world.get_raw("/metrics").await.status, 200);
}

/// An unreadable row of another project affects only that project.
#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_project_is_found_without_reading_the_others(pool: PgPool) {
    let world = World::new(pool).await;
    let insert = "insert into project (project, name, owner, token, first_day)
                  select decode(repeat('77', 20), 'hex'), 'No Name', owner, token, first_day
                  from project limit 1";
    sqlx::query(insert).execute(&world.pool).await.unwrap();
    assert_eq!(world.get_raw("/v1/projects").await.status, 500);
    for project in ["acme".to_owned(), world.chain.distributor.to_string()] {
        let answer = world.get_raw(&format!("/v1/projects/{project}")).await;
        assert_eq!(answer.status, 200, "{project}");
    }
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn without_its_database_it_says_so_and_is_not_ready(pool: PgPool) {
    let world = World::new(pool).await;
    world.replica.app.pool.close().await;
    for route in ["/readyz", "/v1/projects", "/v1/days/2026-01-01"] {
        let answer = world.get_raw(route).await;
        assert_eq!((answer.status, answer.retry_after.as_deref()), (503, Some("1")), "{route}");
        assert_eq!(answer.problem().code, "busy", "{route}");
    }
    assert_eq!(world.get_raw("/healthz").await.status, 200);
}

/// A failover in progress: the server answers, and takes no writes.
#[sqlx::test(migrations = "../../migrations/backend")]
async fn on_a_read_only_database_it_asks_to_try_again(pool: PgPool) {
    let world = World::new(pool).await;
    assert_eq!(world.get_raw("/readyz").await.status, 200);
    let mut own = world.pool.acquire().await.unwrap();
    let (name, me): (String, i32) = sqlx::query_as("select current_database(), pg_backend_pid()")
        .fetch_one(&mut *own)
        .await
        .unwrap();
    let read_only = format!("alter database \"{name}\" set default_transaction_read_only = on");
    sqlx::query(sqlx::AssertSqlSafe(read_only)).execute(&mut *own).await.unwrap();
    // Connections take it up when they are made.
    let others = "select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> $1";
    sqlx::query(others).bind(me).execute(&mut *own).await.unwrap();
    sqlx::query("set default_transaction_read_only = on").execute(&mut *own).await.unwrap();
    drop(own);
    let ready = world.get_raw("/readyz").await;
    assert_eq!((ready.status, ready.problem().code.as_str()), (503, "busy"), "{ready:?}");
    let authorization = Node::new(&alice(), 7).authorization(&world, 1);
    let refusal = problem(world.client().authorize_node(&authorization).await);
    assert_eq!((refusal.status, refusal.code.as_str()), (503, "busy"), "{refusal:?}");
}

/// Collects logs while it exists, a line for each event of level warning or error.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        text.lines().map(ToOwned::to_owned).collect()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn refused_requests_are_told_once_and_counted(pool: PgPool) {
    let world = World::new(pool).await;
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let mut report = Report::new(world.replica.app.refusals.clone());
    world.replica.app.pool.close().await;
    for minute in 0..2 {
        for _ in 0..20 {
            assert_eq!(world.get_raw("/v1/projects").await.status, 503);
        }
        let lines = log.lines();
        assert_eq!(lines.len(), 1, "minute {minute}: {lines:?}");
        assert!(lines[0].contains("database") && lines[0].contains("closed"), "{lines:?}");
        report.tick().await.unwrap();
        let lines = log.lines();
        assert_eq!(lines.len(), 1, "minute {minute}: {lines:?}");
        assert!(lines[0].contains("code=\"busy\" requests=20"), "{lines:?}");
    }
    // Nothing to report; callers' own faults are not logged.
    assert_eq!(world.get_raw("/v1/nodes/nonsense").await.status, 400);
    report.tick().await.unwrap();
    assert_eq!(log.lines(), [""; 0]);
}

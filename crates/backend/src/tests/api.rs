//! The API as a whole: every route is documented, every refusal is a problem document.

use std::collections::BTreeSet;

use nodesys_core::api::Problem;
use serde_json::Value;
use sqlx::PgPool;

use super::support::World;
use super::support::chain::{CHAIN_ID, receipt_key};

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
    assert_eq!(codes, BTreeSet::from(["bad_request".to_owned(), "unknown_project".to_owned()]));
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

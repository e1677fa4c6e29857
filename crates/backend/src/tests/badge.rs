//! A project's badge, as other people's pages embed it.

use sqlx::PgPool;

use super::support::World;

#[sqlx::test(migrations = "../../migrations/backend")]
async fn it_is_a_picture_that_runs_nothing_and_is_sent_once(pool: PgPool) {
    let world = World::new(pool).await;
    let http = reqwest::Client::new();
    let url = format!("{}/v1/projects/acme/badge", world.replica.base);
    let answer = http.get(&url).send().await.unwrap();
    let headers = answer.headers().clone();
    for (name, value) in [
        ("content-type", "image/svg+xml"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("cache-control", "max-age=300"),
    ] {
        assert_eq!(headers.get(name).unwrap(), value, "{name}");
    }
    let picture = answer.text().await.unwrap();
    assert!(picture.contains("<title>acme: no day paid yet</title>"), "{picture}");
    let again = http.get(&url).header("if-none-match", headers["etag"].clone()).send().await;
    assert_eq!(again.unwrap().status(), 304);
    let refused = world.get_raw("/v1/projects/nobody/badge").await;
    assert_eq!(refused.problem().code, "unknown_project");
}

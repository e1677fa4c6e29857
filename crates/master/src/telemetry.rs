//! This program's metrics, and the listener for them and for probes.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use metrics::{describe_counter, describe_gauge};
use sqlx::PgPool;

/// Collects and describes them, once per process, and returns `/metrics`, `/healthz` and `/readyz`.
///
/// # Errors
///
/// When they are collected already.
pub(crate) fn routes(pool: PgPool) -> anyhow::Result<Router> {
    let handle = nodesys_service::metrics::install()?;
    describe();
    let ready = move || async move {
        let writes = sqlx::query_scalar::<_, bool>("select not pg_is_in_recovery()");
        match writes.fetch_one(&pool).await {
            Ok(true) => (StatusCode::OK, "ready\n"),
            Ok(false) => (StatusCode::SERVICE_UNAVAILABLE, "the database takes no writes\n"),
            Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n"),
        }
    };
    let probes =
        Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready));
    Ok(probes.merge(nodesys_service::metrics::route(handle, || {})))
}

/// Every name, what it says, and its first value.
fn describe() {
    describe_gauge!("nodesys_master_build_info", "1, with the version of the program.");
    metrics::gauge!("nodesys_master_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    describe_gauge!(
        "nodesys_master_day_due",
        "First day that is over and has no commit on chain, as days since 1970; 0 for none."
    );
    describe_gauge!(
        "nodesys_master_day_posted",
        "Head of the chain's commits, as days since 1970."
    );
    for gauge in ["nodesys_master_day_due", "nodesys_master_day_posted"] {
        metrics::gauge!(gauge).set(0.0);
    }
    describe_gauge!("nodesys_master_committing", "1 when the last look at the days did not fail.");
    metrics::gauge!("nodesys_master_committing").set(1.0);
    describe_counter!("nodesys_master_commits_total", "Days that this process committed.");
    metrics::counter!("nodesys_master_commits_total").absolute(0);
    describe_counter!("nodesys_master_commit_failures_total", "Looks at the days that failed.");
    metrics::counter!("nodesys_master_commit_failures_total").absolute(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;

    /// What `deploy/observability` is checked against.
    const COMMITTED: &str =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/observability/master.metrics.txt");

    #[test]
    fn metrics_are_whole_from_the_start() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, describe);
        let text = recorder.handle().render().replace(env!("CARGO_PKG_VERSION"), "VERSION");
        let mut families: Vec<&str> =
            text.split("\n\n").map(str::trim).filter(|part| !part.is_empty()).collect();
        families.sort_unstable();
        for family in &families {
            assert!(family.starts_with("# HELP nodesys_master_"), "{family}");
        }
        let found = families.join("\n") + "\n";
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::write(COMMITTED, &found).unwrap();
        }
        let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
        assert_eq!(found, committed, "other metrics: run this test with UPDATE_SNAPSHOTS=1");
    }
}

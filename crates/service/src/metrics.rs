//! Metrics for Prometheus.

use anyhow::Context as _;
use axum::Router;
use axum::http::header;
use axum::routing::get;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// Bounds of durations. Without them the exporter makes summaries, whose quantiles cannot be added up.
const BUCKETS_SECS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// Collects this process's metrics from now on. Once per process.
///
/// # Errors
///
/// When they are collected already.
pub fn install() -> anyhow::Result<PrometheusHandle> {
    PrometheusBuilder::new()
        .set_buckets(&BUCKETS_SECS)
        .context("the buckets of durations")?
        .install_recorder()
        .context("another metrics recorder is installed")
}

/// `GET /metrics`; `look` sets what is only known when somebody asks.
pub fn route<S, F>(handle: PrometheusHandle, look: F) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    F: Fn() + Clone + Send + Sync + 'static,
{
    let answer = move || async move {
        look();
        ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], handle.render())
    };
    Router::new().route("/metrics", get(answer))
}

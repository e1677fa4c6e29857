//! Metrics for Prometheus.

use anyhow::Context as _;
use axum::Router;
use axum::routing::get;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// Collects this process's metrics from now on. Once per process.
///
/// # Errors
///
/// When they are collected already.
pub fn install() -> anyhow::Result<PrometheusHandle> {
    PrometheusBuilder::new().install_recorder().context("another metrics recorder is installed")
}

/// `GET /metrics`.
pub fn route<S: Clone + Send + Sync + 'static>(handle: PrometheusHandle) -> Router<S> {
    Router::new().route("/metrics", get(move || async move { handle.render() }))
}

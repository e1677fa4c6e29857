//! Logs to stderr, metrics for Prometheus.

use anyhow::Context;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Installs both, once per process. `NODESYS_LOG` takes tracing's filter syntax.
pub(crate) fn install() -> anyhow::Result<PrometheusHandle> {
    let filter = EnvFilter::try_from_env("NODESYS_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,alloy=warn,sqlx=warn"));
    let secret_free = filter_fn(|metadata| !nodesys_chain::logs_secrets(metadata.target()));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    tracing_subscriber::registry().with(filter).with(secret_free).with(lines).init();
    let handle = PrometheusBuilder::new()
        .install_recorder()
        .context("another metrics recorder is installed")?;
    metrics::describe_counter!(
        "heartbeats_accepted_total",
        "Heartbeats acknowledged after commit."
    );
    metrics::describe_counter!("heartbeat_batches_total", "Group commits.");
    metrics::describe_counter!("days_computed_total", "Days computed from an upload.");
    metrics::describe_counter!("http_problems_total", "Refused requests, by problem code.");
    metrics::describe_counter!("task_failures_total", "Failed background runs, by task.");
    metrics::describe_gauge!("days_closed", "Newest closed day, as days since 1970.");
    metrics::describe_gauge!("mirror_block", "Newest final block in the license mirror.");
    Ok(handle)
}

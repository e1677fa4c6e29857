//! This program's metrics.

use metrics_exporter_prometheus::PrometheusHandle;

/// Collects and describes them, once per process.
pub(crate) fn install() -> anyhow::Result<PrometheusHandle> {
    let handle = nodesys_service::metrics::install()?;
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

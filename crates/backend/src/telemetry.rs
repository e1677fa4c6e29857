//! This program's metrics: every name, what it says, and its first value.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::PrometheusHandle;

use crate::db::lease::EndReason;
use crate::error::ApiError;

/// Counters without labels.
const COUNTERS: [(&str, &str); 18] = [
    ("nodesys_heartbeats_accepted_total", "Heartbeats acknowledged after commit."),
    ("nodesys_heartbeat_batches_total", "Group commits."),
    (
        "nodesys_heartbeat_batches_judged_again_total",
        "Batches that the database refused at first, since a lease had ended.",
    ),
    ("nodesys_memory_read_anew_total", "Times that the database had lost its tail."),
    ("nodesys_leases_granted_total", "Leases granted."),
    (
        "nodesys_authorizations_lapsed_total",
        "Authorisations that lapsed: their nodes had no license for 30 days.",
    ),
    ("nodesys_uploads_computed_total", "Uploads whose day was computed."),
    ("nodesys_commits_accepted_total", "Commits accepted."),
    ("nodesys_roots_posted_total", "Posts that this replica saw become final."),
    ("nodesys_notify_delivered_total", "Messages that a webhook took."),
    ("nodesys_notify_refused_total", "Attempts that a webhook did not take."),
    ("nodesys_logins_begun_total", "People who signed in."),
    ("nodesys_releases_stored_total", "Documents of releases stored."),
    ("nodesys_mirror_checks_failed_total", "Checks of old pages of logs that could not be made."),
    ("nodesys_mirror_repaired_total", "Facts that the mirror had missed."),
    (
        "nodesys_mirror_surplus_total",
        "License events in the mirror that the RPC does not show any more.",
    ),
    (
        "nodesys_mirror_readings_differ_total",
        "Second readings of final blocks that differ from the first.",
    ),
    ("nodesys_mirror_sources_set_aside_total", "Times that a contract's logs could not be read."),
];

/// Gauges; each is set by the first run of what measures it.
const GAUGES: [(&str, &str); 21] = [
    ("nodesys_build_info", "1, with the version of the program."),
    ("nodesys_day_closed", "Newest closed day, as days since 1970."),
    ("nodesys_day_backlog", "Past days that are not closed."),
    ("nodesys_day_tomorrow_open", "1 when tomorrow's partition is there."),
    (
        "nodesys_mirror_block",
        "Block up to which the mirror has all sources that are not set aside.",
    ),
    (
        "nodesys_mirror_stopped",
        "1 while the chain lacks a block that was final: run nodesys-backend mirror rewind.",
    ),
    (
        "nodesys_mirror_sources_set_aside",
        "Contracts whose logs cannot be read; days of their projects wait.",
    ),
    (
        "nodesys_rights_unread_collections",
        "Collections whose holders cannot be read; their leases stay, none is granted.",
    ),
    (
        "nodesys_rights_overdue_leases",
        "Active leases whose check against the chain is due and was not made.",
    ),
    (
        "nodesys_posts_parked_projects",
        "Projects whose posts are over a limit, or failed in a block, and wait.",
    ),
    ("nodesys_mirror_lost_seconds", "For how long the chain could not be followed."),
    ("nodesys_leases_active", "Active leases."),
    ("nodesys_outbox_waiting", "Commits that are not posted in a final block yet."),
    ("nodesys_outbox_oldest_seconds", "Age of the oldest of them."),
    ("nodesys_heartbeats_waiting", "Heartbeats that wait for their group commit."),
    ("nodesys_database_connections", "Connections of the pool, by state."),
    ("nodesys_clock_in_line", "1 when our clock agrees with its witnesses."),
    ("nodesys_clock_postgres_off_seconds", "How far the clock of Postgres is out of line."),
    (
        "nodesys_receipt_key_expires_seconds",
        "Unix time at which the registry's record of the receipt key ends.",
    ),
    ("nodesys_poster_balance_wei", "Balance of the poster's account."),
    ("nodesys_poster_posts_left", "Posts that the poster can pay for at today's price."),
];

/// Collects and describes them, once per process.
pub(crate) fn install() -> anyhow::Result<PrometheusHandle> {
    let handle = nodesys_service::metrics::install()?;
    describe();
    Ok(handle)
}

/// Describes every metric; a counter is there before its first event.
pub(crate) fn describe() {
    for (name, help) in COUNTERS {
        describe_counter!(name, help);
        metrics::counter!(name).absolute(0);
    }
    for (name, help) in GAUGES {
        describe_gauge!(name, help);
    }
    metrics::gauge!("nodesys_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    describe_counter!("nodesys_http_problems_total", "Refused requests, by problem code.");
    for code in ApiError::CODES {
        metrics::counter!("nodesys_http_problems_total", "code" => *code).absolute(0);
    }
    describe_counter!("nodesys_leases_ended_total", "Leases ended, by reason.");
    for reason in EndReason::ALL {
        metrics::counter!("nodesys_leases_ended_total", "reason" => reason.as_str()).absolute(0);
    }
    describe_counter!("nodesys_task_failures_total", "Failed background runs, by task.");
    describe_histogram!(
        "nodesys_http_request_duration_seconds",
        Unit::Seconds,
        "Time from a request to its answer, by route."
    );
}

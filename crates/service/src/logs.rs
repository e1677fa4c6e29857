//! Logs: lines on standard error, chosen by one environment variable, none of which tells a secret.

use tracing::Metadata;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The environment variable that chooses lines, in the filter syntax of `tracing`.
pub const VARIABLE: &str = "NODESYS_LOG";
/// What a program that runs long logs unless told otherwise.
pub const LONG_RUNNING: &str = "info,alloy=warn,sqlx=warn";

/// Logs to standard error from now on: by [`VARIABLE`], or by `default` where that is not set.
pub fn to_stderr(default: &str) {
    let (filter, problem) = match EnvFilter::try_from_env(VARIABLE) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new(default), std::env::var_os(VARIABLE).map(|_| error)),
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let subscriber =
        tracing_subscriber::registry().with(filter).with(filter_fn(is_free_of_secrets)).with(lines);
    // Fails only when a test has set it up already, which is as good.
    let _ = subscriber.try_init();
    if let Some(error) = problem {
        tracing::warn!(%error, "{VARIABLE} is not a filter; logging as if it were not set");
    }
}

/// Whether a line or a span never holds a secret, whatever level is asked for.
///
/// The URL of an RPC mostly carries a key, and alloy's transports log the whole of it.
fn is_free_of_secrets(metadata: &Metadata<'_>) -> bool {
    !metadata.target().starts_with("alloy_transport")
}

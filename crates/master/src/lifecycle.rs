//! Start and stop: logs, signals, the ready file.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Logs go to stderr; `NODESYS_LOG` takes tracing's filter syntax.
pub(crate) fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("NODESYS_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,alloy=warn,sqlx=warn"));
    // Fails only if a test has set it up already.
    let secret_free = filter_fn(|metadata| !nodesys_chain::logs_secrets(metadata.target()));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let _ = tracing_subscriber::registry().with(filter).with(secret_free).with(lines).try_init();
}

/// Cancels the token at SIGTERM or SIGINT; a second signal ends the program at once.
pub(crate) fn stop_on_signals(stop: &CancellationToken) -> anyhow::Result<()> {
    let mut term = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut int = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        tracing::info!("stopping: finishing the work in progress");
        stop.cancel();
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        tracing::warn!("second signal: ending at once");
        std::process::exit(130);
    });
    Ok(())
}

/// Writes the service's address to a file, atomically.
pub(crate) fn write_ready_file(path: &Path, addr: SocketAddr) -> anyhow::Result<()> {
    let body = serde_json::json!({
        "pid": std::process::id(),
        "addr": addr.to_string(),
        "build_id": env!("CARGO_PKG_VERSION"),
    });
    let unfinished = path.with_extension(format!("{}.tmp", std::process::id()));
    std::fs::write(&unfinished, body.to_string())
        .and_then(|()| std::fs::rename(&unfinished, path))
        .with_context(|| format!("cannot write the ready file {}", path.display()))
}

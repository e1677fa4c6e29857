//! Start and end of the process: logs, ready file, signals.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Logs to stderr, by `RUST_LOG`, else from `info` on.
pub fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

/// Cancels on the first SIGTERM or SIGINT; a second one ends the process at once.
pub fn stop_on_signals(stop: &CancellationToken) -> anyhow::Result<()> {
    let mut term = signal(SignalKind::terminate()).context("SIGTERM")?;
    let mut int = signal(SignalKind::interrupt()).context("SIGINT")?;
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        tracing::info!("stopping: finishing what was begun");
        stop.cancel();
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        tracing::warn!("second signal: ending at once");
        std::process::exit(130);
    });
    Ok(())
}

/// SIGHUP makes the manager check at once for another release.
pub fn wake_on_hangup(wake: Arc<Notify>) -> anyhow::Result<()> {
    let mut hangup = signal(SignalKind::hangup()).context("SIGHUP")?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            wake.notify_one();
        }
    });
    Ok(())
}

/// Writes the ready file, whole, by rename.
pub fn write_ready_file(path: &Path, addr: SocketAddr) -> anyhow::Result<()> {
    let ready = serde_json::json!({
        "pid": std::process::id(),
        "addr": addr.to_string(),
        "build_id": env!("CARGO_PKG_VERSION"),
    });
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    std::fs::write(&name, ready.to_string())
        .and_then(|()| std::fs::rename(&name, path))
        .with_context(|| format!("the ready file {} cannot be written", path.display()))
}

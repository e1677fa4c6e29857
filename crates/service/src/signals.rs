//! Stop signals.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancels `stop` on the first SIGTERM or SIGINT; a second one ends the process at once.
///
/// # Errors
///
/// When the system does not let the process listen for signals.
pub fn stop_on_signals(stop: &CancellationToken) -> anyhow::Result<()> {
    let mut term = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut int = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        tracing::info!("stopping: nothing new is begun, what was begun is finished");
        stop.cancel();
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        tracing::warn!("second signal: ending at once");
        std::process::exit(130);
    });
    Ok(())
}

/// Ends the process with 130 on SIGINT or SIGTERM, after saying what a command leaves behind.
///
/// # Errors
///
/// When the system does not let the process listen for signals.
pub fn say_when_stopped(words: impl Fn() -> String + Send + 'static) -> anyhow::Result<()> {
    let mut term = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut int = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    tokio::spawn(async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        let mut line = words();
        line.push('\n');
        // Nobody is left to tell when this fails.
        let _ = std::io::Write::write_all(&mut std::io::stderr().lock(), line.as_bytes());
        std::process::exit(130);
    });
    Ok(())
}

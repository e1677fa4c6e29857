//! The thin main; everything is in the library.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser as _;
use nodesys_clock::Clock;
use nodesys_core::text::lines;
use nodesys_manager::config::Args;
use nodesys_manager::probe::{self, ProbeArgs};
use nodesys_service::logs;
use nodesys_service::ready::Ready;
use nodesys_service::signals::stop_on_signals;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("nothing before the first line of main installs a provider");
    if std::env::args_os().nth(1).is_some_and(|word| word == "probe") {
        return probe();
    }
    let args = Args::parse();
    logs::to_stderr(logs::LONG_RUNNING);
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nodesys-manager: {}", lines(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

/// The program's other command, without a manager's configuration.
fn probe() -> ExitCode {
    match probe::run(&ProbeArgs::parse_from(std::env::args_os().skip(1))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nodesys-manager probe: {error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(args: &Args) -> anyhow::Result<()> {
    let settings = args.settings()?;
    let stop = CancellationToken::new();
    stop_on_signals(&stop)?;
    let name = format!("manager {}", settings.node_key.address());
    let clock = Clock::from_flag(settings.clock, settings.domain.chain_id(), &name).await?;
    let running = nodesys_manager::start(settings, clock, stop).await?;
    if let Some(path) = &args.ready_file {
        Ready::here(running.addr()).write(path)?;
    }
    wake_on_hangup(running.wake())?;
    running.finished().await
}

/// SIGHUP makes the manager look at once whether there is another release.
fn wake_on_hangup(wake: Arc<Notify>) -> anyhow::Result<()> {
    let mut hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            wake.notify_one();
        }
    });
    Ok(())
}

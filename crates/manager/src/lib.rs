//! The workload manager: health in, heartbeats out, receipts kept.
//!
//! It runs on the operator's machine with a node key, never a wallet's. Workloads post their
//! health to it ([`health`]); each minute [`plan`] makes one heartbeat of what was heard, the loop
//! (`minutes`) sends it and checks the receipt, and [`receipts`] keeps it. Everything that is
//! decided is decided in [`plan`]; the rest carries.
//!
//! What stays true: one heartbeat a minute and none for a minute that has passed; its number is
//! durable before it leaves; a minute counts as accepted only by a receipt that verifies.

pub mod config;
pub mod health;
mod http;
pub mod lifecycle;
mod minutes;
pub mod plan;
pub mod receipts;
pub mod state;
mod tickets;
mod view;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::serve::ListenerExt as _;
use nodesys_clock::Clock;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use config::Settings;
use health::Board;
use http::Shared;
use minutes::Minutes;
use tickets::Tickets;
use view::View;

/// How long the listener may take to end its connections.
const SOFT_STOP: Duration = Duration::from_secs(5);

/// A manager that runs.
pub struct Running {
    addr: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
    minutes: JoinHandle<()>,
}

/// Starts a manager; it listens when this returns, and ends after `stop` is cancelled.
pub async fn start(
    mut settings: Settings,
    clock: Clock,
    stop: CancellationToken,
) -> anyhow::Result<Running> {
    let workloads = std::mem::take(&mut settings.workloads);
    let node_key = settings.node_key.address();
    tracing::info!(%node_key, backend = settings.backend, workloads = workloads.len(), "starting");
    if workloads.is_empty() {
        tracing::warn!("no workloads are configured: the heartbeat carries no license");
    }
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("cannot listen on {}", settings.listen))?;
    let addr = listener.local_addr().context("the listener's address")?;
    let listener = listener.tap_io(|stream| {
        // An answer is one small write that waiting for more would only delay.
        let _ = stream.set_nodelay(true);
    });

    let pinned = settings.receipt_key.is_some();
    let view = View::new(node_key, settings.backend.clone(), pinned, workloads.len());
    let board = Board::new(workloads, clock.monotonic_millis(), settings.start_grace_secs);
    let tickets = Tickets::new(&settings)?;
    let shared = Arc::new(Shared { board, view, clock: clock.clone(), tickets });
    let minutes = Minutes::open(settings, shared.clone())?;

    // Before anybody is told that the program is ready: from here on a stepped clock waits.
    let sleeper = clock.sleeper();
    let minutes = tokio::spawn(minutes.run(sleeper, stop.clone()));
    let serve = axum::serve(listener, http::router(shared))
        .with_graceful_shutdown(stop.clone().cancelled_owned());
    let serving = tokio::spawn(async move { serve.await });
    Ok(Running { addr, stop, serving, minutes })
}

impl Running {
    /// Where workloads post their health.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns when all has ended: after a stop, or when a part has failed, which stops the rest.
    pub async fn finished(mut self) -> anyhow::Result<()> {
        let (minutes, serving) = tokio::select! {
            ended = &mut self.minutes => (Some(ended), None),
            ended = &mut self.serving => (None, Some(ended)),
        };
        self.stop.cancel();
        match minutes {
            Some(ended) => ended,
            None => self.minutes.await,
        }
        .context("the heartbeat loop failed")?;
        let serving = match serving {
            Some(ended) => Ok(ended),
            // A client that holds its connection open does not hold the program up.
            None => tokio::time::timeout(SOFT_STOP, self.serving).await,
        };
        match serving {
            Ok(ended) => ended.context("the listener failed")?.context("the listener failed"),
            Err(_) => Ok(()),
        }
    }
}

//! The workload manager: health in, heartbeats out, receipts kept.
//!
//! It runs on the operator's machine with a node key, never a wallet's. Workloads post their health
//! to it ([`health`]); each minute [`plan`] makes one heartbeat from the posts, the loop
//! (`minutes`) sends it and checks the receipt, and [`receipts`] keeps it. All decisions are in
//! [`plan`]; the rest only transports.
//!
//! In a cluster it also runs the workloads: the controller ([`cluster`]) keeps the announced
//! releases running within the operator's grants, rendered by [`render`].
//!
//! Invariants: one heartbeat a minute and none for a past minute; its number is durable before it
//! leaves; a minute counts as accepted only by a receipt that verifies.

pub mod cluster;
pub mod config;
pub mod health;
mod http;
mod minutes;
pub mod plan;
pub mod probe;
pub mod receipts;
pub mod state;
mod tickets;
mod view;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use nodesys_clock::{Clock, Sleeper};
use nodesys_service::listener;
use nodesys_service::network::Proxies;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use cluster::Controller;
use cluster::election::{self, Election};
use config::{ClusterSettings, Settings};
use health::HealthBoard;
use http::Shared;
use minutes::Minutes;
use tickets::Tickets;
use view::View;

/// Time for the listener to end its connections.
const SOFT_STOP: Duration = Duration::from_secs(5);

/// A running manager.
pub struct Running {
    addr: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    acting: JoinHandle<anyhow::Result<()>>,
    wake: Arc<Notify>,
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
    let (listener, addr) = listener::bind(settings.listen).await?;

    let pinned = settings.receipt_key.is_some();
    let view = View::new(node_key, settings.backend.clone(), pinned, workloads.len());
    let board = HealthBoard::new(workloads, clock.monotonic_millis(), settings.start_grace_secs);
    let acts = AtomicBool::new(settings.cluster.is_none());
    let tickets = Tickets::new(&settings)?;
    let shared = Arc::new(Shared { board, view, clock: clock.clone(), tickets, acts });
    let wake = Arc::new(Notify::new());

    // Before the ready file: from here on a stepped clock waits.
    let sleeper = clock.sleeper();
    let acting = match settings.cluster.take() {
        None => {
            let minutes = Minutes::open(settings, Vec::new(), shared.clone())?;
            let stop = stop.clone();
            tokio::spawn(async move {
                minutes.run(sleeper, stop).await;
                Ok(())
            })
        }
        Some(cluster) => {
            let client = cluster::connect(&cluster).await?;
            let acting = Acting { settings, cluster, client, shared: shared.clone() };
            tokio::spawn(acting.run(sleeper, stop.clone(), wake.clone()))
        }
    };
    let bounds = listener::Bounds::by_descriptors(Proxies::default());
    let serving =
        tokio::spawn(listener::serve(listener, http::router(shared), bounds, stop.clone()));
    Ok(Running { addr, stop, serving, acting, wake })
}

/// The work of a manager in a cluster while it holds the Lease.
struct Acting {
    settings: Settings,
    cluster: ClusterSettings,
    client: kube::Client,
    shared: Arc<Shared>,
}

impl Acting {
    /// Waits for the Lease, then acts until it is stopped or another has the Lease.
    async fn run(
        self,
        mut sleeper: Sleeper,
        stop: CancellationToken,
        wake: Arc<Notify>,
    ) -> anyhow::Result<()> {
        let Self { settings, cluster, client, shared } = self;
        let clock = shared.clock.clone();
        let rpcs = cluster.rpcs.clone();
        let election = Election::new(client.clone(), cluster.identity.clone(), clock.clone());
        let election = Arc::new(election);
        tracing::info!(us = cluster.identity, "waiting for the Lease");
        while stand(&election).await != Stand::Holds {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = sleeper.sleep(Duration::from_millis(election::RENEW_MILLIS)) => {}
            }
        }
        tracing::info!("this manager acts");
        let controller = Controller::new(
            client,
            cluster,
            settings.domain,
            &settings.backend,
            &settings.node_key,
            election.clone(),
            shared.clone(),
            wake,
        )?;
        let minutes = Minutes::open(settings, rpcs, shared.clone())?;
        shared.acts.store(true, Ordering::Release);

        let parts = stop.child_token();
        let mut minutes = tokio::spawn(minutes.run(clock.sleeper(), parts.clone()));
        let mut controller = tokio::spawn(controller.run(clock.sleeper(), parts.clone()));
        let lost = loop {
            tokio::select! {
                () = stop.cancelled() => break false,
                ended = &mut minutes => { ended.context("the heartbeat loop failed")?; break false }
                ended = &mut controller => { ended.context("the controller failed")?; break false }
                () = sleeper.sleep(Duration::from_millis(election::RENEW_MILLIS)) => {
                    if stand(&election).await == Stand::Another {
                        break true;
                    }
                }
            }
        };
        shared.acts.store(false, Ordering::Release);
        parts.cancel();
        drop(sleeper);
        if !minutes.is_finished() {
            minutes.await.context("the heartbeat loop failed")?;
        }
        if !controller.is_finished() {
            controller.await.context("the controller failed")?;
        }
        anyhow::ensure!(!lost, "the Lease is lost: another manager acts");
        if let Err(error) = election.release().await {
            // Another takes over once the Lease's time has passed.
            tracing::warn!(error = format!("{error:#}"), "the Lease cannot be let go");
        }
        Ok(())
    }
}

/// This manager's state with the Lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    Holds,
    /// Another acts, or was faster.
    Another,
    /// The API does not answer. If that lasts, the controller stops changing the cluster by itself;
    /// heartbeats continue, since they need only the workloads' reports and the backend.
    Unknown,
}

async fn stand(election: &Election) -> Stand {
    match election.tick().await {
        Ok(true) => Stand::Holds,
        Ok(false) => Stand::Another,
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "the Lease");
            Stand::Unknown
        }
    }
}

impl Running {
    /// Where workloads post their health.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Makes the manager check at once for another release.
    pub fn wake(&self) -> Arc<Notify> {
        self.wake.clone()
    }

    /// Returns when every part has ended: after a stop, or after the failure of a part, which stops
    /// the rest.
    pub async fn finished(mut self) -> anyhow::Result<()> {
        let (acting, serving) = tokio::select! {
            ended = &mut self.acting => (Some(ended), None),
            ended = &mut self.serving => (None, Some(ended)),
        };
        self.stop.cancel();
        let acting = match acting {
            Some(ended) => ended,
            None => self.acting.await,
        }
        .context("the heartbeat loop failed");
        let serving = match serving {
            Some(ended) => Ok(ended),
            // A client that holds its connection open does not hold the program up.
            None => tokio::time::timeout(SOFT_STOP, self.serving).await,
        };
        if let Ok(ended) = serving {
            ended.context("the listener failed")?;
        }
        acting?
    }
}

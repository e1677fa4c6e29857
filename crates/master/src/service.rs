//! The service: commits each day as it closes, serves the bundles, hands out tasks.
//!
//! Three tasks run side by side: the HTTP server, the commit loop, and the expiry of task leases.
//! When one of them ends, the others stop too.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use clap::Args;
use nodesys_clock::Clock;
use nodesys_core::Address;
use nodesys_core::ticket::Origin;
use nodesys_core::time::UtcDay;
use nodesys_sdk::bundles::BundleStore;
use nodesys_service::listener;
use nodesys_service::network::{Proxies, Proxy};
use nodesys_service::ready::Ready;
use nodesys_service::signals::stop_on_signals;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::day::{Commits, Owner};
use crate::error::ApiError;
use crate::task::{self, Gate, Slots, Tasks};
use crate::{database, telemetry};

/// Connections of probes and Prometheus.
const ADMIN_CONNECTIONS: usize = 64;

/// Options of the service.
#[derive(Debug, Args)]
pub struct ServeOptions {
    /// Address to listen on; port 0 picks a free port.
    #[arg(long, value_name = "ADDR", env = "NODESYS_LISTEN", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A second address, for /metrics, /healthz and /readyz. For probes and Prometheus: let no stranger
    /// reach it.
    #[arg(long, value_name = "ADDR", env = "NODESYS_ADMIN_LISTEN")]
    admin_listen: Option<SocketAddr>,
    /// Proxies in front of the service, as addresses or networks (10.0.0.0/8), which may have every
    /// connection.
    #[arg(
        long = "trusted-proxy",
        value_name = "NETWORK",
        env = "NODESYS_TRUSTED_PROXIES",
        value_delimiter = ','
    )]
    trusted_proxies: Vec<Proxy>,
    /// File to write once the service is ready: pid, address and build id as JSON.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Minutes between the end of a day and its commit, for an owner who looks first.
    #[arg(long, value_name = "MINUTES", env = "NODESYS_REVIEW_MINUTES", default_value_t = 0)]
    review_minutes: u64,
    /// URL at which workloads reach this service; their tickets are signed for it [the address it
    /// listens on].
    #[arg(long, value_name = "URL", env = "NODESYS_PUBLIC_URL")]
    public_url: Option<Origin>,
}

/// Runs the service until SIGTERM or SIGINT.
pub(crate) async fn serve(settings: &Settings, options: &ServeOptions) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    stop_on_signals(&stop)?;
    let owner = Owner::reader(settings).await?;
    let chain_id = owner.project.chain_id;
    let name = format!("master {}", owner.project.name);
    let clock = Clock::from_flag(settings.clock, chain_id, &name).await?;
    let owner = owner.with_signer(settings, clock.clone()).await?;
    let (listener, addr) = listener::bind(options.listen).await?;
    // Before the ready file: from here on a stepped clock waits for us.
    let sleeper = clock.sleeper();
    let tasks = Arc::new(tasks(settings, options, addr, &owner, &clock).await?);
    let expiry = (tasks.clone(), clock.sleeper());
    let router = router(owner.store.clone()).merge(task::routes(tasks));
    tracing::info!(%addr, project = %owner.project.name, distributor = %owner.project.distributor, "ready");
    if let Some(addr) = options.admin_listen {
        let routes = telemetry::routes(database::connect(settings).await?)?;
        let (listener, addr) = listener::bind(addr).await?;
        tracing::info!(%addr, "metrics and probes");
        let bounds = listener::Bounds {
            connections: ADMIN_CONNECTIONS,
            ..listener::Bounds::by_descriptors(Proxies::default())
        };
        tokio::spawn(listener::serve(listener, routes, bounds, stop.clone()));
    }
    if let Some(path) = &options.ready_file {
        Ready::here(addr).write(path)?;
    }
    let commits = Commits::new(owner, clock, options.review_minutes);
    let work = tokio::spawn(commits.run(sleeper, stop.clone()));
    let expiry = tokio::spawn(task::expire(expiry.0, expiry.1, stop.clone()));
    // Half a master is worse than one that restarts: a task that ends stops the others.
    let watched = async |task: JoinHandle<()>| {
        let ended = task.await;
        stop.cancel();
        ended
    };
    let bounds = listener::Bounds::by_descriptors(Proxies(options.trusted_proxies.clone()));
    let server = listener::serve(listener, router, bounds, stop.clone());
    let ((), committed, expired) = tokio::join!(server, watched(work), watched(expiry));
    committed.context("the committing loop panicked")?;
    expired.context("the loop that ends leases of tasks panicked")
}

/// The state of the task routes.
async fn tasks(
    settings: &Settings,
    options: &ServeOptions,
    addr: SocketAddr,
    owner: &Owner,
    clock: &Clock,
) -> anyhow::Result<Tasks> {
    let audience = match &options.public_url {
        Some(origin) => origin.clone(),
        None => format!("http://{addr}").parse().context("the listener's address")?,
    };
    let project = &owner.project;
    let queue = task::open_queue(settings, project).await?;
    let (backend, provider) = (&owner.builder.backend, owner.builder.provider.clone());
    tracing::info!(audience = audience.as_str(), "accepting tickets for this audience");
    Ok(Tasks {
        queue,
        gate: Gate::new(project, audience, backend, provider, clock.clone()),
        clock: clock.clone(),
        idle: Arc::default(),
        slots: Slots::default(),
    })
}

fn router(store: BundleStore) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/v1/bundles/{project}/{day}/{file}", get(bundle_file))
        .with_state(Arc::new(store))
}

async fn bundle_file(
    State(store): State<Arc<BundleStore>>,
    Path((project, day, file)): Path<(String, String, String)>,
) -> Response {
    let (Ok(project), Ok(day)) = (project.parse::<Address>(), day.parse::<UtcDay>()) else {
        let detail = "expected /v1/bundles/{distributor}/{YYYY-MM-DD}/{file}";
        return ApiError::bad_request(detail).into_response();
    };
    let content_type = if file.ends_with(".csv") { "text/csv" } else { "application/json" };
    let wanted = file.clone();
    let read = tokio::task::spawn_blocking(move || store.file(project, day, &wanted)).await;
    match read {
        Ok(Ok(Some(bytes))) => ([(header::CONTENT_TYPE, content_type)], bytes).into_response(),
        Ok(Ok(None)) => {
            ApiError::not_found(format!("{file} of {day} is not stored here")).into_response()
        }
        Ok(Err(error)) => ApiError::from(anyhow::Error::from(error)).into_response(),
        Err(error) => ApiError::from(anyhow::Error::from(error)).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodesys_sdk::bundles::BundleSource;

    #[tokio::test]
    async fn bundles_are_served_as_the_backend_serves_them() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let store = BundleStore::new(folder.path());
        let (project, day) = (Address::repeat_byte(0xab), UtcDay(20_454));
        let path = store.day_folder(project, day);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("points.csv"), "license,points\n").unwrap();
        std::fs::write(folder.path().join("secret"), "secret").unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router(store)).await });

        let source = BundleSource::parse(&url).unwrap();
        let found = source.file(project, day, "points.csv").await.unwrap();
        assert_eq!(found.as_deref(), Some(&b"license,points\n"[..]));
        assert_eq!(source.file(project, day, "rewards.csv").await.unwrap(), None);
        assert_eq!(source.file(project, day.next(), "points.csv").await.unwrap(), None);
        assert_eq!(source.file(project, day, "../../secret").await.unwrap(), None);
    }
}

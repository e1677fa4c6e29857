//! The program: start, background jobs, stop.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use nodesys_chain::provider::Provider;
use nodesys_clock::Clock;
use nodesys_core::message::Domain;
use nodesys_core::signature::SigningKey;
use nodesys_core::text::lines;
use nodesys_service::network::Proxies;
use nodesys_service::ready::Ready;
use nodesys_service::signals::stop_on_signals;
use nodesys_service::{listener, logs, secret};
use tokio::sync::Notify;

use crate::config::{Call, Config, MigrateConfig};
use crate::lifecycle::Lifecycle;
use crate::measure::Measure;
use crate::reference::Reference;
use crate::router::{admin_router, public_router, router};
use crate::state::{App, AppState, Parts};
use crate::web::Site;
use crate::{
    db, ended, heartbeat, lease, measure, mend, node, notify, periodic, preflight, refusals, root,
    telemetry, uptime,
};

/// Heartbeats that may wait for the disk before new ones are refused.
const QUEUE: usize = 4096;
/// Connections of probes and Prometheus.
const ADMIN_CONNECTIONS: usize = 64;

/// Runs the backend until a signal, or migrates its database.
pub async fn main(call: Call) -> std::process::ExitCode {
    // Fails only if a provider is already installed, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    logs::to_stderr(logs::LONG_RUNNING);
    let done = match call {
        Call::Run(config) => run(*config).await,
        Call::Migrate(config) => migrate(config).await,
        Call::Mirror(call) => mend::mend(call).await,
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nodesys-backend: {}", lines(&format!("{error:#}")));
            std::process::ExitCode::FAILURE
        }
    }
}

async fn migrate(config: MigrateConfig) -> anyhow::Result<()> {
    let url = config.database.url()?;
    let pool = db::connect::connect(&url, 1, config.allow_unsafe_postgres).await?;
    db::connect::migrate(&pool).await?;
    println!("the schema is up to date");
    Ok(())
}

async fn run(config: Config) -> anyhow::Result<()> {
    let metrics = telemetry::install()?;
    let lifecycle = Lifecycle::default();
    stop_on_signals(&lifecycle.stop)?;
    let proxies = Proxies(config.trusted_proxies.clone());
    let site = config.web.as_deref().map(Site::read).transpose()?.unwrap_or_default();

    let receipt_key = read_key(&config.receipt_key_file).context("receipt key")?;
    let poster_key = config
        .poster_key_file
        .as_deref()
        .map(|path| read_key(path).context("poster key"))
        .transpose()?;
    let chain = Provider::connect_all(&config.rpcs.urls()?, Some(config.chain_id)).await?;
    let domain = Domain::new(config.chain_id, config.registry);
    let clock = Clock::from_flag(config.clock, config.chain_id, "backend").await?;
    // A stepped clock's server is its own reference.
    let server = config.clock.is_some().then(|| clock.clone());
    let reference = Reference::new(server, config.clock_tolerance_millis);
    let (key, first_block) = (receipt_key.address(), config.first_block);
    let key_record = preflight::receipt_key(&chain, &domain, key, first_block, clock.now()).await?;
    let (connections, allow_unsafe) = (config.database_connections, config.allow_unsafe_postgres);
    let pool = db::connect::connect(&config.database.url()?, connections, allow_unsafe).await?;
    if config.no_migrate {
        db::connect::require_schema(&pool).await?;
    } else {
        db::connect::migrate(&pool).await?;
    }
    let challenge_secret = preflight::database(&pool, &domain).await?.challenge_secret;
    let app = App::start(Parts {
        pool,
        clock,
        chain,
        domain,
        final_depth: config.final_depth,
        first_block: config.first_block,
        vouch_after_secs: config.vouch_after_secs,
        rights_requests: usize::try_from(config.rights_requests)?,
        receipt_key,
        key_record,
        challenge_secret,
        queue: QUEUE,
        allow_private_webhooks: config.allow_private_webhooks,
        proxies: proxies.clone(),
        public_url: config.public_url,
        reference,
        metrics,
    })
    .await?;
    spawn_jobs(&lifecycle, &app, poster_key.map(|key| (key, config.post_limits))).await?;

    let bounds = listener::Bounds::by_descriptors(proxies);
    let (listener, addr) = listener::bind(config.listen).await?;
    let routes = match config.admin_listen {
        None => router(app, site),
        Some(admin) => {
            let (listener, addr) = listener::bind(admin).await?;
            tracing::info!(%addr, "metrics and probes");
            let bounds = listener::Bounds { connections: ADMIN_CONNECTIONS, ..bounds.clone() };
            // It answers until the last request of the others is answered.
            let served = lifecycle.served.clone();
            let admin = admin_router(app.clone());
            lifecycle.spawn("admin", listener::serve(listener, admin, bounds, served));
            public_router(app, site)
        }
    };
    if let Some(path) = &config.ready_file {
        Ready::here(addr).write(path)?;
    }
    tracing::info!(%addr, chain_id = config.chain_id, registry = %config.registry, "ready");
    tokio::select! {
        () = listener::serve(listener, routes, bounds, lifecycle.stop.clone()) => {}
        () = lifecycle.overdue() => tracing::warn!("some requests did not end in time"),
    }
    if !lifecycle.finish().await {
        bail!("tasks did not end in time");
    }
    Ok(())
}

/// Starts all background work.
async fn spawn_jobs(
    lifecycle: &Lifecycle,
    app: &AppState,
    poster: Option<(SigningKey, root::PostLimits)>,
) -> anyhow::Result<()> {
    heartbeat::spawn_writer(lifecycle, app.clone()).await?;
    let clock = &app.clock;
    let minute = Duration::from_secs(60);
    let never = || Arc::new(Notify::new());
    periodic::spawn(lifecycle, clock, minute, never(), lease::Recheck::new(app.clone()));
    periodic::spawn(lifecycle, clock, lease::PERIOD, never(), lease::Expiry::new(app.clone()));
    periodic::spawn(lifecycle, clock, minute, never(), uptime::Close::new(app.clone()));
    periodic::spawn(lifecycle, clock, node::PERIOD, never(), node::Lapse::new(app.clone()));
    periodic::spawn(lifecycle, clock, minute, never(), uptime::Count::new(app.clone()));
    periodic::spawn(lifecycle, clock, notify::PERIOD, never(), notify::Notify::new(app.clone()));
    periodic::spawn(lifecycle, clock, minute, never(), ended::DropEnded::new(app.clone()));
    let report = refusals::Report::new(app.refusals.clone());
    periodic::spawn(lifecycle, clock, refusals::PERIOD, never(), report);
    let address = poster.as_ref().map(|(key, _)| key.address());
    periodic::spawn(lifecycle, clock, measure::PERIOD, never(), Measure::new(app.clone(), address));
    if let Some((key, limits)) = poster {
        let poster = root::Poster::new(app.clone(), key, limits);
        periodic::spawn(lifecycle, clock, minute, app.commit_accepted.clone(), poster);
    } else {
        tracing::warn!("no poster key: commits are kept here but posted by others");
    }
    Ok(())
}

/// A private key from a file that only we can read.
fn read_key(path: &std::path::Path) -> anyhow::Result<SigningKey> {
    let text = secret::read(path)?;
    SigningKey::from_hex(&text)
        .with_context(|| format!("{} must hold 64 hex digits", path.display()))
}

//! The program: what every handler and task shares, the routes, start and stop.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use nodesys_clock::Clock;
use nodesys_contracts::provider::Provider;
use nodesys_core::message::Domain;
use nodesys_core::signature::SigningKey;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tower_http::trace::TraceLayer;

use crate::config::Config;
use crate::error::{ApiError, ApiResult};
use crate::heartbeat::Ingest;
use crate::lifecycle::Lifecycle;
use crate::{
    claim, commit, heartbeat, lease, license, node, notify, openapi, periodic, points, project,
    release, root, telemetry, tree, uptime,
};

/// What handlers and tasks share.
pub(crate) struct App {
    pub(crate) pool: PgPool,
    pub(crate) clock: Clock,
    /// Reads of the chain, over the backend's own RPC.
    pub(crate) chain: Provider,
    /// EIP-712 domain of off-chain messages.
    pub(crate) domain: Domain,
    /// Blocks below the head that are final where the chain has no such tag.
    pub(crate) final_depth: u64,
    /// First block the mirror follows.
    pub(crate) first_block: u64,
    pub(crate) receipt_key: SigningKey,
    pub(crate) ingest: Ingest,
    /// Wakes the poster when a commit was accepted.
    pub(crate) commit_accepted: Arc<Notify>,
    /// Whether webhooks may lead to private addresses and to http.
    pub(crate) allow_private_webhooks: bool,
    /// Turns to look a release up on chain.
    pub(crate) release_lookups: Semaphore,
    metrics: PrometheusHandle,
}

pub(crate) type AppState = Arc<App>;

/// What an [`App`] is made of, before it has read its database.
pub(crate) struct Parts {
    pub(crate) pool: PgPool,
    pub(crate) clock: Clock,
    pub(crate) chain: Provider,
    pub(crate) domain: Domain,
    pub(crate) final_depth: u64,
    pub(crate) first_block: u64,
    pub(crate) receipt_key: SigningKey,
    /// Heartbeats that may wait for the disk before new ones are sent away.
    pub(crate) queue: usize,
    pub(crate) allow_private_webhooks: bool,
    pub(crate) metrics: PrometheusHandle,
}

impl App {
    /// Loads what the request path needs: active leases and the open days' minutes.
    pub(crate) async fn start(parts: Parts) -> anyhow::Result<AppState> {
        let challenge_secret = parts.receipt_key.derive("nodesys heartbeat challenge");
        let ingest =
            Ingest::start(&parts.pool, &parts.clock, *challenge_secret, parts.queue).await?;
        Ok(Arc::new(Self {
            pool: parts.pool,
            clock: parts.clock,
            chain: parts.chain,
            domain: parts.domain,
            final_depth: parts.final_depth,
            first_block: parts.first_block,
            receipt_key: parts.receipt_key,
            ingest,
            commit_accepted: Arc::new(Notify::new()),
            allow_private_webhooks: parts.allow_private_webhooks,
            release_lookups: Semaphore::new(release::LOOKUPS),
            metrics: parts.metrics,
        }))
    }

    /// The chain's own time, by which a root is active or not.
    pub(crate) async fn chain_secs(&self) -> ApiResult<u64> {
        let secs = self.chain.latest_block().await?.secs;
        self.chain.recheck_chain().await?;
        Ok(secs)
    }
}

/// Largest body but for heartbeats (4 KiB) and points files.
const BODY_LIMIT: usize = 64 * 1024;
/// Heartbeats that may wait for the disk before new ones are sent away.
const QUEUE: usize = 4096;
/// How long a request may take, its body included.
const REQUEST_LIMIT: Duration = Duration::from_secs(60);

/// Runs the backend until a signal.
pub async fn main(config: Config) -> std::process::ExitCode {
    match run(config).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the backend cannot go on");
            eprintln!("nodesys-backend: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run(config: Config) -> anyhow::Result<()> {
    // Fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let metrics = telemetry::install()?;
    let lifecycle = Lifecycle::default();
    lifecycle.stop_on_signals()?;

    let receipt_key = read_key(&config.receipt_key_file).context("receipt key")?;
    let poster_key = config
        .poster_key_file
        .as_deref()
        .map(|path| read_key(path).context("poster key"))
        .transpose()?;
    let chain = Provider::connect_all(&config.rpc, Some(config.chain_id)).await?;
    chain.require_code(config.registry, "ProjectRegistry").await?;
    let clock = Clock::from_flag(config.clock, config.chain_id, "backend").await?;
    let pool = connect_database(&config).await?;
    let app = App::start(Parts {
        pool,
        clock: clock.clone(),
        chain,
        domain: Domain::new(config.chain_id, config.registry),
        final_depth: config.final_depth,
        first_block: config.first_block,
        receipt_key,
        queue: QUEUE,
        allow_private_webhooks: config.allow_private_webhooks,
        metrics,
    })
    .await?;
    heartbeat::spawn_writer(&lifecycle, app.clone()).await?;
    let minute = Duration::from_secs(60);
    let never = || Arc::new(Notify::new());
    periodic::spawn(&lifecycle, &clock, minute, never(), license::Mirror::new(app.clone()));
    let expiry = lease::Expiry::new(app.clone());
    periodic::spawn(&lifecycle, &clock, lease::PERIOD, never(), expiry);
    periodic::spawn(&lifecycle, &clock, minute, never(), uptime::Close::new(app.clone()));
    let notices = notify::Notify::new(app.clone());
    periodic::spawn(&lifecycle, &clock, notify::PERIOD, never(), notices);
    if let Some(key) = poster_key {
        let poster = root::Poster::new(app.clone(), key);
        periodic::spawn(&lifecycle, &clock, minute, app.commit_accepted.clone(), poster);
    } else {
        tracing::warn!("no poster key: commits are kept here but posted by others");
    }

    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let addr = listener.local_addr()?;
    if let Some(path) = &config.ready_file {
        write_ready_file(path, addr)?;
    }
    tracing::info!(%addr, chain_id = config.chain_id, registry = %config.registry, "ready");
    let stop = lifecycle.stop.clone();
    let serving = axum::serve(listener, router(app)).with_graceful_shutdown(stop.cancelled_owned());
    tokio::select! {
        served = serving.into_future() => served?,
        () = lifecycle.overdue() => tracing::warn!("some requests did not end in time"),
    }
    if !lifecycle.finish().await {
        bail!("tasks did not end in time");
    }
    Ok(())
}

/// All routes.
pub(crate) fn router(app: AppState) -> Router {
    let v1 = Router::new()
        .merge(project::routes())
        .merge(node::routes())
        .merge(lease::routes())
        .merge(license::routes())
        .merge(heartbeat::routes())
        .merge(notify::routes())
        .merge(release::routes())
        .merge(uptime::routes())
        .merge(points::routes())
        .merge(commit::routes())
        .merge(tree::routes())
        .merge(root::routes())
        .merge(claim::routes())
        .merge(openapi::routes())
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn(limit_time));
    Router::new()
        .nest("/v1", v1)
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(|State(app): State<AppState>| async move { app.metrics.render() }))
        .fallback(|| async { ApiError::not_found("no such route; see /v1/openapi.json") })
        .method_not_allowed_fallback(|| async {
            ApiError::method_not_allowed("see /v1/openapi.json")
        })
        .layer(TraceLayer::new_for_http())
        .with_state(app)
}

/// Answers a request that takes too long. What it began may go on; asking again does no harm.
async fn limit_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_LIMIT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            ApiError::busy("no answer within 60 s: send the same request again").into_response()
        }
    }
}

/// Ready when the database answers and the RPC answers for the right chain.
async fn ready(State(app): State<AppState>) -> Result<&'static str, ApiError> {
    sqlx::query("select 1").execute(&app.pool).await?;
    app.chain.recheck_chain().await?;
    Ok("ready\n")
}

async fn connect_database(config: &Config) -> anyhow::Result<PgPool> {
    let options: PgConnectOptions =
        config.database_url.parse().context("the database URL cannot be read")?;
    // What is acknowledged is on disk, whatever the server's own default.
    let options = options.options([("synchronous_commit", "on")]);
    let pool = PgPoolOptions::new()
        .max_connections(config.database_connections)
        .acquire_timeout(Duration::from_secs(10))
        .connect_with(options)
        .await
        .context("cannot connect to Postgres")?;
    let fsync: String = sqlx::query_scalar("show fsync").fetch_one(&pool).await?;
    if fsync != "on" && !config.allow_unsafe_postgres {
        bail!(
            "Postgres runs with fsync={fsync}: a crash would lose acknowledged heartbeats. \
             Turn fsync on, or pass --allow-unsafe-postgres in tests"
        );
    }
    sqlx::migrate!("../../migrations/backend")
        .run(&pool)
        .await
        .context("migrating the database")?;
    Ok(pool)
}

/// A private key from a file that only its owner can read.
fn read_key(path: &std::path::Path) -> anyhow::Result<SigningKey> {
    use std::os::unix::fs::PermissionsExt;
    let shown = path.display();
    let mode = std::fs::metadata(path).with_context(|| format!("cannot read {shown}"))?;
    if mode.permissions().mode() & 0o077 != 0 {
        bail!("{shown} can be read by others: run `chmod 600 {shown}`");
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    SigningKey::from_hex(&text).with_context(|| format!("{shown} must hold 64 hex digits"))
}

/// Tells whoever started us that we are up, in one rename.
fn write_ready_file(path: &std::path::Path, addr: std::net::SocketAddr) -> anyhow::Result<()> {
    let ready = serde_json::json!({
        "pid": std::process::id(),
        "addr": addr.to_string(),
        "version": env!("CARGO_PKG_VERSION"),
    });
    let temporary = path.with_extension("tmp");
    std::fs::write(&temporary, ready.to_string())?;
    std::fs::rename(&temporary, path)?;
    Ok(())
}

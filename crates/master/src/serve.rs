//! The service: commits each day as it closes, serves the bundles, hands out tasks.
//!
//! Once a minute [`Commits::tick`] looks at the chain, the bundle folder and the backend, and does
//! what there is to do; it keeps nothing in memory that it needs. A day that is not closed or not
//! final yet is waited for. A failed tick is logged once, however long it goes on failing.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use nodesys_clock::{Clock, Sleeper};
use nodesys_core::Address;
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_sdk::bundles::BundleStore;
use nodesys_sdk::day::DayError;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cli::ServeOptions;
use crate::config::Settings;
use crate::error::ApiError;
use crate::lifecycle;
use crate::owner::{Committed, Owner};
use crate::task::{self, Gate, Queue, Tasks, queue};

/// Runs until a signal.
pub async fn serve(settings: &Settings, options: &ServeOptions) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    lifecycle::stop_on_signals(&stop)?;
    let owner = Owner::reader(settings).await?;
    let chain_id = owner.project.chain_id;
    let name = format!("master {}", owner.project.name);
    let clock = Clock::from_flag(settings.clock, chain_id, &name).await?;
    let owner = owner.with_signer(settings, clock.clone()).await?;
    let listener = TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("cannot listen on {}", options.listen))?;
    let addr = listener.local_addr().context("the listener has no address")?;
    // Before the ready file: from here on a stepped clock waits for us.
    let sleeper = clock.sleeper();
    let tasks = Arc::new(tasks(settings, options, addr, &owner, &clock).await?);
    let expiry = (tasks.clone(), clock.sleeper());
    let router = router(owner.store.clone()).merge(task::routes(tasks));
    tracing::info!(%addr, project = %owner.project.name, distributor = %owner.project.distributor, "ready");
    if let Some(path) = &options.ready_file {
        lifecycle::write_ready_file(path, addr)?;
    }
    let commits = Commits::new(owner, clock, options.review_minutes);
    let work = tokio::spawn(run(commits, sleeper, stop.clone()));
    let expiry = tokio::spawn(task::expire(expiry.0, expiry.1, stop.clone()));
    // Half a master is worse than one that restarts: one that ends takes the others with it.
    let watched = async |task: JoinHandle<()>| {
        let ended = task.await;
        stop.cancel();
        ended
    };
    let server =
        axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    let server = async { server.await };
    let (served, committed, expired) = tokio::join!(server, watched(work), watched(expiry));
    served.context("the HTTP server ended")?;
    committed.context("the committing loop panicked")?;
    expired.context("the loop that ends leases of tasks panicked")
}

/// What the task routes need.
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
    let url = Settings::need(&settings.database_url, "--database-url")?;
    let project = &owner.project;
    let pool = queue::connect(url).await?;
    let queue = Queue::open(pool, project.chain_id, project.distributor).await?;
    let (backend, provider) = (&owner.builder.backend, owner.builder.provider.clone());
    tracing::info!(audience = audience.as_str(), "tickets are taken for this audience");
    Ok(Tasks {
        queue,
        gate: Gate::new(project, audience, backend, provider, clock.clone()),
        clock: clock.clone(),
        idle: Arc::default(),
        slots: tokio::sync::Semaphore::new(task::SLOTS),
    })
}

async fn run(mut commits: Commits, mut sleeper: Sleeper, stop: CancellationToken) {
    let mut failing = false;
    while !stop.is_cancelled() {
        match commits.tick().await {
            Ok(outcome) => {
                for done in &outcome.committed {
                    tracing::info!(day = %done.day, commit = %done.commit_hash, total = %done.total, "committed");
                }
                if failing {
                    tracing::info!("committing works again");
                }
                failing = false;
            }
            Err(error) => {
                if !failing {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "committing failed; trying again each minute"
                    );
                }
                failing = true;
            }
        }
        let wake = sleeper.clock().now().minute().next().start();
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleeper.sleep_until(wake) => {}
        }
    }
}

/// What a tick did.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Days committed now.
    pub committed: Vec<Committed>,
    /// What the next day waits for.
    pub waiting: Option<String>,
}

/// Commits days as they close.
pub struct Commits {
    owner: Owner,
    clock: Clock,
    /// How long after its end a day is left alone.
    review_millis: u64,
    /// Days whose commit the backend is known to have, so that it is not asked each minute.
    handed_in: BTreeSet<(UtcDay, u32)>,
}

impl Commits {
    /// Nothing done yet.
    pub const fn new(owner: Owner, clock: Clock, review_minutes: u64) -> Self {
        let review_millis = review_minutes.saturating_mul(60_000);
        Self { owner, clock, review_millis, handed_in: BTreeSet::new() }
    }

    /// Commits every day that is closed and final, in order.
    pub async fn tick(&mut self) -> anyhow::Result<Outcome> {
        let mut outcome = Outcome::default();
        let state = self.owner.builder.state().await?;
        let head = UtcDay::from_epoch(state.epoch).context("the head's epoch is out of range")?;
        self.handed_in.retain(|(day, _)| *day > head);
        let mut day = head.next();
        loop {
            if let Some(why) = self.not_yet(day) {
                outcome.waiting = Some(why);
                return Ok(outcome);
            }
            match self.owner.standing(day).await? {
                Some(signed) => {
                    // Signed before, perhaps in a run that ended before it could hand it in.
                    let key = (day, signed.commit.revision);
                    if !self.handed_in.contains(&key) {
                        self.owner.hand_in(day, &signed, true).await?;
                        self.handed_in.insert(key);
                    }
                }
                None => match self.commit(day).await? {
                    Ok(done) => {
                        self.handed_in.insert((day, done.revision));
                        outcome.committed.push(done);
                    }
                    Err(why) => {
                        outcome.waiting = Some(why);
                        return Ok(outcome);
                    }
                },
            }
            day = day.next();
        }
    }

    fn not_yet(&self, day: UtcDay) -> Option<String> {
        let due: Timestamp = day.end().plus_millis(self.review_millis);
        (self.clock.now() < due).then(|| format!("{day} is committed from {due} on"))
    }

    /// Commits a day, or says what it waits for.
    async fn commit(&self, day: UtcDay) -> anyhow::Result<Result<Committed, String>> {
        let view = self.owner.builder.backend.day(day).await?;
        if view.closed.is_none() {
            return Ok(Err(format!("the backend has not closed {day}")));
        }
        match self.owner.builder.snapshot(day).await {
            Err(error @ DayError::NotFinal { .. }) => return Ok(Err(error.to_string())),
            other => other?,
        };
        Ok(Ok(self.owner.commit(day, None).await.with_context(|| format!("day {day}"))?))
    }
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
            ApiError::not_found(format!("there is no {file} of {day} here")).into_response()
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
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
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

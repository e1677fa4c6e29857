//! The watch: follows posts as they come, says of each whether it holds, and acts in time.
//!
//! It goes on until it is stopped. What fails (an RPC, a place, a step of the guardian, a target) is told
//! and tried again at the next look; nothing of it ends the watch. What it has found, told and sent is
//! written down after each look, so that a restart repeats nothing and forgets nothing.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use nodesys_chain::Provider;
use nodesys_clock::DEVELOPMENT_CHAIN_ID;
use nodesys_core::bundle::ProjectInfo;
use nodesys_sdk::audit::AuditRange;
use nodesys_sdk::bundles::Places;
use nodesys_sdk::guardian::{Guardian, decide};
use nodesys_sdk::watch::Watch;

use super::{checks, event, metrics};
use crate::exit::Exit;
use crate::output::{self, Format, say};
use crate::prompt::open_keystore;
use crate::setup::Setup;
use crate::watch::checks::Checks;
use crate::watch::event::Event;
use crate::watch::state::{StateFile, WatchState};
use crate::watch::targets::Targets;

/// The options of a watch.
#[derive(Debug)]
pub(crate) struct WatchOptions {
    /// Check once instead of watching.
    pub(crate) check: bool,
    pub(crate) interval_secs: u64,
    pub(crate) webhooks: Vec<reqwest::Url>,
    pub(crate) webhook_secret_file: Option<PathBuf>,
    pub(crate) guardian_keystore: Option<PathBuf>,
    pub(crate) guardian_password_file: Option<PathBuf>,
    /// The state's file; `None` is one in the home folder.
    pub(crate) state: Option<PathBuf>,
    pub(crate) metrics: Option<SocketAddr>,
}

/// The project as the RPCs that answer know it, all of them alike: the watch must be able to start while
/// one of them is down.
pub async fn project_by_any(
    setup: &Setup,
    provider: &Provider,
    error: anyhow::Error,
) -> anyhow::Result<ProjectInfo> {
    let mut found: Option<ProjectInfo> = None;
    for alone in provider.each() {
        match (setup.project(&alone).await, &found) {
            (Ok(project), Some(known)) if project != *known => return Err(error),
            (Ok(project), _) => found = Some(project),
            (Err(_), _) => {}
        }
    }
    found.ok_or(error)
}

/// How long each try of a guardian's transaction may take to be mined.
const WAIT_FOR_BLOCK: Duration = Duration::from_secs(30);

/// The next look while a step is due that was not taken.
const SOON: Duration = Duration::from_secs(5);

const CHECKS_EVERY_SECS: u64 = 3_600;

/// Watches until it is stopped, or checks once.
pub async fn run(
    setup: &Setup,
    options: &WatchOptions,
    provider: Provider,
    project: &ProjectInfo,
    places: Places,
) -> anyhow::Result<Exit> {
    let file = StateFile::open(setup, options.state.as_deref(), project)?;
    let state = file.read()?;
    let range = AuditRange {
        from: None,
        to: None,
        finality_depth: setup.final_depth(),
        logs_from: setup.first_block(),
    };
    let guardian = guardian(setup, options, project, &state).await?;
    let account = guardian.as_ref().map(Guardian::account);
    let steady = provider.chain_id() != DEVELOPMENT_CHAIN_ID || setup.settings.clock.is_some();
    let checks = Checks::new(provider.clone(), project.clone(), places.clone(), account, steady);
    let targets = Targets::of(options.webhooks.clone(), options.webhook_secret_file.as_deref())?;
    let clock = setup.following_clock(provider.chain_id(), "watcher").await?;
    let watch = Watch::new(&provider, project.clone(), places, range, state.settled.clone());
    let mut round =
        WatchLoop { format: setup.format(), watch, guardian, checks, targets, state, file };
    if options.check {
        return round.check_once(clock.now()).await;
    }
    if let Some(addr) = options.metrics {
        metrics::serve(addr).await?;
    }
    let mut sleeper = clock.sleeper();
    let mut next_checks = 0;
    loop {
        let now = clock.now();
        let look = round.watch.look(now).await;
        let taken = match &mut round.guardian {
            Some(guardian) => guardian.act(&look).await,
            None => Vec::new(),
        };
        metrics::record(&look, &taken);
        let mut events = event::events(project, &look, &taken, &mut round.state);
        if now.secs() >= next_checks {
            next_checks = now.secs() + CHECKS_EVERY_SECS;
            let report = round.checks.run(&look).await;
            events.extend(event::health(project, &report, &mut round.state));
        }
        events.extend(event::alive(project, now, &look, &mut round.state));
        round.tell(&events);
        round.keep();
        round.targets.deliver(&mut round.state, now).await;
        round.keep();
        let due = taken.iter().any(|one| one.problem.is_some());
        let interval = Duration::from_secs(options.interval_secs);
        sleeper.sleep(if due { SOON.min(interval) } else { interval }).await;
    }
}

/// Everything that a look needs.
struct WatchLoop {
    format: Format,
    watch: Watch,
    guardian: Option<Guardian>,
    checks: Checks,
    targets: Targets,
    state: WatchState,
    file: StateFile,
}

impl WatchLoop {
    /// Prints events, and queues them for the targets. Nobody may be reading the output any more: that
    /// must not end the watch.
    fn tell(&mut self, events: &[Event]) {
        for event in events {
            let text = match self.format {
                Format::Json => event.to_json(),
                Format::Table => event.to_string(),
            };
            if let Err(error) = output::data(&text) {
                say(format!("an event is not printed: {error:#}"));
            }
            if event.is_for_targets(&self.state) {
                self.targets.queue(&mut self.state, event);
            }
        }
    }

    /// Writes down what is known. A disk that is full must not end the watch.
    fn keep(&mut self) {
        self.state.settled.clone_from(self.watch.settled());
        if let Some(guardian) = &self.guardian {
            self.state.last_fee = guardian.last_fee;
        }
        if let Err(error) = self.file.write(&self.state) {
            say(format!("the watch's state is not written: {error:#}"));
        }
    }

    async fn check_once(&mut self, now: nodesys_core::time::Timestamp) -> anyhow::Result<Exit> {
        let look = self.watch.look(now).await;
        let mut report = self.checks.run(&look).await;
        report.extend(self.targets.check(now).await);
        let is_owner = look
            .control
            .zip(self.guardian.as_ref())
            .is_some_and(|(control, guardian)| control.owner == guardian.account());
        let report = checks::CheckReport::of(report, decide(&look, is_owner), &look);
        output::print(self.format, &report)?;
        Ok(if report.is_well() { Exit::Done } else { Exit::Unhealthy })
    }
}

async fn guardian(
    setup: &Setup,
    options: &WatchOptions,
    project: &ProjectInfo,
    state: &WatchState,
) -> anyhow::Result<Option<Guardian>> {
    let Some(path) = &options.guardian_keystore else { return Ok(None) };
    let key = open_keystore(path, options.guardian_password_file.as_deref())?;
    let provider = setup.provider_with_key(&key).await.context("the guardian's connection")?;
    let mut guardian =
        Guardian::new(provider, project.distributor, setup.first_block(), WAIT_FOR_BLOCK);
    guardian.last_fee = state.last_fee;
    Ok(Some(guardian))
}

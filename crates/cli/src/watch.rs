//! `audit --watch`: follows posts as they come, says of each whether it holds, and acts in time.
//!
//! It goes on until it is stopped. What fails (an RPC, a place, a step of the guardian, a target) is told
//! and tried again at the next look; nothing of it ends the watch. What it has found, told and sent is
//! written down after each look, so that a restart repeats nothing and forgets nothing.

mod checks;
mod event;
mod metrics;
mod state;
mod targets;

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

use crate::ask::open_keystore;
use crate::exit::Exit;
use crate::output::{self, Format, say};
use crate::setup::Setup;
use checks::Checks;
use event::Event;
use state::{State, StateFile};
use targets::Targets;

/// How long each try of a guardian's transaction may take to be mined.
const WAIT_FOR_BLOCK: Duration = Duration::from_secs(30);
/// The next look while a step is due that was not taken.
const SOON: Duration = Duration::from_secs(5);
const CHECKS_EVERY_SECS: u64 = 3_600;

/// Options of watching.
#[derive(Debug, clap::Args)]
pub struct WatchArgs {
    /// Follow the chain: audit each post as it comes, tell the targets, and with a guardian's key act.
    /// Goes on until it is stopped.
    #[arg(long, conflicts_with_all = ["from", "to"])]
    pub watch: bool,
    /// Check RPCs, places, targets, the guardian's role and gas, and the pause, once; end with 5 where
    /// something is wrong.
    #[arg(long, requires = "watch")]
    pub check: bool,
    /// Seconds between two looks at the chain.
    #[arg(long, value_name = "SECS", default_value_t = 60, requires = "watch")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub interval_secs: u64,
    /// Told of everything that happens, and once a day that the watch is alive (JSON, signed as Standard
    /// Webhooks). May be given more than once.
    #[arg(long, value_name = "URL", requires_all = ["watch", "webhook_secret_file"])]
    pub webhook: Vec<reqwest::Url>,
    /// File whose first line is the webhooks' secret (whsec_...).
    #[arg(long, value_name = "FILE", requires = "webhook")]
    pub webhook_secret_file: Option<PathBuf>,
    /// Keystore of the guardian (or owner). With two RPCs or more a post that does not hold is stopped at
    /// once: the signer is disabled, the post revoked. One that cannot be told is paused at half its
    /// delay.
    #[arg(long, value_name = "FILE", requires = "watch")]
    pub guardian_keystore: Option<PathBuf>,
    /// File whose first line is that keystore's password.
    #[arg(long, value_name = "FILE", requires = "guardian_keystore")]
    pub guardian_password_file: Option<PathBuf>,
    /// File in which the watch keeps what it has found and told [default: watch-PROJECT.json in the home
    /// folder].
    #[arg(long, value_name = "FILE", requires = "watch")]
    pub state: Option<PathBuf>,
    /// Serve Prometheus metrics here, at /metrics.
    #[arg(long, value_name = "ADDR", requires = "watch")]
    pub metrics: Option<SocketAddr>,
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

/// Watches until it is stopped, or checks once.
pub async fn run(
    setup: &Setup,
    args: &WatchArgs,
    provider: Provider,
    project: &ProjectInfo,
    places: Places,
) -> anyhow::Result<Exit> {
    let file = StateFile::open(setup, args.state.as_deref(), project)?;
    let state = file.read()?;
    let range = AuditRange {
        from: None,
        to: None,
        finality_depth: setup.final_depth(),
        logs_from: setup.first_block(),
    };
    let guardian = guardian(setup, args, project, &state).await?;
    let account = guardian.as_ref().map(Guardian::account);
    let steady = provider.chain_id() != DEVELOPMENT_CHAIN_ID || setup.settings.clock.is_some();
    let checks = Checks::new(provider.clone(), project.clone(), places.clone(), account, steady);
    let targets = Targets::of(args.webhook.clone(), args.webhook_secret_file.as_deref())?;
    let clock = setup.following_clock(provider.chain_id(), "watcher").await?;
    let watch = Watch::new(&provider, project.clone(), places, range, state.settled.clone());
    let mut round = Round { format: setup.format(), watch, guardian, checks, targets, state, file };
    if args.check {
        return round.check_once(clock.now()).await;
    }
    if let Some(addr) = args.metrics {
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
        let interval = Duration::from_secs(args.interval_secs);
        sleeper.sleep(if due { SOON.min(interval) } else { interval }).await;
    }
}

/// Everything that a look needs.
struct Round {
    format: Format,
    watch: Watch,
    guardian: Option<Guardian>,
    checks: Checks,
    targets: Targets,
    state: State,
    file: StateFile,
}

impl Round {
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
        let report = checks::Report::of(report, decide(&look, is_owner), &look);
        output::print(self.format, &report)?;
        Ok(if report.is_well() { Exit::Done } else { Exit::Unhealthy })
    }
}

async fn guardian(
    setup: &Setup,
    args: &WatchArgs,
    project: &ProjectInfo,
    state: &State,
) -> anyhow::Result<Option<Guardian>> {
    let Some(path) = &args.guardian_keystore else { return Ok(None) };
    let key = open_keystore(path, args.guardian_password_file.as_deref())?;
    let provider = setup.provider_with_key(&key).await.context("the guardian's connection")?;
    let mut guardian =
        Guardian::new(provider, project.distributor, setup.first_block(), WAIT_FOR_BLOCK);
    guardian.last_fee = state.last_fee;
    Ok(Some(guardian))
}

//! The steps of an update from its journal on: each may be run again, and each leads to the next,
//! or back.

use std::time::Duration;

use anyhow::Context as _;
use nodesys_clock::Clock;
use nodesys_failpoint::reach;
use nodesys_sdk::client::Client;
use semver::Version;

use super::install;
use crate::exit::Exit;
use crate::lifecycle::start::change_manager;
use crate::manager::status::{ManagerStatus, manager_status};
use crate::output::say;
use crate::setup::Setup;
use crate::update::gate::{Gate, GateVerdict, Observation, may_begin};
use crate::update::state::{Journal, Step, UpdateFolder, UpdateState};

/// Between two looks at the manager.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long the backend may take to say that it takes work.
const BACKEND_PATIENCE: Duration = Duration::from_secs(5);

/// How an update ended.
pub(crate) struct UpdateEnd {
    pub(crate) version: Version,
    /// Why it was taken back, where it was.
    pub(crate) failure: Option<String>,
}

/// Why an update may not begin now; `None` where it may, or where there is no node to harm.
pub(crate) async fn blocking_reason(setup: &Setup) -> anyhow::Result<Option<String>> {
    let now = setup.clock().await?.now();
    Ok(match manager_status(setup, now).await {
        None => None,
        Some(Err(error)) => Some(format!("{error:#}")),
        Some(Ok(view)) => may_begin(view.last_receipt(), now).err(),
    })
}

/// Goes on from wherever it is to its end.
pub(crate) async fn go_on(
    setup: &Setup,
    folder: &UpdateFolder,
    state: &mut UpdateState,
    mut journal: Journal,
) -> anyhow::Result<UpdateEnd> {
    loop {
        let next = match journal.step {
            Step::Fetching => Step::Swapping,
            Step::Swapping => match install::swap(&journal.programs) {
                Ok(()) => {
                    reach("update:swapped");
                    say(format!("the programs of {} are in place", journal.to));
                    Step::Deploying
                }
                Err(error) => fails(&mut journal, &error),
            },
            Step::Deploying => match deploy(setup, &journal).await {
                Ok(()) => {
                    reach("update:deployed");
                    Step::Watching
                }
                // Whatever else stands in the way says nothing about the release.
                Err(error) if Exit::of(&error) != Exit::Unhealthy => {
                    return Err(error.context(
                        "the manager cannot be replaced now; run nodesys update again to resume, or \
                         with --roll-back to restore the previous release",
                    ));
                }
                Err(error) => fails(&mut journal, &error),
            },
            Step::Watching => match watch(setup, &journal).await? {
                Ok(()) => {
                    reach("update:healthy");
                    return end(folder, state, journal);
                }
                Err(why) => {
                    journal.failure = Some(why);
                    Step::Undoing
                }
            },
            Step::Undoing => {
                undo(setup, &journal).await?;
                reach("update:undone");
                return end(folder, state, journal);
            }
        };
        journal.enter(folder, next)?;
    }
}

fn fails(journal: &mut Journal, error: &anyhow::Error) -> Step {
    let words = format!("{error:#}");
    say(&words);
    // A manager's last words may follow; they are said above, and not kept.
    journal.failure = words.lines().next().map(str::to_owned);
    Step::Undoing
}

/// The manager of the release, ready.
async fn deploy(setup: &Setup, journal: &Journal) -> anyhow::Result<()> {
    let Some(manager) = &journal.manager else { return Ok(()) };
    say(format!("replacing the manager by that of {}", journal.to));
    change_manager(setup, &manager.after, manager.archive.as_deref()).await
}

/// Waits until the release has shown that it holds; the inner error is why it does not.
async fn watch(setup: &Setup, journal: &Journal) -> anyhow::Result<Result<(), String>> {
    for swap in &journal.programs {
        if let Err(error) = install::says(&swap.path, swap.program, &journal.to).await {
            return Ok(Err(format!("{error:#}")));
        }
    }
    let clock = match (setup.settings.clock, setup.settings.chain_id) {
        (Some(_), Some(chain_id)) => setup.following_clock(chain_id, "nodesys update").await?,
        _ => Clock::system(),
    };
    let mut sleeper = clock.sleeper();
    let first = match manager_status(setup, clock.now()).await {
        None => return Ok(Ok(())),
        Some(view) => view.ok().and_then(|view| view.last_receipt()),
    };
    let mut gate = Gate::new(clock.now(), first);
    let mut told = String::new();
    loop {
        sleeper.sleep(LOOK_EVERY).await;
        let seen = match manager_status(setup, clock.now()).await {
            Some(Ok(view)) => Observation::Manager {
                last: view.last_receipt(),
                backend: answers(setup, &view).await,
            },
            _ => Observation::Silent,
        };
        match gate.look(clock.now(), seen) {
            GateVerdict::Healthy => return Ok(Ok(())),
            GateVerdict::Unhealthy(why) => return Ok(Err(why)),
            GateVerdict::Waits(why) if why == told => {}
            GateVerdict::Waits(why) => {
                say(format!("waiting for {} to become healthy: {why}", journal.to));
                told = why;
            }
        }
    }
}

/// Whether the backend takes work, asked from here.
async fn answers(setup: &Setup, view: &ManagerStatus) -> bool {
    let url = setup.settings.backend.as_deref().unwrap_or(&view.backend);
    let Ok(client) = Client::new(url) else { return false };
    client.with_timeout(BACKEND_PATIENCE).ready().await.is_ok()
}

/// Puts all of it back.
async fn undo(setup: &Setup, journal: &Journal) -> anyhow::Result<()> {
    let why = journal.failure.as_deref().unwrap_or("it was ended");
    say(format!("{} failed ({why}): restoring {}", journal.to, journal.from));
    let again = || "the rollback is incomplete; run nodesys update again to resume it";
    install::undo(&journal.programs).with_context(again)?;
    reach("update:programs-undone");
    if let Some(manager) = &journal.manager {
        change_manager(setup, &manager.before, None).await.with_context(again)?;
    }
    Ok(())
}

/// Writes down how it ended.
fn end(
    folder: &UpdateFolder,
    state: &mut UpdateState,
    journal: Journal,
) -> anyhow::Result<UpdateEnd> {
    let (version, failure) = (journal.to.clone(), journal.failure.clone());
    match &failure {
        Some(why) => {
            state.quarantined.insert(version.clone(), why.clone());
        }
        // What did not hold before this one is never chosen again.
        None => state.quarantined.retain(|bad, _| *bad > version),
    }
    state.write(folder)?;
    install::clear(&journal.programs);
    if let Some(archive) = journal.manager.as_ref().and_then(|manager| manager.archive.as_ref()) {
        // What is left would only take room.
        let _ = std::fs::remove_file(archive);
    }
    journal.end(folder)?;
    Ok(UpdateEnd { version, failure })
}

//! One update, from the look at the repository to the report.

use std::path::PathBuf;

use anyhow::Context as _;
use nodesys_core::Address;
use nodesys_core::update::Platform;
use nodesys_sdk::network::Updates;
use semver::Version;

use super::{repository, steps, timer};
use crate::exit::Exit;
use crate::node;
use crate::node::network_file;
use crate::output::say;
use crate::setup::Setup;
use crate::update::catalogue::{Catalogue, Choice, ListedRelease, NodeFacts, choose};
use crate::update::fetch::fetch_release;
use crate::update::report::{Outcome, Report, RepositoryView};
use crate::update::state::{Journal, Step, UpdateFolder, UpdateState};

/// The operator's choices for an update.
#[derive(Debug, Default)]
pub(crate) struct UpdateRequest {
    /// Report only; change nothing but the knowledge of the repository.
    pub(crate) check: bool,
    pub(crate) pin: Option<Version>,
    pub(crate) unpin: bool,
    pub(crate) roll_back: bool,
    pub(crate) repository: Option<String>,
    pub(crate) root: Option<PathBuf>,
}

/// Updates the node, as far as it should be now.
pub(crate) async fn update(setup: &Setup, request: &UpdateRequest) -> anyhow::Result<Report> {
    let home = setup.home()?.to_owned();
    let folder = UpdateFolder::of(&home);
    let _lock = folder.lock()?;
    let mut state = UpdateState::read(&folder)?;
    let current: Version =
        env!("CARGO_PKG_VERSION").parse().context("this program's own version")?;
    if let Some(journal) = Journal::read(&folder)? {
        return under_way(setup, request, &folder, state, journal).await;
    }
    if request.roll_back {
        return Err(Exit::NotFound.because(
            "no update is under way; to go back to an older release, install it by hand: an older \
             program may not read the files that a newer one has written (docs/updates.md)",
        ));
    }
    let network = network_file::read(setup.home()?)?.and_then(|kept| kept.file.updates);
    let repository = repository_of(request, &state, network.as_ref())?;
    let now = repository::latest_time(setup).await?;
    let root = repository::Root::of(request.root.as_deref(), network.as_ref())?;
    let verified = repository::verify(&folder, &repository, root.as_ref(), now).await?;
    keep_choices(request, &folder, &mut state, &repository)?;
    let here = Platform::of(std::env::consts::ARCH, std::env::consts::OS);
    let catalogue = Catalogue::of(&verified, &here)?;
    let (pin, quarantined) = (state.pin.clone(), state.quarantined.clone());
    let node = NodeFacts {
        current: &current,
        node_key: node_key_of(setup)?,
        pin: pin.as_ref(),
        quarantined: &quarantined,
    };
    let view = RepositoryView::of(&repository, &verified);
    let (listed, towards) = match take(choose(&catalogue, &node), node.node_key)? {
        Ok(taken) => taken,
        Err(outcome) => return Ok(Report::new(&current, &state, Some(&view), outcome)),
    };
    let version = listed.terms.version.clone();
    let blocking_reason = steps::blocking_reason(setup).await?;
    if request.check {
        let outcome = Outcome::Available { version, towards: towards.cloned(), blocking_reason };
        return Ok(Report::new(&current, &state, Some(&view), outcome));
    }
    if let Some(reason) = blocking_reason {
        return Err(Exit::Unhealthy.because(format!(
            "{version} is not begun: {reason}. A node that is not healthy could not tell whether \
             the release is: repair it first (nodesys status, nodesys doctor)"
        )));
    }
    let journal = fetch_release(setup, &folder, &repository, &current, listed).await?;
    let ended = steps::go_on(setup, &folder, &mut state, journal).await?;
    let outcome = match ended.failure {
        None => Outcome::Updated { version: ended.version, towards: towards.cloned() },
        Some(why) => Outcome::RolledBack { version: ended.version, why },
    };
    Ok(Report::new(&current, &state, Some(&view), outcome))
}

/// Keeps the operator's choices, unless this is only a check.
fn keep_choices(
    request: &UpdateRequest,
    folder: &UpdateFolder,
    state: &mut UpdateState,
    repository: &str,
) -> anyhow::Result<()> {
    if request.unpin {
        state.pin = None;
    }
    if let Some(pin) = &request.pin {
        state.pin = Some(pin.clone());
        // The operator names it now, so its failure of before counts no more.
        state.quarantined.remove(pin);
    }
    if !request.check {
        state.repository = Some(repository.to_owned());
        state.write(folder)?;
    }
    Ok(())
}

/// The release to take, and the one after it; the inner error is the outcome where there is none.
fn take<'a>(
    choice: Choice<'a>,
    node_key: Option<Address>,
) -> anyhow::Result<Result<(&'a ListedRelease, Option<&'a Version>), Outcome>> {
    Ok(match choice {
        Choice::Take { listed, towards } => Ok((listed, towards)),
        Choice::Blocked { exit, why } => return Err(exit.because(why)),
        Choice::Current => Err(Outcome::Current),
        Choice::Waits(terms) => {
            let place_ppm = node_key.map(|node_key| terms.place(node_key));
            let (version, cursor_ppm) = (terms.version.clone(), terms.cursor_ppm);
            Err(Outcome::Waits { version, cursor_ppm, place_ppm })
        }
        Choice::Quarantined { version, why } => {
            Err(Outcome::Quarantined { version: version.clone(), why: why.to_owned() })
        }
    })
}

/// Turns the timer of updates on or off; whether anything changed.
pub(crate) fn set_timer(setup: &Setup, on: bool) -> anyhow::Result<bool> {
    let home = setup.home()?;
    let _lock = UpdateFolder::of(home).lock()?;
    if on { timer::turn_on(home) } else { timer::turn_off(home) }
}

/// An earlier run has ended in the middle.
async fn under_way(
    setup: &Setup,
    request: &UpdateRequest,
    folder: &UpdateFolder,
    mut state: UpdateState,
    mut journal: Journal,
) -> anyhow::Result<Report> {
    let (from, to) = (journal.from.clone(), journal.to.clone());
    if request.check {
        let outcome = Outcome::UnderWay { version: to, step: journal.step };
        return Ok(Report::new(&from, &state, None, outcome));
    }
    say(format!("an update from {from} to {to} is under way: resuming it"));
    if request.pin.is_some() || request.unpin {
        return Err(Exit::Failure.because(format!(
            "the update to {to} comes first: run nodesys update, or nodesys update --roll-back"
        )));
    }
    if request.roll_back {
        journal.failure = Some("rolled back by the operator".to_owned());
        journal.enter(folder, Step::Undoing)?;
    }
    let ended = steps::go_on(setup, folder, &mut state, journal).await?;
    let outcome = match ended.failure {
        None => Outcome::Updated { version: ended.version, towards: None },
        Some(why) => Outcome::RolledBack { version: ended.version, why },
    };
    Ok(Report::new(&from, &state, None, outcome))
}

fn repository_of(
    request: &UpdateRequest,
    state: &UpdateState,
    network: Option<&Updates>,
) -> anyhow::Result<String> {
    let given = match &request.repository {
        // Kept as it is meant here and now.
        Some(text) if !text.contains("://") => {
            let path = std::path::absolute(text).with_context(|| format!("the path {text}"))?;
            Some(path.display().to_string())
        }
        given => given.clone(),
    };
    let built_in = repository::BUILT_IN_REPOSITORY.map(str::to_owned);
    let joined = network.map(|updates| updates.repository.to_string());
    given.or_else(|| state.repository.clone()).or(joined).or(built_in).ok_or_else(|| {
        Exit::Usage.because(
            "--repository is missing: say where releases come from, an http(s) URL or a folder",
        )
    })
}

/// This machine's node, where it is one.
fn node_key_of(setup: &Setup) -> anyhow::Result<Option<Address>> {
    let path = setup.node_key_file()?;
    if path.exists() { Ok(Some(node::key::read(&path)?.address())) } else { Ok(None) }
}

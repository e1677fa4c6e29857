//! `update`: a newer release of the programs and of the manager, from a TUF repository.
//!
//! `look -> choose -> fetch -> swap -> deploy -> watch`. Nothing is begun that this node should not
//! have yet, and nothing stays that does not hold: what was replaced is kept, and goes back by
//! itself. Each step is in the journal before it begins ([`state`]), so the next run goes on from
//! wherever this one ended.

mod catalogue;
mod gate;
mod install;
mod report;
mod repository;
mod state;
mod steps;
mod timer;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nodesys_core::Address;
use nodesys_core::update::{Platform, Program};
use semver::Version;

use crate::cluster::{ClusterFile, Driver, Phase, lock_at};
use crate::exit::Exit;
use crate::node_key;
use crate::output::{self, say};
use crate::setup::Setup;
use catalogue::{Catalogue, Choice, Listed, Standing, choose};
pub(crate) use gate::LastReceipt;
use report::{Outcome, Report, Seen};
use state::{Folder, Journal, ManagerSwap, State, Step, Swap};
pub use timer::Timer;
pub(crate) use timer::take_off as take_off_timer;

/// Options of `update`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nodesys update --repository https://updates.example.org/ --root root.json   # the first time
  nodesys update                      # from then on: goes on, or changes nothing
  nodesys update --check -o json
  nodesys update --pin 0.2.1          # this one, and none after it
  nodesys update --unpin
  nodesys update --roll-back          # end the update that is under way
  sudo nodesys update --timer on      # from now on by itself, every hour

A release is taken when it is this node's turn, and only after a receipt of the last 5 minutes. It
stays when the manager has three more receipts within 5 minutes; else the programs and the manager of
before are put back, and the release is not tried again. Ended at any moment, the next run goes on.

Ends with 0 when all is done or there is nothing to do, with 3 when a pinned version is not listed,
with 5 when the node is not healthy enough to begin, or when a release was rolled back, with 7 when the
repository cannot be read.")]
pub struct UpdateArgs {
    /// Say what would be done; change nothing but what is known of the repository.
    #[arg(long, conflicts_with_all = ["pin", "unpin", "roll_back"])]
    pub check: bool,
    /// Update to this version and stay there, whatever its turn.
    #[arg(long, value_name = "VERSION", conflicts_with_all = ["unpin", "roll_back"])]
    pub pin: Option<Version>,
    /// Follow the newest release again.
    #[arg(long, conflicts_with = "roll_back")]
    pub unpin: bool,
    /// Take back the update that is under way, without waiting for its health.
    #[arg(long)]
    pub roll_back: bool,
    /// Where releases come from: an http(s) URL or a folder; kept after the first time.
    #[arg(long, value_name = "URL|DIR")]
    pub repository: Option<String>,
    /// The root.json to trust, the first time; later ones are signed by it.
    #[arg(long, value_name = "FILE")]
    pub root: Option<PathBuf>,
    /// Let systemd run nodesys update every hour, or no more; nothing is updated now.
    #[arg(long, value_enum)]
    #[arg(conflicts_with_all = ["check", "pin", "unpin", "roll_back", "repository", "root"])]
    pub timer: Option<Timer>,
}

/// Runs the command.
pub async fn run(setup: &Setup, args: &UpdateArgs) -> anyhow::Result<Exit> {
    let home = setup.home()?.to_owned();
    let folder = Folder::of(&home);
    let _lock = lock_at(&folder.path("lock"))?;
    if let Some(timer) = args.timer {
        return timer::set(setup, timer);
    }
    let mut state = State::read(&folder)?;
    let current: Version =
        env!("CARGO_PKG_VERSION").parse().context("this program's own version")?;
    if let Some(journal) = Journal::read(&folder)? {
        return under_way(setup, args, &folder, state, journal).await;
    }
    if args.roll_back {
        return Err(Exit::NotFound.because(
            "no update is under way; to go back to an older release, install it by hand: what a \
             newer program has written an older one may not read (docs/updates.md)",
        ));
    }
    let repository = repository_of(args, &state)?;
    let now = repository::latest_time(setup).await?;
    let verified = repository::verify(&folder, &repository, args.root.as_deref(), now).await?;
    if args.unpin {
        state.pin = None;
    }
    if let Some(pin) = &args.pin {
        state.pin = Some(pin.clone());
        // The operator's own word, at this moment.
        state.quarantined.remove(pin);
    }
    if !args.check {
        state.repository = Some(repository.clone());
        state.write(&folder)?;
    }
    let here = Platform::of(std::env::consts::ARCH, std::env::consts::OS);
    let catalogue = Catalogue::of(&verified, &here)?;
    let (pin, quarantined) = (state.pin.clone(), state.quarantined.clone());
    let node = Standing {
        current: &current,
        node_key: node_key_of(setup)?,
        pin: pin.as_ref(),
        quarantined: &quarantined,
    };
    let seen = Seen::of(&repository, &verified);
    let report = |outcome| Report::new(&current, &state, Some(&seen), outcome);
    let (listed, towards) = match choose(&catalogue, &node) {
        Choice::Take { listed, towards } => (listed, towards),
        Choice::Blocked { exit, why } => return Err(exit.because(why)),
        Choice::Current => return print(setup, &report(Outcome::Current)),
        Choice::Waits(terms) => {
            let place_ppm = node.node_key.map(|node_key| terms.place(node_key));
            let (version, cursor_ppm) = (terms.version.clone(), terms.cursor_ppm);
            return print(setup, &report(Outcome::Waits { version, cursor_ppm, place_ppm }));
        }
        Choice::Quarantined { version, why } => {
            let (version, why) = (version.clone(), why.to_owned());
            return print(setup, &report(Outcome::Quarantined { version, why }));
        }
    };
    let version = listed.terms.version.clone();
    let hindrance = steps::hindrance(setup).await?;
    if args.check {
        let outcome = Outcome::Available { version, towards: towards.cloned(), hindrance };
        return print(setup, &report(outcome));
    }
    if let Some(hindrance) = hindrance {
        return Err(Exit::Unhealthy.because(format!(
            "{version} is not begun: {hindrance}. A node that is not healthy could not tell whether \
             the release is: mend it first (nodesys status, nodesys doctor)"
        )));
    }
    let journal = fetch(setup, &folder, &repository, &current, listed).await?;
    let ended = steps::go_on(setup, &folder, &mut state, journal).await?;
    let outcome = match ended.failure {
        None => Outcome::Updated { version: ended.version, towards: towards.cloned() },
        Some(why) => Outcome::RolledBack { version: ended.version, why },
    };
    print(setup, &Report::new(&current, &state, Some(&seen), outcome))
}

/// An earlier run has ended in the middle.
async fn under_way(
    setup: &Setup,
    args: &UpdateArgs,
    folder: &Folder,
    mut state: State,
    mut journal: Journal,
) -> anyhow::Result<Exit> {
    let (from, to) = (journal.from.clone(), journal.to.clone());
    if args.check {
        let outcome = Outcome::UnderWay { version: to, step: journal.step };
        return print(setup, &Report::new(&from, &state, None, outcome));
    }
    say(format!("an update from {from} to {to} is under way: going on with it"));
    if args.pin.is_some() || args.unpin {
        return Err(Exit::Failure.because(format!(
            "the update to {to} comes first: run nodesys update, or nodesys update --roll-back"
        )));
    }
    if args.roll_back {
        journal.failure = Some("taken back by the operator".to_owned());
        journal.enter(folder, Step::Undoing)?;
    }
    let ended = steps::go_on(setup, folder, &mut state, journal).await?;
    let outcome = match ended.failure {
        None => Outcome::Updated { version: ended.version, towards: None },
        Some(why) => Outcome::RolledBack { version: ended.version, why },
    };
    print(setup, &Report::new(&from, &state, None, outcome))
}

fn print(setup: &Setup, report: &Report) -> anyhow::Result<Exit> {
    output::print(setup.format(), report)?;
    Ok(report.exit())
}

fn repository_of(args: &UpdateArgs, state: &State) -> anyhow::Result<String> {
    let given = match &args.repository {
        // Kept as it is meant here and now.
        Some(text) if !text.contains("://") => {
            let path = std::path::absolute(text).with_context(|| format!("the path {text}"))?;
            Some(path.display().to_string())
        }
        given => given.clone(),
    };
    let built_in = repository::BUILT_IN_REPOSITORY.map(str::to_owned);
    given.or_else(|| state.repository.clone()).or(built_in).ok_or_else(|| {
        Exit::Usage.because(
            "--repository is missing: say where releases come from, an http(s) URL or a folder",
        )
    })
}

/// This machine's node, where it is one.
fn node_key_of(setup: &Setup) -> anyhow::Result<Option<Address>> {
    let path = setup.node_key_file()?;
    if path.exists() { Ok(Some(node_key::read(&path)?.address())) } else { Ok(None) }
}

/// Has all files of a release, tries them out, and writes down what will be done with them.
async fn fetch(
    setup: &Setup,
    folder: &Folder,
    repository: &str,
    current: &Version,
    listed: &Listed,
) -> anyhow::Result<Journal> {
    let version = &listed.terms.version;
    let here = repository::here()?;
    let programs = here.parent().context("this program has no folder")?;
    install::writable(programs)?;
    let mut swaps = Vec::new();
    for program in Program::ALL {
        let target =
            listed.programs.get(&program).with_context(|| format!("{program} is not listed"))?;
        let [path, staged, previous] = install::places(programs, program, version);
        let old = crate::cluster::hash_of(&path)?;
        let new = repository::have(repository, target, &staged).await?;
        swaps.push(Swap { program, path, staged, previous, old, new });
    }
    for swap in &swaps {
        if let Err(error) = install::try_out(swap, version).await {
            install::clear(&swaps);
            return Err(error.context(format!("{version} is not begun, and nothing was changed")));
        }
    }
    let manager = manager_swap(setup.home()?, folder, repository, listed).await?;
    let mut journal = Journal::new(current.clone(), version.clone(), swaps, manager);
    journal.enter(folder, Step::Fetching)?;
    nodesys_failpoint::reach("update:fetched");
    Ok(journal)
}

/// The manager's change, where this node runs one and the release has another.
async fn manager_swap(
    home: &Path,
    folder: &Folder,
    repository: &str,
    listed: &Listed,
) -> anyhow::Result<Option<ManagerSwap>> {
    let (Some(cluster), Some(after)) = (ClusterFile::read(home)?, &listed.terms.manager_image)
    else {
        return Ok(None);
    };
    if cluster.phase != Phase::Running || cluster.manager_image == *after {
        return Ok(None);
    }
    let archive = match (&listed.manager_archive, cluster.driver) {
        (Some(target), Driver::K3s | Driver::K3d) => {
            let path = folder.path(&target.name);
            repository::have(repository, target, &path).await?;
            Some(path)
        }
        _ => None,
    };
    Ok(Some(ManagerSwap { before: cluster.manager_image, after: after.clone(), archive }))
}

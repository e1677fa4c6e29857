//! The files of updates in the home folder, under `update/`: the repository, the pin and the releases that
//! failed (`state.json`), and the update that is under way (`journal.json`).
//!
//! The journal is written before each step that changes anything, so a run that ends at any moment
//! leaves one from which the next goes on or goes back. Each file is replaced whole and is on disk
//! before the step begins.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nodesys_core::release::Image;
use nodesys_core::update::Program;
use semver::Version;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::download::pin::Sha256Hash;
use crate::exit::Exit;
use crate::node::file::replace;
use crate::node::lock::{Lock, lock_at};

const STATE_FORMAT: &str = "nodesys-update-state-1";

const JOURNAL_FORMAT: &str = "nodesys-update-journal-1";

/// The folder of updates.
#[derive(Debug, Clone)]
pub(crate) struct UpdateFolder(PathBuf);

impl UpdateFolder {
    pub(crate) fn of(home: &Path) -> Self {
        Self(home.join("update"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Keeps a second command from updating meanwhile.
    pub(crate) fn lock(&self) -> anyhow::Result<Lock> {
        lock_at(&self.path("lock"))
    }

    /// Of files that `nodesys-update` has verified.
    pub(crate) fn trusted(&self) -> PathBuf {
        self.path("trusted.json")
    }
}

/// The state that is kept between updates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateState {
    format: String,
    /// The repository of releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) repository: Option<String>,
    /// The version that is wanted, by the operator's own word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pin: Option<Version>,
    /// Releases that were tried and failed, and why.
    #[serde(default)]
    pub(crate) quarantined: BTreeMap<Version, String>,
}

impl UpdateState {
    pub(crate) fn read(folder: &UpdateFolder) -> anyhow::Result<Self> {
        let none = Self {
            format: STATE_FORMAT.to_owned(),
            repository: None,
            pin: None,
            quarantined: BTreeMap::new(),
        };
        let path = folder.path("state.json");
        let state: Self = read(&path)?.unwrap_or(none);
        of_format(&path, &state.format, STATE_FORMAT)?;
        Ok(state)
    }

    pub(crate) fn write(&self, folder: &UpdateFolder) -> anyhow::Result<()> {
        keep(&folder.path("state.json"), self)
    }
}

/// How far an update is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// Files are had; nothing is changed yet.
    Fetching,
    /// The programs are being replaced.
    Swapping,
    /// The manager is being replaced.
    Deploying,
    /// The health gate.
    Watching,
    /// All of it is being taken back.
    Undoing,
}

/// A program that is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Swap {
    pub(crate) program: Program,
    /// The program in place.
    pub(crate) path: PathBuf,
    /// The new one, beside it.
    pub(crate) staged: PathBuf,
    /// The old one, kept beside it.
    pub(crate) previous: PathBuf,
    pub(crate) old: Sha256Hash,
    pub(crate) new: Sha256Hash,
}

/// The manager's change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ManagerSwap {
    pub(crate) before: Image,
    pub(crate) after: Image,
    /// Loaded into the cluster first.
    pub(crate) archive: Option<PathBuf>,
}

/// The update that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Journal {
    format: String,
    pub(crate) from: Version,
    pub(crate) to: Version,
    pub(crate) step: Step,
    pub(crate) programs: Vec<Swap>,
    #[serde(default)]
    pub(crate) manager: Option<ManagerSwap>,
    /// Why it goes back.
    #[serde(default)]
    pub(crate) failure: Option<String>,
}

impl Journal {
    pub(crate) fn new(
        from: Version,
        to: Version,
        programs: Vec<Swap>,
        manager: Option<ManagerSwap>,
    ) -> Self {
        let format = JOURNAL_FORMAT.to_owned();
        Self { format, from, to, step: Step::Fetching, programs, manager, failure: None }
    }

    pub(crate) fn read(folder: &UpdateFolder) -> anyhow::Result<Option<Self>> {
        let path = folder.path("journal.json");
        let Some(journal) = read::<Self>(&path)? else { return Ok(None) };
        of_format(&path, &journal.format, JOURNAL_FORMAT)?;
        Ok(Some(journal))
    }

    /// Says which step begins, before it does.
    pub(crate) fn enter(&mut self, folder: &UpdateFolder, step: Step) -> anyhow::Result<()> {
        self.step = step;
        keep(&folder.path("journal.json"), self)
    }

    /// It is over.
    pub(crate) fn end(self, folder: &UpdateFolder) -> anyhow::Result<()> {
        let path = folder.path("journal.json");
        std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        sync_folder(&folder.0)
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Option<T>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(broken(path, &error.to_string())),
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| broken(path, &error.to_string()))
}

fn of_format(path: &Path, found: &str, known: &str) -> anyhow::Result<()> {
    if found == known {
        return Ok(());
    }
    Err(broken(path, &format!("its format is {found:.40?}, and this program knows {known}")))
}

fn broken(path: &Path, problem: &str) -> anyhow::Error {
    Exit::Failure.because(format!(
        "{} is not valid: {problem}; restore a backup of it, or move it away and install a release \
         by hand (docs/updates.md)",
        path.display()
    ))
}

fn keep<T: Serialize>(path: &Path, what: &T) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(what).context("the update does not serialise")?;
    replace(path, format!("{text}\n").as_bytes())?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// Renames in the folder are on disk after it.
pub(crate) fn sync_folder(folder: &Path) -> anyhow::Result<()> {
    File::open(folder)
        .and_then(|it| it.sync_all())
        .with_context(|| format!("cannot write {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_way_is_read_back_whole_or_refused() {
        let home = tempfile::tempdir().unwrap();
        let folder = UpdateFolder::of(home.path());
        assert_eq!(Journal::read(&folder).unwrap(), None);
        let version = |text: &str| text.parse().unwrap();
        let image = format!("localhost/nodesys-manager@sha256:{}", "a".repeat(64));
        let manager = ManagerSwap {
            before: image.parse().unwrap(),
            after: image.parse().unwrap(),
            archive: None,
        };
        let swap = Swap {
            program: Program::Nodesys,
            path: "/b/nodesys".into(),
            staged: "/b/.nodesys.new".into(),
            previous: "/b/nodesys.previous".into(),
            old: Sha256Hash([1; 32]),
            new: Sha256Hash([2; 32]),
        };
        let mut journal =
            Journal::new(version("0.1.0"), version("0.2.0"), vec![swap], Some(manager));
        for step in [Step::Fetching, Step::Swapping, Step::Undoing] {
            journal.enter(&folder, step).unwrap();
            assert_eq!(Journal::read(&folder).unwrap().as_ref(), Some(&journal));
        }
        std::fs::write(folder.path("journal.json"), "{").unwrap();
        let error = Journal::read(&folder).unwrap_err().to_string();
        assert!(error.contains("journal.json is not valid"), "{error}");
        journal.enter(&folder, Step::Watching).unwrap();
        journal.end(&folder).unwrap();
        assert_eq!(Journal::read(&folder).unwrap(), None);

        let mut state = UpdateState::read(&folder).unwrap();
        state.quarantined.insert(version("0.3.0"), "no receipts".to_owned());
        state.write(&folder).unwrap();
        assert_eq!(UpdateState::read(&folder).unwrap(), state);
        let later = serde_json::json!({ "format": "nodesys-update-state-2" });
        std::fs::write(folder.path("state.json"), later.to_string()).unwrap();
        assert!(UpdateState::read(&folder).unwrap_err().to_string().contains("state-2"));
    }
}

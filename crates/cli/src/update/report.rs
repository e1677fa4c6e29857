//! The report of an update.

use std::fmt;

use nodesys_core::update::{CURSOR_ALL, Verified};
use semver::Version;
use serde::Serialize;

use crate::exit::Exit;
use crate::output;
use crate::update::state::{Step, UpdateState};

/// The repository, as it was seen.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RepositoryView {
    at: String,
    root_version: u64,
    targets_version: u64,
    expires: String,
    judged_at: String,
}

impl RepositoryView {
    pub(crate) fn of(repository: &str, verified: &Verified) -> Self {
        Self {
            at: place(repository),
            root_version: verified.root_version,
            targets_version: verified.targets_version,
            expires: verified.expires.to_string(),
            judged_at: verified.judged_at.to_string(),
        }
    }
}

/// A folder whole; of a URL what stands before the path, which may hold a secret.
fn place(repository: &str) -> String {
    match repository.parse::<reqwest::Url>() {
        Ok(url) if url.has_host() => url.origin().ascii_serialization(),
        _ => repository.to_owned(),
    }
}

/// How it stands, or ended.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum Outcome {
    Current,
    Waits {
        version: Version,
        cursor_ppm: u32,
        place_ppm: Option<u32>,
    },
    Quarantined {
        version: Version,
        why: String,
    },
    Available {
        version: Version,
        towards: Option<Version>,
        /// Why it would not be begun now.
        blocking_reason: Option<String>,
    },
    UnderWay {
        version: Version,
        step: Step,
    },
    Updated {
        version: Version,
        towards: Option<Version>,
    },
    RolledBack {
        version: Version,
        why: String,
    },
}

/// All of it.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The running version when it began.
    current: Version,
    pin: Option<Version>,
    #[serde(flatten)]
    outcome: Outcome,
    quarantined: Vec<Version>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repository: Option<RepositoryView>,
}

impl Report {
    pub(crate) fn new(
        current: &Version,
        state: &UpdateState,
        repository: Option<&RepositoryView>,
        outcome: Outcome,
    ) -> Self {
        Self {
            current: current.clone(),
            pin: state.pin.clone(),
            outcome,
            quarantined: state.quarantined.keys().cloned().collect(),
            repository: repository.cloned(),
        }
    }

    pub(crate) const fn exit(&self) -> Exit {
        match self.outcome {
            Outcome::RolledBack { .. } => Exit::Unhealthy,
            _ => Exit::Done,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Current => f.write_str("nothing to do"),
            Self::Waits { version, cursor_ppm, place_ppm } => {
                let cursor = output::percent(*cursor_ppm);
                match place_ppm {
                    Some(place) => {
                        let place = output::percent(*place);
                        write!(
                            f,
                            "{version} is not rolled out to this node yet: it is at {cursor}, this node at {place}"
                        )
                    }
                    None => write!(
                        f,
                        "{version} is not rolled out to this node yet: it is at {cursor}, a machine without a node at {}",
                        output::percent(CURSOR_ALL)
                    ),
                }
            }
            Self::Quarantined { version, why } => write!(
                f,
                "{version} was tried and failed ({why}); --pin {version} tries it again, otherwise this \
                 node waits for a newer release"
            ),
            Self::Available { version, towards, blocking_reason } => {
                write!(f, "{version} is available")?;
                stop(f, towards.as_ref())?;
                match blocking_reason {
                    None => f.write_str(": run nodesys update"),
                    Some(blocking_reason) => write!(f, ", but not now: {blocking_reason}"),
                }
            }
            Self::UnderWay { version, step } => {
                write!(f, "{version} is under way ({step:?}): run nodesys update to resume")
            }
            Self::Updated { version, towards } => {
                write!(f, "{version} is installed and healthy")?;
                stop(f, towards.as_ref())?;
                if towards.is_some() { f.write_str(": run nodesys update again") } else { Ok(()) }
            }
            Self::RolledBack { version, why } => {
                write!(f, "{version} FAILED and was rolled back: {why}")
            }
        }
    }
}

fn stop(f: &mut fmt::Formatter<'_>, towards: Option<&Version>) -> fmt::Result {
    match towards {
        Some(towards) => write!(f, ", a stop on the way to {towards}"),
        None => Ok(()),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version      {}", self.current)?;
        if let Some(pin) = &self.pin {
            write!(f, "\npinned       {pin}")?;
        }
        write!(f, "\nupdate       {}", self.outcome)?;
        if let Some(seen) = &self.repository {
            write!(
                f,
                "\nrepository   {}, targets {}, good until {}",
                seen.at, seen.targets_version, seen.expires
            )?;
        }
        Ok(())
    }
}

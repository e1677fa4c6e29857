//! The publisher's side: making roots, listing releases, and publishing the list.
//!
//! Three parts, so that no machine needs the keys of another: roots are signed one key at a time
//! ([`root`]); the targets' key, offline, lists releases ([`targets`]); the online key confirms
//! daily that this list is the newest ([`publish`]). A repository's folder has `metadata/` and
//! `targets/`; files are only ever added to it, except `timestamp.json`.

pub mod publish;
pub mod root;
pub mod targets;

use std::io::Write as _;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use nodesys_core::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tough::schema::{Hashes, Metafile, Role, Root, Signed};

use crate::Problem;

const SPEC: &str = "1.0.0";
const DAY_SECS: u64 = 86_400;

/// Expiry of something signed now and valid for some days.
pub(crate) fn expiry(now: Timestamp, days: u32) -> Result<jiff::Timestamp, Problem> {
    let secs = now.secs() + u64::from(days) * DAY_SECS;
    i64::try_from(secs)
        .ok()
        .and_then(|secs| jiff::Timestamp::from_second(secs).ok())
        .ok_or_else(|| Problem::Usage(format!("{days} days from {now} is no date")))
}

/// A repository's folder.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// At this place.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    fn metadata(&self, name: &str) -> PathBuf {
        self.0.join("metadata").join(name)
    }

    fn targets(&self) -> PathBuf {
        self.0.join("targets")
    }

    /// The newest `N.ROLE.json`.
    fn newest<T: DeserializeOwned>(&self, role: &str) -> Result<Option<Signed<T>>, Problem> {
        let entries = std::fs::read_dir(self.0.join("metadata")).into_iter().flatten().flatten();
        let suffix = format!(".{role}.json");
        let versions = entries.filter_map(|entry| {
            entry.file_name().to_str()?.strip_suffix(&suffix)?.parse::<u64>().ok()
        });
        let Some(version) = versions.max() else { return Ok(None) };
        read(&self.metadata(&format!("{version}{suffix}"))).map(Some)
    }

    /// The newest root; an error if there is none.
    fn root(&self) -> Result<Root, Problem> {
        let root = self.newest::<Root>("root")?.ok_or_else(|| {
            Problem::Usage(format!(
                "{} has no root yet: make one (root make, root sign) and put it up (root publish)",
                self.0.display()
            ))
        })?;
        Ok(root.signed)
    }
}

/// Reads metadata.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Problem> {
    let bad = |problem: String| Problem::Usage(format!("{}: {problem}", path.display()));
    let text = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))
}

/// Writes metadata whole, or not at all; returns the bytes written.
pub fn write<T: Serialize>(path: &Path, what: &T) -> Result<Vec<u8>, Problem> {
    let cannot = |error: &dyn std::fmt::Display| {
        Problem::Here(format!("cannot write {}: {error}", path.display()))
    };
    let mut text = serde_json::to_vec_pretty(what).map_err(|error| cannot(&error))?;
    text.push(b'\n');
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|error| cannot(&error))?;
    let mut new = tempfile::NamedTempFile::new_in(folder).map_err(|error| cannot(&error))?;
    new.write_all(&text).map_err(|error| cannot(&error))?;
    new.as_file().sync_all().map_err(|error| cannot(&error))?;
    #[cfg(unix)]
    {
        // Served to everybody.
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(0o644);
        new.as_file().set_permissions(mode).map_err(|error| cannot(&error))?;
    }
    new.persist(path).map_err(|error| cannot(&error))?;
    Ok(text)
}

/// Another role's reference to a file of these bytes.
fn metafile(bytes: &[u8], version: NonZeroU64) -> Metafile {
    let sha256 = Sha256::digest(bytes).to_vec().into();
    Metafile {
        length: Some(bytes.len() as u64),
        hashes: Some(Hashes { sha256, _extra: std::collections::HashMap::new() }),
        version,
        _extra: std::collections::HashMap::new(),
    }
}

/// The version after this one.
fn after(version: Option<NonZeroU64>) -> NonZeroU64 {
    version.map_or(NonZeroU64::MIN, |version| version.saturating_add(1))
}

/// Checks that enough of the root's keys have signed; else nodes would refuse it.
fn signed_enough<T: Role>(root: &Root, role: &Signed<T>) -> Result<(), Problem> {
    root.verify_role(role).map_err(|error| {
        Problem::Refused(format!(
            "the {} metadata is not signed by enough keys of the root, and nothing is written: {error}",
            T::TYPE
        ))
    })
}

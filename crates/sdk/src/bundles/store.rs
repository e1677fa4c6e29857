//! A folder of bundles.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use nodesys_core::Address;
use nodesys_core::bundle::{BUNDLE_JSON, Bundle, DayBundle};
use nodesys_core::message::SignedCommit;
use nodesys_core::time::UtcDay;

use super::error::StoreError;
use super::files::{COMMIT_JSON, FILES, published_files};

/// A folder of bundles.
///
/// # Examples
///
/// ```
/// use nodesys_core::Address;
/// use nodesys_sdk::bundles::{BundleStore, FILES};
///
/// let store = BundleStore::new(std::env::temp_dir().join("no-such-folder"));
/// let project = Address::repeat_byte(2);
/// assert!(store.days(project)?.is_empty());
/// assert_eq!(store.file(project, "2026-01-31".parse().expect("a day"), FILES[0])?, None);
/// # Ok::<(), nodesys_sdk::bundles::StoreError>(())
/// ```
#[derive(Debug, Clone)]
pub struct BundleStore {
    root: PathBuf,
}

impl BundleStore {
    /// The folder; it is made when the first bundle is written.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A day's folder.
    pub fn day_folder(&self, project: Address, day: UtcDay) -> PathBuf {
        self.project_folder(project).join(day.to_string())
    }

    fn project_folder(&self, project: Address) -> PathBuf {
        self.root.join(format!("{project:#x}"))
    }

    /// One file of a day; `None` where there is none, or the name is not one of [`FILES`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] where it is there and cannot be read.
    pub fn file(
        &self,
        project: Address,
        day: UtcDay,
        file: &str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        // The name may come from a URL, and must not lead out of the folder.
        if !FILES.contains(&file) {
            return Ok(None);
        }
        let path = self.day_folder(project, day).join(file);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::Io { path, source }),
        }
    }

    /// The signed commit of a day.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] where it cannot be read, [`StoreError::Bad`] where it is no signed commit.
    pub fn commit(
        &self,
        project: Address,
        day: UtcDay,
    ) -> Result<Option<SignedCommit>, StoreError> {
        let Some(bytes) = self.file(project, day, COMMIT_JSON)? else { return Ok(None) };
        let bad =
            |problem| StoreError::Bad { place: self.root.display().to_string(), day, problem };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| bad(format!("{COMMIT_JSON}: {error}")))
    }

    /// The days there are, in order.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] where the project's folder is there and cannot be read.
    pub fn days(&self, project: Address) -> Result<Vec<UtcDay>, StoreError> {
        let path = self.project_folder(project);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(StoreError::Io { path, source }),
        };
        let mut days = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|source| StoreError::Io { path: path.clone(), source })?;
            let name = entry.file_name();
            // `2026-01-01` only: a number is a day to `UtcDay`, but not a folder's name.
            let day = name.to_str().and_then(|name| name.parse::<UtcDay>().ok());
            days.extend(day.filter(|day| name.to_str() == Some(day.to_string().as_str())));
        }
        days.sort_unstable();
        Ok(days)
    }

    /// Writes a finished day. The same day again changes nothing; a rebuilt one takes its place.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] where the folder cannot be written to; the day is then there as before, or not at
    /// all. [`StoreError::Bad`] where the epoch is beyond the calendar.
    pub fn write(&self, day: &DayBundle, signed: &SignedCommit) -> Result<PathBuf, StoreError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Io { path: path.clone(), source }
        };
        let project = day.bundle.project.distributor;
        let date = UtcDay::from_epoch(day.commit.epoch).ok_or_else(|| StoreError::Bad {
            place: self.root.display().to_string(),
            day: UtcDay(u32::MAX),
            problem: format!("epoch {} is beyond the calendar", day.commit.epoch),
        })?;
        let folder = self.project_folder(project);
        let target = folder.join(date.to_string());
        let files = published_files(day, signed).map_err(io(&target))?;
        if self.holds(project, date, &files)? {
            return Ok(target);
        }
        fs::create_dir_all(&folder).map_err(io(&folder))?;
        // A name that is no day, so that no reader takes it for one.
        let unfinished = folder.join(format!(".{date}.{}", std::process::id()));
        remove(&unfinished).map_err(io(&unfinished))?;
        fs::create_dir(&unfinished).map_err(io(&unfinished))?;
        for (name, bytes) in &files {
            let path = unfinished.join(name);
            write_synced(&path, bytes).map_err(io(&path))?;
        }
        // Files first, then their names, then the rename: after a crash the day is whole or absent.
        sync_folder(&unfinished).map_err(io(&unfinished))?;
        // Kept: whoever audits the revoked commit needs what it was made from.
        if target.exists() {
            let aside = self.aside(project, date)?;
            fs::rename(&target, &aside).map_err(io(&aside))?;
        }
        fs::rename(&unfinished, &target).map_err(io(&target))?;
        sync_folder(&folder).map_err(io(&folder))?;
        Ok(target)
    }

    fn holds(
        &self,
        project: Address,
        day: UtcDay,
        files: &BTreeMap<&'static str, Vec<u8>>,
    ) -> Result<bool, StoreError> {
        for (name, bytes) in files {
            if self.file(project, day, name)?.as_ref() != Some(bytes) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A free name for a day that is replaced.
    fn aside(&self, project: Address, day: UtcDay) -> Result<PathBuf, StoreError> {
        let json = self.file(project, day, BUNDLE_JSON)?;
        let revision = json
            .and_then(|json| Bundle::parse(&json).ok())
            .map_or_else(|| "unknown".to_owned(), |bundle| bundle.revision.to_string());
        let folder = self.project_folder(project);
        let first = folder.join(format!("{day}.r{revision}"));
        let mut names = std::iter::once(first)
            .chain((1u32..).map(|n| folder.join(format!("{day}.r{revision}.{n}"))));
        Ok(names.find(|path| !path.exists()).expect("the numbers do not end"))
    }
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes the names in a folder durable, where the system has such a thing.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

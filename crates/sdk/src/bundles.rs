//! Day bundles where they are kept: a folder, or any server of `/v1/bundles`.
//!
//! A folder holds `<project, lower-case hex>/<YYYY-MM-DD>/{bundle.json, uptime.csv, holders.csv,
//! points.csv, rewards.csv, tree.json, commit.json}`. A day appears in it whole or not at all, and
//! once there it does not change; a day rebuilt after a revocation takes its place, and the old one
//! is kept beside it as `<YYYY-MM-DD>.r<revision>`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use alloy::primitives::keccak256;
use nodesys_core::Address;
use nodesys_core::bundle::{
    BUNDLE_JSON, Before, Bundle, BundleError, DayBundle, TREE_JSON, canonical_json,
};
use nodesys_core::files::{HolderRow, PointsRow, RewardRow, Row, UptimeRow, parse_file};
use nodesys_core::message::{Message as _, RewardCommit, SignedCommit};
use nodesys_core::time::UtcDay;

use crate::client::{self, Client};

/// The signed commit beside its bundle.
pub const COMMIT_JSON: &str = "commit.json";

/// The files of a day, `bundle.json` first.
pub const FILES: [&str; 7] = [
    BUNDLE_JSON,
    UptimeRow::FILE,
    HolderRow::FILE,
    PointsRow::FILE,
    RewardRow::FILE,
    TREE_JSON,
    COMMIT_JSON,
];

/// Why a bundle cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The server.
    #[error(transparent)]
    Server(#[from] client::Error),
    /// No such day or file there.
    #[error("{place} has no {file} of {day}")]
    Missing {
        /// The folder or server.
        place: String,
        /// The file.
        file: String,
        /// The day.
        day: UtcDay,
    },
    /// A file that does not hold together.
    #[error("the bundle of {day} in {place}: {problem}")]
    Bad {
        /// The folder or server.
        place: String,
        /// The day.
        day: UtcDay,
        /// What is wrong.
        problem: String,
    },
}

/// The commit that a `bundle.json` leads to: its struct hash is what the chain knows.
pub fn commit_of(bundle: &Bundle, bundle_json: &[u8]) -> RewardCommit {
    RewardCommit {
        epoch: bundle.epoch,
        revision: bundle.revision,
        previous: bundle.previous,
        root: bundle.root,
        total: bundle.totals.cumulative,
        data_hash: keccak256(bundle_json),
    }
}

/// A day's published files by name, and the signed commit among them.
pub fn published_files(
    day: &DayBundle,
    signed: &SignedCommit,
) -> io::Result<BTreeMap<&'static str, Vec<u8>>> {
    let mut files = day.files.clone();
    let mut tree = Vec::new();
    day.tree.to_standard_v1(&mut tree)?;
    files.insert(TREE_JSON, tree);
    files.insert(COMMIT_JSON, canonical_json(signed));
    Ok(files)
}

/// Where bundles are read from.
#[derive(Debug, Clone)]
pub enum BundleSource {
    /// A folder.
    Folder(BundleStore),
    /// A backend, a master, or any server with their `/v1/bundles` route.
    Server(Box<Client>),
    /// Each file from the first of these that has it.
    FirstOf(Vec<BundleSource>),
}

impl BundleSource {
    /// A URL (`http://`, `https://`), or else a folder.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        if text.starts_with("http://") || text.starts_with("https://") {
            Ok(Self::Server(Box::new(Client::new(text)?)))
        } else {
            Ok(Self::Folder(BundleStore::new(text)))
        }
    }

    /// One file of a day; `None` where there is none.
    pub async fn file(
        &self,
        project: Address,
        day: UtcDay,
        file: &str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        match self {
            Self::Folder(store) => store.file(project, day, file),
            Self::Server(client) => match client.bundle_file(project, day, file).await {
                Ok(bytes) => Ok(Some(bytes.to_vec())),
                Err(client::Error::Problem(problem)) if problem.status == 404 => Ok(None),
                // A plain file server.
                Err(client::Error::BadAnswer { status: 404, .. }) => Ok(None),
                Err(error) => Err(error.into()),
            },
            Self::FirstOf(sources) => {
                for source in sources {
                    let found = Box::pin(source.file(project, day, file)).await?;
                    if found.is_some() {
                        return Ok(found);
                    }
                }
                Ok(None)
            }
        }
    }

    /// What the day after builds on: amounts, remainder and commit of `day`, each checked against
    /// the other.
    pub async fn after(
        &self,
        project: Address,
        day: UtcDay,
    ) -> Result<(Bundle, Before), StoreError> {
        let missing =
            |file: &str| StoreError::Missing { place: self.place(), file: file.to_owned(), day };
        let json = self.file(project, day, BUNDLE_JSON).await?;
        let json = json.ok_or_else(|| missing(BUNDLE_JSON))?;
        let rewards = self.file(project, day, RewardRow::FILE).await?;
        let rewards = rewards.ok_or_else(|| missing(RewardRow::FILE))?;
        before(&json, &rewards).map_err(|problem| StoreError::Bad {
            place: self.place(),
            day,
            problem,
        })
    }

    /// The folder or server, for words.
    pub fn place(&self) -> String {
        match self {
            Self::Folder(store) => store.root.display().to_string(),
            Self::Server(client) => client.base().to_string(),
            Self::FirstOf(sources) => {
                sources.iter().map(Self::place).collect::<Vec<_>>().join(" or ")
            }
        }
    }
}

fn before(json: &[u8], rewards: &[u8]) -> Result<(Bundle, Before), String> {
    let bundle = Bundle::parse(json).map_err(|error: BundleError| error.to_string())?;
    let hash = keccak256(rewards);
    if bundle.files.get(RewardRow::FILE) != Some(&hash) {
        return Err(format!("{} has keccak256 {hash}, not what bundle.json says", RewardRow::FILE));
    }
    let rewards = parse_file::<RewardRow>(rewards).map_err(|error| error.to_string())?;
    let commit = commit_of(&bundle, json).struct_hash();
    let carry = bundle.carry_out;
    Ok((bundle, Before { commit, rewards, carry }))
}

/// A folder of bundles.
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
    pub fn file(
        &self,
        project: Address,
        day: UtcDay,
        file: &str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
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
        let unfinished = folder.join(format!(".{date}.{}", std::process::id()));
        remove(&unfinished).map_err(io(&unfinished))?;
        fs::create_dir(&unfinished).map_err(io(&unfinished))?;
        for (name, bytes) in &files {
            let path = unfinished.join(name);
            write_synced(&path, bytes).map_err(io(&path))?;
        }
        sync_folder(&unfinished).map_err(io(&unfinished))?;
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

#[cfg(test)]
mod tests;

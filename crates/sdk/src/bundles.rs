//! Day bundles where they are kept: folders, and servers of `/v1/bundles`.
//!
//! Whoever reads a day for a decision reads it from [`Places`]: a file is taken from any of them by the
//! hash that was committed, and a place that fails or gives other bytes is passed over, and named.
//!
//! A folder holds `<project, lower-case hex>/<YYYY-MM-DD>/{bundle.json, uptime.csv, holders.csv,
//! points.csv, rewards.csv, tree.json, commit.json}`. A day appears in it whole or not at all, and
//! once there it does not change; a day rebuilt after a revocation takes its place, and the old one
//! is kept beside it as `<YYYY-MM-DD>.r<revision>`.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use alloy::primitives::keccak256;
use nodesys_core::bundle::{BUNDLE_JSON, Bundle, DayBundle, TREE_JSON, canonical_json};
use nodesys_core::files::{HolderRow, PointsRow, RewardRow, Row, UptimeRow};
use nodesys_core::message::{RewardCommit, SignedCommit};
use nodesys_core::time::UtcDay;

use crate::client;

mod places;
mod repair;
mod store;

pub use places::{BundleSource, Fetched, PassedOver, Places, Reason};
pub use store::BundleStore;

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
    /// No place has the file, or the bytes of it that were committed.
    #[error("{place} has no {file} of {day}{}", in_words(.passed_over))]
    Missing {
        /// The folders or servers.
        place: String,
        /// The file.
        file: String,
        /// The day.
        day: UtcDay,
        /// What each of them gave instead.
        passed_over: Vec<PassedOver>,
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

/// What places gave instead, where there is more to say than that they have nothing.
fn in_words(passed_over: &[PassedOver]) -> String {
    let told: Vec<String> = passed_over
        .iter()
        .filter(|one| one.reason != Reason::Missing)
        .map(|one| format!("{}: {}", one.place, one.problem))
        .collect();
    if told.is_empty() { String::new() } else { format!(" ({})", told.join("; ")) }
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

#[cfg(test)]
mod tests;

//! The files of a day, and the commit that they lead to.

use std::collections::BTreeMap;
use std::io;

use alloy::primitives::keccak256;
use nodesys_core::bundle::{BUNDLE_JSON, Bundle, DayBundle, TREE_JSON, canonical_json};
use nodesys_core::files::{HolderRow, PointsRow, RewardRow, Row, UptimeRow};
use nodesys_core::holders::UncountedRow;
use nodesys_core::message::{RewardCommit, SignedCommit};

/// The signed commit beside its bundle.
pub const COMMIT_JSON: &str = "commit.json";

/// The files of a day, `bundle.json` first. A day of an old format lacks some of them.
pub const FILES: [&str; 8] = [
    BUNDLE_JSON,
    UptimeRow::FILE,
    HolderRow::FILE,
    UncountedRow::FILE,
    PointsRow::FILE,
    RewardRow::FILE,
    TREE_JSON,
    COMMIT_JSON,
];

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
///
/// # Errors
///
/// None in practice: the tree is written into memory.
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

//! Publishing: the online keys confirm the newest list, with the time.
//!
//! Run after each change, and before the timestamp expires: nodes refuse a repository without a
//! recent confirmation.

use std::collections::HashMap;
use std::num::NonZeroU64;

use nodesys_core::time::Timestamp;
use nodesys_core::update::ISSUED;
use serde::Serialize;
use tough::schema::{Signed, Snapshot, Targets, Timestamp as TimestampRole};

use super::{Folder, SPEC, after, expiry, metafile, read, signed_enough, write};
use crate::Problem;
use crate::keys::SigningKey;

/// Validity of the published files.
#[derive(Debug, Clone, Copy)]
pub struct Days {
    /// The snapshot.
    pub snapshot: u32,
    /// The timestamp.
    pub timestamp: u32,
}

/// The published versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Published {
    /// The targets' version.
    pub targets_version: u64,
    /// The snapshot's version.
    pub snapshot_version: u64,
    /// The timestamp's version.
    pub timestamp_version: u64,
    /// Time from which nodes refuse it, unless it is published again.
    pub expires: String,
}

/// Signs a new snapshot and a new timestamp.
pub async fn publish(
    folder: &Folder,
    (snapshot_key, timestamp_key): (&SigningKey, &SigningKey),
    now: Timestamp,
    days: Days,
) -> Result<Published, Problem> {
    let root = folder.root()?;
    let targets = folder
        .newest::<Targets>("targets")?
        .ok_or_else(|| Problem::Usage("no release is listed yet: release add".to_owned()))?;
    // Of an older root, perhaps: then nodes would refuse it.
    signed_enough(&root, &targets)?;
    let targets_version = targets.signed.version;
    let path = folder.metadata(&format!("{targets_version}.targets.json"));
    let bytes = std::fs::read(&path)
        .map_err(|error| Problem::Here(format!("{}: {error}", path.display())))?;

    let newest = folder.newest::<Snapshot>("snapshot")?.map(|newest| newest.signed.version);
    let snapshot_version = after(newest);
    let mut snapshot =
        Snapshot::new(SPEC.to_owned(), snapshot_version, expiry(now, days.snapshot)?);
    snapshot.meta.insert("targets.json".to_owned(), metafile(&bytes, targets_version));
    let mut snapshot = Signed { signed: snapshot, signatures: Vec::new() };
    snapshot_key.sign(&mut snapshot).await?;
    signed_enough(&root, &snapshot)?;

    let path = folder.metadata("timestamp.json");
    let newest: Option<NonZeroU64> = if path.exists() {
        Some(read::<Signed<TimestampRole>>(&path)?.signed.version)
    } else {
        None
    };
    let expires = expiry(now, days.timestamp)?;
    let mut timestamp = TimestampRole::new(SPEC.to_owned(), after(newest), expires);
    timestamp._extra = HashMap::from([(ISSUED.to_owned(), now.secs().into())]);
    let timestamp_version = timestamp.version;
    // The snapshot's bytes are known only once it is written; a snapshot that no timestamp names
    // is seen by nobody.
    let name = format!("{snapshot_version}.snapshot.json");
    let bytes = write(&folder.metadata(&name), &snapshot)?;
    timestamp.meta.insert("snapshot.json".to_owned(), metafile(&bytes, snapshot_version));
    let mut timestamp = Signed { signed: timestamp, signatures: Vec::new() };
    timestamp_key.sign(&mut timestamp).await?;
    signed_enough(&root, &timestamp)?;
    write(&path, &timestamp)?;
    Ok(Published {
        targets_version: targets_version.get(),
        snapshot_version: snapshot_version.get(),
        timestamp_version: timestamp_version.get(),
        expires: expires.to_string(),
    })
}

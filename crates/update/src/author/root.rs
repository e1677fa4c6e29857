//! Roots: the trusted keys of a repository. Made unsigned, signed one key at a time wherever the
//! keys are, and published once enough have signed.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::path::Path;

use nodesys_core::time::Timestamp;
use tough::schema::key::Key;
use tough::schema::{RoleKeys, RoleType, Root, Signed};

use super::{Folder, SPEC, after, expiry, signed_enough, write};
use crate::Problem;
use crate::keys::SigningKey;

/// The keys of a root.
#[derive(Debug)]
pub struct Keys {
    /// Of the root itself.
    pub root: Vec<Key>,
    /// Number of signatures a root needs.
    pub root_threshold: NonZeroU64,
    /// Of the targets.
    pub targets: Vec<Key>,
    /// Of the snapshot.
    pub snapshot: Vec<Key>,
    /// Of the timestamp.
    pub timestamp: Vec<Key>,
}

/// An unsigned root that follows the previous one.
pub fn make(
    keys: &Keys,
    previous: Option<&Signed<Root>>,
    now: Timestamp,
    days: u32,
) -> Result<Signed<Root>, Problem> {
    let mut root = Root {
        spec_version: SPEC.to_owned(),
        consistent_snapshot: true,
        version: after(previous.map(|previous| previous.signed.version)),
        expires: expiry(now, days)?,
        keys: HashMap::new(),
        roles: HashMap::new(),
        _extra: HashMap::new(),
    };
    for (role, of, threshold) in [
        (RoleType::Root, &keys.root, keys.root_threshold),
        (RoleType::Targets, &keys.targets, NonZeroU64::MIN),
        (RoleType::Snapshot, &keys.snapshot, NonZeroU64::MIN),
        (RoleType::Timestamp, &keys.timestamp, NonZeroU64::MIN),
    ] {
        let mut keyids = Vec::new();
        for key in of {
            let id = key.key_id().map_err(|error| Problem::Usage(error.to_string()))?;
            if keyids.contains(&id) {
                return Err(Problem::Usage(format!("one {role} key is given twice")));
            }
            root.keys.insert(id.clone(), key.clone());
            keyids.push(id);
        }
        if (keyids.len() as u64) < threshold.get() {
            return Err(Problem::Usage(format!(
                "{threshold} of {} {role} keys can never sign: give more keys or a lower threshold",
                keyids.len()
            )));
        }
        root.roles.insert(role, RoleKeys { keyids, threshold, _extra: HashMap::new() });
    }
    Ok(Signed { signed: root, signatures: Vec::new() })
}

/// Adds a signature. A first root is signed by its own keys alone; a later one by the keys of the root
/// before as well, which need not be among its own.
pub async fn sign(root: &mut Signed<Root>, key: &SigningKey) -> Result<(), Problem> {
    let id = key.public().key_id().map_err(|error| Problem::Usage(error.to_string()))?;
    let is_own = root.signed.roles.get(&RoleType::Root).is_some_and(|it| it.keyids.contains(&id));
    if !is_own && root.signed.version == NonZeroU64::MIN {
        return Err(Problem::Usage(
            "the key is none of the root's own keys, so its signature would not count: sign with a key \
             that was given as --root"
                .to_owned(),
        ));
    }
    key.sign(root).await
}

/// Signatures by the root's own keys, how many of these it needs, and signatures by other keys.
pub fn count(root: &Signed<Root>) -> (u64, u64, u64) {
    let Some(role) = root.signed.roles.get(&RoleType::Root) else { return (0, 0, 0) };
    let own =
        root.signatures.iter().filter(|made| role.keyids.contains(&made.keyid)).count() as u64;
    (own, role.threshold.get(), root.signatures.len() as u64 - own)
}

/// Publishes a root: enough keys of the previous one and of its own must have signed it.
pub fn publish(folder: &Folder, root: &Signed<Root>) -> Result<(), Problem> {
    let version = root.signed.version;
    let previous = folder.newest::<Root>("root")?;
    if version != after(previous.as_ref().map(|previous| previous.signed.version)) {
        return Err(Problem::Usage(format!(
            "a root with version {version} does not follow the newest one: make it with --previous"
        )));
    }
    if let Some(previous) = &previous {
        signed_enough(&previous.signed, root)?;
    }
    signed_enough(&root.signed, root)?;
    write(&folder.metadata(&format!("{version}.root.json")), root).map(drop)
}

/// Reads a root.
pub fn read(path: &Path) -> Result<Signed<Root>, Problem> {
    super::read(path)
}

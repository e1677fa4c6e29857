//! Verifying a repository: root chain, timestamp, snapshot, targets, at the caller's time.
//!
//! `tough` walks the chain and checks signatures, hashes, versions and sizes, in a copy of the
//! trusted metadata; dates are checked here, since the time is the caller's and not only this
//! machine's clock. Only a fully verified state replaces the trusted metadata, with one exception:
//! a newer root signed by the trusted one stays trusted whatever comes after it, so that rotated
//! keys are gone for good.

use std::path::Path;

use nodesys_core::B256;
use nodesys_core::time::Timestamp;
use nodesys_core::update::{ISSUED, TargetMetadata, VERIFIED_FORMAT, Verified, VerifiedTarget};
use tough::schema::{RoleType, Target};
use tough::{ExpirationEnforcement, Limits, Repository, RepositoryLoader, TargetName};

use crate::Problem;
use crate::transport::{Endless, MAX_FILE, Place, Reader};
use crate::trusted::Trusted;

const LIMITS: Limits = Limits {
    max_root_size: 256 << 10,
    max_targets_size: MAX_FILE,
    max_timestamp_size: 64 << 10,
    max_snapshot_size: 256 << 10,
    max_root_updates: 256,
};
/// Above any program or image of ours.
const MAX_TARGET: u64 = 1 << 30;

/// The input of a verification.
#[derive(Debug)]
pub struct VerifyRequest<'a> {
    /// The repository.
    pub place: &'a Place,
    /// The file of trusted metadata.
    pub trusted: &'a Path,
    /// Trusted if there is no such file yet: a root.json from another channel.
    pub root: Option<&'a str>,
    /// The latest time known to the caller.
    pub now: Timestamp,
}

/// Verifies it, and reports its content.
pub async fn verify(wanted: &VerifyRequest<'_>) -> Result<Verified, Problem> {
    let before = match (Trusted::read(wanted.trusted)?, wanted.root) {
        (Some(trusted), _) => trusted,
        (None, Some(root)) => Trusted::of_root(root.to_owned()),
        (None, None) => {
            return Err(Problem::Usage(
                "no root of releases is trusted yet: give --root FILE, the root.json that came \
                 with this program"
                    .to_owned(),
            ));
        }
    };
    let here = |error: std::io::Error| {
        Problem::Here(format!("a folder for the metadata cannot be used: {error}"))
    };
    let store = tempfile::tempdir().map_err(here)?;
    let file = |name: &str| store.path().join(name);
    for (name, text) in [("timestamp.json", &before.timestamp), ("snapshot.json", &before.snapshot)]
    {
        if let Some(text) = text {
            std::fs::write(file(name), text).map_err(here)?;
        }
    }
    let read = |name: &str| std::fs::read_to_string(file(name)).ok();
    let loaded = RepositoryLoader::new(
        &before.root,
        wanted.place.base("metadata")?,
        wanted.place.base("targets")?,
    )
    .transport(Reader::new()?)
    .limits(LIMITS)
    .datastore(store.path())
    // The dates are checked below, by the caller's time.
    .expiration_enforcement(ExpirationEnforcement::Unsafe)
    .load()
    .await
    .map_err(|error| told(wanted.place, &error));
    let held = loaded.and_then(|loaded| {
        let judged_at = judged_at(wanted.now, &before, &loaded);
        dates(&loaded, judged_at)?;
        Ok((content(&loaded)?, loaded, judged_at))
    });
    let (targets, loaded, judged_at) = match held {
        Ok(held) => held,
        Err(problem) => {
            keep_root(wanted.trusted, before, &read)?;
            return Err(problem);
        }
    };
    let root = read("root.json").unwrap_or_else(|| before.root.clone());
    let after = Trusted {
        timestamp: read("timestamp.json"),
        snapshot: read("snapshot.json"),
        targets: read("targets.json"),
        ..Trusted::of_root(root)
    };
    after.write(wanted.trusted)?;
    let (_, expires) = dated(&loaded)
        .into_iter()
        .min_by_key(|(_, expires)| *expires)
        .unwrap_or((RoleType::Root, judged_at));
    Ok(Verified {
        format: VERIFIED_FORMAT.to_owned(),
        root_version: loaded.root().signed.version.get(),
        targets_version: loaded.targets().signed.version.get(),
        timestamp_version: loaded.timestamp().signed.version.get(),
        judged_at,
        expires,
        targets,
    })
}

/// Keeps a newer root that the trusted one has signed.
fn keep_root(
    path: &Path,
    before: Trusted,
    read: &dyn Fn(&str) -> Option<String>,
) -> Result<(), Problem> {
    let Some(root) = read("root.json") else { return Ok(()) };
    if Trusted::root_version(&root) <= Trusted::root_version(&before.root) {
        return Ok(());
    }
    // Taken away where their keys were rotated: what was signed by the old ones no longer counts.
    let rotated = read("timestamp.json").is_none();
    let after = if rotated { Trusted::of_root(root) } else { Trusted { root, ..before } };
    after.write(path)
}

/// The latest of all times that are known.
fn judged_at(now: Timestamp, before: &Trusted, loaded: &Repository) -> Timestamp {
    let issued = loaded.timestamp().signed._extra.get(ISSUED).and_then(serde_json::Value::as_u64);
    let known = [before.issued_secs(), issued].into_iter().flatten().map(Timestamp::from_secs);
    known.fold(now, Timestamp::max)
}

/// Expiry of each part.
fn dated(loaded: &Repository) -> [(RoleType, Timestamp); 4] {
    let at = |expires: jiff::Timestamp| {
        Timestamp::from_secs(u64::try_from(expires.as_second()).unwrap_or(0))
    };
    [
        (RoleType::Root, at(loaded.root().signed.expires)),
        (RoleType::Timestamp, at(loaded.timestamp().signed.expires)),
        (RoleType::Snapshot, at(loaded.snapshot().signed.expires)),
        (RoleType::Targets, at(loaded.targets().signed.expires)),
    ]
}

fn dates(loaded: &Repository, judged_at: Timestamp) -> Result<(), Problem> {
    match dated(loaded).into_iter().find(|(_, expires)| *expires <= judged_at) {
        None => Ok(()),
        Some((role, expires)) => Err(Problem::Refused(format!(
            "the repository's {role} metadata expired at {expires}, and it is {judged_at}: somebody \
             may be holding newer releases back; check this machine's clock, then ask who runs the \
             repository"
        ))),
    }
}

/// The targets with their metadata. Those of other keys, by delegation, and those that are no part of a
/// release are passed over: a repository may hold more than releases.
fn content(loaded: &Repository) -> Result<Vec<VerifiedTarget>, Problem> {
    let signed = &loaded.targets().signed;
    let consistent = loaded.root().signed.consistent_snapshot;
    let mut targets = signed
        .targets
        .iter()
        .filter(|(_, target)| target.custom.contains_key("kind"))
        .map(|(name, target)| one(name, target, consistent))
        .collect::<Result<Vec<_>, Problem>>()?;
    targets.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(targets)
}

fn one(name: &TargetName, target: &Target, consistent: bool) -> Result<VerifiedTarget, Problem> {
    let raw = name.raw();
    let refused = |problem: &str| {
        Problem::Refused(format!("the repository's target {raw:.80?} does not hold: {problem}"))
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
    if raw.is_empty() || raw.starts_with('.') || raw.len() > 150 || !raw.chars().all(plain) {
        return Err(refused("its name is no plain name of a file"));
    }
    if target.length > MAX_TARGET {
        return Err(refused("it is larger than any release"));
    }
    let sha256 = B256::try_from(target.hashes.sha256.as_ref())
        .map_err(|_| refused("its SHA-256 is none"))?;
    let custom = serde_json::Value::Object(target.custom.clone().into_iter().collect());
    let about: TargetMetadata =
        serde_json::from_value(custom).map_err(|error| refused(&error.to_string()))?;
    let file =
        if consistent { format!("{}.{raw}", hex_of(sha256.as_slice())) } else { raw.to_owned() };
    Ok(VerifiedTarget { name: raw.to_owned(), file, size: target.length, sha256, about })
}

pub(crate) fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The error of `tough`, with the next step.
fn told(place: &Place, error: &tough::error::Error) -> Problem {
    use tough::error::Error;
    let mut causes: Vec<&(dyn std::error::Error + 'static)> = vec![error];
    while let Some(next) = causes.last().and_then(|cause| cause.source()) {
        causes.push(next);
    }
    let is = |test: fn(&Error) -> bool| {
        causes.iter().filter_map(|cause| cause.downcast_ref::<Error>()).any(test)
    };
    let words: Vec<String> = causes.iter().map(ToString::to_string).collect();
    // Each says its cause as well; the outermost has all of it.
    let words = words.first().map(String::as_str).unwrap_or_default();
    let endless = causes.iter().any(|cause| cause.is::<Endless>());
    let refused = |what: &str| {
        Problem::Refused(format!(
            "the repository at {place} is refused: {what} ({words}); nothing was changed. Somebody \
             may be tampering with it, or it is not put up whole: try again later, and ask who runs it"
        ))
    };
    if endless || is(|it| matches!(it, Error::MaxSizeExceeded { .. })) {
        return refused("a file of it is longer than it may be");
    }
    if is(|it| matches!(it, Error::HashMismatch { .. })) {
        return refused("a file of it is not the one that is signed for");
    }
    match error {
        Error::Transport { .. } => Problem::Unreachable(format!(
            "the repository at {place} cannot be read: {words}; check --repository and the network"
        )),
        Error::ParseTrustedMetadata { .. } | Error::VerifyTrustedMetadata { .. } => {
            Problem::Usage(format!("the trusted root does not hold: {words}; give another --root"))
        }
        Error::VerifyMetadata { .. } => refused("not enough of its keys have signed it"),
        Error::OlderMetadata { .. }
        | Error::OlderSnapshotInTimestamp { .. }
        | Error::SnapshotRoleRollback { .. }
        | Error::SnapshotRoleMissing { .. } => refused("it is older than what was seen before"),
        Error::VersionMismatch { .. } => refused("its files do not belong together"),
        _ => refused("it does not hold"),
    }
}

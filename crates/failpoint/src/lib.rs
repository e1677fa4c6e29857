//! Failpoints: named points at which a development build ends at once, as by `kill -9`.
//!
//! `NODESYS_FAILPOINT=<name>` names the one that fires, the first time it is reached. The crash
//! tests (`test/e2e/tests/network/crashes.rs`) go through all of [`BACKEND`] and [`MASTER`], those of
//! `nodesys start` (`crates/cli/tests/install`) through all of [`CLI`], those of `nodesys update`
//! (`crates/cli/tests/update`) through all of [`UPDATE`]. Release builds have none.

/// The backend's points, in the order of the data path: before and after each step on disk.
pub const BACKEND: [&str; 12] = [
    "batch:before",
    "batch:after",
    "close:before",
    "close:after",
    "tree:before",
    "tree:after",
    "outbox:before",
    "outbox:after",
    "send:before",
    "send:after",
    "confirm:before",
    "confirm:after",
];

/// The master's points: around the signature, and around the bundle's publication.
pub const MASTER: [&str; 4] = ["sign:before", "sign:after", "publish:after", "commit:after"];

/// The command line's points while it creates a cluster: after each step on disk.
pub const CLI: [&str; 10] = [
    "k3s:downloaded",
    "k3s:program",
    "k3s:images",
    "k3s:config",
    "k3s:units",
    "k3s:firewall",
    "k3s:started",
    "k3s:ready",
    "manager:applied",
    "manager:ready",
];

/// The command line's points while it updates itself: after each step on disk.
pub const UPDATE: [&str; 9] = [
    "update:fetched",
    "update:kept",
    "update:one-swapped",
    "update:swapped",
    "update:deployed",
    "update:healthy",
    "update:one-undone",
    "update:programs-undone",
    "update:undone",
];

/// Ends the process here, if it was started to fail here.
#[cfg(debug_assertions)]
pub fn reach(name: &str) {
    use std::sync::OnceLock;
    static CHOSEN: OnceLock<Option<String>> = OnceLock::new();
    debug_assert!(
        [&BACKEND[..], &MASTER, &CLI, &UPDATE].concat().contains(&name),
        "{name} is no failpoint"
    );
    let chosen = CHOSEN.get_or_init(|| std::env::var("NODESYS_FAILPOINT").ok());
    if chosen.as_deref() == Some(name) {
        tracing::warn!(name, "failpoint reached: the process ends");
        // Nothing is unwound, flushed or told: for everybody else this is a SIGKILL.
        std::process::abort();
    }
}

/// Nothing, in a release build.
#[cfg(not(debug_assertions))]
pub const fn reach(_name: &str) {}

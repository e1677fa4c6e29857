//! The manager's durable counters: heartbeat numbers and lease-request nonces.
//!
//! `state.json` in the state folder. Invariant: a number is synced to disk before a message with it
//! is sent, so neither ever falls or repeats across restarts. Heartbeat numbers are reserved in
//! blocks, so that the file is written once in 17 hours, not once a minute. One manager at a time:
//! the folder is locked.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use nodesys_core::ids::Seq;
use nodesys_core::time::NONCE_WINDOW_MILLIS;
use serde::{Deserialize, Serialize};

/// Heartbeat numbers reserved at a time.
const BLOCK: u64 = 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Counters {
    /// Heartbeat numbers below this may have been used.
    #[serde(with = "nodesys_core::message::decimal")]
    seq_reserved: u64,
    /// The last lease request's nonce.
    #[serde(with = "nodesys_core::message::decimal")]
    lease_nonce: u64,
}

/// The open state folder.
pub struct State {
    dir: PathBuf,
    counters: Counters,
    next_seq: u64,
    _lock: File,
}

impl State {
    /// Opens (and makes) the folder. Without a state file numbers begin at the time in
    /// milliseconds: beyond any number that a lost state can have used at one a minute.
    pub fn open(dir: &Path, now_millis: u64) -> anyhow::Result<Self> {
        make_private_dir(dir)?;
        let lock = File::create(dir.join("lock"))
            .with_context(|| format!("the state folder {} cannot be written", dir.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "another manager uses the state folder {}: stop it, or give this one its own",
                dir.display()
            ),
            Err(TryLockError::Error(error)) => {
                return Err(error).context("the state folder cannot be locked");
            }
        }
        let path = dir.join("state.json");
        let counters = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| {
                format!(
                    "{} is damaged: move it away; the sequence then starts again above every number in use",
                    path.display()
                )
            })?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Counters { seq_reserved: now_millis, lease_nonce: 0 }
            }
            Err(error) => {
                return Err(error).with_context(|| format!("{} cannot be read", path.display()));
            }
        };
        Ok(Self { dir: dir.to_owned(), next_seq: counters.seq_reserved, counters, _lock: lock })
    }

    /// A heartbeat number above every one before.
    pub fn next_seq(&mut self) -> anyhow::Result<Seq> {
        let seq = Seq::checked_new(self.next_seq).context("heartbeat numbers are used up")?;
        if self.next_seq >= self.counters.seq_reserved {
            let seq_reserved = self.next_seq.saturating_add(BLOCK);
            self.store(Counters { seq_reserved, ..self.counters })?;
        }
        self.next_seq += 1;
        Ok(seq)
    }

    /// Skips to the time in milliseconds: the backend knows higher numbers than this folder.
    pub fn skip_seq(&mut self, now_millis: u64) {
        self.next_seq = self.next_seq.max(now_millis);
    }

    /// A lease-request nonce: the time in milliseconds, or above the earlier ones if that is higher. One
    /// from a clock that was ahead is forgotten, by the backend too.
    pub fn next_nonce(&mut self, now_millis: u64) -> anyhow::Result<u64> {
        let next = self.counters.lease_nonce.saturating_add(1);
        let usable = next <= now_millis.saturating_add(NONCE_WINDOW_MILLIS);
        let lease_nonce = if usable { now_millis.max(next) } else { now_millis };
        self.store(Counters { lease_nonce, ..self.counters })?;
        Ok(lease_nonce)
    }

    fn store(&mut self, counters: Counters) -> anyhow::Result<()> {
        let bytes = serde_json::to_vec(&counters).context("the counters")?;
        write_durably(&self.dir, "state.json", &bytes)
            .with_context(|| format!("{} cannot be written", self.dir.display()))?;
        self.counters = counters;
        Ok(())
    }
}

/// Creates a folder that only its owner may enter; an existing one is not changed.
pub(crate) fn make_private_dir(dir: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("the folder {} cannot be made", dir.display()))
}

/// Replaces a file as a whole, and returns once it survives a power cut.
fn write_durably(dir: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let fresh = dir.join(format!("{name}.new"));
    let mut file =
        File::options().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&fresh, dir.join(name))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_across_restarts_and_a_lost_state() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("state");
        let mut state = State::open(&dir, 1_000_000).unwrap();
        assert_eq!(state.next_seq().unwrap().get(), 1_000_000);
        assert_eq!(state.next_seq().unwrap().get(), 1_000_001);
        assert_eq!(state.next_nonce(1_000_000).unwrap(), 1_000_000);
        assert_eq!(state.next_nonce(1_000_000).unwrap(), 1_000_001);
        drop(state);

        let mut state = State::open(&dir, 1_000_060).unwrap();
        assert_eq!(state.next_seq().unwrap().get(), 1_000_000 + BLOCK);
        assert_eq!(state.next_nonce(999_000).unwrap(), 1_000_002);
        // The clock was ahead, and is right again.
        assert_eq!(state.next_nonce(5).unwrap(), 5);
        for _ in 0..2 * BLOCK {
            state.next_seq().unwrap();
        }
        let last = state.next_seq().unwrap();
        drop(state);
        let mut state = State::open(&dir, 0).unwrap();
        assert!(state.next_seq().unwrap() > last);
        state.skip_seq(9_000_000);
        assert_eq!(state.next_seq().unwrap().get(), 9_000_000);
        state.skip_seq(0);
        assert_eq!(state.next_seq().unwrap().get(), 9_000_001);
    }

    #[test]
    fn a_number_is_on_disk_before_it_is_given() {
        let home = tempfile::tempdir().unwrap();
        let mut state = State::open(home.path(), 7).unwrap();
        state.next_seq().unwrap();
        let stored = std::fs::read_to_string(home.path().join("state.json")).unwrap();
        assert_eq!(stored, r#"{"seq_reserved":"1031","lease_nonce":"0"}"#);
    }

    #[test]
    fn two_managers_cannot_share_a_folder_and_damage_is_named() {
        let home = tempfile::tempdir().unwrap();
        let first = State::open(home.path(), 0).unwrap();
        let second = State::open(home.path(), 0).err().unwrap().to_string();
        assert!(second.contains("another manager"), "{second}");
        drop(first);
        std::fs::write(home.path().join("state.json"), "{").unwrap();
        let damaged = State::open(home.path(), 0).err().unwrap().to_string();
        assert!(damaged.contains("move it away"), "{damaged}");
    }
}

//! The local record of transactions that were sent: what a repeated command goes on with.
//!
//! A folder has a folder for each chain, named by the hash of its first block (two development chains
//! share an id, and hardly that hash), and in it a file for each account. A transaction is in the file,
//! signed, before it leaves the machine. It stays until the chain counts past its nonce, and the newest one
//! stays even then: an RPC that does not count past it is behind, whatever it answers otherwise. So a file
//! holds what waits and one more.
//!
//! Nobody else sends with the account meanwhile: the file's lock is held until the program ends.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alloy::primitives::{Address, B256, Bytes};
use alloy::rpc::types::TransactionRequest;
use serde::{Deserialize, Serialize};

use crate::error::ChainError;

/// Says something to the person who waits: one line, without a line feed.
pub type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// A transaction that was signed here, with all its tries: they have one nonce, so that one of them
/// takes effect at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SentTransaction {
    /// What it does, in words.
    pub(crate) what: String,
    pub(crate) nonce: u64,
    /// The newest try, unsigned and complete.
    pub(crate) request: TransactionRequest,
    /// The newest try, signed.
    pub(crate) raw: Bytes,
    /// Hashes of all tries, the newest one last.
    pub(crate) hashes: Vec<B256>,
    /// Whether the command that sent it has seen its end.
    #[serde(default = "yes")]
    pub(crate) told: bool,
}

/// Of records written before the field was.
const fn yes() -> bool {
    true
}

impl SentTransaction {
    /// Hash of the newest try.
    pub(crate) fn hash(&self) -> B256 {
        self.hashes.last().copied().unwrap_or_default()
    }
}

/// The record of one account on one chain.
pub(crate) struct Record {
    path: PathBuf,
    tell: Tell,
    /// Whether a transaction is waited for just now.
    waits: AtomicBool,
    _lock: File,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Record {
    /// Opens the record of an account, and keeps others out. Where another program has it, says so and
    /// waits for its end.
    pub(crate) async fn open(
        folder: &Path,
        genesis: B256,
        account: Address,
        tell: Tell,
    ) -> Result<Self, ChainError> {
        let folder = folder.join(genesis.to_string());
        let path = folder.join(format!("{account}.json"));
        let failed = |source: std::io::Error| failed(&path, &source);
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let lock = folder.join(format!("{account}.lock"));
        let lock = File::options().create(true).append(true).open(lock).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) => {
                tell(&format!("another command sends with {account}: waiting until it ends"));
                let waiting = lock.try_clone().map_err(failed)?;
                // The lock belongs to the open file, which both share.
                let locked = tokio::task::spawn_blocking(move || waiting.lock()).await;
                locked.map_err(std::io::Error::other).flatten().map_err(failed)?;
            }
        }
        Ok(Self { path, tell, waits: AtomicBool::new(false), _lock: lock })
    }

    /// What was sent, by nonce.
    pub(crate) fn read(&self) -> Result<Vec<SentTransaction>, ChainError> {
        match std::fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| ChainError::Record {
                path: self.path.clone(),
                problem: format!(
                    "it is no record of transactions ({error}); move it away once nothing of the \
                     account waits"
                ),
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(failed(&self.path, &error)),
        }
    }

    /// Adds a transaction, in place of one with its nonce.
    pub(crate) fn put(&self, transaction: SentTransaction) -> Result<(), ChainError> {
        let mut all = self.read()?;
        all.retain(|other| other.nonce != transaction.nonce);
        all.push(transaction);
        all.sort_by_key(|one| one.nonce);
        self.write(&all)
    }

    /// Notes that the command has seen the end of the transaction of this nonce.
    pub(crate) fn set_told(&self, nonce: u64) -> Result<(), ChainError> {
        let mut all = self.read()?;
        all.iter_mut().filter(|one| one.nonce == nonce).for_each(|one| one.told = true);
        self.write(&all)
    }

    /// Forgets the transaction of a nonce: no RPC would take it.
    pub(crate) fn remove(&self, nonce: u64) -> Result<(), ChainError> {
        self.set_waiting(false);
        let mut all = self.read()?;
        all.retain(|one| one.nonce != nonce);
        self.write(&all)
    }

    /// Forgets what the chain has counted past, but for the newest.
    pub(crate) fn prune(&self, next_nonce: u64) -> Result<(), ChainError> {
        let mut all = self.read()?;
        let (before, newest) = (all.len(), all.last().map(|one| one.nonce));
        all.retain(|one| one.nonce >= next_nonce || Some(one.nonce) == newest);
        if all.len() < before { self.write(&all) } else { Ok(()) }
    }

    fn write(&self, all: &[SentTransaction]) -> Result<(), ChainError> {
        let failed = |source: std::io::Error| failed(&self.path, &source);
        let bytes = serde_json::to_vec_pretty(all).map_err(|error| failed(error.into()))?;
        let mut file =
            tempfile::NamedTempFile::new_in(self.path.parent().unwrap_or(Path::new(".")))
                .map_err(failed)?;
        file.write_all(&bytes).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&self.path).map_err(|error| failed(error.error))?;
        Ok(())
    }

    pub(crate) fn tell(&self, words: &str) {
        (self.tell)(words);
    }

    pub(crate) fn set_waiting(&self, waits: bool) {
        self.waits.store(waits, Ordering::Relaxed);
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }
}

fn failed(path: &Path, source: &std::io::Error) -> ChainError {
    ChainError::Record { path: path.to_owned(), problem: source.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(nonce: u64) -> SentTransaction {
        let request = TransactionRequest { nonce: Some(nonce), ..TransactionRequest::default() };
        let hashes = vec![B256::repeat_byte(7)];
        let raw = Bytes::new();
        SentTransaction { what: "testing".into(), nonce, request, raw, hashes, told: false }
    }

    #[tokio::test]
    async fn a_record_keeps_what_waits_and_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let (genesis, account) = (B256::repeat_byte(1), Address::repeat_byte(2));
        let tell: Tell = Arc::new(|_| {});
        let record = Record::open(folder.path(), genesis, account, tell.clone()).await.unwrap();
        assert_eq!(record.read().unwrap(), []);
        for nonce in [4, 3, 5] {
            record.put(sent(nonce)).unwrap();
        }
        let nonces = || record.read().unwrap().iter().map(|one| one.nonce).collect::<Vec<_>>();
        assert_eq!(nonces(), [3, 4, 5]);
        record.prune(4).unwrap();
        assert_eq!(nonces(), [4, 5]);
        record.prune(9).unwrap();
        assert_eq!(nonces(), [5]);
        record.remove(5).unwrap();
        assert_eq!(nonces(), [0_u64; 0]);

        // Another chain and another account have files of their own.
        record.put(sent(6)).unwrap();
        for (genesis, account) in [(B256::ZERO, account), (genesis, Address::ZERO)] {
            let other = Record::open(folder.path(), genesis, account, tell.clone()).await.unwrap();
            assert_eq!(other.read().unwrap(), []);
        }
        std::fs::write(&record.path, "mine").unwrap();
        let error = record.put(sent(7)).unwrap_err().to_string();
        assert!(error.contains("move it away"), "{error}");
        assert_eq!(std::fs::read(&record.path).unwrap(), b"mine");
    }
}

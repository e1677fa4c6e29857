//! Locks of the home folder: one command at a time changes a node.

use std::fs::{File, TryLockError};
use std::path::Path;

use anyhow::Context as _;

use crate::exit::Exit;

/// Keeps a second command from changing the same node's cluster meanwhile.
pub struct Lock {
    _file: File,
}

/// Takes the home folder's lock; it is let go when the program ends, however it ends.
pub fn lock(home: &Path) -> anyhow::Result<Lock> {
    lock_at(&home.join("cluster.lock"))
}

/// Takes another lock of the home folder's.
pub fn lock_at(path: &Path) -> anyhow::Result<Lock> {
    let cannot = || format!("cannot write {}", path.display());
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).with_context(cannot)?;
    let file = File::options().create(true).append(true).open(path).with_context(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(Exit::Failure.because(format!(
            "another nodesys command is changing this node (it holds {}): wait until it ends",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => Err(error).with_context(cannot),
    }
}

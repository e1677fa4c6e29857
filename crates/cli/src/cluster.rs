//! The cluster this node runs in: making it, the manager in it, and taking it back.
//!
//! `start` looks before it changes anything ([`preflight`]), writes down what it is about to make
//! ([`file`]), applies the manager's objects ([`apply`]) and waits until the manager is ready. Each
//! step first looks whether it is done, so a run after an interrupted one goes on, and a run after a
//! finished one changes nothing.

pub(crate) mod apply;
mod checks;
mod connect;
pub mod file;
mod info;
mod isolation;
mod k3d;
mod k3s;
mod logs;
mod manager;
mod preflight;
mod remove;
mod running;
mod start;
mod steps;
mod stop;
mod survey;
mod undo;
mod uninstall;
mod wanted;

use std::fs::{File, TryLockError};
use std::path::Path;

use anyhow::Context as _;

pub use checks::{Finding, Verdict};
pub use connect::{Cluster, connect, words_of};
pub use file::{ClusterFile, Driver, Phase};
pub use info::{InfoArgs, info};
pub use isolation::{Enforced, Isolation, isolation};
pub(crate) use k3s::{UNITS, command, put};
pub use k3s::{fetch, fetch_pinned, hash_of, pin};
pub(crate) use logs::print_log;
pub use logs::{LogsArgs, logs};
pub use manager::apply_manager;
pub(crate) use remove::{gone, namespace as remove_namespace};
pub(crate) use running::{is_ready, manager_pods, trouble_of, wait_manager};
pub use start::{change_manager, start};
pub use stop::{StopArgs, stop};
pub use survey::{Fix, run_fix, survey};
pub use uninstall::{UninstallArgs, uninstall};
pub use wanted::StartArgs;

use crate::exit::Exit;

/// The name under which the command line's fields are booked in the cluster.
pub const FIELD_MANAGER: &str = "nodesys";

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

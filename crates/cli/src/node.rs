//! The home folder of a node: its files, and the only code that reads and writes them.

pub(crate) mod authorization;
pub(crate) mod backup;
pub(crate) mod cluster_file;
pub(crate) mod config;
pub(crate) mod file;
pub(crate) mod key;
pub(crate) mod lock;
pub(crate) mod network_file;
pub(crate) mod workloads;

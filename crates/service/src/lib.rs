//! What the programs share as processes: logs without secrets, files with secrets, stop signals, the
//! listener, the ready file, problem documents over HTTP, metrics.
//!
//! Each part is used by two programs at least. What only one of them needs is its own.

pub mod listener;
pub mod logs;
pub mod metrics;
pub mod network;
pub mod problem;
pub mod ready;
pub mod secret;
pub mod signals;

//! What a project owner embeds: the backend's client, the commit builder and the audit.
//!
//! The CLI, the manager and the master stand on it; whatever they do, an owner's own program can.

pub mod audit;
pub mod bundles;
pub mod client;
pub mod commit;
pub mod day;
pub mod guardian;
pub mod release;
pub mod watch;

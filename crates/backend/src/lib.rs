//! The backend: verifies licenses on chain, takes heartbeats, closes days, checks commits, posts
//! roots and serves proofs.
//!
//! Modules are the stages of the data path (`license`, `heartbeat`, `uptime`, `points`, `commit`,
//! `tree`, `root`, `claim`), and beside them `node`, `lease`, `project`, `notify` and the program around:
//! `config`, `app`, `error`, `lifecycle`, `periodic`, `telemetry`, `openapi`.

mod app;
mod claim;
mod commit;
mod config;
mod error;
mod heartbeat;
mod lease;
mod license;
mod lifecycle;
mod node;
mod notify;
mod openapi;
mod periodic;
mod points;
mod project;
mod release;
mod root;
mod sql;
mod telemetry;
#[cfg(test)]
mod tests;
mod tree;
mod uptime;

pub use app::main;
pub use config::Config;
pub use openapi::openapi_json;

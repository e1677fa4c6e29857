//! The backend: verifies licenses on chain, accepts heartbeats, closes days, checks commits, posts
//! roots and serves proofs.
//!
//! Each layer knows only those after it:
//!
//! - `server` starts, runs the jobs and stops; `measure` is a job for metrics alone; `mend` mends the mirror
//!   instead; `preflight` is what a start depends on; `router` has all
//!   routes, `admit` the first check of their requests, `who` what it requires of a caller.
//! - The stages of the data path (`license`, `heartbeat`, `uptime`, `points`, `commit`, `tree`,
//!   `root`, `claim`), and beside them `project`, `node`, `lease`, `notify`, `release`, `login`, `pairing`. None imports
//!   another.
//! - `day` computes a day, `chain` follows the chain, `params` are parameters of paths.
//! - `state` is shared by handlers and jobs.
//! - `witness` asks who vouches for our clock, `reference` keeps the verdict.
//! - `live` is the request path's memory, `liveness` our own downtime.
//! - `db` is all SQL.
//! - `limits` is what strangers may ask, `resolver` and `public` where their names may lead, `cached` what
//!   they have already, `web` the dashboard's files, `front` our public address and the cookies of people.
//! - `error`, `health`, `refusals`, `periodic`, `lifecycle`, `telemetry`, `config`.

mod admit;
mod cached;
mod chain;
mod claim;
mod commit;
mod config;
mod day;
mod db;
mod ended;
mod error;
mod front;
mod health;
mod heartbeat;
mod key_record;
mod lease;
mod license;
mod lifecycle;
mod limits;
mod live;
mod liveness;
mod login;
mod measure;
mod mend;
mod node;
mod nonce;
mod notify;
mod openapi;
mod pairing;
mod params;
mod periodic;
mod points;
mod preflight;
mod project;
mod public;
mod reference;
mod refusals;
mod release;
mod resolver;
mod root;
mod router;
mod server;
mod state;
mod telemetry;
#[cfg(test)]
mod tests;
mod tree;
mod uptime;
mod web;
mod who;
mod witness;

pub use config::{Call, Config};
pub use root::PostLimits;
pub use router::openapi_json;
pub use server::main;

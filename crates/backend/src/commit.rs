//! Commits: a signed `RewardCommit` is taken when it is, field for field, what the backend computes
//! from its own uptime, the chain's holders and the uploaded points.
//!
//! Commit, bundle files, tree and outbox row are stored in one transaction. The same commit again
//! gets the same answer.

mod accept;
mod http;

pub(crate) use http::*;

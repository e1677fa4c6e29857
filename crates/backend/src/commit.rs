//! Commits: a signed `RewardCommit` is accepted when it equals, field for field, the backend's own
//! computation from its uptime, the chain's holders and the uploaded points.
//!
//! Commit, bundle files, tree and outbox row are stored in one transaction. A repeated commit gets
//! the same answer.

mod accept;
mod http;

pub(crate) use http::*;

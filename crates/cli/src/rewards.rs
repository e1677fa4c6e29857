//! Rewards: an account's earned amounts, proven, and the claim of them.
//!
//! A proof is worth what it leads to: it is checked here against its root, and before a claim the
//! root against the chain's own active root. The source of a proof (a backend, a folder of published
//! files) need not be trusted.

pub(crate) mod claim;
pub(crate) mod explain;
pub(crate) mod list;
pub(crate) mod proof;
pub(crate) mod show;
pub(crate) mod signed;
pub(crate) mod source;
pub(crate) mod token;

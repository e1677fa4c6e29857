//! Shared by the end-to-end tests: a short day on a devnet, and nodes driven by hand.
//!
//! A [`RawNode`] is a node without a manager: the test chooses its messages, their targets and
//! times, and keeps every receipt, so that the closed day can be checked against them.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

pub mod raw;
pub mod short_day;

pub use raw::RawNode;
pub use short_day::ShortDay;

/// The seed of a test's random choices: `NODESYS_TEST_SEED`, else a fresh one; printed, so that a
/// failure can be reproduced.
pub fn seed() -> u64 {
    let given = std::env::var("NODESYS_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(rand::random);
    eprintln!("seed: NODESYS_TEST_SEED={seed}");
    seed
}

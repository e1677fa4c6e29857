//! The program as it is run: by its arguments, its files and its exit codes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod acme;
#[path = "../../../chain/src/tests/anvil.rs"]
#[expect(dead_code, reason = "the test support of nodesys-chain has more than is needed here")]
mod anvil;
mod bad_input;
mod chain;
mod home;
mod offline;
mod page;
mod watch;

// What that support expects at the root of its crate.
use nodesys_chain::{Provider, RpcUrl};

//! What tests of several crates share. Only tests and benches depend on it.
//!
//! A chain of a test's own ([`anvil`]) with a project on it ([`chain`]) and days that an owner built
//! ([`days`]); a node's home folder ([`home`]), a machine with an update repository ([`updates`]), a
//! master with its task queue ([`master`]); runs of our programs ([`program`]) and what their logs must
//! not tell ([`logs`]); an RPC that lies ([`lying`]); a server that comes and goes ([`server`]); the
//! commands that a page shows ([`docs`]).

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

pub mod anvil;
pub mod chain;
pub mod days;
pub mod docs;
pub mod home;
pub mod logs;
pub mod lying;
pub mod master;
pub mod program;
pub mod server;
pub mod updates;

use nodesys_core::signature::SigningKey;

/// A key by its number.
pub fn key(byte: u8) -> SigningKey {
    SigningKey::from_bytes(&[byte; 32]).unwrap()
}

//! The program as it is run: by its arguments, its files and its exit codes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod acme;
mod bad_input;
mod chain;
mod home;
mod join;
mod offline;
mod purchase;
mod signed_claim;
mod strangers;
mod watch;

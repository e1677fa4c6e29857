//! Stories of a whole network: chain, backends, masters and nodes as processes, on one stepped clock.
//! One program, since linking each file's own would take longer than most of them run.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod alerts;
mod cold_signer;
mod crashes;
mod database;
mod delegation;
mod differential;
mod main_path;
mod readme;
mod releases;
mod reorgs;
mod replicas;
mod restore;
mod rpc_faults;
mod stolen_signer;
mod takeover;
mod updates;

//! The command line of operators, users and auditors.
//!
//! One command runs and ends. Keys are read from files, never from flags; what is read from a
//! backend is checked against the chain before anything is signed or sent; data goes to standard
//! output, words to standard error, and the exit code says what kind of end it was ([`exit`]).

mod bundle;
mod cluster;
pub mod commands;
mod download;
mod exit;
mod license;
mod lifecycle;
mod manager;
mod network;
mod node;
mod output;
mod pair;
mod progress;
mod prompt;
mod rewards;
mod setup;
mod status;
mod system;
mod update;
mod uptime;
mod wallet;
mod watch;
mod workload;

use std::process::ExitCode;

use nodesys_service::logs;

use crate::commands::Cli;
use crate::exit::Exit;
use crate::output::say;

/// Runs a command to its end.
pub fn main(cli: Cli) -> ExitCode {
    logs::to_stderr("warn");
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(format!("nodesys: the runtime does not start: {error}"));
            return Exit::Failure.into();
        }
    };
    match runtime.block_on(commands::run(cli)) {
        Ok(exit) => exit.into(),
        Err(error) => {
            say(format!("nodesys: {error:#}"));
            Exit::of(&error).into()
        }
    }
}

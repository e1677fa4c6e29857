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
mod watch;
mod workload;

use std::process::ExitCode;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::commands::Cli;
use crate::exit::Exit;
use crate::output::say;

/// Runs a command to its end.
pub fn main(cli: Cli) -> ExitCode {
    log_to_stderr();
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

/// Logs go to standard error; `NODESYS_LOG` takes tracing's filter syntax.
fn log_to_stderr() {
    let wanted = EnvFilter::try_from_env("NODESYS_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    let secret_free = filter_fn(|metadata| !nodesys_chain::logs_secrets(metadata.target()));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    // Fails only when a test has set it up already, which is as good.
    let _ = tracing_subscriber::registry().with(wanted).with(secret_free).with(lines).try_init();
}

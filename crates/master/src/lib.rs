//! The workload master: the project owner's program. It computes points, checks them against the
//! backend, signs commits and keeps their bundles; it hands out tasks and accepts their results.
//!
//! One-shot commands and the service do the same work through `day::Owner`. For one epoch and
//! revision at most one commit is ever signed (`day::signing`). The master signs a commit only if
//! the backend computes the same one, and stores its bundle before it submits it.
//!
//! Modules import downwards only: [`cli`] knows the commands of `chain`, `day`, `task`, `release`
//! and `service`; these know [`config`], `database`, `telemetry` and `output`.

mod chain;
pub mod cli;
pub mod config;
mod database;
mod day;
mod error;
mod output;
mod release;
mod service;
mod task;
mod telemetry;

use std::process::ExitCode;

use clap::CommandFactory as _;
use nodesys_service::logs;

use crate::cli::{Cli, Command};

/// Runs a command to its end.
pub fn main(cli: Cli) -> ExitCode {
    logs::to_stderr(logs::LONG_RUNNING);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::say(format!("nodesys-master: the runtime does not start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::say(format!("nodesys-master: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    if let Command::Completion { shell } = cli.command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "nodesys-master", &mut script);
        return output::print_bytes(&script);
    }
    let settings = &cli.settings.with_file()?;
    match cli.command {
        Command::Points { command } => command.run(settings).await,
        Command::Commit(args) => args.run(settings).await,
        Command::Day { command } => command.run(settings).await,
        Command::Post(args) => args.run(settings).await,
        Command::Task { command } => command.run(settings).await,
        Command::Registry { command } => command.run(settings).await,
        Command::Project { command } => command.run(settings).await,
        Command::License { command } => command.run(settings).await,
        Command::Release { command } => command.run(settings).await,
        Command::Sale { command } => command.run(settings).await,
        Command::Migrate => {
            database::bring_up_to_date(settings).await?;
            output::say("the schema is up to date");
            Ok(())
        }
        Command::Serve(options) => service::serve(settings, &options).await,
        Command::Completion { .. } => Ok(()),
    }
}

//! The thin main; everything is in the library.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use nodesys_devnet::demo;

const EXAMPLES: &str = "\
Examples:
  scripts/demo
  scripts/demo --serve

Run it by scripts/demo, which builds what it needs and says where Postgres and anvil are.";

/// A whole network on this machine, for the demo and the tests.
#[derive(Debug, Parser)]
#[command(name = "nodesys-devnet", version, after_help = EXAMPLES, subcommand_required = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole path from license to claim, two UTC days long.
    Demo {
        /// Leave everything running afterwards; endpoints.json in the folder says where.
        #[arg(long)]
        serve: bool,
        /// The folder that everything is written to; what an earlier run left there is removed.
        #[arg(long, value_name = "DIR", default_value = "target/demo")]
        dir: PathBuf,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    // Fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Command::Demo { serve, dir } = Args::parse().command;
    match demo::run(&demo::Options { root: dir, serve }).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }
}

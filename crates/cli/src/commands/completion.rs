//! `completion`: a completion script for a shell.

use clap::Command;
use clap_complete::Shell;

use crate::exit::Exit;
use crate::output;

/// Prints the script for a command line.
pub(crate) fn run(command: &mut Command, shell: Shell) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, command, "nodesys", &mut script);
    output::data(String::from_utf8(script)?.trim_end())?;
    Ok(Exit::Done)
}

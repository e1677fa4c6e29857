//! `backup`: writes a node's settings and workloads to a file, without its key.
//!
//! The node key is not in a backup: two machines with one key would both be the node.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::exit::Exit;
use crate::node;
use crate::node::backup::Backup;
use crate::node::file::replace;
use crate::output::{self, say};
use crate::setup::Setup;

/// Options of `backup`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nodesys backup node.backup
  nodesys backup - > node.backup

The node key is not in it, but the RPC's URL is, which often carries a secret. Volumes are not in
it: neither the workloads' nor the manager's, which has the receipts.")]
pub struct BackupArgs {
    /// The file to write, which must not exist yet; - is standard output.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Runs the command.
pub fn run(setup: &Setup, args: &BackupArgs) -> anyhow::Result<Exit> {
    let home = setup.home()?;
    let key = node::key::read(&setup.node_key_file()?).map_err(|error| {
        Exit::NotFound.because(format!("there is no node to back up: {error:#}"))
    })?;
    let backup = Backup::of(home, key.address())?;
    if args.file == Path::new("-") {
        output::json(&backup)?;
        return Ok(Exit::Done);
    }
    let shown = args.file.display();
    if args.file.exists() {
        let words =
            format!("{shown} is there already: give another name, so that no backup is lost");
        return Err(Exit::Usage.because(words));
    }
    let text = serde_json::to_vec_pretty(&backup).context("the backup does not serialise")?;
    replace(&args.file, &text)?;
    say(format!("wrote {shown}; it holds the RPC's URL, so keep it to yourself"));
    Ok(Exit::Done)
}

//! `restore`: puts a node on this machine from a backup.
//!
//! A restored node makes a key of its own and takes the old one's place: the old key is revoked, which ends
//! its leases at once, and the new one is authorised by the same wallet.

use std::fmt;
use std::path::PathBuf;

use crate::exit::Exit;
use crate::lifecycle::restore::{Restored, require_empty, restore_node};
use crate::node::backup::Backup;
use crate::node::lock::lock;
use crate::output;
use crate::prompt::{confirm, open_keystore};
use crate::setup::Setup;

/// Options of `restore`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nodesys restore node.backup                             # prints the next steps
  nodesys restore node.backup --keystore wallet.json      # if the wallet is on this machine

The old node's key is revoked: the new node takes over its leases, and the old machine can no
longer act for the wallet.")]
pub struct RestoreArgs {
    /// The file that `nodesys backup` wrote.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Encrypted JSON keystore of the operator's wallet: revokes the old key and authorises the new one.
    #[arg(long, value_name = "FILE", env = "NODESYS_KEYSTORE", hide_env_values = true)]
    pub keystore: Option<PathBuf>,
    /// File whose first line is the keystore's password; asked for at the terminal if absent.
    #[arg(long, value_name = "FILE", env = "NODESYS_PASSWORD_FILE", hide_env_values = true)]
    pub password_file: Option<PathBuf>,
    /// Do not ask for confirmation.
    #[arg(short, long)]
    pub yes: bool,
}

/// Runs the command.
pub async fn run(setup: &Setup, args: &RestoreArgs) -> anyhow::Result<Exit> {
    let backup = Backup::read(&args.file)?;
    let home = setup.home()?.to_owned();
    let _lock = lock(&home)?;
    require_empty(setup, &home, &backup)?;
    let question = format!(
        "Put the node {} on this machine, under a new key, and end the old key?",
        backup.node_key
    );
    confirm(&question, args.yes)?;
    let open = |path: &PathBuf| open_keystore(path, args.password_file.as_deref());
    let wallet = args.keystore.as_ref().map(open).transpose()?;
    let restored = restore_node(setup, &home, &backup, wallet).await?;
    output::print(setup.format(), &restored)?;
    Ok(if restored.moved { Exit::Done } else { Exit::AuthorizationNeeded })
}

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "node key    {} (was {})", self.node_key, self.old_node_key)?;
        writeln!(f, "workloads   {}", self.workloads)?;
        write!(f, "old key     {}", if self.moved { "revoked" } else { "NOT REVOKED YET" })?;
        for next in &self.next {
            write!(f, "\nnext        {next}")?;
        }
        Ok(())
    }
}

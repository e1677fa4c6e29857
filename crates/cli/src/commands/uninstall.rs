//! `uninstall`: removes what `start` made.

use std::fmt;

use serde::Serialize;

use crate::exit::Exit;
use crate::lifecycle::uninstall::Uninstallation;
use crate::output::{self, say};
use crate::prompt::confirm;
use crate::setup::Setup;
use crate::update;

/// Options of `uninstall`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nodesys uninstall
  nodesys uninstall --keep-keys --yes      # the node can be started again as the same one

Removes the manager, the workloads and their volumes, receipts too. Settings (config.json) stay. If
the keys are removed, revoke the node key on the wallet's machine: nodesys pair revoke.")]
pub struct UninstallArgs {
    /// Keep the node key, its authorisation and the list of workloads.
    #[arg(long)]
    pub keep_keys: bool,
    /// Do not ask for confirmation.
    #[arg(short, long)]
    pub yes: bool,
}

/// Runs the command.
pub async fn run(setup: &Setup, args: &UninstallArgs) -> anyhow::Result<Exit> {
    let uninstallation = Uninstallation::of(setup, args.keep_keys)?;
    let with_keys = match uninstallation.removes_keys() {
        true => " and the node key (--keep-keys keeps it)",
        false => "",
    };
    let question =
        format!("Remove the manager, the workloads, their volumes and receipts{with_keys}?");
    confirm(&question, args.yes)?;
    let mut removed = Vec::new();
    // First, so that no update finds a cluster that is half gone.
    if update::timer::turn_off(setup.home()?)? {
        removed.push("the timer of updates".to_owned());
    }
    let node = setup.authorization().map(|kept| kept.authorization.node_key);
    removed.extend(uninstallation.run().await?);
    output::print(setup.format(), &Removed { removed })?;
    if let Some(node) = node.filter(|_| !args.keep_keys) {
        say(format!(
            "where the wallet is, end the key's authorisation: nodesys pair revoke --node {node}"
        ));
    }
    Ok(Exit::Done)
}

#[derive(Debug, Serialize)]
struct Removed {
    /// The things that were removed now.
    removed: Vec<String>,
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.removed.as_slice() {
            [] => f.write_str("nothing was left to remove"),
            all => write!(f, "removed: {}", all.join(", ")),
        }
    }
}

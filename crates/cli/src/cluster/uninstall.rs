//! `uninstall`: takes back what `cluster.json` says was made, newest first, and nothing else.

use std::fmt;

use anyhow::Context as _;
use serde::Serialize;

use super::file::{CLUSTER_JSON, ClusterFile, Phase};
use super::lock;
use super::steps::Steps;
use super::undo::{Scope, undo};
use crate::ask::confirm;
use crate::exit::Exit;
use crate::output::{self, say};
use crate::pair;
use crate::setup::Setup;
use crate::update::take_off_timer;
use crate::workload::WORKLOADS_JSON;

/// Options of `uninstall`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nodesys uninstall
  nodesys uninstall --keep-keys --yes      # the node can be started again as the same one

Removes the manager, the workloads and their volumes, receipts too. Settings (config.json) stay. If the
keys go, revoke them where the wallet is: nodesys pair revoke.")]
pub struct UninstallArgs {
    /// Keep the node key, its authorisation and the list of workloads.
    #[arg(long)]
    pub keep_keys: bool,
    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Serialize)]
struct Removed {
    /// What was removed now.
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

/// Runs the command.
pub async fn uninstall(setup: &Setup, args: &UninstallArgs) -> anyhow::Result<Exit> {
    let home = setup.home()?.to_owned();
    let _lock = lock(&home)?;
    let file = ClusterFile::read(&home)?;
    let key_file = setup.node_key_file()?;
    let keys = [key_file.clone(), home.join(pair::AUTHORIZATION_JSON), home.join(WORKLOADS_JSON)];
    let keys: Vec<_> = keys.into_iter().filter(|path| !args.keep_keys && path.exists()).collect();
    if file.is_none() && keys.is_empty() {
        return Err(
            Exit::NotFound.because("there is nothing to uninstall: this node has no cluster")
        );
    }
    let with_keys = if keys.is_empty() { "" } else { " and the node key (--keep-keys keeps it)" };
    confirm(
        &format!("Remove the manager, the workloads, their volumes and receipts{with_keys}?"),
        args.yes,
    )?;
    let mut removed = Vec::new();
    // First, so that no update finds a cluster that is half gone.
    if take_off_timer(&home)? {
        removed.push("the timer of updates".to_owned());
    }
    if let Some(mut file) = file {
        let steps = Steps::new();
        file.phase = Phase::Leaving;
        file.write(&home)?;
        removed.extend(undo(&home, &file, Scope::Everything, &steps).await?);
        std::fs::remove_file(home.join(CLUSTER_JSON)).context("cluster.json cannot be removed")?;
    }
    let node = pair::kept(setup).map(|kept| kept.authorization.node_key);
    for path in keys {
        std::fs::remove_file(&path)
            .with_context(|| format!("{} cannot be removed", path.display()))?;
        removed.push(path.display().to_string());
    }
    output::print(setup.format(), &Removed { removed })?;
    if let Some(node) = node.filter(|_| !args.keep_keys) {
        say(format!(
            "where the wallet is, end what the key may do: nodesys pair revoke --node {node}"
        ));
    }
    Ok(Exit::Done)
}

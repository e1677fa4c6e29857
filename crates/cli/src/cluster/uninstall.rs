//! `uninstall`: takes back what `cluster.json` says was made, newest first, and nothing else.

use std::fmt;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use super::connect::client_of;
use super::file::{CLUSTER_JSON, ClusterFile, Made, Phase};
use super::steps::Steps;
use super::{lock, remove};
use crate::ask::confirm;
use crate::exit::Exit;
use crate::output::{self, say};
use crate::pair;
use crate::setup::Setup;
use crate::workload::{WORKLOADS_JSON, WorkloadsFile};

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
    if let Some(mut file) = file {
        let steps = Steps::new();
        file.phase = Phase::Leaving;
        file.write(&home)?;
        take_back(&home, &file, &steps, &mut removed).await?;
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

/// Takes back what was made, newest first.
async fn take_back(
    home: &Path,
    file: &ClusterFile,
    steps: &Steps,
    removed: &mut Vec<String>,
) -> anyhow::Result<()> {
    let mut namespaces: Vec<String> =
        WorkloadsFile::read(home)?.workloads.iter().map(|it| it.namespace()).collect();
    for made in file.made.iter().rev() {
        match made {
            Made::Namespace { name, .. } => namespaces.push(name.clone()),
        }
    }
    namespaces.dedup();
    let client = client_of(&file.kubeconfig, file.context.as_deref()).await?;
    for name in namespaces {
        steps.doing(format!("removing the namespace {name}"));
        if remove::namespace(&client, &name).await? {
            steps.done("namespace", format!("{name} is gone"));
            removed.push(format!("namespace {name}"));
        }
    }
    Ok(())
}

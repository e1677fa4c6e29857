//! Restoring a node from a backup: a new key takes the place of the old one.

use std::path::Path;

use anyhow::Context as _;
use nodesys_core::Address;
use nodesys_core::signature::SigningKey;
use serde::Serialize;

use crate::exit::Exit;
use crate::node;
use crate::node::backup::Backup;
use crate::node::cluster_file::CLUSTER_JSON;
use crate::node::config::{CONFIG_JSON, Settings, write_file};
use crate::node::workloads::WORKLOADS_JSON;
use crate::pair::revoke::replace_node;
use crate::setup::Setup;

/// A node that was restored.
#[derive(Debug, Serialize)]
pub(crate) struct Restored {
    pub(crate) old_node_key: Address,
    pub(crate) node_key: Address,
    /// Whether the wallet has done its part.
    pub(crate) moved: bool,
    pub(crate) workloads: usize,
    /// The steps that are left.
    pub(crate) next: Vec<String>,
}

/// A backup is restored into an empty home, or into one that an interrupted run has begun.
pub(crate) fn require_empty(setup: &Setup, home: &Path, backup: &Backup) -> anyhow::Result<()> {
    // An interrupted run has made the key already: then only the rest is done.
    let begun = backup.is_begun(home)?;
    for there in [setup.node_key_file()?, home.join(WORKLOADS_JSON), home.join(CLUSTER_JSON)] {
        let own = begun && !there.ends_with(CLUSTER_JSON);
        if there.exists() && !own {
            return Err(Exit::Usage.because(format!(
                "{} is there: a backup is restored into an empty home folder (--home DIR), so that no \
                 node is lost",
                there.display()
            )));
        }
    }
    Ok(())
}

/// Restores the backup; with the operator's wallet it also revokes the old key and authorises the new one.
pub(crate) async fn restore_node(
    setup: &Setup,
    home: &Path,
    backup: &Backup,
    wallet: Option<SigningKey>,
) -> anyhow::Result<Restored> {
    // Before anything is written: settings that do not hold restore nothing.
    let settings = Settings::of_file(&backup.config, home)?;
    write_file(home, &backup.config).with_context(|| format!("{CONFIG_JSON} cannot be written"))?;
    backup.workloads.write(home)?;
    let (key, _) = node::key::read_or_make(&setup.node_key_file()?)?;
    let (old, node_key) = (backup.node_key, key.address());
    let mut next = Vec::new();
    let moved = wallet.is_some();
    if let Some(wallet) = wallet {
        let restored = Setup::read(setup.settings.clone().or(settings))?;
        replace_node(&restored, old, wallet).await?;
    } else {
        next.push(format!("where the wallet is: nodesys pair revoke --node {old} --keystore FILE"));
        next.push("here: nodesys pair request > request.json, then sign and finish".to_owned());
    }
    next.push(match &backup.cluster {
        Some(previous) => format!(
            "nodesys start --driver {} --manager-image {} ...",
            previous.driver, previous.manager_image
        ),
        None => "nodesys start".to_owned(),
    });
    let workloads = backup.workloads.workloads.len();
    Ok(Restored { old_node_key: old, node_key, moved, workloads, next })
}

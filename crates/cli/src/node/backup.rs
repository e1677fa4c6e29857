//! A backup of a node: its settings and workloads, without its key.

use std::path::Path;

use nodesys_core::Address;
use nodesys_core::release::Image;
use serde::{Deserialize, Serialize};

use super::authorization;
use crate::exit::Exit;
use crate::node::cluster_file::{ClusterFile, DriverKind};
use crate::node::config::{ConfigFile, SettingKey, read_file};
use crate::node::workloads::{WORKLOADS_JSON, WorkloadsFile};

const FORMAT: &str = "nodesys-backup-1";

const MAX_BYTES: u64 = 4 << 20;

/// The backup file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backup {
    format: String,
    /// The node it was made of.
    pub(crate) node_key: Address,
    pub(crate) operator: Option<Address>,
    pub(crate) config: ConfigFile,
    pub(crate) workloads: WorkloadsFile,
    /// Its cluster.
    pub(crate) cluster: Option<PreviousState>,
}

/// The cluster of a node that was backed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreviousState {
    pub(crate) driver: DriverKind,
    pub(crate) manager_image: Image,
}

impl Backup {
    /// Of a home folder.
    pub(crate) fn of(home: &Path, node_key: Address) -> anyhow::Result<Self> {
        let kept = authorization::read(home).map(|kept| kept.authorization);
        let mut config = read_file(home)?;
        // The place of this machine's key is no setting of another machine.
        config.remove(&SettingKey::NodeKeyFile);
        let cluster = ClusterFile::read(home)?;
        Ok(Self {
            format: FORMAT.to_owned(),
            node_key,
            operator: kept.map(|kept| kept.operator),
            config,
            workloads: WorkloadsFile::read(home)?,
            cluster: cluster.map(|file| PreviousState {
                driver: file.driver,
                manager_image: file.manager_image,
            }),
        })
    }

    /// Reads a backup file.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        use std::io::Read as _;
        let shown = path.display();
        let mut text = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut text))
            .map_err(|error| {
                Exit::Usage.because(format!("the backup {shown} cannot be read: {error}"))
            })?;
        let no_backup = |problem: String| {
            Exit::Failure.because(format!("{shown} is not a backup of a node: {problem}"))
        };
        let backup: Self = serde_json::from_slice(&text).map_err(|it| no_backup(it.to_string()))?;
        if backup.format != FORMAT {
            return Err(no_backup(format!("its format is not {FORMAT}")));
        }
        Ok(backup)
    }

    /// Whether a run that was interrupted has restored this backup into a home folder in part.
    pub(crate) fn is_begun(&self, home: &Path) -> anyhow::Result<bool> {
        Ok(std::fs::read(home.join(WORKLOADS_JSON)).is_ok()
            && WorkloadsFile::read(home)? == self.workloads
            && read_file(home)? == self.config)
    }
}

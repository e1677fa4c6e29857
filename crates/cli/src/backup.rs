//! `backup` and `restore`: what makes this node this node, without its key.
//!
//! The node key is not in a backup: two machines with one key would both be the node. A restored node
//! makes a key of its own and takes the old one's place: the old key is revoked, which ends its leases
//! at once, and the new one is authorised by the same wallet.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nodesys_core::Address;
use nodesys_core::release::Image;
use serde::{Deserialize, Serialize};

use crate::ask::{confirm, open_keystore};
use crate::cluster::file::{ClusterFile, Driver};
use crate::cluster::lock;
use crate::config::{self, CONFIG_JSON, File, replace};
use crate::exit::Exit;
use crate::output::{self, say};
use crate::setup::Setup;
use crate::workload::{WORKLOADS_JSON, WorkloadsFile};
use crate::{node_key, pair};

const FORMAT: &str = "nodesys-backup-1";
const MAX_BYTES: u64 = 4 << 20;

/// Options of `backup`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nodesys backup node.backup
  nodesys backup - > node.backup

The node key is not in it, but the RPC's URL is, which often carries a secret. Volumes are not: neither
the workloads' nor the manager's, which has the receipts.")]
pub struct BackupArgs {
    /// Where it is written, which must not be there yet; - is standard output.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Options of `restore`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nodesys restore node.backup                             # on the new machine; says what the wallet signs
  nodesys restore node.backup --keystore wallet.json      # where the wallet is on this machine

The old node's key is revoked: what it held, the new node takes over, and the old machine can do nothing
more for the wallet.")]
pub struct RestoreArgs {
    /// What `nodesys backup` wrote.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Encrypted JSON keystore of the operator's wallet: revokes the old key and authorises the new one.
    #[arg(long, value_name = "FILE", env = "NODESYS_KEYSTORE", hide_env_values = true)]
    pub keystore: Option<PathBuf>,
    /// File whose first line is the keystore's password; asked for at the terminal where absent.
    #[arg(long, value_name = "FILE", env = "NODESYS_PASSWORD_FILE", hide_env_values = true)]
    pub password_file: Option<PathBuf>,
    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Backup {
    format: String,
    /// The node it was made of.
    node_key: Address,
    operator: Option<Address>,
    config: File,
    workloads: WorkloadsFile,
    /// How it had its cluster.
    cluster: Option<Had>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Had {
    driver: Driver,
    manager_image: Image,
}

/// Runs `backup`.
pub fn backup(setup: &Setup, args: &BackupArgs) -> anyhow::Result<Exit> {
    let home = setup.home()?;
    let kept = pair::kept(setup).map(|kept| kept.authorization);
    let cluster = ClusterFile::read(home)?;
    let mut config = config::read_file(home)?;
    // Where this machine's key lies is no setting of another's.
    config.remove(&config::Key::NodeKeyFile);
    let backup = Backup {
        format: FORMAT.to_owned(),
        node_key: node_key::read(&setup.node_key_file()?)
            .map_err(|error| {
                Exit::NotFound.because(format!("there is no node to back up: {error:#}"))
            })?
            .address(),
        operator: kept.map(|kept| kept.operator),
        config,
        workloads: WorkloadsFile::read(home)?,
        cluster: cluster.map(|file| Had { driver: file.driver, manager_image: file.manager_image }),
    };
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

fn read(path: &Path) -> anyhow::Result<Backup> {
    use std::io::Read as _;
    let shown = path.display();
    let mut text = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut text))
        .map_err(|error| {
            Exit::Usage.because(format!("the backup {shown} cannot be read: {error}"))
        })?;
    let no_backup = |problem: String| {
        Exit::Failure.because(format!("{shown} is no backup of a node: {problem}"))
    };
    let backup: Backup = serde_json::from_slice(&text).map_err(|it| no_backup(it.to_string()))?;
    if backup.format != FORMAT {
        return Err(no_backup(format!("its format is not {FORMAT}")));
    }
    Ok(backup)
}

#[derive(Debug, Serialize)]
struct Restored {
    old_node_key: Address,
    node_key: Address,
    /// Whether the wallet has done its part.
    moved: bool,
    workloads: usize,
    /// What is left to do.
    next: Vec<String>,
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

/// Runs `restore`.
pub async fn restore(setup: &Setup, args: &RestoreArgs) -> anyhow::Result<Exit> {
    let backup = read(&args.file)?;
    let home = setup.home()?.to_owned();
    let _lock = lock(&home)?;
    let key_file = setup.node_key_file()?;
    // A run that ended early has made the key already: then only the rest is done.
    let begun = std::fs::read(home.join(WORKLOADS_JSON)).is_ok()
        && WorkloadsFile::read(&home)? == backup.workloads
        && config::read_file(&home)? == backup.config;
    for there in [key_file.clone(), home.join(WORKLOADS_JSON), home.join("cluster.json")] {
        let of_ours = begun && !there.ends_with("cluster.json");
        if there.exists() && !of_ours {
            return Err(Exit::Usage.because(format!(
                "{} is there: a backup is restored into an empty home folder (--home DIR), so that no \
                 node is lost",
                there.display()
            )));
        }
    }
    confirm(
        &format!(
            "Put the node {} on this machine, under a new key, and end the old key?",
            backup.node_key
        ),
        args.yes,
    )?;
    let wallet = args
        .keystore
        .as_ref()
        .map(|path| open_keystore(path, args.password_file.as_deref()))
        .transpose()?;
    // Before anything is written: settings that do not hold restore nothing.
    let settings = config::Settings::of_file(&backup.config, &home)?;
    config::write_file(&home, &backup.config)
        .with_context(|| format!("{CONFIG_JSON} cannot be written"))?;
    backup.workloads.write(&home)?;
    let (key, _) = node_key::read_or_make(&key_file)?;
    let (old, node_key) = (backup.node_key, key.address());
    let mut next = Vec::new();
    let moved = match &wallet {
        Some(wallet) => {
            let restored = Setup::read(setup.settings.clone().or(settings))?;
            pair::replace_node(&restored, old, wallet).await?;
            true
        }
        None => {
            next.push(format!(
                "where the wallet is: nodesys pair revoke --node {old} --keystore FILE"
            ));
            next.push("here: nodesys pair request > request.json, then sign and finish".to_owned());
            false
        }
    };
    next.push(match &backup.cluster {
        Some(had) => format!(
            "nodesys start --driver {} --manager-image {} ...",
            had.driver, had.manager_image
        ),
        None => "nodesys start".to_owned(),
    });
    let workloads = backup.workloads.workloads.len();
    let restored = Restored { old_node_key: old, node_key, moved, workloads, next };
    output::print(setup.format(), &restored)?;
    Ok(if moved { Exit::Done } else { Exit::AuthorizationNeeded })
}

//! `release validate|announce|publish|tombstone|show`: what a project's nodes run.
//!
//! What stays true: each command may be run again and does what is left to do; nothing is announced
//! that does not validate; only canonical bytes are published, under their own hash.

use std::path::{Path, PathBuf};

use alloy::network::TransactionBuilder as _;
use alloy::rpc::types::TransactionRequest;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use nodesys_contracts::Provider;
use nodesys_contracts::project::{by_name, collection_of};
use nodesys_core::Address;
use nodesys_core::ids::Name;
use nodesys_core::release::{MAX_BYTES, Release, ReleaseError, Version};
use nodesys_sdk::client::Client;
use nodesys_sdk::release::{Announcer, write_to_folder};

use crate::cli::{Format, Sender};
use crate::config::Settings;
use crate::print;
use crate::registry::{self, ReleaseKey};

mod show;

use show::{AnnouncedView, Calldata, Chosen, Published, Shown, Validated};

const FILE: &str = "\
Examples:
  nodesys-master release validate render.json
  nodesys-master release validate render.json --canonical > canonical.json
  nodesys-master release validate render.json -o json";

const KEY: &str = "\
Examples:
  nodesys-master release key 0x... --delay 86400 --sender-keystore owner.json
  nodesys-master release key 0x... --calldata

The sender is the project's owner.";

const ANNOUNCE: &str = "\
Examples:
  nodesys-master release announce render.json --sender-keystore release-key.json
  nodesys-master release announce render.json --calldata

The sender is the project's release key. It may run on nodes after the project's release delay.";

const PUBLISH: &str = "\
Examples:
  nodesys-master release publish render.json
  nodesys-master release publish render.json --to /srv/releases
  nodesys-master release publish render.json --to /srv/releases --no-backend

The backend keeps announced releases only, so announce first; a folder for a web server may be
written before.";

const TOMBSTONE: &str = "\
Examples:
  nodesys-master release tombstone render --version 4 --sender-keystore release-key.json
  nodesys-master release tombstone render --version 4 --removes-volumes --calldata";

const SHOW: &str = "\
Examples:
  nodesys-master release show render
  nodesys-master release show render -o json";

/// Releases of the project's workloads.
#[derive(Debug, Subcommand)]
pub enum ReleaseCommand {
    /// Check a release file; nothing is sent.
    ///
    /// A file that does not hold is refused with every field that is wrong.
    #[command(after_help = FILE)]
    Validate {
        /// The release, as JSON.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Print the canonical bytes, whose hash is announced, and nothing else.
        #[arg(long, conflicts_with = "output")]
        canonical: bool,
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Say which key announces releases of --project, and how long an announcement waits.
    ///
    /// Once something was announced, another key takes over after seven days.
    #[command(after_help = KEY)]
    Key(ReleaseKey),
    /// Announce a release on chain; finding it announced already is success.
    #[command(after_help = ANNOUNCE)]
    Announce {
        /// The release, as JSON.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// How it is sent.
        #[command(flatten)]
        send: Send,
    },
    /// Hand a release's document to the backend, and write it to folders that web servers serve.
    #[command(after_help = PUBLISH)]
    Publish {
        /// The release, as JSON.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// A folder to write `<hash>.json` to; may be given several times.
        #[arg(long, value_name = "DIR")]
        to: Vec<PathBuf>,
        /// Do not hand it to the backend.
        #[arg(long, requires = "to")]
        no_backend: bool,
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Announce that nodes remove a workload, up to a version; finding it announced is success.
    #[command(after_help = TOMBSTONE)]
    Tombstone {
        /// The workload's name.
        workload: Name,
        /// The tombstone's own version, above every one announced before.
        #[arg(long, value_name = "NUMBER")]
        version: Version,
        /// Remove its persistent volumes too, with all that is in them.
        #[arg(long)]
        removes_volumes: bool,
        /// How it is sent.
        #[command(flatten)]
        send: Send,
    },
    /// Show what the chain says of a workload, and whether its releases can be fetched.
    #[command(after_help = SHOW)]
    Show {
        /// The workload's name.
        workload: Name,
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
}

/// How a transaction of the release key is sent.
#[derive(Debug, Args)]
pub struct Send {
    /// Send nothing: print the transaction, for a Safe or a hardware wallet.
    #[arg(long, conflicts_with_all = ["sender_keystore", "sender_password_file"])]
    calldata: bool,
    /// The release key, which also pays the gas.
    #[command(flatten)]
    sender: Sender,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// Runs one of the commands.
pub(crate) async fn run(settings: &Settings, command: ReleaseCommand) -> anyhow::Result<()> {
    match command {
        ReleaseCommand::Validate { file, canonical, output } => {
            let release = read(&file)?;
            if canonical {
                use std::io::Write as _;
                return std::io::stdout()
                    .write_all(&release.canonical())
                    .context("cannot write to standard output");
            }
            print(output, &Validated::of(&release))
        }
        ReleaseCommand::Key(key) => {
            print(key.send.output, &registry::release_key(settings, &key).await?)
        }
        ReleaseCommand::Announce { file, send } => {
            announce(settings, &Chosen::Release(Box::new(read(&file)?)), &send).await
        }
        ReleaseCommand::Tombstone { workload, version, removes_volumes, send } => {
            let tombstone = Chosen::Tombstone { workload, version, removes_volumes };
            announce(settings, &tombstone, &send).await
        }
        ReleaseCommand::Publish { file, to, no_backend, output } => {
            let release = read(&file)?;
            print(output, &publish(settings, &release, &to, no_backend).await?)
        }
        ReleaseCommand::Show { workload, output } => {
            print(output, &shown(settings, &workload).await?)
        }
    }
}

/// Reads a release file, or says each field that does not hold.
fn read(path: &Path) -> anyhow::Result<Release> {
    let shown = path.display();
    let size = std::fs::metadata(path).with_context(|| format!("cannot read {shown}"))?.len();
    if size > MAX_BYTES as u64 {
        bail!("{shown} has {size} bytes, a release has at most {MAX_BYTES}");
    }
    let text = std::fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    Release::parse(&text).map_err(|error| match error {
        ReleaseError::Fields(problems) => {
            let lines: Vec<String> = problems.iter().map(|one| format!("\n  {one}")).collect();
            anyhow::anyhow!("{shown} is no release:{}", lines.concat())
        }
        other => anyhow::Error::new(other).context(format!("{shown} is no release")),
    })
}

/// The registry and the project of the settings.
async fn project(settings: &Settings, provider: &Provider) -> anyhow::Result<(Address, Address)> {
    let registry = *Settings::need(&settings.registry, "--registry")?;
    let name = Settings::need(&settings.project, "--project")?;
    let project = by_name(provider, registry, name)
        .await?
        .with_context(|| format!("the registry {registry} has no project {name}"))?;
    Ok((registry, project))
}

async fn announce(settings: &Settings, what: &Chosen, send: &Send) -> anyhow::Result<()> {
    let provider = if send.calldata {
        settings.provider().await?
    } else {
        settings.provider_with_key(&settings.sender_key(&send.sender)?).await?
    };
    let (registry, project) = project(settings, &provider).await?;
    let announcer = Announcer { provider: &provider, registry, project };
    if collection_of(&provider, registry, project, what.workload()).await?.is_none() {
        bail!(
            "the project lists no collection for the workload {}, so nobody could run it: check the \
             name, or list the collection first",
            what.workload()
        );
    }
    if send.calldata {
        let request = match what {
            Chosen::Release(release) => announcer.release_request(release),
            Chosen::Tombstone { workload, version, removes_volumes } => {
                announcer.tombstone_request(workload, *version, *removes_volumes)
            }
        };
        let from = announcer.state(what.workload()).await?.release_key;
        return print(send.output, &calldata(provider.chain_id(), from, &request)?);
    }
    let announced = match what {
        Chosen::Release(release) => announcer.release(release).await?,
        Chosen::Tombstone { workload, version, removes_volumes } => {
            announcer.tombstone(workload, *version, *removes_volumes).await?
        }
    };
    print(send.output, &AnnouncedView::of(what, announced))
}

fn calldata(
    chain_id: u64,
    from: Option<Address>,
    request: &TransactionRequest,
) -> anyhow::Result<Calldata> {
    let to = request.to().context("the transaction has no receiver")?;
    let data = request.input().context("the transaction has no data")?.clone();
    Ok(Calldata { chain_id, from, to, data })
}

async fn publish(
    settings: &Settings,
    release: &Release,
    folders: &[PathBuf],
    no_backend: bool,
) -> anyhow::Result<Published> {
    let mut published = Published::of(release);
    for folder in folders {
        let (path, fresh) = write_to_folder(folder, release)
            .with_context(|| format!("cannot write to {}", folder.display()))?;
        published.file(path, fresh);
    }
    if !no_backend {
        let backend = Client::new(Settings::need(&settings.backend, "--backend")?)?;
        let provider = settings.provider().await?;
        let (_, project) = project(settings, &provider).await?;
        backend.put_release(project, release).await?;
        published.backend(backend.base().to_string());
    }
    Ok(published)
}

async fn shown(settings: &Settings, workload: &Name) -> anyhow::Result<Shown> {
    let provider = settings.provider().await?;
    let (registry, project) = project(settings, &provider).await?;
    let announcer = Announcer { provider: &provider, registry, project };
    let state = announcer.state(workload).await?;
    let newest = announcer.newest(workload).await?;
    let backend = settings.backend.as_deref().map(Client::new).transpose()?;
    Ok(Shown::of(workload, &state, newest, backend.as_ref()).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_a_release_and_a_wrong_one_is_told_field_by_field() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("release.json");
        let example = include_str!("../../core/schema/release.example.json");
        std::fs::write(&path, example).unwrap();
        let release = read(&path).unwrap();
        assert_eq!(Release::parse(&release.canonical()).unwrap().hash(), release.hash());

        std::fs::write(&path, example.replace("\"limits\"", "\"limit\"")).unwrap();
        let words = read(&path).unwrap_err().to_string();
        assert!(words.contains("\n  /containers/0/resources/limit"), "{words}");
        std::fs::write(&path, "{").unwrap();
        assert!(format!("{:#}", read(&path).unwrap_err()).contains("release.json is no release"));
        std::fs::write(&path, vec![b' '; MAX_BYTES + 1]).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("at most 65536"));
        let words = format!("{:#}", read(&folder.path().join("none.json")).unwrap_err());
        assert!(words.contains("cannot read"), "{words}");
    }
}

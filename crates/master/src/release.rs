//! `release validate|key|announce|publish|tombstone|show`: the workloads that a project's nodes run.
//!
//! Each command may be run again and does the missing steps. Only a valid release is announced, and
//! only canonical bytes are published, under their own hash.

mod view;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Arg, Subcommand};
use nodesys_chain::project::collection_of;
use nodesys_core::ids::Name;
use nodesys_core::release::{MAX_BYTES, Release, ReleaseError, Version};
use nodesys_sdk::client::Client;
use nodesys_sdk::release::{Announcer, write_to_folder};

use crate::chain::project::{RegisteredProject, find};
use crate::chain::registry::{self, ReleaseKeyArgs};
use crate::chain::tx::{SendArgs, TxSender, change};
use crate::config::Settings;
use crate::output::{Format, print, print_bytes};
use view::{Announcement, AnnouncementView, PublicationView, ReleaseView, WorkloadView};

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

The sender is the project's release key.";

const PUBLISH: &str = "\
Examples:
  nodesys-master release publish render.json
  nodesys-master release publish render.json --to /srv/releases
  nodesys-master release publish render.json --to /srv/releases --no-backend

The backend accepts announced releases only, so announce first. A web server's folder can be written
before.";

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
    /// The refusal of an invalid file lists every field that is wrong.
    #[command(after_help = FILE)]
    Validate {
        /// The release, as JSON.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Print the canonical bytes, whose hash is announced, and nothing else.
        #[arg(long, conflicts_with = "output")]
        canonical: bool,
        /// Output format.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Set the release key of --project, and the delay of its announcements. Safe to re-run.
    ///
    /// After the first announcement, a new key takes over after seven days.
    #[command(after_help = KEY)]
    Key(ReleaseKeyArgs),
    /// Announce a release on chain. Safe to re-run: finds an existing announcement.
    ///
    /// It may run on nodes after the project's release delay.
    #[command(after_help = ANNOUNCE, mut_arg("calldata", excludes_sender))]
    Announce {
        /// The release, as JSON.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        send: SendArgs,
    },
    /// Upload a release's document to the backend, and write it to web servers' folders. Safe to re-run.
    #[command(after_help = PUBLISH)]
    Publish {
        /// The release, as JSON.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Folder in which to write `<hash>.json`; may be given several times.
        #[arg(long, value_name = "DIR")]
        to: Vec<PathBuf>,
        /// Do not upload it to the backend.
        #[arg(long, requires = "to")]
        no_backend: bool,
        /// Output format.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Announce the removal of a workload from nodes. Safe to re-run: finds an existing announcement.
    #[command(after_help = TOMBSTONE, mut_arg("calldata", excludes_sender))]
    Tombstone {
        /// The workload's name.
        workload: Name,
        /// The tombstone's own version; higher than all announced before.
        #[arg(long, value_name = "NUMBER")]
        version: Version,
        /// Remove its persistent volumes too, with their data.
        #[arg(long)]
        removes_volumes: bool,
        #[command(flatten)]
        send: SendArgs,
    },
    /// Show a workload's releases on chain, and whether the backend has their documents.
    #[command(after_help = SHOW)]
    Show {
        /// The workload's name.
        workload: Name,
        /// Output format.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
}

impl ReleaseCommand {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        match self {
            Self::Validate { file, canonical, output } => {
                let release = read(&file)?;
                match canonical {
                    true => print_bytes(&release.canonical()),
                    false => print(output, &ReleaseView::of(&release)),
                }
            }
            Self::Key(args) => {
                change(settings, &args.send, async |tx| {
                    registry::release_key(settings, tx, &args).await
                })
                .await
            }
            Self::Announce { file, send } => {
                announce(settings, &Announcement::Release(Box::new(read(&file)?)), &send).await
            }
            Self::Tombstone { workload, version, removes_volumes, send } => {
                let tombstone = Announcement::Tombstone { workload, version, removes_volumes };
                announce(settings, &tombstone, &send).await
            }
            Self::Publish { file, to, no_backend, output } => {
                print(output, &publish(settings, &read(&file)?, &to, no_backend).await?)
            }
            Self::Show { workload, output } => print(output, &show(settings, &workload).await?),
        }
    }
}

/// Reads a release file. The error for an invalid one lists every wrong field.
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
            anyhow::anyhow!("{shown} is not a valid release:{}", lines.concat())
        }
        other => anyhow::Error::new(other).context(format!("{shown} is not a valid release")),
    })
}

/// Lets `--calldata` exclude the sender's keystore.
fn excludes_sender(calldata: Arg) -> Arg {
    calldata.conflicts_with_all(["sender_keystore", "sender_password_file"])
}

async fn announce(
    settings: &Settings,
    announcement: &Announcement,
    send: &SendArgs,
) -> anyhow::Result<()> {
    change(settings, send, async |tx| {
        let provider = &tx.provider;
        let RegisteredProject { registry, address: project, .. } = find(settings, provider).await?;
        let announcer = Announcer { provider, registry, project };
        let workload = announcement.workload();
        if collection_of(provider, registry, project, workload).await?.is_none() {
            bail!(
                "the project lists no collection for the workload {workload}: check the name, or list \
                 a collection first"
            );
        }
        let announced = match announcement {
            _ if tx.only_prepares() => {
                prepare(tx, &announcer, announcement).await?;
                None
            }
            Announcement::Release(release) => Some(announcer.release(release).await?),
            Announcement::Tombstone { workload, version, removes_volumes } => {
                Some(announcer.tombstone(workload, *version, *removes_volumes).await?)
            }
        };
        Ok(AnnouncementView::of(announcement, announced))
    })
    .await
}

/// Prepares an announcement for another wallet.
async fn prepare(
    tx: &TxSender,
    announcer: &Announcer<'_>,
    announcement: &Announcement,
) -> anyhow::Result<()> {
    let (request, action) = match announcement {
        Announcement::Release(release) => {
            let (version, workload) = (release.version(), release.workload());
            (
                announcer.release_request(release),
                format!("announce version {version} of {workload}"),
            )
        }
        Announcement::Tombstone { workload, version, removes_volumes } => {
            let request = announcer.tombstone_request(workload, *version, *removes_volumes);
            (request, format!("announce the tombstone {version} of {workload}"))
        }
    };
    tx.send(&action, &format!("to {action}"), request).await?;
    tx.note(match announcer.state(announcement.workload()).await?.release_key {
        Some(key) => format!("the sender is the project's release key {key}"),
        None => "the project has no release key yet: set one first with `release key`".to_owned(),
    });
    Ok(())
}

async fn publish(
    settings: &Settings,
    release: &Release,
    folders: &[PathBuf],
    no_backend: bool,
) -> anyhow::Result<PublicationView> {
    let mut published = PublicationView::of(release);
    for folder in folders {
        let (path, fresh) = write_to_folder(folder, release)
            .with_context(|| format!("cannot write to {}", folder.display()))?;
        published.file(path, fresh);
    }
    if !no_backend {
        let backend = Client::new(Settings::need(&settings.backend, "--backend")?)?;
        let provider = settings.provider().await?;
        let project = find(settings, &provider).await?.address;
        backend.put_release(project, release).await?;
        published.backend(backend.base().to_string());
    }
    Ok(published)
}

async fn show(settings: &Settings, workload: &Name) -> anyhow::Result<WorkloadView> {
    let provider = settings.provider().await?;
    let RegisteredProject { registry, address: project, .. } = find(settings, &provider).await?;
    let announcer = Announcer { provider: &provider, registry, project };
    let state = announcer.state(workload).await?;
    let newest = announcer.newest(workload).await?;
    let backend = settings.backend.as_deref().map(Client::new).transpose()?;
    Ok(WorkloadView::of(workload, &state, newest, backend.as_ref()).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_parses_and_an_error_lists_each_wrong_field() {
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
        assert!(
            format!("{:#}", read(&path).unwrap_err())
                .contains("release.json is not a valid release")
        );
        std::fs::write(&path, vec![b' '; MAX_BYTES + 1]).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("at most 65536"));
        let words = format!("{:#}", read(&folder.path().join("none.json")).unwrap_err());
        assert!(words.contains("cannot read"), "{words}");
    }
}

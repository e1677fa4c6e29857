//! `bundle`: makes a bundle, or starts this node from one.

use std::fmt;
use std::path::PathBuf;

use clap::Subcommand;
use nodesys_core::Address;
use nodesys_core::address::address;
use nodesys_core::release::Image;

use crate::bundle::create::{CreateRequest, Created, create};
use crate::commands::start::run_start;
use crate::download::pin::{self, Arch};
use crate::exit::Exit;
use crate::lifecycle::plan::StartRequest;
use crate::output;
use crate::prompt::WalletFile;
use crate::setup::Setup;

/// Verbs of `bundle`.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  nodesys bundle create --k3s-pin k3s.json --image-archive nodesys-manager.tar \\
      --manager-image localhost/nodesys-manager@sha256:<64 hex digits> \\
      --keystore release.json --out node.bundle
  sudo nodesys bundle apply node.bundle --signer 0x00000000000000000000000000000000000000a1")]
pub enum BundleCommand {
    /// Fetch the pinned files, and pack them with images into a signed file.
    #[command(after_help = "\
Examples:
  nodesys bundle create --k3s-pin k3s.json --image-archive nodesys-manager.tar \\
      --manager-image localhost/nodesys-manager@sha256:<64 hex digits> \\
      --keystore release.json --out node.bundle")]
    Create(CreateArgs),
    /// Check a bundle and start this node from it, as start --bundle does.
    #[command(after_help = "\
Examples:
  sudo nodesys bundle apply node.bundle --signer 0x00000000000000000000000000000000000000a1")]
    Apply(ApplyArgs),
}

/// Options of `bundle create`.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// The file that pins k3s by hash (see docs/platforms.md).
    #[arg(long, value_name = "FILE")]
    pub k3s_pin: PathBuf,
    /// The architecture of the target machines [default: this machine's].
    #[arg(long, value_name = "ARCH", value_parser = arch)]
    pub arch: Option<Arch>,
    /// A tarball of images, such as the manager's; may be given more than once.
    #[arg(long, value_name = "FILE", required = true)]
    pub image_archive: Vec<PathBuf>,
    /// The manager's image by digest; one of the archives has it.
    #[arg(long, value_name = "IMAGE")]
    pub manager_image: Image,
    /// The signer's keystore.
    #[command(flatten)]
    pub wallet: WalletFile,
    /// The file to write.
    #[arg(short = 'O', long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Options of `bundle apply`.
#[derive(Debug, clap::Args)]
pub struct ApplyArgs {
    /// The bundle.
    #[arg(value_name = "FILE")]
    pub bundle: PathBuf,
    /// The address that must have signed it; remembered.
    #[arg(long, value_name = "ADDRESS")]
    #[arg(value_parser = address)]
    pub signer: Option<Address>,
}

fn arch(text: &str) -> Result<Arch, String> {
    serde_json::from_value(text.into()).map_err(|_| "expected x86_64 or aarch64".to_owned())
}

/// Runs a verb.
pub async fn run(setup: &Setup, command: &BundleCommand) -> anyhow::Result<Exit> {
    match command {
        BundleCommand::Create(args) => {
            let arch = args.arch.map_or_else(pin::here, Ok)?;
            let request = CreateRequest {
                pin: &pin::read(&args.k3s_pin, arch)?,
                arch,
                key: &args.wallet.open()?,
                downloads: &setup.home()?.join("downloads"),
                archives: &args.image_archive,
                manager_image: &args.manager_image,
                out: &args.out,
            };
            output::print(setup.format(), &create(&request).await?)?;
            Ok(Exit::Done)
        }
        BundleCommand::Apply(ApplyArgs { bundle, signer }) => {
            let request = StartRequest {
                bundle: Some(bundle.clone()),
                bundle_signer: *signer,
                ..StartRequest::default()
            };
            run_start(setup, &request).await
        }
    }
}

impl fmt::Display for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "bundle   {}", self.file.display())?;
        writeln!(f, "signer   {}", self.signer)?;
        writeln!(f, "k3s      {} for {}", self.manifest.k3s_version, self.manifest.arch)?;
        write!(f, "manager  {}", self.manifest.manager_image)?;
        for file in &self.manifest.files {
            write!(f, "\nfile     {} {} ({} bytes)", file.sha256, file.name, file.size)?;
        }
        Ok(())
    }
}

//! `bundle`: everything a node of the driver k3s is installed from, in one signed file, for machines
//! without a network.
//!
//! A bundle is a tar archive: `manifest.json`, `manifest.sig`, then each file as `files/SHA256`. Nothing
//! of it is unpacked before the signature holds, and no file is used that has another size or hash than
//! the manifest says.

pub mod manifest;

use std::fmt;
use std::fs::File;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use nodesys_core::Address;
use nodesys_core::release::Image;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::ask::WalletFile;
use crate::cluster::pin::{Arch, Pin, Sha256Hash};
use crate::cluster::{StartArgs, fetch, hash_of, start};
use crate::exit::Exit;
use crate::output::{self, say};
use crate::setup::Setup;
use manifest::{Entry, Manifest, Role, sign};

const MANIFEST: &str = "manifest.json";
const SIGNATURE: &str = "manifest.sig";
/// Far above any manifest of ours.
const MAX_MANIFEST: u64 = 1 << 20;

/// Verbs of `bundle`.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  nodesys bundle create --k3s-pin k3s.json --image-archive nodesys-manager.tar \\
      --manager-image localhost/nodesys-manager@sha256:<64 hex digits> \\
      --keystore release.json --out node.bundle
  sudo nodesys bundle apply node.bundle --signer 0x00000000000000000000000000000000000000a1")]
pub enum BundleCommand {
    /// Fetch what a pin names, and pack it with images into a signed file.
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
    /// Which k3s, by hash (see docs/platforms.md).
    #[arg(long, value_name = "FILE")]
    pub k3s_pin: PathBuf,
    /// For which machines [default: those like this one].
    #[arg(long, value_name = "ARCH", value_parser = arch)]
    pub arch: Option<Arch>,
    /// A tarball of images, such as the manager's; may be given more than once.
    #[arg(long, value_name = "FILE", required = true)]
    pub image_archive: Vec<PathBuf>,
    /// The manager's image by digest; one of the archives has it.
    #[arg(long, value_name = "IMAGE")]
    pub manager_image: Image,
    /// Who stands behind it: the signer's keystore.
    #[command(flatten)]
    pub wallet: WalletFile,
    /// Where it is written.
    #[arg(short = 'O', long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Options of `bundle apply`.
#[derive(Debug, clap::Args)]
pub struct ApplyArgs {
    /// The bundle.
    #[arg(value_name = "FILE")]
    pub bundle: PathBuf,
    /// The address that must have signed it; kept after the first time.
    #[arg(long, value_name = "ADDRESS")]
    pub signer: Option<Address>,
}

fn arch(text: &str) -> Result<Arch, String> {
    serde_json::from_value(text.into()).map_err(|_| "expected x86_64 or aarch64".to_owned())
}

#[derive(Debug, Serialize)]
struct Created {
    file: PathBuf,
    signer: Address,
    manifest: Manifest,
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

/// Runs a verb.
pub async fn run(setup: &Setup, command: &BundleCommand) -> anyhow::Result<Exit> {
    match command {
        BundleCommand::Create(args) => {
            output::print(setup.format(), &create(setup, args).await?)?;
            Ok(Exit::Done)
        }
        BundleCommand::Apply(ApplyArgs { bundle, signer }) => {
            start(setup, &StartArgs::of_bundle(bundle.clone(), *signer)).await
        }
    }
}

async fn create(setup: &Setup, args: &CreateArgs) -> anyhow::Result<Created> {
    let arch = args.arch.map_or_else(Arch::here, Ok)?;
    let pin = Pin::read(&args.k3s_pin, arch)?;
    let key = args.wallet.open()?;
    let folder = setup.home()?.join("downloads");
    let mut parts =
        vec![(Role::K3s, fetch(&pin, &pin.k3s, &folder, "k3s").await?, "k3s".to_owned())];
    if let Some(images) = &pin.images {
        let path = fetch(&pin, images, &folder, "the images of k3s").await?;
        let name = images.urls[0].path().rsplit('/').next().unwrap_or_default().to_owned();
        parts.push((Role::K3sImages, path, name));
    }
    for archive in &args.image_archive {
        let name = archive.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        parts.push((Role::Archive, archive.clone(), name.to_owned()));
    }
    let entries = parts
        .iter()
        .map(|(role, path, name)| {
            let size =
                std::fs::metadata(path).with_context(|| format!("{}", path.display()))?.len();
            Ok(Entry { role: *role, name: name.clone(), sha256: hash_of(path)?, size })
        })
        .collect::<anyhow::Result<Vec<Entry>>>()?;
    let manifest = Manifest::new(pin.version, arch, args.manager_image.clone(), entries);
    let bytes = serde_json::to_vec_pretty(&manifest).context("the manifest does not serialise")?;
    let signature = sign(&bytes, &key);
    // What is signed is what would be taken.
    Manifest::verified(&bytes, &signature, key.address())?;
    say(format!("packing {} files", parts.len()));
    write(&args.out, &bytes, &signature, parts.iter().map(|(_, path, _)| path.as_path()))?;
    Ok(Created { file: args.out.clone(), signer: key.address(), manifest })
}

/// Writes the archive whole, or not at all.
fn write<'a>(
    out: &Path,
    manifest: &[u8],
    signature: &str,
    files: impl Iterator<Item = &'a Path>,
) -> anyhow::Result<()> {
    let cannot = || format!("cannot write {}", out.display());
    let folder = out.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let new = tempfile::NamedTempFile::new_in(folder).with_context(cannot)?;
    let mut archive =
        tar::Builder::new(std::io::BufWriter::new(new.reopen().with_context(cannot)?));
    let mut add = |name: &str, size: u64, from: &mut dyn Read| {
        let mut header = tar::Header::new_ustar();
        header.set_size(size);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, from).with_context(cannot)
    };
    add(MANIFEST, manifest.len() as u64, &mut &*manifest)?;
    add(SIGNATURE, signature.len() as u64, &mut signature.as_bytes())?;
    for path in files {
        let mut file = File::open(path).with_context(|| format!("{}", path.display()))?;
        let size = file.metadata().with_context(|| format!("{}", path.display()))?.len();
        add(&format!("files/{}", hash_of(path)?), size, &mut file)?;
    }
    archive.into_inner().and_then(|mut inner| inner.flush()).with_context(cannot)?;
    new.as_file().sync_all().with_context(cannot)?;
    new.persist(out).with_context(cannot)?;
    Ok(())
}

/// A bundle whose signature holds; nothing of it is unpacked yet.
#[derive(Debug)]
pub struct Bundle {
    path: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
}

impl Bundle {
    /// Reads and checks the manifest.
    pub fn open(path: &Path, signer: Address) -> anyhow::Result<Self> {
        let shown = path.display();
        let no_bundle = |problem: &str| {
            Exit::Usage.because(format!(
                "{shown} is no bundle: {problem}; make one: nodesys bundle create"
            ))
        };
        let file = File::open(path).map_err(|error| {
            Exit::Usage.because(format!("the bundle {shown} cannot be read: {error}"))
        })?;
        let mut archive = tar::Archive::new(file);
        let mut entries = archive.entries().map_err(|error| no_bundle(&error.to_string()))?;
        let mut head = |name: &str| -> anyhow::Result<Vec<u8>> {
            let entry = entries.next().ok_or_else(|| no_bundle("it ends early"))?;
            let entry = entry.map_err(|error| no_bundle(&error.to_string()))?;
            if entry.path_bytes() != name.as_bytes() {
                return Err(no_bundle(&format!("{name} is not where it belongs")));
            }
            let mut bytes = Vec::new();
            entry
                .take(MAX_MANIFEST)
                .read_to_end(&mut bytes)
                .map_err(|error| no_bundle(&error.to_string()))?;
            Ok(bytes)
        };
        let (manifest, signature) = (head(MANIFEST)?, head(SIGNATURE)?);
        let signature = String::from_utf8_lossy(&signature);
        let manifest = Manifest::verified(&manifest, &signature, signer)?;
        Ok(Self { path: path.to_owned(), manifest })
    }

    /// Puts each file where `goal` says; one that is there already stays.
    pub fn unpack(&self, goal: impl Fn(&Entry) -> PathBuf) -> anyhow::Result<()> {
        let shown = self.path.display();
        let file = File::open(&self.path).with_context(|| format!("{shown}"))?;
        let mut archive = tar::Archive::new(file);
        for entry in archive.entries().with_context(|| format!("{shown}"))? {
            let broken = || format!("the bundle {shown} breaks off");
            let mut entry = entry.with_context(broken)?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let listed = |file: &&Entry| name == format!("files/{}", file.sha256);
            // What the signer does not stand behind is passed over.
            let Some(file) = self.manifest.files.iter().find(listed) else { continue };
            extract(&mut entry, file, &goal(file)).with_context(broken)?;
        }
        match self.manifest.files.iter().find(|file| !goal(file).exists()) {
            Some(file) => Err(Exit::Failure
                .because(format!("the bundle {shown} lacks {}: get it again", file.name))),
            None => Ok(()),
        }
    }
}

fn extract(from: &mut impl Read, file: &Entry, goal: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot write {}", goal.display());
    let folder = goal.parent().unwrap_or(Path::new("/"));
    let mut new = tempfile::NamedTempFile::new_in(folder).with_context(cannot)?;
    let (mut hash, mut size, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        let n = from.read(&mut buffer).context("it cannot be read")?;
        if n == 0 {
            break;
        }
        size += n as u64;
        hash.update(&buffer[..n]);
        new.write_all(&buffer[..n]).with_context(cannot)?;
    }
    let found = Sha256Hash(hash.finalize().into());
    if found != file.sha256 || size != file.size {
        return Err(Exit::Failure.because(format!(
            "{} in it is not the signed one (SHA-256 {found}, {size} bytes): get it again",
            file.name
        )));
    }
    new.as_file().sync_all().with_context(cannot)?;
    new.persist(goal).with_context(cannot)?;
    Ok(())
}

#[cfg(test)]
mod tests;

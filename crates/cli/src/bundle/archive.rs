//! The archive: `manifest.json`, `manifest.sig`, then each file as `files/SHA256`.
//!
//! Nothing of it is unpacked before the signature holds, and no file is used that has another size or hash
//! than the manifest says.

use std::fs::File;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nodesys_core::Address;
use sha2::{Digest as _, Sha256};

use crate::bundle::manifest::{Entry, Manifest};
use crate::download::hash::hash_of;
use crate::download::pin::Sha256Hash;
use crate::exit::Exit;

const MANIFEST: &str = "manifest.json";

const SIGNATURE: &str = "manifest.sig";

/// Far above any manifest of ours.
const MAX_MANIFEST: u64 = 1 << 20;

/// Writes the archive whole, or not at all.
pub(crate) fn write_archive<'a>(
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
    /// The signed manifest.
    pub manifest: Manifest,
}

impl Bundle {
    /// Reads and checks the manifest.
    pub fn open(path: &Path, signer: Address) -> anyhow::Result<Self> {
        let shown = path.display();
        let no_bundle = |problem: &str| {
            Exit::Usage.because(format!(
                "{shown} is not a bundle: {problem}; make one: nodesys bundle create"
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

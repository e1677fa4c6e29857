//! The manifest of a bundle, and its signature.
//!
//! The signature is that of a wallet over a short text with the manifest's SHA-256 (EIP-191, what
//! wallets call a personal message). It is the kind of key everybody in the network has already, it is
//! pinned by an address that can be read out, and a hardware wallet can make it.

use alloy::primitives::eip191_hash_message;
use nodesys_core::release::Image;
use nodesys_core::signature::{Signature, SigningKey};
use nodesys_core::{Address, B256};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::download::pin::{Arch, Pin, PinnedFile, Sha256Hash};
use crate::exit::Exit;

const FORMAT: &str = "nodesys-bundle-1";

/// The role of a file in a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The program k3s.
    K3s,
    /// The images that k3s itself needs.
    K3sImages,
    /// Another tarball of images, the manager's among them.
    Archive,
}

/// A file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its role.
    pub role: Role,
    /// Its name: letters, digits, dots, dashes.
    pub name: String,
    /// Its hash, which is also where it lies in the bundle.
    pub sha256: Sha256Hash,
    /// Its size in bytes.
    pub size: u64,
}

/// The manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: String,
    /// As k3s names it.
    pub k3s_version: String,
    /// Which machines it is for.
    pub arch: Arch,
    /// The manager's image.
    pub manager_image: Image,
    /// All files.
    pub files: Vec<Entry>,
}

impl Manifest {
    /// Of these files.
    pub fn new(k3s_version: String, arch: Arch, manager_image: Image, files: Vec<Entry>) -> Self {
        Self { format: FORMAT.to_owned(), k3s_version, arch, manager_image, files }
    }

    /// Of bytes that the signer stands behind.
    pub fn verified(bytes: &[u8], signature: &str, signer: Address) -> anyhow::Result<Self> {
        let refused = |problem: String| {
            Exit::Failure.because(format!(
                "the bundle is not by {signer}: {problem}; get it again, or check --bundle-signer"
            ))
        };
        let signature: Signature =
            signature.trim().parse().map_err(|error| refused(format!("{error}")))?;
        signature.verify(digest(bytes), signer).map_err(|error| refused(error.to_string()))?;
        // From here on it is as good as its signer.
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| {
            Exit::Failure.because(format!("the bundle's manifest is not valid: {error}"))
        })?;
        manifest.check().map_err(|problem| {
            Exit::Failure.because(format!("the bundle's manifest is not valid: {problem}"))
        })?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), String> {
        if self.format != FORMAT {
            return Err(format!("its format is {:?}, not {FORMAT}", self.format));
        }
        if self.files.iter().filter(|file| file.role == Role::K3s).count() != 1 {
            return Err("it needs one k3s".to_owned());
        }
        if self.files.iter().filter(|file| file.role == Role::K3sImages).count() > 1 {
            return Err("it has several images of k3s".to_owned());
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let named =
            |name: &str| !name.is_empty() && !name.starts_with('.') && name.chars().all(plain);
        match self.files.iter().find(|file| !named(&file.name) || file.name.len() > 100) {
            Some(file) => Err(format!("{:?} is no name of a file", file.name)),
            None => Ok(()),
        }
    }

    /// The pin of the bundle's k3s.
    pub fn pin(&self) -> anyhow::Result<Pin> {
        let pinned = |file: &Entry| -> anyhow::Result<PinnedFile> {
            let url = format!("bundle:///{}", file.name).parse()?;
            let (arch, sha256, size) = (self.arch, file.sha256, file.size);
            Ok(PinnedFile { arch, sha256, size, urls: vec![url] })
        };
        let of = |role: Role| self.files.iter().find(|file| file.role == role);
        let k3s = of(Role::K3s).ok_or_else(|| Exit::Failure.because("the bundle has no k3s"))?;
        Ok(Pin {
            version: self.k3s_version.clone(),
            k3s: pinned(k3s)?,
            images: of(Role::K3sImages).map(pinned).transpose()?,
        })
    }
}

/// The digest that is signed for a manifest.
pub fn digest(manifest: &[u8]) -> B256 {
    let hash = Sha256Hash(Sha256::digest(manifest).into());
    eip191_hash_message(format!("Node System bundle\nSHA-256 of its manifest: {hash}"))
}

/// The signature, as text.
pub fn sign(manifest: &[u8], key: &SigningKey) -> String {
    key.sign(digest(manifest)).to_string()
}

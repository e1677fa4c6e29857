//! Making a bundle: fetch the pinned files, sign the manifest, pack.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nodesys_core::Address;
use nodesys_core::release::Image;
use nodesys_core::signature::SigningKey;
use serde::Serialize;

use crate::bundle::archive::write_archive;
use crate::bundle::manifest::{Entry, Manifest, Role, sign};
use crate::download::hash::hash_of;
use crate::download::pin::{Arch, Pin};
use crate::download::pinned::fetch_pinned;
use crate::output::say;

/// The content of a bundle, and who signs it.
pub(crate) struct CreateRequest<'a> {
    pub(crate) pin: &'a Pin,
    pub(crate) arch: Arch,
    pub(crate) key: &'a SigningKey,
    /// The folder in which fetched files are kept.
    pub(crate) downloads: &'a Path,
    pub(crate) archives: &'a [PathBuf],
    pub(crate) manager_image: &'a Image,
    pub(crate) out: &'a Path,
}

/// A bundle that was made.
#[derive(Debug, Serialize)]
pub(crate) struct Created {
    pub(crate) file: PathBuf,
    pub(crate) signer: Address,
    pub(crate) manifest: Manifest,
}

pub(crate) async fn create(request: &CreateRequest<'_>) -> anyhow::Result<Created> {
    let CreateRequest { pin, arch, key, downloads, .. } = request;
    let arch = *arch;
    let mut parts =
        vec![(Role::K3s, fetch_pinned(pin, &pin.k3s, downloads, "k3s").await?, "k3s".to_owned())];
    if let Some(images) = &pin.images {
        let path = fetch_pinned(pin, images, downloads, "the images of k3s").await?;
        let name = images.urls[0].path().rsplit('/').next().unwrap_or_default().to_owned();
        parts.push((Role::K3sImages, path, name));
    }
    for archive in request.archives {
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
    let manifest = Manifest::new(pin.version.clone(), arch, request.manager_image.clone(), entries);
    let bytes = serde_json::to_vec_pretty(&manifest).context("the manifest does not serialise")?;
    let signature = sign(&bytes, key);
    // What is signed is what would be taken.
    Manifest::verified(&bytes, &signature, key.address())?;
    say(format!("packing {} files", parts.len()));
    write_archive(
        request.out,
        &bytes,
        &signature,
        parts.iter().map(|(_, path, _)| path.as_path()),
    )?;
    Ok(Created { file: request.out.to_owned(), signer: key.address(), manifest })
}

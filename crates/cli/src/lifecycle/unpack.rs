//! Unpacking a bundle into the cache of downloads, where the driver k3s finds its files.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::bundle::archive::Bundle;
use crate::bundle::manifest::{Entry, Role};
use crate::cluster::k3s::places::CACHE;
use crate::download::pinned::cached;
use crate::node::cluster_file::{ClusterFile, Made};
use crate::progress::Progress;

/// Unpacks a bundle; returns its archives of images.
pub(crate) fn unpack_bundle(
    home: &Path,
    file: &mut ClusterFile,
    bundle: &Bundle,
    progress: &Progress,
) -> anyhow::Result<Vec<PathBuf>> {
    let folder = Path::new(CACHE);
    file.will_make(home, Made::Cache { path: CACHE.into() })?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {CACHE}"))?;
    let pin = bundle.manifest.pin()?;
    let goal = |entry: &Entry| match (entry.role, &pin.images) {
        (Role::K3s, _) => cached(&pin, &pin.k3s, folder),
        (Role::K3sImages, Some(images)) => cached(&pin, images, folder),
        _ => folder.join(format!("{}-{}", &entry.sha256.to_string()[..16], entry.name)),
    };
    progress.doing("unpacking the bundle");
    bundle.unpack(goal)?;
    progress.done("bundle", format!("unpacked {} files", bundle.manifest.files.len()));
    let archives = bundle.manifest.files.iter().filter(|entry| entry.role == Role::Archive);
    Ok(archives.map(goal).collect())
}

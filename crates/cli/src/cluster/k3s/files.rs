//! Files of the driver k3s: had by their hash, unpacked from a bundle, put in their places.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::super::file::{ClusterFile, Made};
use super::super::steps::Steps;
use super::download;
use super::pin::{Pin, PinnedFile};
use super::places::CACHE;
use crate::bundle::Bundle;
use crate::bundle::manifest::{Entry, Role};

/// Where a pinned file lies in a folder once it is had.
pub(super) fn cached(pin: &Pin, file: &PinnedFile, folder: &Path) -> PathBuf {
    let name =
        file.urls.first().and_then(|url| url.path_segments()?.next_back().map(str::to_owned));
    let plain = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
    let name: String = name.unwrap_or_default().chars().filter(plain).collect();
    folder.join(format!("{}-{}-{name}", pin.version, &file.sha256.to_string()[..16]))
}

/// Has a pinned file in the cache, and says so.
pub(super) async fn have(
    pin: &Pin,
    file: &PinnedFile,
    shown: &str,
    steps: &Steps,
) -> anyhow::Result<PathBuf> {
    have_in(pin, file, Path::new(CACHE), shown, steps).await
}

/// Has a pinned file in a folder of the caller's.
pub async fn fetch(
    pin: &Pin,
    file: &PinnedFile,
    folder: &Path,
    shown: &str,
) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    have_in(pin, file, folder, shown, &Steps::new()).await
}

/// Has a file of a known hash at a place of the caller's.
pub async fn fetch_pinned(file: &PinnedFile, goal: &Path, shown: &str) -> anyhow::Result<()> {
    let steps = Steps::new();
    let bar = steps.bar(file.size, shown);
    let had = download::have(file, goal, shown, &bar).await;
    bar.finish_and_clear();
    had
}

async fn have_in(
    pin: &Pin,
    file: &PinnedFile,
    folder: &Path,
    shown: &str,
    steps: &Steps,
) -> anyhow::Result<PathBuf> {
    let goal = cached(pin, file, folder);
    let there = goal.exists();
    let bar = steps.bar(file.size, shown);
    let had = download::have(file, &goal, shown, &bar).await;
    bar.finish_and_clear();
    had?;
    let how =
        if there { "it is here, and is the pinned one" } else { "had, and is the pinned one" };
    steps.done(shown, format!("{} {how}", pin.version));
    Ok(goal)
}

/// Unpacks a bundle to where its files are looked for; its archives of images.
pub(in super::super) fn unpack(
    home: &Path,
    file: &mut ClusterFile,
    bundle: &Bundle,
    steps: &Steps,
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
    steps.doing("unpacking the bundle");
    bundle.unpack(goal)?;
    steps.done("bundle", format!("unpacked {} files", bundle.manifest.files.len()));
    let archives = bundle.manifest.files.iter().filter(|entry| entry.role == Role::Archive);
    Ok(archives.map(goal).collect())
}

pub(super) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Makes a file be there with this content; whether it was otherwise.
pub(super) fn place(
    home: &Path,
    file: &mut ClusterFile,
    path: &str,
    content: &[u8],
    mode: u32,
) -> anyhow::Result<bool> {
    file.will_make(home, Made::File { path: path.into() })?;
    put(Path::new(path), content, mode)
}

/// Puts a file in its place, whole; whether it was otherwise.
pub(crate) fn put(path: &Path, content: &[u8], mode: u32) -> anyhow::Result<bool> {
    if std::fs::read(path).is_ok_and(|there| there == content) {
        return Ok(false);
    }
    let cannot = || format!("cannot write {}", path.display());
    let folder = path.parent().with_context(cannot)?;
    std::fs::create_dir_all(folder).with_context(cannot)?;
    let mut new = tempfile::NamedTempFile::new_in(folder).with_context(cannot)?;
    new.write_all(content).with_context(cannot)?;
    new.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).with_context(cannot)?;
    new.as_file().sync_all().with_context(cannot)?;
    new.persist(path).with_context(cannot)?;
    Ok(true)
}

/// Copies an archive of images into its folder; whether it was not there.
pub(super) fn place_archive(archive: &Path, goal: &Path) -> anyhow::Result<bool> {
    let cannot = || format!("cannot copy {} to {}", archive.display(), goal.display());
    if goal.exists() && download::hash_of(goal)? == download::hash_of(archive)? {
        return Ok(false);
    }
    let folder = goal.parent().with_context(cannot)?;
    let mut new = tempfile::NamedTempFile::new_in(folder).with_context(cannot)?;
    let mut from = std::fs::File::open(archive).with_context(cannot)?;
    std::io::copy(&mut from, &mut new).with_context(cannot)?;
    new.persist(goal).with_context(cannot)?;
    Ok(true)
}

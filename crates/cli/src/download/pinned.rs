//! Pinned files of k3s in a folder, and verified files at a place of the caller's.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::download::fetch::fetch_file;
use crate::download::pin::{Pin, PinnedFile};
use crate::progress::Progress;

/// The path of a pinned file in a folder, once it is fetched.
pub(crate) fn cached(pin: &Pin, file: &PinnedFile, folder: &Path) -> PathBuf {
    let name =
        file.urls.first().and_then(|url| url.path_segments()?.next_back().map(str::to_owned));
    let plain = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
    let name: String = name.unwrap_or_default().chars().filter(plain).collect();
    folder.join(format!("{}-{}-{name}", pin.version, &file.sha256.to_string()[..16]))
}

/// Has a pinned file in a folder of the caller's.
pub(crate) async fn fetch_pinned(
    pin: &Pin,
    file: &PinnedFile,
    folder: &Path,
    shown: &str,
) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    fetch_into(pin, file, folder, shown, &Progress::new()).await
}

/// Has a file of a known hash at a place of the caller's.
pub(crate) async fn fetch_verified(
    file: &PinnedFile,
    goal: &Path,
    shown: &str,
) -> anyhow::Result<()> {
    let progress = Progress::new();
    let bar = progress.bar(file.size, shown);
    let fetched = fetch_file(file, goal, shown, &bar).await;
    bar.finish_and_clear();
    fetched
}

pub(crate) async fn fetch_into(
    pin: &Pin,
    file: &PinnedFile,
    folder: &Path,
    shown: &str,
    progress: &Progress,
) -> anyhow::Result<PathBuf> {
    let goal = cached(pin, file, folder);
    let there = goal.exists();
    let bar = progress.bar(file.size, shown);
    let fetched = fetch_file(file, &goal, shown, &bar).await;
    bar.finish_and_clear();
    fetched?;
    let how =
        if there { "it is cached, and matches the pin" } else { "downloaded, and matches the pin" };
    progress.done(shown, format!("{} {how}", pin.version));
    Ok(goal)
}

//! Files with secrets.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use zeroize::Zeroizing;

/// Reads a small file that nobody but its owner may read.
pub(super) fn read_secret(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    const MAX_BYTES: u64 = 4096;
    let shown = path.display();
    let cannot = || format!("the secret file {shown} cannot be read");
    let file = File::open(path).with_context(cannot)?;
    // Of the open file, so that it cannot be swapped between check and reading.
    let metadata = file.metadata().with_context(cannot)?;
    ensure!(metadata.is_file(), "{shown} is not a file");
    let mode = metadata.mode() & 0o777;
    // Kubernetes gives a pod's secrets to root, readable by the pod's own group.
    let pods_own = mode & 0o037 == 0 && metadata.uid() == 0 && own_group() == Some(metadata.gid());
    ensure!(
        mode & 0o077 == 0 || pods_own,
        "{shown} holds a secret, but others may read it (mode {mode:04o}): chmod 600 {shown}"
    );
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_BYTES).read_to_string(&mut text).with_context(cannot)?;
    Ok(text)
}

/// The process's group, where it is not root's.
fn own_group() -> Option<u32> {
    std::fs::metadata("/proc/self").ok().map(|of| of.gid()).filter(|group| *group != 0)
}

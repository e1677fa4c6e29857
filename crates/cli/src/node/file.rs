//! Files of the home folder are replaced whole, and are their owner's alone.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;

/// Puts a file of the home in its place, whole, readable for its owner only.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let home = path.parent().unwrap_or(Path::new("."));
    let cannot = || format!("cannot write {}", path.display());
    std::fs::create_dir_all(home).with_context(cannot)?;
    let mut file = tempfile::NamedTempFile::new_in(home).with_context(cannot)?;
    file.write_all(bytes).with_context(cannot)?;
    file.as_file().sync_all().with_context(cannot)?;
    file.persist(path).with_context(cannot)?;
    Ok(())
}

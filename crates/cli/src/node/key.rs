//! The node key's file: made once, 0600, never overwritten; a file that others can read is refused.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use alloy::signers::k256::elliptic_curve::rand_core::{OsRng, RngCore as _};
use anyhow::{Context as _, bail, ensure};
use nodesys_core::signature::SigningKey;
use nodesys_service::secret;
use zeroize::Zeroizing;

/// The file's name in the home folder.
pub const NODE_KEY: &str = "node.key";

const MAX_BYTES: u64 = 4096;

/// The node key, and whether it was made now.
pub fn read_or_make(path: &Path) -> anyhow::Result<(SigningKey, bool)> {
    if path.exists() {
        return Ok((read(path)?, false));
    }
    make(path)?;
    // Another program may have been faster; whoever was, this is the key from now on.
    Ok((read(path)?, true))
}

/// The node key of a file that only its owner can read.
pub fn read(path: &Path) -> anyhow::Result<SigningKey> {
    let shown = path.display();
    let cannot = || format!("the node key {shown} cannot be read");
    let file = File::open(path).with_context(cannot)?;
    // Of the open file, so that it cannot be swapped between check and reading.
    let metadata = file.metadata().with_context(cannot)?;
    ensure!(metadata.is_file(), "the node key {shown} is not a file");
    if let Some(mode) = secret::exposed(&metadata) {
        bail!(
            "the node key {shown} may be read by others (mode {mode:04o}), so it may be known: \
             run `chmod 600 {shown}`, or make a new key if others use this machine"
        );
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_BYTES).read_to_string(&mut text).with_context(cannot)?;
    SigningKey::from_hex(&text).with_context(|| {
        format!(
            "{shown} does not hold a node key (64 hex digits): give the right --node-key-file, or \
             move the file away and let `nodesys pair request` make a new one"
        )
    })
}

fn make(path: &Path) -> anyhow::Result<()> {
    let cannot = || format!("the node key {} cannot be made", path.display());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).with_context(cannot)?;
    let mut secret = Zeroizing::new([0; 32]);
    let key = loop {
        OsRng.fill_bytes(secret.as_mut());
        // Refused once in 2^128 times: not below the curve's order.
        if let Ok(key) = SigningKey::from_bytes(&secret) {
            break key;
        }
    };
    // Readable for its owner only from the start, and in its place whole or not at all.
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(cannot)?;
    file.write_all(key.to_hex().as_bytes()).with_context(cannot)?;
    file.write_all(b"\n").with_context(cannot)?;
    file.as_file().sync_all().with_context(cannot)?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => bail!("{}: {}", cannot(), error.error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/node.key");
        let (made, new) = read_or_make(&path).unwrap();
        assert!(new);
        let (again, new) = read_or_make(&path).unwrap();
        assert!(!new);
        assert_eq!(made.address(), again.address());
        let (other, _) = read_or_make(&folder.path().join("other.key")).unwrap();
        assert_ne!(made.address(), other.address());
        make(&path).unwrap();
        assert_eq!(read(&path).unwrap().address(), made.address());
    }

    #[cfg(unix)]
    #[test]
    fn what_others_can_read_and_what_is_no_key_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.key");
        read_or_make(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        let error = read(&path).err().unwrap().to_string();
        assert!(error.contains("mode 0640") && error.contains("chmod 600"), "{error}");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::write(&path, "not a key").unwrap();
        let error = format!("{:#}", read_or_make(&path).err().unwrap());
        assert!(error.contains("64 hex digits"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "not a key");
    }
}

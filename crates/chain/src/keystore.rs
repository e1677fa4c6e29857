//! Encrypted JSON keystores: a wallet's or reward signer's key in a file, in the third version of
//! [Web3 Secret Storage](https://ethereum.org/developers/docs/data-structures-and-encoding/web3-secret-storage/),
//! as geth, `cast wallet` and others write it.
//!
//! # Examples
//!
//! ```
//! use nodesys_chain::keystore::{KeystoreError, create, open};
//! use nodesys_core::signature::SigningKey;
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("signer.json");
//! let key = SigningKey::from_bytes(&[7; 32])?;
//! create(&path, &key, "correct horse")?;
//! assert_eq!(open(&path, "correct horse")?.address(), key.address());
//! assert!(matches!(open(&path, "battery staple"), Err(KeystoreError::Refused { .. })));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::io;
use std::path::{Path, PathBuf};

use alloy::signers::k256::elliptic_curve::rand_core::OsRng;
use alloy::signers::local::{LocalSignerError, PrivateKeySigner};
use nodesys_core::signature::SigningKey;
use zeroize::Zeroizing;

/// Why a keystore cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// The file cannot be read or written.
    #[error("keystore {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The password is wrong, or the file is no keystore.
    #[error("keystore {path} does not open: {problem}; check the password and the file")]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
}

/// Opens a keystore. Takes about a second by design: call it once, at the start.
///
/// # Errors
///
/// [`KeystoreError::Io`] where the file cannot be read, [`KeystoreError::Refused`] where the password is
/// wrong, it is no keystore, or what it holds is no key.
pub fn open(path: &Path, password: &str) -> Result<SigningKey, KeystoreError> {
    // Told apart from a wrong password, which the decryption would also answer for.
    let io = |source| KeystoreError::Io { path: path.to_owned(), source };
    std::fs::metadata(path).map_err(io)?;
    let refused = |problem: String| KeystoreError::Refused { path: path.to_owned(), problem };
    let signer = PrivateKeySigner::decrypt_keystore(path, password)
        .map_err(|error: LocalSignerError| refused(error.to_string()))?;
    let secret = Zeroizing::new(signer.to_bytes().0);
    SigningKey::from_bytes(&secret).map_err(|error| refused(error.to_string()))
}

/// Reads a password from a file: its first line, without the line feed.
///
/// # Errors
///
/// [`KeystoreError::Io`] where the file cannot be read or is not UTF-8.
pub fn read_password(path: &Path) -> Result<Zeroizing<String>, KeystoreError> {
    let text = std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|source| KeystoreError::Io { path: path.to_owned(), source })?;
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

/// Writes a new keystore that only its owner can read; an existing file is not replaced.
///
/// # Errors
///
/// [`KeystoreError::Io`] where the folder cannot be written to or the file exists,
/// [`KeystoreError::Refused`] where the key could not be encrypted.
pub fn create(path: &Path, key: &SigningKey, password: &str) -> Result<(), KeystoreError> {
    let io = |source| KeystoreError::Io { path: path.to_owned(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    // Made in a 0700 folder, so that the key is never readable for others, then linked into place.
    let private = tempfile::tempdir_in(folder).map_err(io)?;
    let mut secret = Zeroizing::new([0; 32]);
    alloy::primitives::hex::decode_to_slice(key.to_hex().as_str(), secret.as_mut_slice())
        .expect("a signing key is written as 64 hex digits");
    PrivateKeySigner::encrypt_keystore(
        private.path(),
        &mut OsRng,
        secret.as_slice(),
        password,
        Some("keystore"),
    )
    .map_err(|error| KeystoreError::Refused {
        path: path.to_owned(),
        problem: error.to_string(),
    })?;
    let made = private.path().join("keystore");
    restrict(&made).map_err(io)?;
    // A link fails where the name is taken; a rename would replace the key there.
    std::fs::hard_link(&made, path).map_err(io)
}

#[cfg(unix)]
fn restrict(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn restrict(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keystore_opens_with_its_password_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alice.json");
        let key = SigningKey::from_bytes(&[7; 32]).unwrap();
        create(&path, &key, "secret").unwrap();
        assert_eq!(open(&path, "secret").unwrap().address(), key.address());
        let wrong = open(&path, "Secret").err().unwrap().to_string();
        assert!(wrong.contains("does not open"), "{wrong}");
        assert!(matches!(create(&path, &key, "x"), Err(KeystoreError::Io { .. })));
        let missing = open(&folder.path().join("none.json"), "x").err().unwrap();
        assert!(matches!(missing, KeystoreError::Io { .. }));
        std::fs::write(folder.path().join("password"), "secret\n").unwrap();
        assert_eq!(read_password(&folder.path().join("password")).unwrap().as_str(), "secret");
    }
}

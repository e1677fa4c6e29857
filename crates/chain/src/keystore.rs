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

mod form;

use std::fs::File;
use std::io;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use alloy::signers::k256::elliptic_curve::rand_core::OsRng;
use alloy::signers::local::{LocalSignerError, PrivateKeySigner};
use nodesys_core::signature::SigningKey;
use unicode_normalization::UnicodeNormalization as _;
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

/// Far above any keystore.
const MAX_BYTES: u64 = 64 * 1024;

/// Opens a keystore. Takes about a second by design: call it once, at the start.
///
/// A password that does not open it as it was typed is tried in Unicode's form NFKC, which ethers and
/// eth-account encrypt with.
///
/// # Errors
///
/// [`KeystoreError::Io`] where the file cannot be read, [`KeystoreError::Refused`] where the password is
/// wrong, it is no keystore, what it holds is no key, or not that of the address it names.
pub fn open(path: &Path, password: &str) -> Result<SigningKey, KeystoreError> {
    let io = |source| KeystoreError::Io { path: path.to_owned(), source };
    let refused = |problem: String| KeystoreError::Refused { path: path.to_owned(), problem };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes)).map_err(io)?;
    let (plain, named) = form::plain(&bytes).map_err(refused)?;
    // The decryption reads a file; what is in it is encrypted still.
    let mut file = tempfile::NamedTempFile::new().map_err(io)?;
    file.write_all(&plain).map_err(io)?;
    let decrypt = |password: &str| PrivateKeySigner::decrypt_keystore(file.path(), password);
    let normal: Zeroizing<String> = Zeroizing::new(password.nfkc().collect());
    let signer = match decrypt(password) {
        Err(_) if *normal != *password => decrypt(&normal),
        opened => opened,
    };
    let signer = signer.map_err(|error: LocalSignerError| refused(error.to_string()))?;
    let secret = Zeroizing::new(signer.to_bytes().0);
    let key = SigningKey::from_bytes(&secret).map_err(|error| refused(error.to_string()))?;
    match named.filter(|named| *named != key.address()) {
        None => Ok(key),
        Some(named) => Err(refused(format!(
            "it says that it is {named}'s, and holds the key of {}: it was changed or mixed up",
            key.address()
        ))),
    }
}

/// Reads a password from a file: its first line, without the line end and without a byte order mark.
///
/// # Errors
///
/// [`KeystoreError::Io`] where the file cannot be read or is not UTF-8.
pub fn read_password(path: &Path) -> Result<Zeroizing<String>, KeystoreError> {
    let text = std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|source| KeystoreError::Io { path: path.to_owned(), source })?;
    let line = text.lines().next().unwrap_or_default();
    Ok(Zeroizing::new(line.strip_prefix('\u{feff}').unwrap_or(line).to_owned()))
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
    use alloy::primitives::Address;

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

    /// What other programs write: each form opens with the same password.
    #[test]
    fn the_forms_of_other_programs_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plain.json");
        let key = SigningKey::from_bytes(&[7; 32]).unwrap();
        // Encrypted with the composed form, as ethers does whatever was typed.
        create(&path, &key, "pass\u{e9}").unwrap();
        let plain: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let opened = |text: String, password: &str| {
            let path = folder.path().join("other.json");
            std::fs::write(&path, text).unwrap();
            open(&path, password).map(|key| key.address()).map_err(|error| error.to_string())
        };
        let with = |change: &dyn Fn(&mut serde_json::Map<String, serde_json::Value>)| {
            let mut json = plain.clone();
            change(json.as_object_mut().unwrap());
            json.to_string()
        };
        let ethers = with(&|json| {
            let crypto = json.remove("crypto").unwrap();
            json.insert("Crypto".into(), crypto);
            json.insert("address".into(), format!("{:x}", key.address()).into());
            json.insert("x-ethers".into(), serde_json::json!({"client": "ethers/6.13.4"}));
        });
        for text in [
            ethers,
            with(&|json| drop(json.remove("id"))),
            with(&|json| drop(json.insert("id".into(), serde_json::Value::Null))),
            with(&|json| drop(json.insert("version".into(), "3".into()))),
            format!("\u{feff}{plain}"),
        ] {
            assert_eq!(opened(text.clone(), "pass\u{e9}"), Ok(key.address()), "{text}");
        }
        // Typed decomposed, as macOS does.
        assert_eq!(opened(plain.to_string(), "passe\u{301}"), Ok(key.address()));

        let other = with(&|json| {
            json.insert("address".into(), format!("0x{:x}", Address::repeat_byte(1)).into());
        });
        let error = opened(other, "pass\u{e9}").unwrap_err();
        assert!(error.contains("holds the key of") && error.contains("0x0101"), "{error}");
        let short = with(&|json| json["crypto"]["kdfparams"]["dklen"] = 8.into());
        assert!(opened(short, "x").unwrap_err().contains("dklen"));
        let greedy = with(&|json| json["crypto"]["kdfparams"]["n"] = (1_u64 << 40).into());
        assert!(opened(greedy, "x").unwrap_err().contains("more memory"));
        let first = with(&|json| drop(json.insert("version".into(), 1.into())));
        assert!(opened(first, "x").unwrap_err().contains("version 3"));
    }
}

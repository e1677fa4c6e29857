//! Keys of a repository: a private file, readable for its owner only, and its public half beside
//! it, for the root.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::Ed25519KeyPair;
use nodesys_core::B256;
use tough::schema::key::Key;
use tough::schema::{Role, Signature, Signed};
use tough::sign::{Sign, parse_keypair};

use crate::Problem;

/// A private key; it is never printed.
pub struct SigningKey(Box<dyn Sign>);

impl SigningKey {
    /// Of a file: Ed25519 or ECDSA P-256 as PKCS #8 DER, RSA as PEM.
    pub fn read(path: &Path) -> Result<Self, Problem> {
        let shown = path.display();
        let bad = |problem: &str| Problem::Usage(format!("the key {shown} is refused: {problem}"));
        let bytes = std::fs::read(path).map_err(|error| bad(&error.to_string()))?;
        let metadata = std::fs::metadata(path).map_err(|error| bad(&error.to_string()))?;
        if nodesys_service::secret::exposed(&metadata).is_some() {
            return Err(bad(&format!("others may read it; run chmod 600 {shown}")));
        }
        let key = parse_keypair(&bytes).map_err(|error| bad(&error.to_string()))?;
        Ok(Self(Box::new(key)))
    }

    /// Its public half.
    pub fn public(&self) -> Key {
        self.0.tuf_key()
    }

    /// Signs metadata; a signature of the same key is replaced.
    pub async fn sign<T: Role>(&self, to: &mut Signed<T>) -> Result<(), Problem> {
        let cannot = |error: String| Problem::Here(format!("it cannot be signed: {error}"));
        let bytes = to.signed.canonical_form().map_err(|error| cannot(error.to_string()))?;
        let keyid = self.public().key_id().map_err(|error| cannot(error.to_string()))?;
        let made = self.0.sign(&bytes, &SystemRandom::new()).await;
        let sig = made.map_err(|error| cannot(error.to_string()))?.into();
        to.signatures.retain(|signature| signature.keyid != keyid);
        to.signatures.push(Signature { keyid, sig });
        Ok(())
    }
}

/// Creates `PATH` (private) and `PATH.pub`; existing files are not replaced.
pub fn create(path: &Path) -> Result<PathBuf, Problem> {
    let cannot = |path: &Path, error: &dyn std::fmt::Display| {
        Problem::Here(format!("cannot write {}: {error}", path.display()))
    };
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
        .map_err(|error| cannot(path, &error))?;
    let mut options = std::fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|error| cannot(path, &error))?;
    file.write_all(document.as_ref())
        .and_then(|()| file.sync_all())
        .map_err(|error| cannot(path, &error))?;
    let public = public_path(path);
    let key = SigningKey::read(path)?.public();
    let text = serde_json::to_string_pretty(&key).map_err(|error| cannot(&public, &error))?;
    std::fs::write(&public, format!("{text}\n")).map_err(|error| cannot(&public, &error))?;
    Ok(public)
}

fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

/// The seed that decides the order in which nodes get a release.
pub fn seed() -> Result<B256, Problem> {
    let mut seed = B256::ZERO;
    aws_lc_rs::rand::fill(seed.as_mut_slice())
        .map_err(|error| Problem::Here(format!("no randomness: {error}")))?;
    Ok(seed)
}

/// A public half.
pub fn read_public(path: &Path) -> Result<Key, Problem> {
    let bad = |problem: String| {
        Problem::Usage(format!("{} is no public key (FILE.pub): {problem}", path.display()))
    };
    let text = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
    let mut json: serde_json::Value =
        serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
    // A key's id is the hash of its text. Other programs end a PEM with a newline, with which the key would
    // have another id than the one that its signatures name.
    if let Some(value) = json.pointer_mut("/keyval/public")
        && let Some(trimmed) = value.as_str().map(|text| text.trim().to_owned())
    {
        *value = trimmed.into();
    }
    serde_json::from_value(json).map_err(|error| bad(error.to_string()))
}

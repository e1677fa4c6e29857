//! The hash of a file.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use crate::download::pin::Sha256Hash;

/// The hash of a file.
pub fn hash_of(path: &Path) -> anyhow::Result<Sha256Hash> {
    let cannot = || format!("cannot read {}", path.display());
    let mut file = File::open(path).with_context(cannot)?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer).with_context(cannot)? {
            0 => return Ok(Sha256Hash(hash.finalize().into())),
            n => hash.update(&buffer[..n]),
        }
    }
}

//! `version`: this program's version, and the hash of its file.

use std::fmt;
use std::io::Read as _;

use anyhow::Context as _;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::exit::Exit;
use crate::node::config::Settings;
use crate::output;

#[derive(Serialize)]
struct Version {
    version: &'static str,
    /// SHA-256 of this program's file: what a release publishes and `sha256sum` prints.
    build: String,
    platform: String,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nodesys {} ({})\nbuild sha256:{}", self.version, self.platform, self.build)
    }
}

/// Prints version and build, also where the settings file is not in order.
pub(crate) fn run(flags: &Settings) -> anyhow::Result<Exit> {
    let version = Version {
        version: env!("CARGO_PKG_VERSION"),
        build: build().context("this program's own file cannot be read")?,
        platform: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
    };
    output::print(flags.output.unwrap_or_default(), &version)?;
    Ok(Exit::Done)
}

fn build() -> std::io::Result<String> {
    let mut file = std::fs::File::open(std::env::current_exe()?)?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => hash.update(&buffer[..n]),
        }
    }
    Ok(alloy::primitives::hex::encode(hash.finalize()))
}

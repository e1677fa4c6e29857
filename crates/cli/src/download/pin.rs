//! The pin of k3s, as a file that the operator gives.

use std::path::Path;

pub use nodesys_sdk::network::pin::{Arch, Pin, PinFile, PinnedFile, Sha256Hash};

use crate::exit::Exit;

/// This machine's architecture; an error where no node runs on it.
pub fn here() -> anyhow::Result<Arch> {
    Arch::here().ok_or_else(|| {
        Exit::Failure.because(format!(
            "this machine is {}, and k3s is installed on x86_64 and aarch64 only",
            std::env::consts::ARCH
        ))
    })
}

/// Reads a pin file, for machines of this architecture.
pub fn read(path: &Path, arch: Arch) -> anyhow::Result<Pin> {
    let shown = path.display();
    let bytes = std::fs::read(path)
        .map_err(|error| Exit::Usage.because(format!("the pin {shown} cannot be read: {error}")))?;
    PinFile::parse(&bytes)
        .and_then(|file| file.of(arch).ok_or_else(|| format!("it has no k3s for {arch}")))
        .map_err(|problem| Exit::Usage.because(format!("{shown} is not a pin of k3s: {problem}")))
}

//! `network.json` in the home folder: the network file that the operator has agreed to, byte by byte.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context as _;
use nodesys_sdk::network::Fetched;

use crate::exit::Exit;
use crate::node::file::replace;

/// The file's name in the home folder.
pub(crate) const NETWORK_JSON: &str = "network.json";

/// The file that was agreed to; `None` where the node has joined no network.
pub(crate) fn read(home: &Path) -> anyhow::Result<Option<Fetched>> {
    let path = home.join(NETWORK_JSON);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(error).with_context(|| format!("{} cannot be read", path.display()));
        }
    };
    let kept = Fetched::parse(bytes).map_err(|error| {
        Exit::Usage.because(format!(
            "{} is not a network file: {error:#}; remove it, and run nodesys join again",
            path.display()
        ))
    })?;
    Ok(Some(kept))
}

/// Keeps it.
pub(crate) fn write(home: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    replace(&home.join(NETWORK_JSON), bytes)
}

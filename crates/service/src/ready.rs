//! The ready file, which tells whoever started a program that it is ready, and where it listens.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// What a ready file says, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    /// The process.
    pub pid: u32,
    /// Where it listens.
    pub addr: SocketAddr,
    /// Which build it is: the version of the release that it belongs to.
    pub build_id: String,
}

impl Ready {
    /// This process, listening at `addr`.
    pub fn here(addr: SocketAddr) -> Self {
        let build_id = env!("CARGO_PKG_VERSION").to_owned();
        Self { pid: std::process::id(), addr, build_id }
    }

    /// Writes the file in one rename, so that nobody reads half of it.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string(self)?;
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(format!(".{}.tmp", self.pid));
        std::fs::write(&unfinished, text)
            .and_then(|()| std::fs::rename(&unfinished, path))
            .with_context(|| format!("cannot write the ready file {}", path.display()))
    }

    /// What a ready file says; `None` while it is not there.
    ///
    /// # Errors
    ///
    /// When it is there and cannot be read, or is no ready file.
    pub fn read(path: &Path) -> anyhow::Result<Option<Self>> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let ready = serde_json::from_slice(&text);
        ready.map(Some).with_context(|| format!("{} is no ready file", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_pid_address_and_build_id_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program.ready");
        assert_eq!(Ready::read(&path).unwrap(), None);
        let ready = Ready::here("127.0.0.1:7070".parse().unwrap());
        ready.write(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let pid = std::process::id();
        let version = env!("CARGO_PKG_VERSION");
        let expected = format!(r#"{{"pid":{pid},"addr":"127.0.0.1:7070","build_id":"{version}"}}"#);
        assert_eq!(text, expected);
        assert_eq!(Ready::read(&path).unwrap(), Some(ready));
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "nothing is left beside it"
        );

        std::fs::write(&path, text.replace("build_id", "version")).unwrap();
        assert!(Ready::read(&path).is_err());
        let nowhere = folder.path().join("none/program.ready");
        let error = Ready::here("127.0.0.1:1".parse().unwrap()).write(&nowhere).unwrap_err();
        assert!(error.to_string().contains("none/program.ready"), "{error}");
    }
}

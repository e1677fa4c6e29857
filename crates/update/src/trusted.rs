//! The trusted metadata: the last verified state, in one file that is replaced whole.
//!
//! Losing it loses the protection against older metadata, so it is written before anything is
//! reported about the repository, readable for its owner only.

use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tough::schema::{Root, Signed, Timestamp};

use crate::Problem;

const FORMAT: &str = "nodesys-trusted-1";

/// Metadata files, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trusted {
    pub(crate) format: String,
    pub(crate) root: String,
    #[serde(default)]
    pub(crate) timestamp: Option<String>,
    #[serde(default)]
    pub(crate) snapshot: Option<String>,
    #[serde(default)]
    pub(crate) targets: Option<String>,
}

impl Trusted {
    /// The initial trust: the root that came with the program.
    pub(crate) fn of_root(root: String) -> Self {
        Self { format: FORMAT.to_owned(), root, timestamp: None, snapshot: None, targets: None }
    }

    pub(crate) fn read(path: &Path) -> Result<Option<Self>, Problem> {
        let broken = |problem: String| {
            Problem::Here(format!(
                "{} does not hold ({problem}): put back a backup of it; where there is none, move \
                 it away and give --root with a root.json that you trust",
                path.display()
            ))
        };
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(broken(error.to_string())),
        };
        let trusted: Self =
            serde_json::from_slice(&text).map_err(|error| broken(error.to_string()))?;
        if trusted.format != FORMAT {
            return Err(broken(format!("its format is {:.40?}", trusted.format)));
        }
        Ok(Some(trusted))
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), Problem> {
        let cannot = |error: &dyn std::fmt::Display| {
            Problem::Here(format!("cannot write {}: {error}", path.display()))
        };
        // A bare name is in the present folder, which is called "" there.
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(|error| cannot(&error))?;
        let text = serde_json::to_vec(self).map_err(|error| cannot(&error))?;
        // Made readable for its owner only.
        let mut new = tempfile::NamedTempFile::new_in(folder).map_err(|error| cannot(&error))?;
        new.write_all(&text).map_err(|error| cannot(&error))?;
        new.as_file().sync_all().map_err(|error| cannot(&error))?;
        new.persist(path).map_err(|error| cannot(&error))?;
        std::fs::File::open(folder).and_then(|it| it.sync_all()).map_err(|error| cannot(&error))
    }

    /// The root's version; `None` if it is no root.
    pub(crate) fn root_version(text: &str) -> Option<u64> {
        let root: Signed<Root> = serde_json::from_str(text).ok()?;
        Some(root.signed.version.get())
    }

    /// Signing time of the trusted timestamp, if it has one.
    pub(crate) fn issued_secs(&self) -> Option<u64> {
        let timestamp: Signed<Timestamp> = serde_json::from_str(self.timestamp.as_ref()?).ok()?;
        timestamp.signed._extra.get(nodesys_core::update::ISSUED)?.as_u64()
    }
}

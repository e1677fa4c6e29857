//! The release: what one version of a workload runs, and what it may use.
//!
//! A project's release key announces `(workload, version, release hash)` on chain; the document
//! itself may come from anywhere, since only the bytes with the announced hash are taken. A
//! document is typed and closed: there is no field for the host's files, network or privileges,
//! and an unknown field is refused by name. [`Release::parse`] reads what a person wrote, [`Release::from_announced`]
//! what a node fetched; both give the same value for the same canonical bytes
//! ([RFC 8785](https://www.rfc-editor.org/rfc/rfc8785)), and the release hash is keccak256 of these. A tombstone needs no document: the chain says all of it.
//!
//! What stays true: a [`Release`] can only be made by parsing, so whoever holds one knows that
//! every image is pinned by digest, every container has requests and limits, every mount names a
//! volume, and no number is out of its range.

use std::fmt;

use alloy_primitives::{B256, keccak256};

mod document;
mod parse;
mod read;
mod schema;
#[cfg(test)]
mod tests;
mod values;

pub use document::{
    Amounts, Container, Egress, EgressPort, FORMAT, Health, HealthBy, Mount, NODE_ENV, Port,
    Protocol, Readiness, Release, Resources, Strategy, Update, Volume, VolumeKind,
};
pub use read::FieldProblem;
pub use schema::json_schema;
pub use values::{Image, Label, MountPath, TOKEN_DIR, Version};

/// The largest document, in bytes.
pub const MAX_BYTES: usize = 64 << 10;

/// Why a document is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// Larger than [`MAX_BYTES`].
    #[error("a release has at most {MAX_BYTES} bytes, this has {0}")]
    TooLarge(usize),
    /// Not JSON, or a name appears twice in an object.
    #[error("not a release: {0}")]
    NotJson(String),
    /// Fields that do not hold, each by its JSON pointer.
    #[error("{}", Listed(.0))]
    Fields(Vec<FieldProblem>),
    /// The bytes are not those announced.
    #[error("the release hash is {found}, announced is {announced}: these are other bytes")]
    OtherHash {
        /// Announced on chain.
        announced: B256,
        /// Of the bytes at hand.
        found: B256,
    },
    /// A good document in another spelling than the canonical one.
    #[error(
        "the bytes are not the release's canonical JSON (RFC 8785), \
         which nodesys-master release validate prints"
    )]
    NotCanonical,
}

struct Listed<'a>(&'a [FieldProblem]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            let between = if i == 0 { "" } else { "; " };
            write!(f, "{between}{problem}")?;
        }
        Ok(())
    }
}

impl Release {
    /// Reads a release however it is spaced and ordered.
    ///
    /// # Errors
    ///
    /// [`ReleaseError`] where it is too large, no JSON (a repeated key included), or has fields that
    /// are unknown, missing or out of range; each of these is named.
    ///
    /// # Examples
    ///
    /// ```
    /// use nodesys_core::keccak256;
    /// use nodesys_core::release::{Release, ReleaseError};
    ///
    /// let text = br#"{
    ///     "format": "nodesys.release.v1", "name": "Acme Render", "workload": "render", "version": "3",
    ///     "containers": [{
    ///         "name": "main",
    ///         "image": "registry.example.org/acme/render@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ///         "resources": {
    ///             "requests": { "cpu_millis": 250, "memory_mib": 128, "storage_mib": 64 },
    ///             "limits": { "cpu_millis": 2000, "memory_mib": 512, "storage_mib": 256 }
    ///         }
    ///     }],
    ///     "health": { "by": "token" }, "update": { "strategy": "surge" }
    /// }"#;
    /// let release = Release::parse(text)?;
    /// assert_eq!((release.workload().as_str(), release.version().get()), ("render", 3));
    /// // What is announced on chain is the hash of the canonical bytes.
    /// assert_eq!(release.hash(), keccak256(release.canonical()));
    /// assert_eq!(Release::from_announced(&release.canonical(), release.hash()), Ok(release));
    ///
    /// let Err(ReleaseError::Fields(problems)) = Release::parse(b"{}") else { panic!() };
    /// assert_eq!(problems[0].to_string(), "/format: is missing");
    /// # Ok::<(), ReleaseError>(())
    /// ```
    pub fn parse(text: &[u8]) -> Result<Self, ReleaseError> {
        if text.len() > MAX_BYTES {
            return Err(ReleaseError::TooLarge(text.len()));
        }
        let value = read::strict_json(text).map_err(ReleaseError::NotJson)?;
        parse::release(&value).map_err(ReleaseError::Fields)
    }

    /// Takes the bytes of an announced hash: those and no others.
    ///
    /// # Errors
    ///
    /// [`ReleaseError`] where they have another hash or are not canonical, and that of
    /// [`Self::parse`].
    pub fn from_announced(bytes: &[u8], announced: B256) -> Result<Self, ReleaseError> {
        if bytes.len() > MAX_BYTES {
            return Err(ReleaseError::TooLarge(bytes.len()));
        }
        // Before anything is parsed: other bytes may be a stranger's.
        let found = keccak256(bytes);
        if found != announced {
            return Err(ReleaseError::OtherHash { announced, found });
        }
        let release = Self::parse(bytes)?;
        // In another spelling the release that is kept would have another hash.
        if release.canonical() == bytes { Ok(release) } else { Err(ReleaseError::NotCanonical) }
    }
}

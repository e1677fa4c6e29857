//! Releases of the programs themselves, as a TUF repository lists them.
//!
//! Each target carries an [`About`] in its custom metadata. `nodesys-repository` writes it,
//! `nodesys-update` verifies the repository and passes on a [`Verified`], and `nodesys update`
//! chooses from it. Nothing here verifies anything: what stands in a [`Verified`] has been, by
//! [The Update Framework's specification](https://theupdateframework.github.io/specification/latest/).
//!
//! # Examples
//!
//! ```
//! use nodesys_core::update::{CURSOR_ALL, Platform, ReleaseTerms};
//! use nodesys_core::{Address, B256};
//!
//! let terms = |cursor_ppm| ReleaseTerms {
//!     version: semver::Version::new(0, 2, 0),
//!     seed: B256::repeat_byte(7),
//!     cursor_ppm,
//!     required_stop: false,
//!     manager_image: None,
//! };
//! // The same node has the same place while the cursor rises, until it is its turn.
//! let node = Address::repeat_byte(0xa1);
//! let place = terms(0).place(node);
//! assert!(!terms(place).reaches(Some(node)) && terms(place + 1).reaches(Some(node)));
//! assert!(terms(CURSOR_ALL).reaches(None));
//!
//! assert_eq!("x86_64-linux".parse(), Ok(Platform::of("x86_64", "linux")));
//! ```

use std::fmt;
use std::str::FromStr;

use alloy_primitives::{Address, B256, keccak256};
use semver::Version;
use serde::{Deserialize, Serialize};

use crate::release::Image;
use crate::time::Timestamp;

/// The format of [`Verified`].
pub const VERIFIED_FORMAT: &str = "nodesys-verified-1";
/// A cursor that lets every node have the release.
pub const CURSOR_ALL: u32 = 1_000_000;
/// In the timestamp's metadata: when it was signed, in seconds since 1970. A clock that is behind
/// it is wrong.
pub const ISSUED: &str = "x-nodesys-issued-secs";

/// A program of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Program {
    /// The command line.
    #[serde(rename = "nodesys")]
    Nodesys,
    /// What verifies a repository for it.
    #[serde(rename = "nodesys-update")]
    Update,
}

impl Program {
    /// All that a release has for a platform.
    pub const ALL: [Self; 2] = [Self::Nodesys, Self::Update];

    /// Its file's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nodesys => "nodesys",
            Self::Update => "nodesys-update",
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Program {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|program| program.name() == text);
        found.ok_or_else(|| format!("{text:?} is no program: nodesys or nodesys-update"))
    }
}

/// Processor and system that a file is for, such as `x86_64-linux`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Platform(String);

impl Platform {
    /// Of the names that Rust has for them.
    pub fn of(arch: &str, system: &str) -> Self {
        Self(format!("{arch}-{system}"))
    }
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        match text.split_once('-') {
            Some((arch, system))
                if [arch, system].iter().all(|it| !it.is_empty() && it.chars().all(plain)) =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(format!("{text:?} is no platform: expected one as x86_64-linux")),
        }
    }
}

impl TryFrom<String> for Platform {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Platform> for String {
    fn from(platform: Platform) -> Self {
        platform.0
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a target is, as its custom metadata says. A kind that is not known is of a later version
/// and passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TargetMetadata {
    /// The notes of a release; what holds for all its files.
    Release(ReleaseTerms),
    /// A program.
    Program {
        /// Of this release.
        version: Version,
        /// For these machines.
        platform: Platform,
        /// Which.
        program: Program,
    },
    /// The manager's image as an archive, for clusters that it is loaded into.
    ManagerArchive {
        /// Of this release.
        version: Version,
        /// For these machines.
        platform: Platform,
    },
    /// Of a later version.
    #[serde(other)]
    Unknown,
}

/// Who may have a release, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseTerms {
    /// Which.
    pub version: Version,
    /// What decides a node's place in the order.
    pub seed: B256,
    /// Nodes whose place is below it may have the release: parts of a million.
    pub cursor_ppm: u32,
    /// No update goes past this release without having been at it.
    #[serde(default)]
    pub required_stop: bool,
    /// The manager's image; `None` leaves the manager as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager_image: Option<Image>,
}

impl ReleaseTerms {
    /// A node's place in the order: 0 is the first, 999,999 the last.
    pub fn place(&self, node_key: Address) -> u32 {
        let hash = keccak256([self.seed.as_slice(), node_key.as_slice()].concat());
        let first = hash.0.first_chunk::<8>().map_or(0, |head| u64::from_be_bytes(*head));
        // The product's upper half is below the million, so the conversion holds.
        u32::try_from((u128::from(first) * u128::from(CURSOR_ALL)) >> 64).unwrap_or(CURSOR_ALL)
    }

    /// Whether it is this node's turn; a machine without a node key waits for all.
    pub fn reaches(&self, node_key: Option<Address>) -> bool {
        match node_key {
            Some(node_key) => self.place(node_key) < self.cursor_ppm,
            None => self.cursor_ppm >= CURSOR_ALL,
        }
    }
}

/// A target of a verified repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedTarget {
    /// Its name.
    pub name: String,
    /// Its file, in the repository's folder of targets.
    pub file: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: B256,
    /// What it is.
    pub about: TargetMetadata,
}

/// What `nodesys-update verify` prints: a repository whose signatures, versions and dates hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// [`VERIFIED_FORMAT`].
    pub format: String,
    /// The root's version.
    pub root_version: u64,
    /// The targets' version.
    pub targets_version: u64,
    /// The timestamp's version.
    pub timestamp_version: u64,
    /// By what time it was judged: the latest of all that are known.
    pub judged_at: Timestamp,
    /// When the first of its parts expires.
    pub expires: Timestamp,
    /// Its targets, by name.
    pub targets: Vec<VerifiedTarget>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn terms(seed: B256, cursor_ppm: u32) -> ReleaseTerms {
        let version = Version::new(0, 2, 0);
        ReleaseTerms { version, seed, cursor_ppm, required_stop: false, manager_image: None }
    }

    #[test]
    fn what_a_target_is_stands_in_its_custom_metadata() {
        let program = json!({
            "kind": "program", "version": "0.2.0", "platform": "x86_64-linux",
            "program": "nodesys-update",
        });
        let about: TargetMetadata = serde_json::from_value(program.clone()).unwrap();
        assert_eq!(serde_json::to_value(&about).unwrap(), program);
        let later = json!({ "kind": "plugin", "anything": 1 });
        assert_eq!(
            serde_json::from_value::<TargetMetadata>(later).unwrap(),
            TargetMetadata::Unknown
        );
        for (name, value) in [
            ("version", "latest"),
            ("platform", "linux"),
            ("platform", "x86-64-linux/.."),
            ("program", "sh"),
        ] {
            let mut bad = program.clone();
            bad[name] = value.into();
            assert!(serde_json::from_value::<TargetMetadata>(bad).is_err(), "{name} {value}");
        }
    }

    proptest! {
        /// A cursor that rises only ever adds nodes, and the last one has all.
        #[test]
        fn a_rising_cursor_only_adds(
            seed: [u8; 32], key: [u8; 20], low in 0..=CURSOR_ALL, high in 0..=CURSOR_ALL,
        ) {
            let (low, high) = (low.min(high), low.max(high));
            let key = Some(Address::from(key));
            let of = |cursor| terms(B256::from(seed), cursor);
            prop_assert!(!of(low).reaches(key) || of(high).reaches(key));
            prop_assert!(of(CURSOR_ALL).reaches(key) && !of(0).reaches(key));
            prop_assert!(of(CURSOR_ALL).reaches(None) && !of(CURSOR_ALL - 1).reaches(None));
        }
    }

    #[test]
    fn a_tenth_of_the_cursor_is_a_tenth_of_the_nodes() {
        let terms = terms(B256::repeat_byte(7), CURSOR_ALL / 10);
        let nodes = (0..10_000_u64).map(|n| Address::left_padding_from(&n.to_be_bytes()));
        let reached = nodes.filter(|node| terms.reaches(Some(*node))).count();
        assert!((900..1100).contains(&reached), "{reached}");
    }
}

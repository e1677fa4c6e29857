//! The small values of a release, each parsed once.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::ids::ParseError;

/// Grammar of [`Label`], as in the JSON Schema.
pub(super) const LABEL_PATTERN: &str = "^[a-z]([a-z0-9-]{0,13}[a-z0-9])?$";
/// Grammar of [`Image`], as in the JSON Schema.
pub(super) const IMAGE_PATTERN: &str = concat!(
    "^(localhost|[a-z0-9]+(-[a-z0-9]+)*:[0-9]{1,5}|[a-z0-9]+([.-][a-z0-9]+)*[.][a-z0-9]+(-[a-z0-9]+)*(:[0-9]{1,5})?)",
    "(/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)+@sha256:[0-9a-f]{64}$"
);
/// Grammar of [`MountPath`], as in the JSON Schema.
pub(super) const PATH_PATTERN: &str = "^(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$";
const MAX_IMAGE_CHARS: usize = 255;
const MAX_PATH_CHARS: usize = 255;

/// Where a pod finds its health token's folder.
pub const TOKEN_DIR: &str = "/run/nodesys";

/// Folders whose content the node or the kernel gives.
const TAKEN_PATHS: [&str; 6] = ["/proc", "/sys", "/dev", TOKEN_DIR, "/run/secrets", "/var/run"];

/// A version: a whole number from 1 on, rising with every announcement of a workload. Text in
/// JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(NonZeroU64);

impl Version {
    /// The version of this number; there is no version 0.
    pub const fn new(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number, as on chain and in heartbeats.
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Version {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
        let number = if plain { text.parse().ok() } else { None };
        number.map(Self).ok_or_else(|| {
            ParseError::new("version", "expected a whole number from 1 to 2^64 - 1", text)
        })
    }
}

/// A name inside a release: 1 to 15 of `a-z 0-9 -`, a letter first, no dash last.
///
/// So short because Kubernetes names ports so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(String);

impl FromStr for Label {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        // At most 15 characters: as many as Kubernetes takes for the name of a port.
        let letter_first = text.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
        // Two dashes in a row are refused by Kubernetes for ports.
        if letter_first
            && text.len() <= 15
            && text.bytes().all(good)
            && !text.ends_with('-')
            && !text.contains("--")
        {
            Ok(Self(text.to_owned()))
        } else {
            let problem = "expected 1 to 15 of a-z, 0-9 and single inner dashes, a letter first";
            Err(ParseError::new("name", problem, text))
        }
    }
}

/// An image pinned by its digest: `registry/repository@sha256:<64 hex digits>`. A tag is refused:
/// it would say nothing, and could say something else tomorrow.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Image(String);

impl FromStr for Image {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bad = |problem| ParseError::new("image", problem, text);
        let pinned = "must be pinned by its digest, registry/repository@sha256:<64 hex digits>";
        let (repository, digest) = text.split_once("@sha256:").ok_or_else(|| bad(pinned))?;
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if digest.len() != 64 || !digest.bytes().all(hex) {
            return Err(bad("its digest is not 64 lower-case hex digits"));
        }
        if text.len() > MAX_IMAGE_CHARS {
            return Err(bad("is longer than 255 characters"));
        }
        let (host, path) = repository
            .split_once('/')
            .ok_or_else(|| bad("must name its registry, as in registry.example.org/render"))?;
        let (host, port) = host.split_once(':').map_or((host, None), |(h, p)| (h, Some(p)));
        if path.contains(':') {
            return Err(bad("must not have a tag: the digest says which image it is"));
        }
        // As runtimes tell a registry from a path of their default one.
        if port.is_none() && host != "localhost" && !host.contains('.') {
            return Err(bad(
                "its first part is no registry: runtimes read it as a path of their default one, so \
                 write that registry before it, as in docker.io/acme/counter",
            ));
        }
        let port_holds = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
        if !parts_hold(host, is_host_separator) || !port_holds {
            return Err(bad("its registry is not a host name, with or without :port"));
        }
        if !path.split('/').all(|part| parts_hold(part, is_path_separator)) {
            return Err(bad("its repository has other characters than a-z, 0-9 and inner . _ -"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Runs of `a-z 0-9`, joined by separators.
fn parts_hold(text: &str, separator: fn(&str) -> bool) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut between = text.split(plain).peekable();
    // The pieces between plain characters: empty inside a run, a separator between two runs.
    let ends = text.starts_with(plain) && text.ends_with(plain);
    ends && between.all(|piece| piece.is_empty() || separator(piece))
}

fn is_host_separator(piece: &str) -> bool {
    matches!(piece, "." | "-")
}

fn is_path_separator(piece: &str) -> bool {
    // The separators of the OCI distribution specification.
    matches!(piece, "." | "_" | "__") || piece.bytes().all(|b| b == b'-')
}

/// Where a volume is mounted: absolute, of plain parts, and none of the node's own folders.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MountPath(String);

impl FromStr for MountPath {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bad = |problem| ParseError::new("path", problem, text);
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        // So neither `.` nor `..` is among them.
        let part_holds = |part: &str| !part.starts_with('.') && part.bytes().all(good);
        let parts = text.strip_prefix('/').ok_or_else(|| bad("must begin with /"))?;
        if text.len() > MAX_PATH_CHARS {
            return Err(bad("is longer than 255 characters"));
        }
        if !parts.split('/').all(|part| !part.is_empty() && part_holds(part)) {
            return Err(bad(
                "must have parts of A-Z a-z 0-9 . _ - none of which begins with a dot",
            ));
        }
        let inside = |folder: &str| text == folder || text.starts_with(&format!("{folder}/"));
        if TAKEN_PATHS.iter().any(|folder| inside(folder)) {
            return Err(bad("is in a folder that the node or the kernel fills"));
        }
        Ok(Self(text.to_owned()))
    }
}

macro_rules! text_values {
    ($($name:ident)*) => {
        $(
            impl $name {
                /// As text.
                pub fn as_str(&self) -> &str {
                    &self.0
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(&self.0)
                }
            }
        )*
    };
}

macro_rules! json_as_text {
    ($($name:ident)*) => {
        $(
            impl Serialize for $name {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.collect_str(self)
                }
            }

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
                }
            }
        )*
    };
}

text_values! { Label Image MountPath }
json_as_text! { Version Label Image MountPath }

//! The pin: which k3s is installed, by hash. What is not exactly that is not run.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const FORMAT: &str = "nodesys-k3s-pin-1";

/// A SHA-256, as lower-case hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256Hash(pub [u8; 32]);

impl FromStr for Sha256Hash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut bytes = [0; 32];
        alloy::primitives::hex::decode_to_slice(text, &mut bytes)
            .map_err(|_| format!("{text:?} is no SHA-256: 64 hex digits are expected"))?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&alloy::primitives::hex::encode(self.0))
    }
}

impl Serialize for Sha256Hash {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256Hash {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A processor architecture that nodes have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arch {
    /// x86-64.
    #[serde(rename = "x86_64")]
    X86,
    /// 64-bit ARM.
    #[serde(rename = "aarch64")]
    Arm,
}

impl Arch {
    /// This machine's; `None` where no node runs on it.
    pub const fn here() -> Option<Self> {
        match std::env::consts::ARCH.as_bytes() {
            b"x86_64" => Some(Self::X86),
            b"aarch64" => Some(Self::Arm),
            _ => None,
        }
    }

    /// The number an ELF file has it by.
    pub const fn elf_machine(self) -> u16 {
        match self {
            Self::X86 => 62,
            Self::Arm => 183,
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X86 => "x86_64",
            Self::Arm => "aarch64",
        })
    }
}

/// A file that is had by its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedFile {
    /// Which machines it is for.
    pub arch: Arch,
    /// Its hash.
    pub sha256: Sha256Hash,
    /// Its size in bytes.
    pub size: u64,
    /// The places to download it from, tried in this order.
    pub urls: Vec<reqwest::Url>,
}

/// The pin file: a k3s for each architecture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinFile {
    format: String,
    /// As k3s names it, such as v1.33.4+k3s1.
    pub version: String,
    /// The program, for each architecture.
    pub k3s: Vec<PinnedFile>,
    /// The images that k3s itself needs, where it shall not fetch them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<PinnedFile>,
}

impl PinFile {
    /// Of a file's bytes.
    ///
    /// # Errors
    ///
    /// With the reason, where it is not a pin.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let file: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        file.check()?;
        Ok(file)
    }

    /// Whether everything in it can be meant.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.format != FORMAT {
            return Err(format!("its format is {:?}, not {FORMAT}", self.format));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
        if self.version.is_empty() || self.version.len() > 60 || !self.version.chars().all(plain) {
            return Err(format!("{:?} is no version", self.version));
        }
        for pinned in self.k3s.iter().chain(&self.images) {
            if pinned.urls.is_empty()
                || pinned.urls.iter().any(|it| !matches!(it.scheme(), "http" | "https"))
            {
                return Err("each file needs at least one http or https URL".to_owned());
            }
            if pinned.size == 0 || pinned.size > 4 << 30 {
                return Err(format!("{} is no size of such a file", pinned.size));
            }
        }
        Ok(())
    }

    /// What machines of this architecture install; `None` where it has no k3s for them.
    pub fn of(&self, arch: Arch) -> Option<Pin> {
        let of = |files: &[PinnedFile]| files.iter().find(|it| it.arch == arch).cloned();
        Some(Pin { version: self.version.clone(), k3s: of(&self.k3s)?, images: of(&self.images) })
    }
}

/// The k3s that is installed on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// As k3s names it.
    pub version: String,
    /// The program.
    pub k3s: PinnedFile,
    /// Its images; `None` lets it fetch them.
    pub images: Option<PinnedFile>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_pin_is_read_strictly() {
        let file = |arch: &str, url: &str| json!({ "arch": arch, "sha256": "ab".repeat(32), "size": 5, "urls": [url] });
        let good = json!({
            "format": FORMAT, "version": "v1.33.4+k3s1",
            "k3s": [file("aarch64", "https://a/arm"), file("x86_64", "https://a/x86")],
        });
        let parse = |value: &Value| PinFile::parse(value.to_string().as_bytes());
        let pin = parse(&good).unwrap().of(Arch::X86).unwrap();
        assert_eq!(pin.k3s.urls[0].path(), "/x86");
        assert_eq!(pin.images, None);
        let mut arm_only = parse(&good).unwrap();
        arm_only.k3s.pop();
        assert_eq!(arm_only.of(Arch::X86), None);
        let with = |pointer: &str, value: Value| {
            let mut changed = good.clone();
            *changed.pointer_mut(pointer).unwrap() = value;
            parse(&changed).unwrap_err()
        };
        for (pointer, value, part) in [
            ("/format", json!("x"), "its format is"),
            ("/version", json!("a b"), "is no version"),
            ("/k3s/1/sha256", json!("abc"), "64 hex digits"),
            ("/k3s/1/size", json!(0), "no size"),
            ("/k3s/1/urls", json!([]), "at least one"),
            ("/k3s/1/urls", json!(["file:///etc/shadow"]), "http or https"),
            ("/k3s/1/arch", json!("riscv64"), "riscv64"),
        ] {
            let problem = with(pointer, value);
            assert!(problem.contains(part), "{pointer}: {problem}");
        }
    }
}

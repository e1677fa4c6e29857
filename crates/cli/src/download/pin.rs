//! The pin: which k3s is installed, by hash. What is not exactly that is not run.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::exit::Exit;

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
    /// This machine's; an error where no node runs on it.
    pub fn here() -> anyhow::Result<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Ok(Self::X86),
            "aarch64" => Ok(Self::Arm),
            other => Err(Exit::Failure.because(format!(
                "this machine is {other}, and k3s is installed on x86_64 and aarch64 only"
            ))),
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

/// The pin file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PinFile {
    format: String,
    /// As k3s names it, such as v1.33.4+k3s1.
    version: String,
    /// The program, for each architecture.
    k3s: Vec<PinnedFile>,
    /// The images that k3s itself needs, where it shall not fetch them.
    #[serde(default)]
    images: Vec<PinnedFile>,
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

impl Pin {
    /// Of a pin file, for machines of this architecture.
    pub fn read(path: &Path, arch: Arch) -> anyhow::Result<Self> {
        let shown = path.display();
        let text = std::fs::read(path).map_err(|error| {
            Exit::Usage.because(format!("the pin {shown} cannot be read: {error}"))
        })?;
        Self::parse(&text, arch).map_err(|problem| {
            Exit::Usage.because(format!("{shown} is not a pin of k3s: {problem}"))
        })
    }

    fn parse(text: &[u8], arch: Arch) -> Result<Self, String> {
        let file: PinFile = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if file.format != FORMAT {
            return Err(format!("its format is {:?}, not {FORMAT}", file.format));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
        if file.version.is_empty() || file.version.len() > 60 || !file.version.chars().all(plain) {
            return Err(format!("{:?} is no version", file.version));
        }
        let k3s = file.k3s.into_iter().find(|it| it.arch == arch);
        let k3s = k3s.ok_or_else(|| format!("it has no k3s for {arch}"))?;
        let images = file.images.into_iter().find(|it| it.arch == arch);
        for pinned in [Some(&k3s), images.as_ref()].into_iter().flatten() {
            if pinned.urls.is_empty()
                || pinned.urls.iter().any(|it| !it.scheme().starts_with("http"))
            {
                return Err("each file needs at least one http or https URL".to_owned());
            }
            if pinned.size == 0 || pinned.size > 4 << 30 {
                return Err(format!("{} is no size of such a file", pinned.size));
            }
        }
        Ok(Self { version: file.version, k3s, images })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_pin_is_read_strictly_for_one_architecture() {
        let file = |arch: &str, url: &str| json!({ "arch": arch, "sha256": "ab".repeat(32), "size": 5, "urls": [url] });
        let good = json!({
            "format": FORMAT, "version": "v1.33.4+k3s1",
            "k3s": [file("aarch64", "https://a/arm"), file("x86_64", "https://a/x86")],
        });
        let parse = |value: &Value| Pin::parse(value.to_string().as_bytes(), Arch::X86);
        let pin = parse(&good).unwrap();
        assert_eq!(pin.k3s.urls[0].path(), "/x86");
        assert_eq!(pin.images, None);
        let with = |pointer: &str, value: Value| {
            let mut changed = good.clone();
            *changed.pointer_mut(pointer).unwrap() = value;
            parse(&changed).unwrap_err()
        };
        for (pointer, value, part) in [
            ("/format", json!("x"), "its format is"),
            ("/version", json!("a b"), "is no version"),
            ("/k3s", json!([file("aarch64", "https://a/arm")]), "no k3s for x86_64"),
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

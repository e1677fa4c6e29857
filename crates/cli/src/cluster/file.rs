//! `cluster.json` in the home folder: which cluster this node has, and what was made for it.
//!
//! Everything that is put on the machine or into the cluster is written down *before* it is made, so
//! whatever moment a run ends at, what it may have left is known: the next run goes on, and
//! `uninstall` takes back what stands here and nothing else.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum;
use nodesys_core::Address;
use nodesys_core::cidr::Cidr;
use nodesys_core::release::Image;
use serde::{Deserialize, Serialize};

use super::k3s::pin::Pin;
use crate::config::replace;
use crate::exit::Exit;

/// The file's name in the home folder.
pub const CLUSTER_JSON: &str = "cluster.json";
const FORMAT: &str = "nodesys-cluster-1";

/// How this node has its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Driver {
    /// k3s, installed on this machine as a service: Linux with systemd, as root.
    K3s,
    /// k3s in a container of Docker: macOS, Windows (in WSL 2), Linux.
    K3d,
    /// A cluster that is there already, by its kubeconfig.
    Existing,
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("?", |value| value.get_name()))
    }
}

/// Where the node is between nothing and running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// `start` has begun and not ended yet.
    Starting,
    /// The manager has been ready.
    Running,
    /// `stop` has stopped it.
    Stopped,
    /// `uninstall` has begun and not ended yet.
    Leaving,
}

/// Something that was made and is taken back by `uninstall`, in the order of making.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Made {
    /// A namespace of the cluster.
    Namespace {
        /// Its name.
        name: String,
        /// Whether it was there before: then a failed create does not take it away.
        #[serde(default)]
        adopted: bool,
    },
    /// A file of the machine.
    File {
        /// Where.
        path: PathBuf,
    },
    /// A folder of the machine that was not there before: all that is in it.
    Tree {
        /// Where.
        path: PathBuf,
    },
    /// A folder of files had by their hash: a failed create keeps it, to go on from it.
    Cache {
        /// Where.
        path: PathBuf,
    },
    /// Driver k3d: the container and its volume.
    Container,
    /// A unit of systemd.
    Unit {
        /// Its name.
        name: String,
    },
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace { name, .. } => write!(f, "namespace {name}"),
            Self::File { path } | Self::Tree { path } | Self::Cache { path } => {
                write!(f, "{}", path.display())
            }
            Self::Container => f.write_str("container nodesys-k3s"),
            Self::Unit { name } => write!(f, "service {name}"),
        }
    }
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterFile {
    format: String,
    /// How the cluster is had.
    pub driver: Driver,
    /// How it is reached.
    pub kubeconfig: PathBuf,
    /// The kubeconfig's context; `None` is its current one.
    pub context: Option<String>,
    /// The manager's image, by digest.
    pub manager_image: Image,
    /// Driver k3s: which k3s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k3s: Option<Pin>,
    /// Driver k3d: the image of k3s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k3s_image: Option<Image>,
    /// Who must have signed a bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle_signer: Option<Address>,
    /// Public address ranges of the node's own networks: pods must not reach them.
    #[serde(with = "ranges")]
    pub local_ranges: Vec<Cidr>,
    /// Where it is between nothing and running.
    pub phase: Phase,
    /// What was made, in that order.
    pub made: Vec<Made>,
}

impl ClusterFile {
    /// Of a cluster of which nothing is there yet.
    pub fn new(driver: Driver, kubeconfig: PathBuf, manager_image: Image) -> Self {
        Self {
            format: FORMAT.to_owned(),
            driver,
            kubeconfig,
            context: None,
            manager_image,
            k3s: None,
            k3s_image: None,
            bundle_signer: None,
            local_ranges: Vec::new(),
            phase: Phase::Starting,
            made: Vec::new(),
        }
    }

    /// The file of a home folder; `None` where there is none.
    pub fn read(home: &Path) -> anyhow::Result<Option<Self>> {
        let path = home.join(CLUSTER_JSON);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let words = format!("{} cannot be read: {error}", path.display());
                return Err(Exit::Failure.because(words));
            }
        };
        let broken = |problem: String| {
            Exit::Failure.because(format!(
                "{} does not hold: {problem}; put back a backup of it, or move it away and run \
                 `nodesys start` with the same flags, which finds what is there",
                path.display()
            ))
        };
        let file: Self =
            serde_json::from_slice(&text).map_err(|error| broken(error.to_string()))?;
        if file.format != FORMAT {
            let found: String = file.format.chars().take(40).collect();
            return Err(broken(format!("its format is {found:?}, not {FORMAT}")));
        }
        Ok(Some(file))
    }

    /// Puts it in its place, whole, for its owner only.
    pub fn write(&self, home: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self).context("the cluster does not serialise")?;
        replace(&home.join(CLUSTER_JSON), format!("{text}\n").as_bytes())
    }

    /// Writes down what is about to be made; once is enough.
    pub fn will_make(&mut self, home: &Path, made: Made) -> anyhow::Result<()> {
        if self.made.contains(&made) {
            return Ok(());
        }
        self.made.push(made);
        self.write(home)
    }
}

/// The ranges as texts.
mod ranges {
    use nodesys_core::cidr::Cidr;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(ranges: &[Cidr], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(ranges.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Cidr>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> ClusterFile {
        let image = format!("localhost/nodesys-manager@sha256:{}", "a".repeat(64));
        ClusterFile::new(Driver::Existing, "/k".into(), image.parse().unwrap())
    }

    #[test]
    fn what_is_written_is_read_back_and_private() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(ClusterFile::read(home.path()).unwrap(), None);
        let mut file = file();
        file.local_ranges = vec!["2a01:4f8:1:2::/64".parse().unwrap()];
        let made = Made::Namespace { name: "nodesys".to_owned(), adopted: false };
        file.will_make(home.path(), made.clone()).unwrap();
        file.will_make(home.path(), made).unwrap();
        assert_eq!(file.made.len(), 1);
        assert_eq!(ClusterFile::read(home.path()).unwrap(), Some(file));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(home.path().join(CLUSTER_JSON)).unwrap().permissions();
            assert_eq!(mode.mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_file_that_does_not_hold_is_refused_with_what_to_do() {
        let home = tempfile::tempdir().unwrap();
        let good = serde_json::to_value(file()).unwrap();
        let with = |name: &str, value: serde_json::Value| {
            let mut json = good.clone();
            json[name] = value;
            json.to_string()
        };
        for (text, part) in [
            (String::new(), "EOF"),
            (with("format", "nodesys-cluster-9".into()), "nodesys-cluster-9"),
            (with("driver", "kind".into()), "unknown variant `kind`"),
            (with("manager_image", "nodesys-manager:latest".into()), "digest"),
            (with("local_ranges", serde_json::json!(["10.0.0.1/8"])), "first address"),
            (with("made", serde_json::json!([{ "kind": "disk" }])), "disk"),
        ] {
            std::fs::write(home.path().join(CLUSTER_JSON), &text).unwrap();
            let error = ClusterFile::read(home.path()).unwrap_err();
            assert_eq!(Exit::of(&error), Exit::Failure);
            let words = error.to_string();
            assert!(words.contains(part) && words.contains("put back a backup"), "{text}: {words}");
        }
    }
}

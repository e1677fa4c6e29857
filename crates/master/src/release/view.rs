//! Output of the release commands: `Display` for people, serde for programs.

use std::fmt;
use std::path::PathBuf;

use nodesys_chain::release::{AnnouncedRelease, AnnouncedTombstone, WorkloadReleases};
use nodesys_core::ids::Name;
use nodesys_core::message::decimal;
use nodesys_core::release::{Amounts, Release, Strategy, Version, VolumeKind};
use nodesys_core::time::Timestamp;
use nodesys_core::{Address, B256};
use nodesys_sdk::client::Client;
use nodesys_sdk::release::Announced;
use serde::{Serialize, Serializer};

/// An announcement of the release key.
pub(crate) enum Announcement {
    Release(Box<Release>),
    Tombstone { workload: Name, version: Version, removes_volumes: bool },
}

impl Announcement {
    pub(crate) const fn workload(&self) -> &Name {
        match self {
            Self::Release(release) => release.workload(),
            Self::Tombstone { workload, .. } => workload,
        }
    }
}

fn utc(secs: u64) -> String {
    Timestamp::from_secs(secs).to_string()
}

/// A valid release.
#[derive(Debug, Serialize)]
pub(crate) struct ReleaseView {
    release_hash: B256,
    name: String,
    workload: Name,
    version: Version,
    bytes: usize,
    images: Vec<String>,
    requests: Amounts,
    limits: Amounts,
    persistent_mib: u32,
    egress: String,
    strategy: Strategy,
}

impl ReleaseView {
    pub(crate) fn of(release: &Release) -> Self {
        let sum = |of: fn(&nodesys_core::release::Resources) -> Amounts| {
            release.containers().iter().fold(Amounts::default(), |sum, container| {
                let one = of(&container.resources);
                Amounts {
                    cpu_millis: sum.cpu_millis.saturating_add(one.cpu_millis),
                    memory_mib: sum.memory_mib.saturating_add(one.memory_mib),
                    storage_mib: sum.storage_mib.saturating_add(one.storage_mib),
                }
            })
        };
        let persistent = release.volumes().iter().filter(|it| it.kind == VolumeKind::Persistent);
        Self {
            release_hash: release.hash(),
            name: release.name().to_owned(),
            workload: release.workload().clone(),
            version: release.version(),
            bytes: release.canonical().len(),
            images: release.containers().iter().map(|it| it.image.to_string()).collect(),
            requests: sum(|resources| resources.requests),
            limits: sum(|resources| resources.limits),
            persistent_mib: persistent.map(|it| it.size_mib).fold(0, u32::saturating_add),
            egress: egress(release),
            strategy: release.update().strategy,
        }
    }
}

fn egress(release: &Release) -> String {
    let egress = release.egress();
    if egress.is_none() {
        return "none".to_owned();
    }
    if egress.ports.is_empty() {
        return "the public internet, all ports".to_owned();
    }
    let ports: Vec<String> =
        egress.ports.iter().map(|it| format!("{:?}/{}", it.protocol, it.port)).collect();
    format!("the public internet, {}", ports.join(", ").to_lowercase())
}

fn amounts(amounts: &Amounts) -> String {
    format!(
        "{}m CPU, {} MiB memory, {} MiB disk",
        amounts.cpu_millis, amounts.memory_mib, amounts.storage_mib
    )
}

impl fmt::Display for ReleaseView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "release     {} version {} ({})", self.workload, self.version, self.name)?;
        writeln!(f, "hash        {}", self.release_hash)?;
        writeln!(f, "canonical   {} bytes", self.bytes)?;
        for image in &self.images {
            writeln!(f, "image       {image}")?;
        }
        writeln!(f, "requests    {}", amounts(&self.requests))?;
        writeln!(f, "limits      {}", amounts(&self.limits))?;
        writeln!(f, "persistent  {} MiB", self.persistent_mib)?;
        writeln!(f, "egress      {}", self.egress)?;
        write!(f, "update      {}", format!("{:?}", self.strategy).to_lowercase())
    }
}

/// An announcement on chain.
#[derive(Debug, Serialize)]
pub(crate) struct AnnouncementView {
    workload: Name,
    version: Version,
    /// Hash of a release; a tombstone has none.
    release_hash: Option<B256>,
    removes_volumes: Option<bool>,
    transaction: Option<B256>,
    /// Absent where another wallet has yet to announce it.
    #[serde(serialize_with = "decimal_or_none")]
    effective_at: Option<u64>,
}

fn decimal_or_none<S: Serializer>(value: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
    value.map(|value| value.to_string()).serialize(to)
}

impl AnnouncementView {
    pub(crate) fn of(announcement: &Announcement, announced: Option<Announced>) -> Self {
        let (workload, version, release_hash, removes_volumes) = match announcement {
            Announcement::Release(release) => {
                (release.workload(), release.version(), Some(release.hash()), None)
            }
            Announcement::Tombstone { workload, version, removes_volumes } => {
                (workload, *version, None, Some(*removes_volumes))
            }
        };
        let transaction = announced.and_then(|one| one.transaction);
        let effective_at = announced.map(|one| one.effective_at);
        let workload = workload.clone();
        Self { workload, version, release_hash, removes_volumes, transaction, effective_at }
    }
}

impl fmt::Display for AnnouncementView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, when) = match self.removes_volumes {
            None => ("release    ", "may run from"),
            Some(true) => ("tombstone  ", "removed, with its volumes, from"),
            Some(false) => ("tombstone  ", "removed, volumes kept, from"),
        };
        writeln!(f, "{kind}  {} version {}", self.workload, self.version)?;
        if let Some(hash) = self.release_hash {
            writeln!(f, "hash         {hash}")?;
        }
        match self.transaction {
            Some(transaction) => writeln!(f, "transaction  {transaction}")?,
            None => writeln!(f, "transaction  none: it is announced already")?,
        }
        match self.effective_at {
            Some(at) => write!(f, "{when} {}, unless vetoed", utc(at)),
            None => write!(f, "not announced yet"),
        }
    }
}

/// The places of a release's document.
#[derive(Debug, Serialize)]
pub(crate) struct PublicationView {
    workload: Name,
    version: Version,
    release_hash: B256,
    files: Vec<PublishedFile>,
    backend: Option<String>,
}

#[derive(Debug, Serialize)]
struct PublishedFile {
    path: PathBuf,
    /// Whether it existed before.
    already: bool,
}

impl PublicationView {
    pub(crate) fn of(release: &Release) -> Self {
        Self {
            workload: release.workload().clone(),
            version: release.version(),
            release_hash: release.hash(),
            files: Vec::new(),
            backend: None,
        }
    }

    pub(crate) fn file(&mut self, path: PathBuf, fresh: bool) {
        self.files.push(PublishedFile { path, already: !fresh });
    }

    pub(crate) fn backend(&mut self, base: String) {
        self.backend = Some(base);
    }
}

impl fmt::Display for PublicationView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "release  {} version {}", self.workload, self.version)?;
        write!(f, "hash     {}", self.release_hash)?;
        for file in &self.files {
            let already = if file.already { " (existed)" } else { "" };
            write!(f, "\nfile     {}{already}", file.path.display())?;
        }
        self.backend.as_ref().map_or(Ok(()), |base| write!(f, "\nbackend  {base}"))
    }
}

/// A workload's releases on chain.
#[derive(Debug, Serialize)]
pub(crate) struct WorkloadView {
    workload: Name,
    #[serde(with = "decimal")]
    block: u64,
    release_key: Option<Address>,
    release_delay_secs: u64,
    /// Newest version announced, vetoed or not.
    #[serde(with = "decimal")]
    newest: u64,
    runnable: Option<ReleaseLine>,
    announced: Option<ReleaseLine>,
    tombstone: Option<TombstoneLine>,
    announced_tombstone: Option<TombstoneLine>,
}

#[derive(Debug, Serialize)]
struct ReleaseLine {
    #[serde(with = "decimal")]
    version: u64,
    release_hash: B256,
    #[serde(with = "decimal")]
    runnable_at: u64,
    /// Whether the backend serves it, in words.
    backend: String,
}

impl ReleaseLine {
    async fn of(release: &AnnouncedRelease, backend: Option<&Client>) -> Self {
        let served = match backend {
            None => "not asked: no --backend".to_owned(),
            Some(backend) => match backend.release(release.release_hash).await {
                Ok(_) => "serves it".to_owned(),
                Err(error) if error.code() == Some("not_found") => {
                    "does not have it: upload it with `release publish`".to_owned()
                }
                Err(error) => error.to_string(),
            },
        };
        let AnnouncedRelease { version, release_hash, runnable_at, .. } = *release;
        Self { version, release_hash, runnable_at, backend: served }
    }
}

#[derive(Debug, Serialize)]
struct TombstoneLine {
    #[serde(with = "decimal")]
    version: u64,
    removes_volumes: bool,
    #[serde(with = "decimal")]
    effective_at: u64,
}

impl TombstoneLine {
    fn of(tombstone: &AnnouncedTombstone) -> Self {
        let AnnouncedTombstone { version, removes_volumes, effective_at, .. } = *tombstone;
        Self { version, removes_volumes, effective_at }
    }
}

impl WorkloadView {
    pub(crate) async fn of(
        workload: &Name,
        state: &WorkloadReleases,
        newest: u64,
        backend: Option<&Client>,
    ) -> Self {
        let line = async |release: &Option<AnnouncedRelease>| match release {
            Some(release) => Some(ReleaseLine::of(release, backend).await),
            None => None,
        };
        Self {
            workload: workload.clone(),
            block: state.block.number,
            release_key: state.release_key,
            release_delay_secs: state.release_delay_secs,
            newest,
            runnable: line(&state.runnable).await,
            announced: line(&state.announced).await,
            tombstone: state.tombstone.as_ref().map(TombstoneLine::of),
            announced_tombstone: state.announced_tombstone.as_ref().map(TombstoneLine::of),
        }
    }
}

impl fmt::Display for ReleaseLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "version {}, from {}", self.version, utc(self.runnable_at))?;
        write!(f, "              {}\n              backend: {}", self.release_hash, self.backend)
    }
}

impl fmt::Display for TombstoneLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let volumes = if self.removes_volumes { "volumes too" } else { "volumes kept" };
        write!(f, "up to version {}, {volumes}, from {}", self.version, utc(self.effective_at))
    }
}

impl fmt::Display for WorkloadView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "workload      {} at block {}", self.workload, self.block)?;
        match self.release_key {
            Some(key) => writeln!(f, "release key   {key}")?,
            None => writeln!(f, "release key   none")?,
        }
        writeln!(f, "delay         {} s", self.release_delay_secs)?;
        write!(f, "newest        {}", self.newest)?;
        let mut pending = |name: &str, line: Option<&dyn fmt::Display>| match line {
            Some(line) => write!(f, "\n{name:<14}{line}"),
            None => write!(f, "\n{name:<14}none"),
        };
        pending("runnable", self.runnable.as_ref().map(|it| it as _))?;
        pending("announced", self.announced.as_ref().map(|it| it as _))?;
        pending("tombstone", self.tombstone.as_ref().map(|it| it as _))?;
        pending("to come", self.announced_tombstone.as_ref().map(|it| it as _))
    }
}

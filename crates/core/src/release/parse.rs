//! From JSON to a [`Release`]: every field of it, and what fields must keep between them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use serde_json::Value;

use super::document::{
    Amounts, Container, Egress, EgressPort, FORMAT, Format, Health, HealthBy, Mount, NODE_ENV,
    Port, Protocol, Readiness, Release, Resources, Strategy, Update, Volume, VolumeKind, defaults,
};
use super::read::{At, FieldProblem, Problems, all, all_different};
use super::values::{Image, Label, MountPath};

pub(super) const MAX_CONTAINERS: usize = 8;
pub(super) const MAX_VOLUMES: usize = 8;
pub(super) const MAX_WORDS: usize = 64;
pub(super) const MAX_WORD_BYTES: usize = 4096;
pub(super) const MAX_ENV: usize = 100;
pub(super) const MAX_PORTS: usize = 16;
pub(super) const MAX_NAME_BYTES: usize = 64;
pub(super) const MAX_PROBE_PATH_BYTES: usize = 255;
/// Users below are the system's on many distributions; 65,535 is -1 in 16 bits, which means none.
pub(super) const USER_IDS: RangeInclusive<u32> = 1000..=65_534;
// Up to what one large machine has: 256 CPUs, 2 TiB of memory, 16 TiB of disk.
pub(super) const CPU_MILLIS: RangeInclusive<u32> = 1..=256_000;
pub(super) const MEMORY_MIB: RangeInclusive<u32> = 4..=2_097_152;
pub(super) const STORAGE_MIB: RangeInclusive<u32> = 1..=16_777_216;
/// Below 1024 a process without capabilities cannot listen everywhere.
pub(super) const PORTS: RangeInclusive<u32> = 1024..=65_535;
pub(super) const EGRESS_PORTS: RangeInclusive<u32> = 1..=65_535;
pub(super) const PERIOD_SECS: RangeInclusive<u32> = 1..=300;
pub(super) const START_GRACE_SECS: RangeInclusive<u32> = 0..=3600;
pub(super) const GATE_SECS: RangeInclusive<u32> = 10..=3600;
pub(super) const DEADLINE_SECS: RangeInclusive<u32> = 30..=86_400;
/// At most a week.
pub(super) const STAGGER_SECS: RangeInclusive<u32> = 0..=604_800;
pub(super) const ENV_PATTERN: &str = "^[A-Za-z_][A-Za-z0-9_]{0,127}$";

pub(super) const PROTOCOLS: [(&str, Protocol); 2] =
    [("tcp", Protocol::Tcp), ("udp", Protocol::Udp)];
pub(super) const KINDS: [(&str, VolumeKind); 2] =
    [("ephemeral", VolumeKind::Ephemeral), ("persistent", VolumeKind::Persistent)];
pub(super) const HEALTH_BY: [(&str, HealthBy); 2] =
    [("token", HealthBy::Token), ("readiness", HealthBy::Readiness)];
pub(super) const STRATEGIES: [(&str, Strategy); 2] =
    [("surge", Strategy::Surge), ("recreate", Strategy::Recreate)];
/// Reads a release, or says everything that is wrong with it.
pub(super) fn release(value: &Value) -> Result<Release, Vec<FieldProblem>> {
    let problems = Problems::default();
    let read = read(&At::root(value, &problems));
    match (read, problems.into_inner()) {
        (Some(release), problems) if problems.is_empty() => Ok(release),
        (_, problems) => Err(problems),
    }
}

fn read(at: &At<'_>) -> Option<Release> {
    let fields = at.object(&[
        "format",
        "name",
        "workload",
        "version",
        "user_id",
        "containers",
        "volumes",
        "egress",
        "health",
        "update",
    ])?;
    // Nothing returns before all is read, so that every problem is told at once.
    let format = fields.need("format").and_then(|at| at.word(&[(FORMAT, Format::V1)]));
    let name = fields.need("name").and_then(|at| name(&at));
    let workload = fields.need("workload").and_then(|at| at.parsed());
    let version = fields.need("version").and_then(|at| at.parsed());
    let user_id = fields.or("user_id", defaults::USER_ID, |at| at.number(USER_IDS));
    let volumes_at = fields.or("volumes", Vec::new(), |at| at.list(0..=MAX_VOLUMES));
    let volumes = volumes_at.as_ref().and_then(|list| all(list.iter().map(volume)));
    let containers_at = fields.need("containers").and_then(|at| at.list(1..=MAX_CONTAINERS));
    let containers = containers_at.as_ref().and_then(|list| all(list.iter().map(container)));
    let egress = fields.or("egress", Egress::default(), egress);
    let health_at = fields.need("health");
    let health = health_at.as_ref().and_then(health);
    let update_at = fields.need("update");
    let update = update_at.as_ref().and_then(update);

    if let (Some(at), Some(volumes)) = (&volumes_at, &volumes) {
        all_different(at.iter().zip(volumes.iter().map(|volume| &volume.name)));
    }
    if let (Some(at), Some(containers)) = (&containers_at, &containers) {
        all_different(at.iter().zip(containers.iter().map(|container| &container.name)));
        if let (Some(at), Some(health)) = (&health_at, &health) {
            let probed = containers.iter().any(|container| container.readiness.is_some());
            if health.by == HealthBy::Readiness && !probed {
                at.refuse("is by readiness, but no container has a readiness probe");
            }
        }
    }
    if let (Some(volumes_at), Some(volumes)) = (&volumes_at, &volumes)
        && let (Some(containers_at), Some(containers)) = (&containers_at, &containers)
    {
        mounts_and_volumes_fit(containers_at, containers, volumes_at, volumes);
    }
    if let (Some(at), Some(update), Some(volumes)) = (&update_at, &update, &volumes) {
        let persistent = volumes.iter().any(|volume| volume.kind == VolumeKind::Persistent);
        if update.strategy == Strategy::Surge && persistent {
            at.refuse("surge would let two pods write a persistent volume at once; use recreate");
        }
    }
    Some(Release {
        format: format?,
        name: name?,
        workload: workload?,
        version: version?,
        user_id: user_id?,
        containers: containers?,
        volumes: volumes?,
        egress: egress?,
        health: health?,
        update: update?,
    })
}

/// Each mount names a volume, and each volume is mounted.
fn mounts_and_volumes_fit(
    containers_at: &[At<'_>],
    containers: &[Container],
    volumes_at: &[At<'_>],
    volumes: &[Volume],
) {
    let known: BTreeSet<&Label> = volumes.iter().map(|volume| &volume.name).collect();
    let mut mounted = BTreeSet::new();
    for (at, container) in containers_at.iter().zip(containers) {
        for (i, mount) in container.mounts.iter().enumerate() {
            if known.contains(&mount.volume) {
                mounted.insert(&mount.volume);
            } else {
                let volume = &mount.volume;
                at.refuse_inner(
                    &["mounts", &i.to_string(), "volume"],
                    format!("{volume} is none of the volumes"),
                );
            }
        }
    }
    for (at, volume) in volumes_at.iter().zip(volumes) {
        if !mounted.contains(&volume.name) {
            at.refuse("no container mounts it");
        }
    }
}

fn name(at: &At<'_>) -> Option<String> {
    let text = at.text(MAX_NAME_BYTES)?;
    if text.trim().is_empty() || text.trim() != text || text.contains(['\n', '\t']) {
        at.refuse("expected one line, not empty, without space at its ends");
        return None;
    }
    Some(text.to_owned())
}

fn container(at: &At<'_>) -> Option<Container> {
    let fields = at.object(&[
        "name",
        "image",
        "command",
        "args",
        "env",
        "ports",
        "resources",
        "mounts",
        "readiness",
    ])?;
    let name = fields.need("name").and_then(|at| at.parsed::<Label>());
    let image = fields.need("image").and_then(|at| at.parsed::<Image>());
    let command = fields.or("command", Vec::new(), words);
    let args = fields.or("args", Vec::new(), words);
    let env = fields.or("env", BTreeMap::new(), env);
    let ports = fields.or("ports", Vec::new(), ports);
    let resources = fields.need("resources").and_then(|at| resources(&at));
    let mounts = fields.or("mounts", Vec::new(), mounts);
    let readiness_at = fields.get("readiness");
    let readiness = readiness_at.as_ref().map(readiness);
    let ports = ports?;
    if let (Some(at), Some(Some(readiness))) = (&readiness_at, &readiness) {
        let mut tcp = ports.iter().filter(|port| port.protocol == Protocol::Tcp);
        if !tcp.any(|port| port.name == readiness.port) {
            at.refuse_inner(&["port"], format!("{} is no TCP port of it", readiness.port));
        }
    }
    let readiness = match readiness {
        None => None,
        Some(readiness) => Some(readiness?),
    };
    Some(Container {
        name: name?,
        image: image?,
        command: command?,
        args: args?,
        env: env?,
        ports,
        resources: resources?,
        mounts: mounts?,
        readiness,
    })
}

fn words(at: &At<'_>) -> Option<Vec<String>> {
    let list = at.list(0..=MAX_WORDS)?;
    all(list.iter().map(|at| at.text(MAX_WORD_BYTES).map(str::to_owned)))
}

fn env(at: &At<'_>) -> Option<BTreeMap<String, String>> {
    let entries = at.entries(MAX_ENV)?.into_iter().map(|(name, at)| {
        let value = at.text(MAX_WORD_BYTES)?;
        let good = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if name.is_empty()
            || name.len() > 128
            || !name.bytes().all(good)
            || name.starts_with(|c: char| c.is_ascii_digit())
        {
            at.refuse("its name is not 1 to 128 of A-Z a-z 0-9 _, no digit first");
            return None;
        }
        // Which of two values a process sees is not defined everywhere.
        if NODE_ENV.contains(&name) {
            at.refuse("the node sets it");
            return None;
        }
        Some((name.to_owned(), value.to_owned()))
    });
    all(entries).map(|entries| entries.into_iter().collect())
}

fn ports(at: &At<'_>) -> Option<Vec<Port>> {
    let list = at.list(0..=MAX_PORTS)?;
    let ports = all(list.iter().map(|at| {
        let fields = at.object(&["name", "port", "protocol"])?;
        let name = fields.need("name").and_then(|at| at.parsed());
        let port = fields.need("port").and_then(|at| port_number(&at, PORTS));
        let protocol = fields.or("protocol", Protocol::Tcp, |at| at.word(&PROTOCOLS));
        Some(Port { name: name?, port: port?, protocol: protocol? })
    }))?;
    all_different(list.iter().zip(ports.iter().map(|port| &port.name)));
    let numbers: Vec<PortKey> =
        ports.iter().map(|port| (port.port, port.protocol).into()).collect();
    all_different(list.iter().zip(&numbers));
    Some(ports)
}

/// A port with its protocol, as in 53/udp.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct PortKey(u16, Protocol);

impl From<(u16, Protocol)> for PortKey {
    fn from((port, protocol): (u16, Protocol)) -> Self {
        Self(port, protocol)
    }
}

impl std::fmt::Display for PortKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let protocol = if self.1 == Protocol::Tcp { "tcp" } else { "udp" };
        write!(f, "{}/{protocol}", self.0)
    }
}

fn port_number(at: &At<'_>, range: RangeInclusive<u32>) -> Option<u16> {
    at.number(range).and_then(|port| u16::try_from(port).ok())
}

fn resources(at: &At<'_>) -> Option<Resources> {
    let fields = at.object(&["requests", "limits"])?;
    let requests_at = fields.need("requests");
    let requests = requests_at.as_ref().and_then(amounts);
    let limits = fields.need("limits").and_then(|at| amounts(&at));
    let (requests, limits) = (requests?, limits?);
    let pairs = [
        ("cpu_millis", requests.cpu_millis, limits.cpu_millis),
        ("memory_mib", requests.memory_mib, limits.memory_mib),
        ("storage_mib", requests.storage_mib, limits.storage_mib),
    ];
    for (field, request, limit) in pairs {
        if request > limit
            && let Some(at) = &requests_at
        {
            at.refuse_inner(&[field], format!("is {request}, above its limit {limit}"));
        }
    }
    Some(Resources { requests, limits })
}

fn amounts(at: &At<'_>) -> Option<Amounts> {
    let fields = at.object(&["cpu_millis", "memory_mib", "storage_mib"])?;
    let number = |name, range| fields.need(name).and_then(|at| at.number(range));
    let cpu_millis = number("cpu_millis", CPU_MILLIS);
    let memory_mib = number("memory_mib", MEMORY_MIB);
    let storage_mib = number("storage_mib", STORAGE_MIB);
    Some(Amounts { cpu_millis: cpu_millis?, memory_mib: memory_mib?, storage_mib: storage_mib? })
}

fn mounts(at: &At<'_>) -> Option<Vec<Mount>> {
    let list = at.list(0..=MAX_VOLUMES)?;
    let mounts = all(list.iter().map(|at| {
        let fields = at.object(&["volume", "path", "read_only"])?;
        let volume = fields.need("volume").and_then(|at| at.parsed());
        let path = fields.need("path").and_then(|at| at.parsed::<MountPath>());
        let read_only = fields.or("read_only", false, At::flag);
        Some(Mount { volume: volume?, path: path?, read_only: read_only? })
    }))?;
    all_different(list.iter().zip(mounts.iter().map(|mount| &mount.path)));
    Some(mounts)
}

fn readiness(at: &At<'_>) -> Option<Readiness> {
    let fields = at.object(&["port", "path", "period_secs"])?;
    let port = fields.need("port").and_then(|at| at.parsed());
    let path = fields.or("path", None, |at| {
        let path = at.text(MAX_PROBE_PATH_BYTES)?;
        if !path.starts_with('/') || !path.bytes().all(|b| b.is_ascii_graphic()) {
            at.refuse("expected a path that begins with / and has no space");
            return None;
        }
        Some(Some(path.to_owned()))
    });
    let period = defaults::PERIOD_SECS;
    let period_secs = fields.or("period_secs", period, |at| at.number(PERIOD_SECS));
    Some(Readiness { port: port?, path: path?, period_secs: period_secs? })
}

fn volume(at: &At<'_>) -> Option<Volume> {
    let fields = at.object(&["name", "kind", "size_mib"])?;
    let name = fields.need("name").and_then(|at| at.parsed());
    let kind = fields.need("kind").and_then(|at| at.word(&KINDS));
    let size_mib = fields.need("size_mib").and_then(|at| at.number(STORAGE_MIB));
    Some(Volume { name: name?, kind: kind?, size_mib: size_mib? })
}

fn egress(at: &At<'_>) -> Option<Egress> {
    let fields = at.object(&["internet", "ports"])?;
    let internet = fields.need("internet").and_then(|at| at.flag());
    let ports_at = fields.get("ports");
    let ports = ports_at.as_ref().map_or(Some(Vec::new()), egress_ports);
    let (internet, ports) = (internet?, ports?);
    if let (Some(at), false) = (ports_at, internet || ports.is_empty()) {
        at.refuse("has ports, but internet is false");
    }
    Some(Egress { internet, ports })
}

fn egress_ports(at: &At<'_>) -> Option<Vec<EgressPort>> {
    let list = at.list(0..=MAX_PORTS)?;
    let mut ports = all(list.iter().map(|at| {
        let fields = at.object(&["port", "protocol"])?;
        let port = fields.need("port").and_then(|at| port_number(&at, EGRESS_PORTS));
        let protocol = fields.or("protocol", Protocol::Tcp, |at| at.word(&PROTOCOLS));
        Some(EgressPort { port: port?, protocol: protocol? })
    }))?;
    let keys: Vec<PortKey> = ports.iter().map(|port| (port.port, port.protocol).into()).collect();
    all_different(list.iter().zip(&keys));
    // They are a set: two orders are one release, with one hash.
    ports.sort_unstable();
    Some(ports)
}

fn health(at: &At<'_>) -> Option<Health> {
    let fields = at.object(&["by", "start_grace_secs"])?;
    let by = fields.need("by").and_then(|at| at.word(&HEALTH_BY));
    let default = defaults::START_GRACE_SECS;
    let grace = fields.or("start_grace_secs", default, |at| at.number(START_GRACE_SECS));
    Some(Health { by: by?, start_grace_secs: grace? })
}

fn update(at: &At<'_>) -> Option<Update> {
    let fields = at.object(&["strategy", "gate_secs", "deadline_secs", "stagger_secs"])?;
    let strategy = fields.need("strategy").and_then(|at| at.word(&STRATEGIES));
    let gate = fields.or("gate_secs", defaults::GATE_SECS, |at| at.number(GATE_SECS));
    let deadline =
        fields.or("deadline_secs", defaults::DEADLINE_SECS, |at| at.number(DEADLINE_SECS));
    let stagger = fields.or("stagger_secs", 0, |at| at.number(STAGGER_SECS));
    let (gate_secs, deadline_secs) = (gate?, deadline?);
    // The gate begins only once the workload is healthy.
    if deadline_secs <= gate_secs {
        at.refuse(format!(
            "deadline_secs ({deadline_secs}) must be above gate_secs ({gate_secs}), \
             or no version could pass"
        ));
    }
    Some(Update { strategy: strategy?, gate_secs, deadline_secs, stagger_secs: stagger? })
}

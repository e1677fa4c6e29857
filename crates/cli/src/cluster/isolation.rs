//! `doctor --isolation`: whether a workload's sandbox keeps it off what it must not reach.
//!
//! A pod in a sandbox like any workload's tries the router, this machine, cloud metadata, private
//! addresses, and a pod that listens. That a try fails shows nothing by itself, so the same listener is
//! tried from a pod without a sandbox, which must reach it. What cannot be told is said to be unknown:
//! nothing here says "isolated" of a cluster whose network enforces nothing.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::Api;
use kube::api::{ListParams, LogParams, Patch, PatchParams, PostParams};
use nodesys_clock::Clock;
use nodesys_core::Address;
use nodesys_core::ids::Name;
use nodesys_core::release::{Amounts, Image};
use nodesys_render::probe::{Line, Outcome};
use nodesys_render::sandbox::Sandbox;
use nodesys_render::{Grant, GrantedEgress, workload_namespace};
use serde::Serialize;
use serde_json::{Value, json};

use super::apply::apply;
use super::file::{ClusterFile, Driver, Made};
use super::running::{pause, trouble_of};
use super::steps::Steps;
use super::{Cluster, FIELD_MANAGER, connect, lock, remove, words_of};
use crate::exit::Exit;
use crate::setup::Setup;

const LISTENS: u16 = 9999;
const KUBELET: u16 = 10_250;
const PATIENCE_MILLIS: u64 = 180_000;
/// Where the pods without a sandbox are.
const OUTSIDE: &str = "nodesys-isolation-outside";

/// What the probe says of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Enforced {
    /// What can be told is enforced.
    Yes,
    /// A pod in a sandbox reached what it must not.
    No,
    /// The tries show nothing: without a sandbox they fail as well.
    Unknown,
}

/// One try of the pod in the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tried {
    /// What it is to the node.
    pub what: &'static str,
    /// Its address.
    pub target: SocketAddr,
    /// How it ended.
    pub outcome: Outcome,
}

/// What the probe found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Isolation {
    /// The verdict.
    pub enforced: Enforced,
    /// Whether a pod without a sandbox reached the listener.
    pub control_reached: bool,
    /// All tries.
    pub tried: Vec<Tried>,
}

impl Isolation {
    fn of(control_reached: bool, tried: Vec<Tried>) -> Self {
        let reached = tried.iter().any(|it| it.outcome == Outcome::Reached);
        let enforced = match (reached, control_reached) {
            (true, _) => Enforced::No,
            (false, true) => Enforced::Yes,
            (false, false) => Enforced::Unknown,
        };
        Self { enforced, control_reached, tried }
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Tried { what, target, outcome } in &self.tried {
            let word = match outcome {
                Outcome::Reached => "REACHED",
                Outcome::Refused => "refused",
                Outcome::Silent => "silent",
            };
            writeln!(f, "{word:<8} {what} {target}")?;
        }
        write!(
            f,
            "isolation: {}",
            match self.enforced {
                Enforced::Yes => "enforced, as far as it was tried",
                Enforced::No => {
                    "not enforced: workloads reach what they must not. Use a network for the cluster that \
                 enforces NetworkPolicy (k3s' own does), and the rules that the driver k3s installs"
                }
                Enforced::Unknown => {
                    "not known: even a pod without a sandbox did not reach the listener, so that the \
                 others did not either shows nothing"
                }
            }
        )
    }
}

/// Runs the probe; what it makes is written down, and gone after it.
pub async fn isolation(setup: &Setup) -> anyhow::Result<Isolation> {
    let home = setup.home()?.to_owned();
    let _lock = lock(&home)?;
    let Cluster { mut file, client } = connect(setup).await?;
    let steps = Steps::new();
    let workload: Name = "isolation-probe".parse().context("the probe's name")?;
    let inside = workload_namespace(Address::ZERO, &workload);
    for name in [inside.as_str(), OUTSIDE] {
        let made = Made::Namespace { name: name.to_owned(), adopted: false };
        file.will_make(&home, made)?;
    }
    let found = probe(&client, &file, &workload, &inside, &steps).await;
    for name in [inside.as_str(), OUTSIDE] {
        steps.doing(format!("removing {name}"));
        remove::namespace(&client, name).await?;
    }
    let ours = |made: &Made| matches!(made, Made::Namespace { name, .. } if *name == inside || name == OUTSIDE);
    file.made.retain(|made| !ours(made));
    file.write(&home)?;
    found
}

async fn probe(
    client: &kube::Client,
    file: &ClusterFile,
    workload: &Name,
    inside: &str,
    steps: &Steps,
) -> anyhow::Result<Isolation> {
    steps.doing("making a sandbox");
    let amounts = Amounts { cpu_millis: 100, memory_mib: 32, storage_mib: 16 };
    let grant = Grant {
        requests: amounts,
        limits: amounts,
        persistent_mib: 0,
        persistent_volumes: 0,
        egress: GrantedEgress { internet: true, tcp: vec![], udp: vec![] },
    };
    let (project, local_ranges) = (Address::ZERO, &file.local_ranges[..]);
    for object in (Sandbox { project, workload, grant: &grant, local_ranges }).objects() {
        apply(client, &object).await?;
    }
    let outside = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": OUTSIDE, "labels": { "app.kubernetes.io/part-of": "nodesys" } },
    });
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let ours = PatchParams::apply(FIELD_MANAGER).force();
    let made = namespaces.patch(OUTSIDE, &ours, &Patch::Apply(&outside)).await;
    made.map_err(|error| words_of(OUTSIDE, error))?;

    steps.doing("starting a pod that listens");
    let listen = vec!["--listen".to_owned(), format!("0.0.0.0:{LISTENS}")];
    run_pod(client, OUTSIDE, "listener", &file.manager_image, listen).await?;
    let pod = wait_pod(client, OUTSIDE, "listener", "Running").await?;
    let address = pod.status.and_then(|it| it.pod_ip).context("the listener has no address")?;
    let listener = SocketAddr::new(address.parse().context("the listener's address")?, LISTENS);
    steps.doing("trying it without a sandbox");
    let words = vec![listener.to_string()];
    run_pod(client, OUTSIDE, "control", &file.manager_image, words).await?;
    let control = answers(client, OUTSIDE, "control").await?;
    let control_reached = control.iter().any(|line| line.outcome == Outcome::Reached);

    steps.doing("trying from a sandbox");
    let mut targets = vec![("another pod", listener)];
    targets.extend(hosts(client).await?);
    targets.extend(others(file.driver));
    let words = targets.iter().map(|(_, target)| target.to_string()).collect();
    run_pod(client, inside, "probe", &file.manager_image, words).await?;
    let lines = answers(client, inside, "probe").await?;
    let tried = targets.into_iter().zip(lines).map(|((what, target), line)| Tried {
        what,
        target,
        outcome: line.outcome,
    });
    Ok(Isolation::of(control_reached, tried.collect()))
}

/// The nodes' own addresses, at the port on which every kubelet listens.
async fn hosts(client: &kube::Client) -> anyhow::Result<Vec<(&'static str, SocketAddr)>> {
    let nodes: Api<Node> = Api::all(client.clone());
    let nodes = nodes.list(&ListParams::default()).await.map_err(|it| words_of("the nodes", it))?;
    let addresses = nodes
        .items
        .into_iter()
        .flat_map(|node| node.status.and_then(|status| status.addresses).unwrap_or_default());
    let addresses = addresses.filter_map(|it| it.address.parse::<IpAddr>().ok());
    Ok(addresses.map(|it| ("this machine", SocketAddr::new(it, KUBELET))).collect())
}

/// What may be there, and must not be reached where it is.
fn others(driver: Driver) -> Vec<(&'static str, SocketAddr)> {
    let at = |a, b, c, d, port| SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), port);
    let mut others = vec![
        ("cloud metadata", at(169, 254, 169, 254, 80)),
        ("cloud metadata", at(100, 100, 100, 200, 80)),
        ("a private address", at(10, 0, 0, 1, 80)),
        ("a private address", at(172, 17, 0, 1, 80)),
        ("a private address", at(192, 168, 0, 1, 80)),
        ("a private address", at(192, 168, 1, 1, 80)),
    ];
    // Only on this machine is its route the cluster's.
    if driver == Driver::K3s
        && let Ok(routes) = std::fs::read_to_string(Path::new("/proc/net/route"))
        && let Some(router) = router(&routes)
    {
        others
            .extend([80, 443, 53].map(|port| ("the router", SocketAddr::new(router.into(), port))));
    }
    others
}

/// The gateway of the default route.
fn router(routes: &str) -> Option<Ipv4Addr> {
    let mut fields = routes.lines().map(|line| line.split_whitespace().collect::<Vec<&str>>());
    let default =
        fields.find(|it| it.get(1) == Some(&"00000000") && it.get(2) != Some(&"00000000"))?;
    let gateway = u32::from_str_radix(default.get(2)?, 16).ok()?;
    Some(Ipv4Addr::from(gateway.to_le_bytes()))
}

async fn run_pod(
    client: &kube::Client,
    namespace: &str,
    name: &str,
    image: &Image,
    words: Vec<String>,
) -> anyhow::Result<()> {
    let args: Vec<String> = std::iter::once("probe".to_owned()).chain(words).collect();
    let amounts = json!({ "cpu": "100m", "memory": "32Mi", "ephemeral-storage": "16Mi" });
    let manifest: Value = json!({
        "metadata": { "name": name },
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65_532, "runAsGroup": 65_532,
                "seccompProfile": { "type": "RuntimeDefault" },
            },
            "containers": [{
                "name": "probe", "image": image, "imagePullPolicy": "IfNotPresent", "args": args,
                "resources": { "requests": amounts, "limits": amounts },
                "securityContext": {
                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                    "capabilities": { "drop": ["ALL"] },
                },
            }],
        },
    });
    let pod: Pod = serde_json::from_value(manifest).context("the probe's pod")?;
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let told = |error| words_of(format!("the pod {name}"), error);
    // One of a run that ended early says nothing of this one.
    if api.get_opt(name).await.map_err(told)?.is_some() {
        let now = kube::api::DeleteParams::default().grace_period(0);
        super::connect::if_there(api.delete(name, &now).await).map_err(told)?;
        while api.get_opt(name).await.map_err(told)?.is_some() {
            pause(300).await;
        }
    }
    // The service account's controller may be behind a namespace that was just made.
    let clock = Clock::system();
    let began = clock.monotonic_millis();
    loop {
        match api.create(&PostParams::default(), &pod).await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status))
                if status.code == 403 && clock.monotonic_millis() - began < 30_000 =>
            {
                pause(500).await;
            }
            Err(error) => return Err(told(error)),
        }
    }
}

async fn wait_pod(
    client: &kube::Client,
    namespace: &str,
    name: &str,
    phase: &str,
) -> anyhow::Result<Pod> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let clock = Clock::system();
    let began = clock.monotonic_millis();
    loop {
        let pod =
            api.get(name).await.map_err(|error| words_of(format!("the pod {name}"), error))?;
        let now = pod.status.as_ref().and_then(|it| it.phase.clone()).unwrap_or_default();
        if now == phase {
            return Ok(pod);
        }
        if now == "Failed" || clock.monotonic_millis() - began > PATIENCE_MILLIS {
            let why = trouble_of(&pod).map_or(now, |it| it.words);
            return Err(
                Exit::Unhealthy.because(format!("the pod {name} does not do its work: {why}"))
            );
        }
        pause(300).await;
    }
}

/// What a probe wrote, once it has ended.
async fn answers(client: &kube::Client, namespace: &str, name: &str) -> anyhow::Result<Vec<Line>> {
    wait_pod(client, namespace, name, "Succeeded").await?;
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let text = api.logs(name, &LogParams::default()).await;
    let text = text.map_err(|error| words_of(format!("the answer of {name}"), error))?;
    let lines = text.lines().map(serde_json::from_str::<Line>);
    lines
        .collect::<Result<_, _>>()
        .context("the manager's image is too old for this: start a newer one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_shown_is_said() {
        let tried = |outcome: Outcome| {
            vec![Tried { what: "x", target: "10.0.0.1:80".parse().unwrap(), outcome }]
        };
        let verdict = |control, outcome| Isolation::of(control, tried(outcome)).enforced;
        assert_eq!(verdict(true, Outcome::Silent), Enforced::Yes);
        assert_eq!(verdict(true, Outcome::Refused), Enforced::Yes);
        assert_eq!(verdict(true, Outcome::Reached), Enforced::No);
        assert_eq!(verdict(false, Outcome::Reached), Enforced::No);
        assert_eq!(verdict(false, Outcome::Silent), Enforced::Unknown);
    }

    #[test]
    fn the_router_is_that_of_the_default_route() {
        let routes = "Iface\tDestination\tGateway\tFlags\n\
                      eth0\t0001A8C0\t00000000\t0001\neth0\t00000000\t0101A8C0\t0003\n";
        assert_eq!(router(routes), Some(Ipv4Addr::new(192, 168, 1, 1)));
        assert_eq!(router("Iface\tDestination\tGateway\n"), None);
    }
}

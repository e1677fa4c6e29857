//! `doctor --isolation`: whether a workload's sandbox keeps it off what it must not reach.
//!
//! A pod in a sandbox like any workload's tries the router, this machine, cloud metadata, private
//! addresses, and a pod that listens. That a try fails shows nothing by itself, so the same listener is
//! tried from a pod without a sandbox, which must reach it. What cannot be told is said to be unknown:
//! nothing here says "isolated" of a cluster whose network enforces nothing.

mod pod;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::{Namespace, Node};
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use nodesys_core::Address;
use nodesys_core::ids::Name;
use nodesys_core::release::Amounts;
use nodesys_render::probe::Outcome;
use nodesys_render::sandbox::Sandbox;
use nodesys_render::{Grant, GrantedEgress, workload_namespace};
use serde::Serialize;
use serde_json::json;

use crate::cluster::apply::{FIELD_MANAGER, apply};
use crate::cluster::connect::{Cluster, cluster_error, connect};
use crate::cluster::driver::Driver;
use crate::cluster::driver_of;
use crate::cluster::namespace::remove_namespace;
use crate::node::cluster_file::{ClusterFile, Made};
use crate::node::lock::lock;
use crate::progress::Progress;
use pod::{answers, run_pod, wait_pod};

const LISTENS: u16 = 9999;

const KUBELET: u16 = 10_250;

/// The namespace of the pods without a sandbox.
const OUTSIDE: &str = "nodesys-isolation-outside";

/// The probe's verdict on the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// The isolation is enforced, as far as it was tested.
    Yes,
    /// A pod in a sandbox reached what it must not.
    No,
    /// The tries show nothing: without a sandbox they fail as well.
    Unknown,
}

/// One try of the pod in the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// The kind of target.
    pub what: &'static str,
    /// Its address.
    pub target: SocketAddr,
    /// How it ended.
    pub outcome: Outcome,
}

/// The probe's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Isolation {
    /// The verdict.
    pub enforced: Enforcement,
    /// Whether a pod without a sandbox reached the listener.
    pub control_reached: bool,
    /// All tries.
    pub tried: Vec<Attempt>,
}

impl Isolation {
    fn of(control_reached: bool, tried: Vec<Attempt>) -> Self {
        let reached = tried.iter().any(|it| it.outcome == Outcome::Reached);
        let enforced = match (reached, control_reached) {
            (true, _) => Enforcement::No,
            (false, true) => Enforcement::Yes,
            (false, false) => Enforcement::Unknown,
        };
        Self { enforced, control_reached, tried }
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Attempt { what, target, outcome } in &self.tried {
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
                Enforcement::Yes => "enforced, as far as it was tried",
                Enforcement::No => {
                    "not enforced: workloads reach forbidden addresses. Use a network for the cluster that \
                 enforces NetworkPolicy (k3s' own does), and the rules that the driver k3s installs"
                }
                Enforcement::Unknown => {
                    "not known: even a pod without a sandbox did not reach the listener, so the failed attempts of the \
                 sandboxed pod prove nothing"
                }
            }
        )
    }
}

/// Runs the probe; what it makes is written down, and gone after it.
pub async fn probe_isolation(home: &Path) -> anyhow::Result<Isolation> {
    let _lock = lock(home)?;
    let Cluster { mut file, client } = connect(home).await?;
    let progress = Progress::new();
    let workload: Name = "isolation-probe".parse().context("the probe's name")?;
    let inside = workload_namespace(Address::ZERO, &workload);
    for name in [inside.as_str(), OUTSIDE] {
        let made = Made::Namespace { name: name.to_owned(), adopted: false };
        file.will_make(home, made)?;
    }
    let found = probe(&client, &file, &workload, &inside, &progress).await;
    for name in [inside.as_str(), OUTSIDE] {
        progress.doing(format!("removing {name}"));
        remove_namespace(&client, name).await?;
    }
    let ours = |made: &Made| matches!(made, Made::Namespace { name, .. } if *name == inside || name == OUTSIDE);
    file.made.retain(|made| !ours(made));
    file.write(home)?;
    found
}

async fn probe(
    client: &kube::Client,
    file: &ClusterFile,
    workload: &Name,
    inside: &str,
    progress: &Progress,
) -> anyhow::Result<Isolation> {
    progress.doing("making a sandbox");
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
    made.map_err(|error| cluster_error(OUTSIDE, error))?;

    progress.doing("starting a pod that listens");
    let listen = vec!["--listen".to_owned(), format!("0.0.0.0:{LISTENS}")];
    run_pod(client, OUTSIDE, "listener", &file.manager_image, listen).await?;
    let pod = wait_pod(client, OUTSIDE, "listener", "Running").await?;
    let address = pod.status.and_then(|it| it.pod_ip).context("the listener has no address")?;
    let listener = SocketAddr::new(address.parse().context("the listener's address")?, LISTENS);
    progress.doing("trying it without a sandbox");
    let words = vec![listener.to_string()];
    run_pod(client, OUTSIDE, "control", &file.manager_image, words).await?;
    let control = answers(client, OUTSIDE, "control").await?;
    let control_reached = control.iter().any(|line| line.outcome == Outcome::Reached);

    progress.doing("trying from a sandbox");
    let mut targets = vec![("another pod", listener)];
    targets.extend(hosts(client).await?);
    targets.extend(others(driver_of(file.driver)));
    let words = targets.iter().map(|(_, target)| target.to_string()).collect();
    run_pod(client, inside, "probe", &file.manager_image, words).await?;
    let lines = answers(client, inside, "probe").await?;
    let tried = targets.into_iter().zip(lines).map(|((what, target), line)| Attempt {
        what,
        target,
        outcome: line.outcome,
    });
    Ok(Isolation::of(control_reached, tried.collect()))
}

/// The nodes' own addresses, at the port on which every kubelet listens.
async fn hosts(client: &kube::Client) -> anyhow::Result<Vec<(&'static str, SocketAddr)>> {
    let nodes: Api<Node> = Api::all(client.clone());
    let nodes =
        nodes.list(&ListParams::default()).await.map_err(|it| cluster_error("the nodes", it))?;
    let addresses = nodes
        .items
        .into_iter()
        .flat_map(|node| node.status.and_then(|status| status.addresses).unwrap_or_default());
    let addresses = addresses.filter_map(|it| it.address.parse::<IpAddr>().ok());
    Ok(addresses.map(|it| ("this machine", SocketAddr::new(it, KUBELET))).collect())
}

/// Other targets that must not be reached.
fn others(driver: &dyn Driver) -> Vec<(&'static str, SocketAddr)> {
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
    if driver.shares_host_network()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_shown_is_said() {
        let tried = |outcome: Outcome| {
            vec![Attempt { what: "x", target: "10.0.0.1:80".parse().unwrap(), outcome }]
        };
        let verdict = |control, outcome| Isolation::of(control, tried(outcome)).enforced;
        assert_eq!(verdict(true, Outcome::Silent), Enforcement::Yes);
        assert_eq!(verdict(true, Outcome::Refused), Enforcement::Yes);
        assert_eq!(verdict(true, Outcome::Reached), Enforcement::No);
        assert_eq!(verdict(false, Outcome::Reached), Enforcement::No);
        assert_eq!(verdict(false, Outcome::Silent), Enforcement::Unknown);
    }

    #[test]
    fn the_router_is_that_of_the_default_route() {
        let routes = "Iface\tDestination\tGateway\tFlags\n\
                      eth0\t0001A8C0\t00000000\t0001\neth0\t00000000\t0101A8C0\t0003\n";
        assert_eq!(router(routes), Some(Ipv4Addr::new(192, 168, 1, 1)));
        assert_eq!(router("Iface\tDestination\tGateway\n"), None);
    }
}

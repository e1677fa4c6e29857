//! What a look at an existing cluster finds, before anything is changed in it.

use std::net::IpAddr;

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::{
    Namespace, Node, PersistentVolume, PersistentVolumeClaim, Secret,
};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::Api;
use kube::api::{ListParams, PostParams};
use nodesys_core::Address;
use nodesys_core::cidr::{Cidr, is_public};
use nodesys_core::signature::SigningKey;
use nodesys_render::{MANAGER, MANAGER_NAMESPACE};

use super::checks::Finding;
use super::words_of;

/// Older servers lack fields that the objects have.
const OLDEST: u32 = 20;
/// From here on Pod Security is enforced by the server.
const POD_SECURITY: u32 = 25;
const PART_OF: &str = "app.kubernetes.io/part-of";

/// What the look found.
pub(super) struct Seen {
    pub(super) findings: Vec<Finding>,
    pub(super) version: String,
    /// Whether our namespace is there already.
    pub(super) namespace: bool,
    /// Public addresses of the cluster's nodes, as ranges.
    pub(super) own_ranges: Vec<Cidr>,
}

/// Looks; only a cluster that does not answer is an error.
pub(super) async fn look(client: &kube::Client, node_key: Address) -> anyhow::Result<Seen> {
    let version = client.apiserver_version().await.map_err(|error| words_of("preflight", error))?;
    let mut findings = vec![server(&version.git_version, &version.minor)];
    findings.push(rights(client).await?);
    let (found, own_ranges) = nodes(client).await?;
    findings.push(found);
    findings.push(storage(client).await?);
    let (found, namespace) = room(client, node_key).await?;
    findings.push(found);
    Ok(Seen { findings, version: version.git_version, namespace, own_ranges })
}

fn server(git_version: &str, minor: &str) -> Finding {
    let check = "Kubernetes";
    let digits: String = minor.chars().take_while(char::is_ascii_digit).collect();
    match digits.parse::<u32>() {
        Ok(minor) if minor < OLDEST => Finding::bad(
            check,
            format!("{git_version} is too old"),
            format!("use Kubernetes 1.{OLDEST} or newer"),
        ),
        Ok(minor) if minor < POD_SECURITY => Finding::warning(
            check,
            format!("{git_version} does not enforce Pod Security labels"),
            format!(
                "with Kubernetes 1.{POD_SECURITY} or newer the server itself refuses pods that \
                     want more"
            ),
        ),
        Ok(_) => Finding::good(check, git_version),
        Err(_) => Finding::warning(
            check,
            format!("{git_version}, whose number is not understood"),
            format!("use Kubernetes 1.{OLDEST} or newer"),
        ),
    }
}

/// Whether this kubeconfig may do what `start`, the workload verbs and `uninstall` do.
async fn rights(client: &kube::Client) -> anyhow::Result<Finding> {
    let needed = [
        ("", "namespaces", "create"),
        ("", "namespaces", "delete"),
        ("", "secrets", "patch"),
        ("", "configmaps", "patch"),
        ("", "persistentvolumeclaims", "patch"),
        ("", "resourcequotas", "patch"),
        ("apps", "deployments", "patch"),
        ("networking.k8s.io", "networkpolicies", "patch"),
        ("rbac.authorization.k8s.io", "roles", "patch"),
        ("rbac.authorization.k8s.io", "roles", "escalate"),
        ("rbac.authorization.k8s.io", "rolebindings", "patch"),
    ];
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let mut missing = Vec::new();
    for (group, resource, verb) in needed {
        let attributes = ResourceAttributes {
            group: Some(group.to_owned()),
            resource: Some(resource.to_owned()),
            verb: Some(verb.to_owned()),
            ..ResourceAttributes::default()
        };
        let spec = SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..SelfSubjectAccessReviewSpec::default()
        };
        let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
        let answer = reviews.create(&PostParams::default(), &review).await;
        let answer = answer.map_err(|error| words_of("preflight: rights", error))?;
        if !answer.status.is_some_and(|status| status.allowed) {
            missing.push(format!("{verb} {resource}"));
        }
    }
    Ok(if missing.is_empty() {
        Finding::good("rights", "this kubeconfig may make all that is needed")
    } else {
        Finding::bad(
            "rights",
            format!("this kubeconfig may not: {}", missing.join(", ")),
            "use the kubeconfig of an administrator of the cluster",
        )
    })
}

/// A node that takes pods; and the public addresses of all of them.
async fn nodes(client: &kube::Client) -> anyhow::Result<(Finding, Vec<Cidr>)> {
    let nodes: Api<Node> = Api::all(client.clone());
    let nodes = nodes.list(&ListParams::default()).await;
    let nodes = nodes.map_err(|error| words_of("preflight: nodes", error))?.items;
    let takes_pods = |node: &&Node| {
        let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let ready = conditions.into_iter().any(|it| it.type_ == "Ready" && it.status == "True");
        ready && node.spec.as_ref().is_none_or(|spec| spec.unschedulable != Some(true))
    };
    let ready = nodes.iter().filter(takes_pods).count();
    let addresses = nodes
        .iter()
        .flat_map(|node| node.status.iter().flat_map(|status| status.addresses.iter().flatten()));
    let mut ranges: Vec<Cidr> = addresses
        .filter_map(|address| address.address.parse::<IpAddr>().ok())
        .filter(|address| is_public(*address))
        .filter_map(|address| {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            format!("{address}/{bits}").parse().ok()
        })
        .collect();
    ranges.sort_unstable();
    ranges.dedup();
    let finding = if ready == 0 {
        Finding::bad(
            "nodes",
            format!("none of {} takes pods", nodes.len()),
            "see kubectl get nodes; a node must be Ready and not cordoned",
        )
    } else {
        Finding::good("nodes", format!("{ready} of {} take pods", nodes.len()))
    };
    Ok((finding, ranges))
}

/// Whether the manager's volume will find a disk.
async fn storage(client: &kube::Client) -> anyhow::Result<Finding> {
    let check = "storage";
    let told = |error| words_of("preflight: storage", error);
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), MANAGER_NAMESPACE);
    let bound = claims.get_opt("nodesys-manager-state").await.map_err(told)?;
    if bound.and_then(|it| it.status).and_then(|it| it.phase).as_deref() == Some("Bound") {
        return Ok(Finding::good(check, "the manager's volume is bound"));
    }
    let classes: Api<StorageClass> = Api::all(client.clone());
    let classes = classes.list(&ListParams::default()).await.map_err(told)?;
    let is_default = |class: &&StorageClass| {
        let notes = class.metadata.annotations.iter().flatten();
        notes.into_iter().any(|(name, value)| {
            name.ends_with("storageclass.kubernetes.io/is-default-class") && value == "true"
        })
    };
    if let Some(class) = classes.items.iter().find(is_default) {
        let name = class.metadata.name.as_deref().unwrap_or_default();
        return Ok(Finding::good(check, format!("the default storage class is {name}")));
    }
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    let volumes = volumes.list(&ListParams::default()).await.map_err(told)?;
    let free = volumes.items.iter().any(|volume| {
        let phase = volume.status.as_ref().and_then(|status| status.phase.as_deref());
        let class = volume.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref());
        phase == Some("Available") && class.unwrap_or_default().is_empty()
    });
    Ok(if free {
        Finding::good(check, "a volume without a class is free")
    } else {
        Finding::bad(
            check,
            "there is no default storage class and no free volume, so the manager would wait for \
             its disk for ever",
            "mark a class as the default one: kubectl annotate storageclass NAME \
             storageclass.kubernetes.io/is-default-class=true",
        )
    })
}

/// Whether the manager's namespace is free, or this node's already.
async fn room(client: &kube::Client, node_key: Address) -> anyhow::Result<(Finding, bool)> {
    let check = "namespace";
    let told = |error| words_of("preflight: namespace", error);
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let Some(namespace) = namespaces.get_opt(MANAGER_NAMESPACE).await.map_err(told)? else {
        return Ok((Finding::good(check, format!("{MANAGER_NAMESPACE} is free")), false));
    };
    let labels = namespace.metadata.labels.unwrap_or_default();
    if labels.get(PART_OF).map(String::as_str) != Some("nodesys") {
        let found = format!("the cluster has a namespace {MANAGER_NAMESPACE} that is not ours");
        let fix = "rename it, or use another cluster: the manager needs that name";
        return Ok((Finding::bad(check, found, fix), true));
    }
    let secrets: Api<Secret> = Api::namespaced(client.clone(), MANAGER_NAMESPACE);
    let secret = secrets.get_opt(MANAGER).await.map_err(told)?;
    let key = secret.and_then(|secret| secret.data?.remove("node.key"));
    let key = key.and_then(|key| SigningKey::from_hex(std::str::from_utf8(&key.0).ok()?).ok());
    Ok(match key {
        Some(key) if key.address() != node_key => (
            Finding::bad(
                check,
                format!("the cluster runs another node already, {}", key.address()),
                "a cluster runs one node: use that node's home folder, or another cluster",
            ),
            true,
        ),
        _ => (Finding::good(check, format!("{MANAGER_NAMESPACE} is this node's")), true),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::checks::Verdict;

    #[test]
    fn a_servers_version_is_judged() {
        for (minor, verdict) in [
            ("19", Verdict::Bad),
            ("20", Verdict::Warning),
            ("24+", Verdict::Warning),
            ("25", Verdict::Good),
            ("33+", Verdict::Good),
            ("", Verdict::Warning),
        ] {
            assert_eq!(server("v1", minor).verdict, verdict, "{minor}");
        }
    }
}

//! The sandbox of a workload: the objects that `nodesys workload add` applies and the manager
//! cannot change.

use nodesys_core::Address;
use nodesys_core::ids::Name;
use serde_json::{Value, json};

use super::{
    Grant, LEDGER, MANAGER, MANAGER_NAMESPACE, MANAGER_PORT, Object, ROLE_LABEL, TOKEN_SECRET,
    WORKLOAD, quantity, workload_labels, workload_namespace,
};
use nodesys_core::cidr::{self, Cidr, EVERY_V4, GLOBAL_V6};

/// Most pods of a workload at once: an update starts the new one beside the old one.
const PODS: u64 = 2;

/// Parameters of a workload's sandbox.
#[derive(Debug, Clone)]
pub struct Sandbox<'a> {
    /// The project, by its distributor's address.
    pub project: Address,
    /// The workload.
    pub workload: &'a Name,
    /// The operator's grant.
    pub grant: &'a Grant,
    /// Public address ranges of the node's own networks, which pods must not reach.
    pub local_ranges: &'a [Cidr],
}

impl Sandbox<'_> {
    /// The objects, in the order in which they are applied.
    pub fn objects(&self) -> Vec<Object> {
        vec![
            self.namespace(),
            self.service_account(),
            self.quota(),
            self.limits(),
            self.network_policy(),
            self.role(),
            self.role_binding(),
        ]
    }

    fn metadata(&self, name: &str) -> Value {
        json!({
            "name": name,
            "namespace": workload_namespace(self.project, self.workload),
            "labels": workload_labels(self.workload),
        })
    }

    fn namespace(&self) -> Object {
        let mut labels = workload_labels(self.workload);
        labels[ROLE_LABEL] = "workload".into();
        for mode in ["enforce", "audit", "warn"] {
            labels[format!("pod-security.kubernetes.io/{mode}")] = "restricted".into();
            labels[format!("pod-security.kubernetes.io/{mode}-version")] = "latest".into();
        }
        Object::new(json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": workload_namespace(self.project, self.workload),
                "labels": labels,
                "annotations": { "nodesys.dev/project": self.project },
            },
        }))
    }

    /// An account without rights and without a token.
    fn service_account(&self) -> Object {
        Object::new(json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": self.metadata(WORKLOAD),
            "automountServiceAccountToken": false,
        }))
    }

    fn quota(&self) -> Object {
        let Grant { requests, limits, persistent_mib, persistent_volumes, .. } = self.grant;
        let twice = |amount: u32| PODS * u64::from(amount);
        Object::new(json!({
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": self.metadata(WORKLOAD),
            "spec": {
                "hard": {
                    "pods": PODS.to_string(),
                    "requests.cpu": quantity::cpu(twice(requests.cpu_millis)),
                    "requests.memory": quantity::mib(twice(requests.memory_mib)),
                    "requests.ephemeral-storage": quantity::mib(twice(requests.storage_mib)),
                    "limits.cpu": quantity::cpu(twice(limits.cpu_millis)),
                    "limits.memory": quantity::mib(twice(limits.memory_mib)),
                    "limits.ephemeral-storage": quantity::mib(twice(limits.storage_mib)),
                    "persistentvolumeclaims": persistent_volumes.to_string(),
                    "requests.storage": quantity::mib(*persistent_mib),
                    "services": "0",
                    "count/jobs.batch": "0",
                    "count/cronjobs.batch": "0",
                    "count/statefulsets.apps": "0",
                },
            },
        }))
    }

    /// No container may have more than the pod's grant, and none is without limits.
    fn limits(&self) -> Object {
        let amounts = |of: &nodesys_core::release::Amounts| {
            json!({
                "cpu": quantity::cpu(of.cpu_millis.into()),
                "memory": quantity::mib(of.memory_mib.into()),
                "ephemeral-storage": quantity::mib(of.storage_mib.into()),
            })
        };
        let (requests, limits) = (amounts(&self.grant.requests), amounts(&self.grant.limits));
        Object::new(json!({
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": self.metadata(WORKLOAD),
            "spec": {
                "limits": [{
                    "type": "Container",
                    "max": limits,
                    "default": limits,
                    "defaultRequest": requests,
                }],
            },
        }))
    }

    /// No ingress; egress only to DNS, the manager, and the public internet if granted.
    fn network_policy(&self) -> Object {
        let mut egress = vec![
            json!({
                "to": [{
                    "namespaceSelector": {
                        "matchLabels": { "kubernetes.io/metadata.name": "kube-system" },
                    },
                    "podSelector": { "matchLabels": { "k8s-app": "kube-dns" } },
                }],
                "ports": [
                    { "protocol": "UDP", "port": 53 },
                    { "protocol": "TCP", "port": 53 },
                ],
            }),
            json!({
                "to": [{
                    "namespaceSelector": { "matchLabels": { ROLE_LABEL: "manager" } },
                    "podSelector": { "matchLabels": { "app.kubernetes.io/name": MANAGER } },
                }],
                "ports": [{ "protocol": "TCP", "port": MANAGER_PORT }],
            }),
        ];
        if self.grant.egress.internet {
            egress.push(self.internet());
        }
        Object::new(json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": self.metadata(WORKLOAD),
            "spec": {
                "podSelector": {},
                "policyTypes": ["Ingress", "Egress"],
                "egress": egress,
            },
        }))
    }

    fn internet(&self) -> Value {
        let block = |cidr: &str, v4: bool| json!({ "ipBlock": { "cidr": cidr, "except": cidr::closed(v4, self.local_ranges) } });
        let mut rule = json!({ "to": [block(EVERY_V4, true), block(GLOBAL_V6, false)] });
        let granted = &self.grant.egress;
        let ports = |protocol: &str, ports: &[u16]| -> Vec<Value> {
            ports.iter().map(|port| json!({ "protocol": protocol, "port": port })).collect()
        };
        let ports = [ports("TCP", &granted.tcp), ports("UDP", &granted.udp)].concat();
        if !ports.is_empty() {
            rule["ports"] = ports.into();
        }
        rule
    }

    /// The manager's rights here: manage its own objects, and read the others.
    fn role(&self) -> Object {
        let rule = |group: &str, resource: &str, names: &[&str], verbs: &[&str]| {
            let mut rule = json!({
                "apiGroups": [group], "resources": [resource], "verbs": verbs,
            });
            if !names.is_empty() {
                rule["resourceNames"] = names.into();
            }
            rule
        };
        let namespace = workload_namespace(self.project, self.workload);
        let own = ["get", "patch", "update", "delete"];
        Object::new(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": self.metadata(MANAGER),
            "rules": [
                rule("apps", "deployments", &[], &["create", "list", "watch"]),
                rule("apps", "deployments", &[WORKLOAD], &own),
                rule("", "secrets", &[], &["create"]),
                rule("", "secrets", &[TOKEN_SECRET], &own),
                rule("", "configmaps", &[], &["create"]),
                rule("", "configmaps", &[LEDGER], &own),
                rule("", "persistentvolumeclaims", &[],
                    &["create", "get", "list", "patch", "delete"]),
                rule("", "pods", &[], &["list"]),
                rule("events.k8s.io", "events", &[], &["create", "patch"]),
                rule("", "namespaces", &[&namespace], &["get"]),
                rule("", "serviceaccounts", &[WORKLOAD], &["get"]),
                rule("", "resourcequotas", &[WORKLOAD], &["get"]),
                rule("", "limitranges", &[WORKLOAD], &["get"]),
                rule("networking.k8s.io", "networkpolicies", &[WORKLOAD], &["get"]),
            ],
        }))
    }

    fn role_binding(&self) -> Object {
        Object::new(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": self.metadata(MANAGER),
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": MANAGER,
            },
            "subjects": [{
                "kind": "ServiceAccount", "name": MANAGER, "namespace": MANAGER_NAMESPACE,
            }],
        }))
    }
}

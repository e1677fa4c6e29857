//! The manager itself: the objects that `nodesys start` applies.

use serde_json::{Value, json};
use zeroize::Zeroizing;

use nodesys_core::keccak256;

use super::{MANAGER, MANAGER_NAMESPACE, MANAGER_PORT, Object, ROLE_LABEL};

/// User and group of the manager's process.
const USER: u32 = 65_532;
/// Mount paths of its configuration, its secrets and its state.
const CONFIG_DIR: &str = "/etc/nodesys";
const SECRET_DIR: &str = "/run/secrets/nodesys";
const STATE_DIR: &str = "/var/lib/nodesys";

/// Parameters of the manager's deployment.
pub struct ManagerParts<'a> {
    /// Its image, by its name in the node's runtime.
    pub image: &'a str,
    /// Its configuration; paths in it are those of [`config_paths`].
    pub config_json: &'a str,
    /// The node key, 64 hex digits.
    pub node_key_hex: &'a Zeroizing<String>,
    /// The chain's RPC URLs, one a line: they may carry access keys.
    pub rpc_urls: &'a Zeroizing<String>,
}

/// Paths inside the manager's pod.
#[derive(Debug, Clone, Copy)]
pub struct ConfigPaths {
    /// `node_key_file`.
    pub node_key_file: &'static str,
    /// `cluster.rpc_file`.
    pub rpc_file: &'static str,
    /// `state_dir`.
    pub state_dir: &'static str,
}

/// The paths to write into the manager's configuration.
pub const fn config_paths() -> ConfigPaths {
    ConfigPaths {
        node_key_file: "/run/secrets/nodesys/node.key",
        rpc_file: "/run/secrets/nodesys/rpc",
        state_dir: "/var/lib/nodesys/state",
    }
}

/// The objects, in the order in which they are applied.
pub fn manager_objects(parts: &ManagerParts<'_>) -> Vec<Object> {
    vec![
        namespace(),
        service_account(),
        role(),
        role_binding(),
        network_policy(),
        secret(parts),
        config(parts),
        state(),
        service(),
        deployment(parts),
    ]
}

fn metadata(name: &str) -> Value {
    json!({ "name": name, "namespace": MANAGER_NAMESPACE, "labels": labels() })
}

fn labels() -> Value {
    json!({ "app.kubernetes.io/name": MANAGER, "app.kubernetes.io/part-of": "nodesys" })
}

fn namespace() -> Object {
    let mut labels = labels();
    labels[ROLE_LABEL] = "manager".into();
    for mode in ["enforce", "audit", "warn"] {
        labels[format!("pod-security.kubernetes.io/{mode}")] = "restricted".into();
        labels[format!("pod-security.kubernetes.io/{mode}-version")] = "latest".into();
    }
    Object::new(json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": MANAGER_NAMESPACE, "labels": labels },
    }))
}

fn service_account() -> Object {
    Object::new(json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(MANAGER),
        "automountServiceAccountToken": false,
    }))
}

/// Rights in its own namespace: the Lease that selects the acting manager, and its service's
/// address.
fn role() -> Object {
    Object::new(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": metadata(MANAGER),
        "rules": [
            { "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"] },
            {
                "apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
                "resourceNames": [MANAGER], "verbs": ["get", "update"],
            },
            {
                "apiGroups": [""], "resources": ["services"],
                "resourceNames": [MANAGER], "verbs": ["get"],
            },
        ],
    }))
}

fn role_binding() -> Object {
    Object::new(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": metadata(MANAGER),
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": MANAGER },
        "subjects": [
            { "kind": "ServiceAccount", "name": MANAGER, "namespace": MANAGER_NAMESPACE },
        ],
    }))
}

/// Only workloads reach the manager, and only its port. Its own targets (the cluster's API, the
/// chain, the backend) may be anywhere.
fn network_policy() -> Object {
    Object::new(json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(MANAGER),
        "spec": {
            "podSelector": {},
            "policyTypes": ["Ingress"],
            "ingress": [{
                "from": [{ "namespaceSelector": { "matchLabels": { ROLE_LABEL: "workload" } } }],
                "ports": [{ "protocol": "TCP", "port": MANAGER_PORT }],
            }],
        },
    }))
}

fn secret(parts: &ManagerParts<'_>) -> Object {
    use base64::Engine as _;
    let encoded = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    Object::new(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(MANAGER),
        "type": "Opaque",
        "data": { "node.key": encoded(parts.node_key_hex), "rpc": encoded(parts.rpc_urls) },
    }))
}

fn config(parts: &ManagerParts<'_>) -> Object {
    Object::new(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(MANAGER),
        "data": { "manager.json": parts.config_json },
    }))
}

fn state() -> Object {
    Object::new(json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata("nodesys-manager-state"),
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": { "requests": { "storage": "256Mi" } },
        },
    }))
}

fn service() -> Object {
    Object::new(json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(MANAGER),
        "spec": {
            "selector": { "app.kubernetes.io/name": MANAGER },
            "ports": [{
                "name": "health", "port": MANAGER_PORT, "targetPort": "health", "protocol": "TCP",
            }],
        },
    }))
}

fn deployment(parts: &ManagerParts<'_>) -> Object {
    // A changed configuration starts a new pod: the program reads it once.
    let config_hash = keccak256([parts.config_json, parts.node_key_hex, parts.rpc_urls].join("\n"));
    let named = |field: &str| json!({ "fieldRef": { "fieldPath": field, "apiVersion": "v1" } });
    let probe = |path: &str| {
        json!({
            "httpGet": { "path": path, "port": "health", "scheme": "HTTP" },
            "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3,
        })
    };
    Object::new(json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(MANAGER),
        "spec": {
            "replicas": 1,
            "revisionHistoryLimit": 1,
            "strategy": { "type": "Recreate" },
            "selector": { "matchLabels": { "app.kubernetes.io/name": MANAGER } },
            "template": {
                "metadata": {
                    "labels": labels(),
                    "annotations": { "nodesys.dev/config-hash": config_hash },
                },
                "spec": {
                    "serviceAccountName": MANAGER,
                    "automountServiceAccountToken": true,
                    "enableServiceLinks": false,
                    "securityContext": {
                        "runAsNonRoot": true,
                        "runAsUser": USER,
                        "runAsGroup": USER,
                        "fsGroup": USER,
                        "fsGroupChangePolicy": "OnRootMismatch",
                        "seccompProfile": { "type": "RuntimeDefault" },
                    },
                    "containers": [{
                        "name": "manager",
                        "image": parts.image,
                        "imagePullPolicy": "IfNotPresent",
                        "args": ["--config", format!("{CONFIG_DIR}/manager.json")],
                        "env": [{ "name": "NODESYS_POD", "valueFrom": named("metadata.name") }],
                        "ports": [{
                            "name": "health", "containerPort": MANAGER_PORT, "protocol": "TCP",
                        }],
                        "livenessProbe": probe("/healthz"),
                        "readinessProbe": probe("/readyz"),
                        "resources": {
                            "requests": { "cpu": "10m", "memory": "24Mi" },
                            "limits": { "cpu": "500m", "memory": "64Mi" },
                        },
                        "securityContext": {
                            "allowPrivilegeEscalation": false,
                            "privileged": false,
                            "readOnlyRootFilesystem": true,
                            "runAsNonRoot": true,
                            "capabilities": { "drop": ["ALL"] },
                            "seccompProfile": { "type": "RuntimeDefault" },
                        },
                        "volumeMounts": [
                            { "name": "config", "mountPath": CONFIG_DIR, "readOnly": true },
                            { "name": "secrets", "mountPath": SECRET_DIR, "readOnly": true },
                            { "name": "state", "mountPath": STATE_DIR },
                        ],
                    }],
                    "volumes": [
                        { "name": "config", "configMap": { "name": MANAGER, "defaultMode": 0o444 } },
                        { "name": "secrets", "secret": { "secretName": MANAGER, "defaultMode": 0o440 } },
                        {
                            "name": "state",
                            "persistentVolumeClaim": { "claimName": "nodesys-manager-state" },
                        },
                    ],
                },
            },
        },
    }))
}

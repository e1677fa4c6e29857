//! The manager's objects in a workload's namespace: the tokens' secret, the volumes, the
//! deployment, and the configuration map of accepted releases.
//!
//! Every pod runs under the strictest settings; a release cannot change them.

use std::collections::BTreeMap;

use alloy_primitives::hex;
use hmac::{Hmac, KeyInit as _, Mac as _};
use nodesys_core::Address;
use nodesys_core::ids::Name;
use nodesys_core::license::LicenseId;
use nodesys_core::release::{
    Container, NODE_ENV, Protocol, Readiness, Release, Strategy, TOKEN_DIR, Version, Volume,
    VolumeKind,
};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{
    LEDGER, Object, RELEASE_HASH, RELEASE_LABEL, TOKEN_SECRET, WORKLOAD, WORKLOAD_LABEL, quantity,
    workload_labels, workload_namespace,
};

/// The volume that holds the token; a release's names are shorter.
const TOKEN_VOLUME: &str = "nodesys-health-token";
/// The file in [`TOKEN_DIR`].
const TOKEN_FILE: &str = "token";

/// One workload of this node: the facts its pods get besides their release.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The chain and the registry.
    pub registry: Address,
    /// The project, by its distributor's address.
    pub project: Address,
    /// The workload.
    pub workload: Name,
    /// The license it runs under.
    pub license: LicenseId,
    /// The node.
    pub node_key: Address,
    /// The manager's URL for its pods.
    pub manager_url: String,
}

/// The secret from which health tokens are derived; made from the node key, so that nothing is
/// stored and every manager with that key derives the same.
pub struct TokenKey(Zeroizing<[u8; 32]>);

impl TokenKey {
    /// The secret from the node key's bytes.
    pub const fn new(node_key: Zeroizing<[u8; 32]>) -> Self {
        Self(node_key)
    }

    /// The token that pods of this release post health with: 64 hex digits.
    pub fn token(&self, license: LicenseId, version: Version) -> Zeroizing<String> {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&self.0[..])
            .expect("an HMAC takes a key of any length");
        mac.update(b"nodesys.health-token.v1");
        mac.update(license.hash().as_slice());
        mac.update(&version.get().to_be_bytes());
        Zeroizing::new(hex::encode(mac.finalize().into_bytes()))
    }
}

impl Placed {
    /// The namespace.
    pub fn namespace(&self) -> String {
        workload_namespace(self.project, &self.workload)
    }

    fn metadata(&self, name: &str) -> Value {
        json!({
            "name": name,
            "namespace": self.namespace(),
            "labels": workload_labels(&self.workload),
        })
    }

    /// The secret with the tokens of the releases that may post.
    pub fn token_secret(&self, key: &TokenKey, versions: &[Version]) -> Object {
        use base64::Engine as _;
        let data: Map<String, Value> = versions
            .iter()
            .map(|version| {
                let token = key.token(self.license, *version);
                let encoded = base64::engine::general_purpose::STANDARD.encode(token.as_bytes());
                (token_entry(*version), encoded.into())
            })
            .collect();
        Object::new(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": self.metadata(TOKEN_SECRET),
            "type": "Opaque",
            "data": data,
        }))
    }

    /// The configuration map; `data` is the ledger's.
    pub fn ledger(&self, data: &BTreeMap<String, String>) -> Object {
        Object::new(json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": self.metadata(LEDGER),
            "data": data,
        }))
    }

    /// The claims of the persistent volumes. They are only ever created: their data outlives
    /// releases.
    pub fn claims(&self, release: &Release) -> Vec<Object> {
        let persistent =
            release.volumes().iter().filter(|volume| volume.kind == VolumeKind::Persistent);
        persistent
            .map(|volume| {
                Object::new(json!({
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "metadata": self.metadata(&claim_name(volume)),
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "resources": {
                            "requests": { "storage": quantity::mib(volume.size_mib.into()) },
                        },
                    },
                }))
            })
            .collect()
    }

    /// The deployment of a release.
    pub fn deployment(&self, release: &Release) -> Object {
        let mut metadata = self.metadata(WORKLOAD);
        metadata["labels"][RELEASE_LABEL] = release.version().to_string().into();
        metadata["annotations"] = json!({ RELEASE_HASH: release.hash() });
        let mut pod_labels = workload_labels(&self.workload);
        pod_labels[RELEASE_LABEL] = release.version().to_string().into();
        let strategy = match release.update().strategy {
            Strategy::Surge => json!({
                "type": "RollingUpdate",
                "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 },
            }),
            Strategy::Recreate => json!({ "type": "Recreate" }),
        };
        Object::new(json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "replicas": 1,
                // Going back is the manager's, to a release it has checked.
                "revisionHistoryLimit": 0,
                "progressDeadlineSeconds": release.update().deadline_secs,
                "strategy": strategy,
                "selector": { "matchLabels": { WORKLOAD_LABEL: self.workload } },
                "template": {
                    "metadata": { "labels": pod_labels },
                    "spec": self.pod(release),
                },
            },
        }))
    }

    fn pod(&self, release: &Release) -> Value {
        let user = release.user_id();
        let containers: Vec<Value> =
            release.containers().iter().map(|it| self.container(release, it)).collect();
        let mut volumes = vec![json!({
            "name": TOKEN_VOLUME,
            "secret": {
                "secretName": TOKEN_SECRET,
                "items": [{ "key": token_entry(release.version()), "path": TOKEN_FILE }],
                "defaultMode": 0o440,
            },
        })];
        volumes.extend(release.volumes().iter().map(volume));
        json!({
            "serviceAccountName": WORKLOAD,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": user,
                "runAsGroup": user,
                "fsGroup": user,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": { "type": "RuntimeDefault" },
            },
            "containers": containers,
            "volumes": volumes,
        })
    }

    fn container(&self, release: &Release, container: &Container) -> Value {
        let Container { name, image, command, args, env, ports, resources, mounts, readiness } =
            container;
        let mut all_env = self.env(release);
        all_env.extend(env.iter().map(|(name, value)| json!({ "name": name, "value": value })));
        let amounts = |of: &nodesys_core::release::Amounts| {
            json!({
                "cpu": quantity::cpu(of.cpu_millis.into()),
                "memory": quantity::mib(of.memory_mib.into()),
                "ephemeral-storage": quantity::mib(of.storage_mib.into()),
            })
        };
        let mut all_mounts =
            vec![json!({ "name": TOKEN_VOLUME, "mountPath": TOKEN_DIR, "readOnly": true })];
        all_mounts.extend(mounts.iter().map(|mount| {
            let mut rendered =
                json!({ "name": mount.volume.as_str(), "mountPath": mount.path.as_str() });
            if mount.read_only {
                rendered["readOnly"] = true.into();
            }
            rendered
        }));
        let mut rendered = json!({
            "name": name.as_str(),
            "image": image.as_str(),
            "imagePullPolicy": "IfNotPresent",
            "env": all_env,
            "resources": {
                "requests": amounts(&resources.requests),
                "limits": amounts(&resources.limits),
            },
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "privileged": false,
                "readOnlyRootFilesystem": true,
                "runAsNonRoot": true,
                "capabilities": { "drop": ["ALL"] },
                "seccompProfile": { "type": "RuntimeDefault" },
            },
            "volumeMounts": all_mounts,
        });
        if !command.is_empty() {
            rendered["command"] = command.as_slice().into();
        }
        if !args.is_empty() {
            rendered["args"] = args.as_slice().into();
        }
        if !ports.is_empty() {
            let port = |port: &nodesys_core::release::Port| {
                let protocol = if port.protocol == Protocol::Tcp { "TCP" } else { "UDP" };
                json!({
                    "name": port.name.as_str(), "containerPort": port.port, "protocol": protocol,
                })
            };
            rendered["ports"] = ports.iter().map(port).collect();
        }
        if let Some(readiness) = readiness {
            rendered["readinessProbe"] = probe(readiness);
        }
        rendered
    }

    /// The environment of every container.
    fn env(&self, release: &Release) -> Vec<Value> {
        let values = [
            self.manager_url.clone(),
            format!("{TOKEN_DIR}/{TOKEN_FILE}"),
            self.license.chain_id.to_string(),
            self.registry.to_string(),
            self.project.to_string(),
            self.workload.to_string(),
            release.version().to_string(),
            self.license.hash().to_string(),
            self.license.collection.to_string(),
            self.license.token_id.to_string(),
            self.node_key.to_string(),
        ];
        NODE_ENV
            .iter()
            .zip(values)
            .map(|(name, value)| json!({ "name": name, "value": value }))
            .collect()
    }
}

fn token_entry(version: Version) -> String {
    format!("release-{version}")
}

/// The claim of a persistent volume.
pub fn claim_name(volume: &Volume) -> String {
    format!("volume-{}", volume.name)
}

fn volume(volume: &Volume) -> Value {
    let name = volume.name.as_str();
    match volume.kind {
        VolumeKind::Ephemeral => {
            let size = quantity::mib(volume.size_mib.into());
            json!({ "name": name, "emptyDir": { "sizeLimit": size } })
        }
        VolumeKind::Persistent => json!({
            "name": name, "persistentVolumeClaim": { "claimName": claim_name(volume) },
        }),
    }
}

fn probe(readiness: &Readiness) -> Value {
    let port = readiness.port.as_str();
    let mut probe = match &readiness.path {
        Some(path) => json!({ "httpGet": { "path": path, "port": port, "scheme": "HTTP" } }),
        None => json!({ "tcpSocket": { "port": port } }),
    };
    probe["periodSeconds"] = readiness.period_secs.into();
    probe["timeoutSeconds"] = 5.into();
    probe["failureThreshold"] = 3.into();
    probe
}

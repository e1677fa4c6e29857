//! Rendering: from a release, a license and facts of the node to Kubernetes objects. Pure.
//!
//! The sets of objects follow a border of trust. [`sandbox`] objects (namespace, quota, limits,
//! network policy, the manager's rights) are the operator's: `nodesys workload add` applies them,
//! and the manager has no right to change them. [`workload`] objects (secret, volumes, deployment)
//! are applied inside by the manager. [`manager`] objects are the manager itself. Invariants:
//! nothing in a release affects the first set except the size and network access in the operator's
//! [`Grant`], and `tests/sandbox.table` states every field of the first two.

use std::fmt;

use kube::core::{DynamicObject, GroupVersionKind};
use kube::discovery::ApiResource;
use nodesys_core::ids::Name;
use nodesys_core::{Address, keccak256};
use serde_json::{Value, json};

pub mod drift;
mod grant;
pub mod manager;
pub mod probe;
mod quantity;
pub mod sandbox;
#[cfg(test)]
mod tests;
pub mod workload;

pub use grant::{Beyond, Grant, GrantedEgress};

/// The namespace of the manager.
pub const MANAGER_NAMESPACE: &str = "nodesys";
/// The manager's deployment, service, account and configuration.
pub const MANAGER: &str = "nodesys-manager";
/// The manager's port for health posts.
pub const MANAGER_PORT: u16 = 7070;
/// The one deployment and service account of a workload's namespace.
pub const WORKLOAD: &str = "workload";
/// The secret with a workload's health tokens.
pub const TOKEN_SECRET: &str = "health-token";
/// The configuration map with the manager's accepted releases.
pub const LEDGER: &str = "releases";
/// Label: whether a namespace is the manager's or a workload's.
pub const ROLE_LABEL: &str = "nodesys.dev/role";
/// Label: the workload's name.
pub const WORKLOAD_LABEL: &str = "nodesys.dev/workload";
/// The release a pod runs.
pub const RELEASE_LABEL: &str = "nodesys.dev/release";
/// The hash of the release a deployment runs.
pub const RELEASE_HASH: &str = "nodesys.dev/release-hash";

/// A Kubernetes object, as it is applied.
#[derive(Clone, PartialEq)]
pub struct Object(Value);

impl Object {
    /// The object of a manifest.
    ///
    /// # Panics
    ///
    /// If the manifest has no kind, version or name: manifests are literals in this crate.
    pub(crate) fn new(manifest: Value) -> Self {
        let object = Self(manifest);
        let named = !object.kind().is_empty() && !object.name().is_empty();
        assert!(named && !object.text("/apiVersion").is_empty(), "a manifest says what it is");
        object
    }

    fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// Its kind.
    pub fn kind(&self) -> &str {
        self.text("/kind")
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// Its namespace; `None` for a namespace.
    pub fn namespace(&self) -> Option<&str> {
        Some(self.text("/metadata/namespace")).filter(|namespace| !namespace.is_empty())
    }

    /// The manifest.
    pub const fn manifest(&self) -> &Value {
        &self.0
    }

    /// The API that serves it.
    pub fn resource(&self) -> ApiResource {
        let (group, version) =
            self.text("/apiVersion").split_once('/').unwrap_or(("", self.text("/apiVersion")));
        ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, self.kind()))
    }

    /// The client's form of it.
    pub fn dynamic(&self) -> DynamicObject {
        serde_json::from_value(self.0.clone()).expect("a manifest with kind, version and metadata")
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.name())
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the manifest: a secret's is secret.
        write!(f, "Object({self})")
    }
}

/// The namespace of a project's workload on a node: readable and unique.
pub fn workload_namespace(project: Address, workload: &Name) -> String {
    let hash = keccak256([project.as_slice(), workload.as_str().as_bytes()].concat());
    let [a, b, c, d] = [hash[0], hash[1], hash[2], hash[3]];
    format!("nodesys-{workload}-{a:02x}{b:02x}{c:02x}{d:02x}")
}

/// Labels of everything that belongs to a workload.
fn workload_labels(workload: &Name) -> Value {
    json!({
        "app.kubernetes.io/name": workload,
        "app.kubernetes.io/part-of": "nodesys",
        WORKLOAD_LABEL: workload,
    })
}

//! The cluster's API for the manager: read, apply, remove, report.
//!
//! Applying is server-side apply under the manager's own name, which restores every rendered field.
//! Fields added by others survive such an apply, so if managed fields name another writer the
//! object is replaced as a whole. An unchanged object is not written.

use std::collections::BTreeMap;

use anyhow::Context as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, ObjectReference, Pod, Service};
use kube::api::{
    Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, PropagationPolicy,
};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use serde_json::Value;

use super::ledger::Ledger;
use super::live::Live;
use nodesys_render::drift::{first_difference, foreign_writers};
use nodesys_render::{
    LEDGER, MANAGER, MANAGER_NAMESPACE, MANAGER_PORT, Object, TOKEN_SECRET, WORKLOAD,
};

/// The field manager's name.
pub const FIELD_MANAGER: &str = MANAGER;

/// The outcome of applying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// The object was as rendered.
    Same,
    /// It was missing.
    Created,
    /// It differed; the first field that did, or the other writer.
    Changed(String),
}

/// A connection to the cluster.
#[derive(Clone)]
pub struct Objects {
    client: kube::Client,
    recorder: Recorder,
}

impl Objects {
    /// Uses this connection; `us` is the instance named in events.
    pub fn new(client: kube::Client, us: String) -> Self {
        let reporter = Reporter { controller: MANAGER.to_owned(), instance: Some(us) };
        Self { recorder: Recorder::new(client.clone(), reporter), client }
    }

    fn dynamic(&self, object: &Object) -> Api<DynamicObject> {
        let resource = object.resource();
        match object.namespace() {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    /// The manager's URL for pods: its service's address.
    pub async fn manager_url(&self) -> anyhow::Result<String> {
        let services: Api<Service> = Api::namespaced(self.client.clone(), MANAGER_NAMESPACE);
        let service = services.get(MANAGER).await.context("the manager's service")?;
        let address = service.spec.and_then(|spec| spec.cluster_ip).unwrap_or_default();
        let address: std::net::IpAddr =
            address.parse().context("the manager's service has no address")?;
        Ok(format!("http://{}", std::net::SocketAddr::new(address, MANAGER_PORT)))
    }

    /// The ledger of a workload; a new one if there is none.
    pub async fn ledger(&self, namespace: &str) -> anyhow::Result<Ledger> {
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        let map = maps.get_opt(LEDGER).await.context("the ledger cannot be read")?;
        let data: BTreeMap<String, String> = map.and_then(|map| map.data).unwrap_or_default();
        Ledger::from_data(&data).with_context(|| {
            format!(
                "the ledger (configuration map {LEDGER} in {namespace}) does not hold, so nothing \
                 is changed; delete it to take up again what runs"
            )
        })
    }

    /// The deployment and its pods.
    pub async fn live(&self, namespace: &str) -> anyhow::Result<Live> {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), namespace);
        let deployment =
            deployments.get_opt(WORKLOAD).await.context("the deployment cannot be read")?;
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let pods = match deployment {
            Some(_) => pods.list(&ListParams::default()).await.context("the pods")?.items,
            None => Vec::new(),
        };
        Ok(Live::of(deployment.as_ref(), &pods))
    }

    /// Brings the object to its rendered form.
    pub async fn apply(&self, object: &Object) -> anyhow::Result<Applied> {
        let api = self.dynamic(object);
        let cannot = || format!("{object} cannot be applied");
        let live = api.get_opt(object.name()).await.with_context(cannot)?;
        let what = match &live {
            None => Applied::Created,
            Some(live) => match (difference(object, live)?, foreign_writers(live, FIELD_MANAGER)) {
                (None, writers) if writers.is_empty() => return Ok(Applied::Same),
                (None, writers) => Applied::Changed(format!("written by {}", writers.join(", "))),
                (Some(field), _) => Applied::Changed(field),
            },
        };
        let ours = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(object.manifest());
        let applied = api.patch(object.name(), &ours, &patch).await.with_context(cannot)?;
        if !foreign_writers(&applied, FIELD_MANAGER).is_empty() {
            self.replace(&api, object, applied).await.with_context(cannot)?;
        }
        Ok(what)
    }

    /// Replaces an object that others have changed, with only our entry in its managed fields, so
    /// that later applies own all fields.
    async fn replace(
        &self,
        api: &Api<DynamicObject>,
        object: &Object,
        live: DynamicObject,
    ) -> Result<(), kube::Error> {
        let mut fresh = object.dynamic();
        fresh.metadata.resource_version = live.metadata.resource_version;
        // Annotations that controllers keep there.
        let mut annotations = live.metadata.annotations.unwrap_or_default();
        annotations.extend(fresh.metadata.annotations.unwrap_or_default());
        fresh.metadata.annotations = Some(annotations);
        let entries = live.metadata.managed_fields.unwrap_or_default().into_iter();
        let ours = |entry: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry| {
            entry.manager.as_deref() == Some(FIELD_MANAGER)
                && entry.operation.as_deref() == Some("Apply")
        };
        fresh.metadata.managed_fields = Some(entries.filter(ours).collect());
        let by =
            PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        api.replace(object.name(), &by, &fresh).await.map(drop)
    }

    /// Creates the object if it is missing; an existing one is not changed. Returns where it
    /// differs from the rendered one, if it does.
    pub async fn create(&self, object: &Object) -> anyhow::Result<Option<String>> {
        match self.compare(object).await? {
            Compared::Missing => {
                let ours = PatchParams::apply(FIELD_MANAGER).force();
                let patch = Patch::Apply(object.manifest());
                let made = self.dynamic(object).patch(object.name(), &ours, &patch).await;
                made.with_context(|| format!("{object} cannot be made"))?;
                Ok(None)
            }
            Compared::Same => Ok(None),
            Compared::Differs(field) => Ok(Some(field)),
        }
    }

    /// Compares without writing.
    pub async fn compare(&self, object: &Object) -> anyhow::Result<Compared> {
        let live = self.dynamic(object).get_opt(object.name()).await;
        let live = live.with_context(|| format!("{object} cannot be read"))?;
        Ok(match live {
            None => Compared::Missing,
            Some(live) => difference(object, &live)?.map_or(Compared::Same, Compared::Differs),
        })
    }

    /// Removes the manager's objects of a workload except the ledger; true if there were any.
    pub async fn remove(&self, namespace: &str, volumes: bool) -> anyhow::Result<bool> {
        let deletion = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Foreground),
            ..DeleteParams::default()
        };
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), namespace);
        let secrets: Api<k8s_openapi::api::core::v1::Secret> =
            Api::namespaced(self.client.clone(), namespace);
        let mut removed = deleted(deployments.delete(WORKLOAD, &deletion).await)?;
        removed |= deleted(secrets.delete(TOKEN_SECRET, &DeleteParams::default()).await)?;
        if volumes {
            let claims: Api<k8s_openapi::api::core::v1::PersistentVolumeClaim> =
                Api::namespaced(self.client.clone(), namespace);
            for claim in claims.list(&ListParams::default()).await.context("the volumes")? {
                let name = claim.metadata.name.unwrap_or_default();
                if claim.metadata.deletion_timestamp.is_none() {
                    removed |= deleted(claims.delete(&name, &DeleteParams::default()).await)?;
                }
            }
        }
        Ok(removed)
    }

    /// An event on the workload's deployment. If it cannot be written, it is logged.
    pub async fn tell(&self, namespace: &str, bad: bool, reason: &str, note: String) {
        let on = ObjectReference {
            api_version: Some("apps/v1".to_owned()),
            kind: Some("Deployment".to_owned()),
            name: Some(WORKLOAD.to_owned()),
            namespace: Some(namespace.to_owned()),
            ..ObjectReference::default()
        };
        let event = Event {
            type_: if bad { EventType::Warning } else { EventType::Normal },
            reason: reason.to_owned(),
            note: Some(note.chars().take(1000).collect()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &on).await {
            tracing::warn!(%error, namespace, reason, "an event cannot be written");
        }
    }
}

/// The result of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    /// It is missing.
    Missing,
    /// It is as rendered.
    Same,
    /// The first field that differs.
    Differs(String),
}

fn difference(object: &Object, live: &DynamicObject) -> anyhow::Result<Option<String>> {
    let live: Value = serde_json::to_value(live).context("an object of the cluster")?;
    Ok(first_difference(object.manifest(), &live))
}

/// Whether something was deleted; a missing object is no error.
fn deleted<T>(answer: Result<T, kube::Error>) -> anyhow::Result<bool> {
    match answer {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(error).context("the cluster does not delete"),
    }
}

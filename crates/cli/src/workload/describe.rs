//! A workload's grant, and its objects in the cluster.

use k8s_openapi::api::core::v1::{Event, PersistentVolumeClaim, Pod, ResourceQuota};
use kube::Api;
use kube::api::ListParams;
use nodesys_core::{Address, U256};
use nodesys_render::Grant;
use serde::Serialize;

use crate::cluster::connect::{cluster_error, connect};
use crate::cluster::pods::trouble_of;
use crate::node::workloads::WorkloadsFile;
use crate::setup::Setup;
use crate::workload::name::WorkloadRef;
use crate::workload::pods::pods_of;

/// Events that are shown, the newest ones.
const EVENTS: usize = 12;

/// `workload describe`.
#[derive(Debug, Serialize)]
pub(crate) struct WorkloadDescription {
    pub(crate) workload: String,
    pub(crate) project: Address,
    pub(crate) collection: Address,
    #[serde(with = "nodesys_core::message::decimal")]
    pub(crate) token_id: U256,
    pub(crate) namespace: String,
    pub(crate) release_urls: Vec<reqwest::Url>,
    pub(crate) paused: bool,
    pub(crate) grant: Grant,
    pub(crate) pods: Vec<PodLine>,
    pub(crate) volumes: Vec<VolumeLine>,
    /// Used of what is allowed.
    pub(crate) quota: Vec<QuotaLine>,
    pub(crate) events: Vec<EventLine>,
}

#[derive(Debug, Serialize)]
pub(crate) struct PodLine {
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    pub(crate) phase: String,
    pub(crate) restarts: i32,
    pub(crate) trouble: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct VolumeLine {
    pub(crate) name: String,
    pub(crate) phase: String,
    pub(crate) size: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct QuotaLine {
    pub(crate) resource: String,
    pub(crate) used: String,
    pub(crate) hard: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct EventLine {
    pub(crate) time: String,
    pub(crate) reason: String,
    pub(crate) message: String,
}

impl PodLine {
    fn of(pod: &Pod) -> Self {
        let status = pod.status.as_ref();
        let containers = status.and_then(|it| it.container_statuses.as_deref()).unwrap_or_default();
        let labels = pod.metadata.labels.as_ref();
        Self {
            name: pod.metadata.name.clone().unwrap_or_default(),
            version: labels.and_then(|it| it.get("nodesys.dev/release")).cloned(),
            phase: match pod.metadata.deletion_timestamp {
                Some(_) => "Terminating".to_owned(),
                None => status.and_then(|it| it.phase.clone()).unwrap_or_default(),
            },
            restarts: containers.iter().map(|it| it.restart_count).sum(),
            trouble: trouble_of(pod).map(|trouble| trouble.words),
        }
    }
}

fn volume(claim: &PersistentVolumeClaim) -> VolumeLine {
    let requests = claim.spec.as_ref().and_then(|it| it.resources.as_ref()?.requests.as_ref());
    VolumeLine {
        name: claim.metadata.name.clone().unwrap_or_default(),
        phase: claim.status.as_ref().and_then(|it| it.phase.clone()).unwrap_or_default(),
        size: requests
            .and_then(|it| it.get("storage"))
            .map(|size| size.0.clone())
            .unwrap_or_default(),
    }
}

fn quota(quota: &ResourceQuota) -> Vec<QuotaLine> {
    let status = quota.status.as_ref();
    let used = status.and_then(|it| it.used.clone()).unwrap_or_default();
    let hard = status.and_then(|it| it.hard.clone()).unwrap_or_default();
    let line =
        |(resource, hard): (String, k8s_openapi::apimachinery::pkg::api::resource::Quantity)| {
            let used = used.get(&resource).map(|it| it.0.clone()).unwrap_or_default();
            QuotaLine { resource, used, hard: hard.0 }
        };
    hard.into_iter().map(line).collect()
}

fn newest(events: Vec<Event>) -> Vec<EventLine> {
    let mut lines: Vec<EventLine> = events
        .into_iter()
        .map(|event| {
            let seen = event.last_timestamp.map(|it| it.0.to_string());
            let made = event.event_time.map(|it| it.0.to_string());
            EventLine {
                time: seen.or(made).unwrap_or_default(),
                reason: event.reason.unwrap_or_default(),
                message: event.message.unwrap_or_default(),
            }
        })
        .collect();
    lines.sort_by(|a, b| a.time.cmp(&b.time));
    lines.split_off(lines.len().saturating_sub(EVENTS))
}

/// Runs the verb.
pub(crate) async fn describe_workload(
    setup: &Setup,
    workload: &WorkloadRef,
) -> anyhow::Result<WorkloadDescription> {
    let file = WorkloadsFile::read(setup.home()?)?;
    let entry = workload.find(&file)?;
    let namespace = entry.namespace();
    let client = connect(setup.home()?).await?.client;
    let all = ListParams::default();
    let told = |what: &'static str| move |error| cluster_error(what, error);
    let volumes: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &namespace);
    let volumes = volumes.list(&all).await.map_err(told("the workload's volumes"))?;
    let quotas: Api<ResourceQuota> = Api::namespaced(client.clone(), &namespace);
    let quotas = quotas.list(&all).await.map_err(told("the workload's quota"))?;
    let events: Api<Event> = Api::namespaced(client.clone(), &namespace);
    let events = events.list(&all).await.map_err(told("the workload's events"))?;
    Ok(WorkloadDescription {
        workload: entry.label(),
        project: entry.project,
        collection: entry.collection,
        token_id: entry.token_id,
        release_urls: entry.release_urls.clone(),
        paused: entry.paused,
        grant: entry.grant.clone(),
        pods: pods_of(&client, &namespace).await?.iter().map(PodLine::of).collect(),
        volumes: volumes.items.iter().map(volume).collect(),
        quota: quotas.items.iter().flat_map(quota).collect(),
        events: newest(events.items),
        namespace,
    })
}

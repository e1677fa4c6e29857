//! `workload describe`: what was granted, and what the cluster has of it.

use std::fmt;

use k8s_openapi::api::core::v1::{Event, PersistentVolumeClaim, Pod, ResourceQuota};
use kube::Api;
use kube::api::ListParams;
use nodesys_core::{Address, U256};
use nodesys_render::Grant;
use serde::Serialize;

use super::WorkloadsFile;
use super::command::WorkloadRef;
use super::logs::pods_of;
use super::offer::lines;
use crate::cluster::{connect, trouble_of, words_of};
use crate::exit::Exit;
use crate::output::{self, clean};
use crate::setup::Setup;

/// Events that are shown, the newest ones.
const EVENTS: usize = 12;

/// `workload describe`.
#[derive(Debug, Serialize)]
struct Described {
    workload: String,
    project: Address,
    collection: Address,
    #[serde(with = "nodesys_core::message::decimal")]
    token_id: U256,
    namespace: String,
    release_urls: Vec<reqwest::Url>,
    paused: bool,
    grant: Grant,
    pods: Vec<PodLine>,
    volumes: Vec<VolumeLine>,
    /// Used of what is allowed.
    quota: Vec<QuotaLine>,
    events: Vec<EventLine>,
}

#[derive(Debug, Serialize)]
struct PodLine {
    name: String,
    version: Option<String>,
    phase: String,
    restarts: i32,
    trouble: Option<String>,
}

#[derive(Debug, Serialize)]
struct VolumeLine {
    name: String,
    phase: String,
    size: String,
}

#[derive(Debug, Serialize)]
struct QuotaLine {
    resource: String,
    used: String,
    hard: String,
}

#[derive(Debug, Serialize)]
struct EventLine {
    time: String,
    reason: String,
    message: String,
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

/// Runs the verb.
pub(super) async fn describe(setup: &Setup, workload: &WorkloadRef) -> anyhow::Result<Exit> {
    let file = WorkloadsFile::read(setup.home()?)?;
    let entry = workload.find(&file)?;
    let namespace = entry.namespace();
    let client = connect(setup).await?.client;
    let all = ListParams::default();
    let told = |what: &'static str| move |error| words_of(what, error);
    let volumes: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &namespace);
    let volumes = volumes.list(&all).await.map_err(told("the workload's volumes"))?;
    let quotas: Api<ResourceQuota> = Api::namespaced(client.clone(), &namespace);
    let quotas = quotas.list(&all).await.map_err(told("the workload's quota"))?;
    let events: Api<Event> = Api::namespaced(client.clone(), &namespace);
    let events = events.list(&all).await.map_err(told("the workload's events"))?;
    let described = Described {
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
    };
    output::print(setup.format(), &described)?;
    Ok(Exit::Done)
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

impl fmt::Display for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paused = if self.paused { " (paused)" } else { "" };
        writeln!(f, "workload   {}{paused}", self.workload)?;
        writeln!(f, "project    {}", self.project)?;
        writeln!(f, "license    {}/{}", self.collection, self.token_id)?;
        write!(f, "namespace  {}", self.namespace)?;
        for url in &self.release_urls {
            write!(f, "\nreleases   {url}")?;
        }
        for (name, line) in lines(&self.grant) {
            write!(f, "\n{name:<10} {line}")?;
        }
        for pod in &self.pods {
            let version = pod.version.as_deref().unwrap_or("?");
            let PodLine { name, phase, restarts, .. } = pod;
            write!(f, "\npod        {name}: version {version}, {phase}, {restarts} restarts")?;
            if let Some(trouble) = &pod.trouble {
                write!(f, "\n           {}", clean_line(trouble))?;
            }
        }
        for VolumeLine { name, phase, size } in &self.volumes {
            write!(f, "\nvolume     {name}: {size}, {phase}")?;
        }
        for QuotaLine { resource, used, hard } in &self.quota {
            write!(f, "\nquota      {resource}: {used} of {hard}")?;
        }
        for EventLine { time, reason, message } in &self.events {
            write!(f, "\nevent      {time} {} {}", clean(reason), clean_line(message))?;
        }
        Ok(())
    }
}

fn clean_line(text: &str) -> String {
    text.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

//! The controller: keeps the cluster running the releases announced on chain.
//!
//! One loop, `observe -> plan -> build -> apply -> report`, over each workload in turn: when its
//! deployment changes, during an update, at least every ten minutes, and at once on request. All
//! decisions are in [`plan`]; the rest reads and writes. It acts only while it holds the cluster's
//! Lease ([`election`]), and deletes only by a tombstone.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt as _;
use futures::stream::SelectAll;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watcher};
use nodesys_clock::{Clock, DEVELOPMENT_CHAIN_ID, Sleeper};
use nodesys_core::Address;
use nodesys_core::message::Domain;
use nodesys_core::release::{HealthBy, Release, Version};
use nodesys_core::signature::SigningKey;
use nodesys_core::time::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::config::{ClusterSettings, Placement};
use crate::http::Shared;
use crate::view::ReleaseView;
use nodesys_core::cidr::Cidr;
use nodesys_render::workload::{Placed, TokenKey};
use nodesys_render::workload_namespace;

mod act;
mod backoff;
pub(crate) mod chain;
pub mod election;
pub mod ledger;
pub mod live;
mod objects;
mod observe;
pub mod plan;

use backoff::backoff_secs;
use chain::ChainReader;
use election::Election;
use nodesys_chain::release::WorkloadReleases;
use nodesys_sdk::release::fetch::Fetcher;
use objects::Objects;
use plan::Observation;

/// The time limit of one request to the cluster.
pub const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);
/// Interval between reads of the chain, give or take a tenth.
const REFRESH_SECS: u64 = 600;
/// Interval between checks of a workload during an update, or while a pod terminates.
const ROLLOUT_SECS: u64 = 5;
/// Interval between checks of a workload judged by readiness: shorter than the time after which a
/// report is stale.
const READINESS_SECS: u64 = 15;

/// The controller's state of one workload between rounds.
struct Work {
    placed: Placed,
    placement: Placement,
    namespace: String,
    chain: Result<WorkloadReleases, String>,
    chain_read: Option<Timestamp>,
    chain_due: Timestamp,
    chain_failures: u32,
    reads: u64,
    /// The last release fetched, until it is in the ledger.
    offered: Option<Release>,
    fetch_due: Timestamp,
    fetch_failures: u32,
    fetch_problem: Option<String>,
    /// The operator's objects that were altered.
    changed: Vec<String>,
    failures: u32,
    due: Timestamp,
    /// The last reported problem, so that it is reported once.
    told: Option<String>,
    issued: Vec<Version>,
}

/// The controller of a cluster.
pub(crate) struct Controller {
    objects: Objects,
    client: kube::Client,
    election: Arc<Election>,
    shared: Arc<Shared>,
    clock: Clock,
    chain: ChainReader,
    fetcher: Fetcher,
    token_key: TokenKey,
    node_key: Address,
    local_ranges: Vec<Cidr>,
    manager_url: Option<String>,
    works: Vec<Work>,
    wake: Arc<Notify>,
}

/// Connects to the cluster.
pub(crate) async fn connect(settings: &ClusterSettings) -> anyhow::Result<kube::Client> {
    let mut config = match &settings.kubeconfig {
        None => {
            kube::Config::incluster().context("not inside a cluster: set cluster.kubeconfig")?
        }
        Some(path) => {
            let file = kube::config::Kubeconfig::read_from(path)
                .with_context(|| format!("the kubeconfig {}", path.display()))?;
            kube::Config::from_custom_kubeconfig(file, &Default::default()).await?
        }
    };
    config.connect_timeout = Some(CLIENT_TIMEOUT);
    config.write_timeout = Some(CLIENT_TIMEOUT);
    kube::Client::try_from(config).context("the cluster's client")
}

impl Controller {
    #[expect(clippy::too_many_arguments, reason = "the parts it is made of, once")]
    pub(crate) fn new(
        client: kube::Client,
        settings: ClusterSettings,
        domain: Domain,
        backend: &str,
        node_key: &SigningKey,
        election: Arc<Election>,
        shared: Arc<Shared>,
        wake: Arc<Notify>,
    ) -> anyhow::Result<Self> {
        let clock = shared.clock.clone();
        let now = clock.now();
        let workloads = shared.board.workloads();
        anyhow::ensure!(
            workloads.len() == settings.placements.len(),
            "each workload of a cluster has a placement"
        );
        let works = workloads
            .iter()
            .zip(settings.placements)
            .map(|(workload, placement)| Work {
                namespace: workload_namespace(placement.project, &workload.name),
                placed: Placed {
                    registry: domain.verifying_contract(),
                    project: placement.project,
                    workload: workload.name.clone(),
                    license: workload.license,
                    node_key: node_key.address(),
                    manager_url: String::new(),
                },
                placement,
                chain: Err("the chain has not been read yet".to_owned()),
                chain_read: None,
                chain_due: now,
                chain_failures: 0,
                reads: 0,
                offered: None,
                fetch_due: now,
                fetch_failures: 0,
                fetch_problem: None,
                changed: Vec::new(),
                failures: 0,
                due: now,
                told: None,
                issued: Vec::new(),
            })
            .collect::<Vec<Work>>();
        shared.view.update(|shown| shown.releases = vec![ReleaseView::default(); works.len()]);
        let chain_id = domain.chain_id();
        Ok(Self {
            objects: Objects::new(client.clone(), settings.identity),
            client,
            election,
            clock,
            chain: ChainReader::new(settings.rpcs, chain_id, domain.verifying_contract()),
            fetcher: Fetcher::new(backend, chain_id == DEVELOPMENT_CHAIN_ID)?,
            token_key: TokenKey::new(node_key.derive("nodesys.health-token.v1")),
            node_key: node_key.address(),
            local_ranges: settings.local_ranges,
            manager_url: settings.manager_url,
            works,
            shared,
            wake,
        })
    }

    /// Runs until `stop`; a started round is finished.
    pub(crate) async fn run(mut self, mut sleeper: Sleeper, stop: CancellationToken) {
        let mut changes = self.watch();
        while !stop.is_cancelled() {
            let now = self.clock.now();
            for i in 0..self.works.len() {
                if self.works[i].due <= now && self.election.acts() {
                    self.round(i).await;
                }
            }
            let due = self.works.iter().map(|work| work.due).min();
            let wake_at = due.unwrap_or_else(|| now.plus_millis(REFRESH_SECS * 1000));
            // A manager that has lost the Lease looks again, and does not spin on what is due.
            let wake_at = if self.election.acts() { wake_at } else { now.plus_millis(1000) };
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleeper.sleep_until(wake_at) => {}
                () = self.wake.notified() => self.all_due(),
                Some(i) = changes.next() => self.works[i].due = self.clock.now(),
            }
        }
    }

    /// Reads everything anew at once.
    fn all_due(&mut self) {
        let now = self.clock.now();
        for work in &mut self.works {
            (work.due, work.chain_due, work.fetch_due) = (now, now, now);
        }
    }

    /// A stream of workloads whose deployment has changed.
    fn watch(&self) -> SelectAll<futures::stream::BoxStream<'static, usize>> {
        let mut all = SelectAll::new();
        for (i, work) in self.works.iter().enumerate() {
            let api: Api<Deployment> = Api::namespaced(self.client.clone(), &work.namespace);
            let events = watcher(api, watcher::Config::default().any_semantic())
                .default_backoff()
                .filter_map(move |event| async move { event.is_ok().then_some(i) });
            all.push(events.boxed());
        }
        all
    }

    /// One round over one workload; failures are reported, and retried later.
    async fn round(&mut self, i: usize) {
        let now = self.clock.now();
        match self.reconcile(i, now).await {
            Ok(next_secs) => {
                let work = &mut self.works[i];
                work.failures = 0;
                let due = now.plus_millis(next_secs * 1000).min(work.chain_due);
                work.due = if work.fetch_problem.is_some() { due.min(work.fetch_due) } else { due };
            }
            Err(error) => {
                let words = format!("{error:#}");
                let work = &mut self.works[i];
                work.failures = work.failures.saturating_add(1);
                work.due = now.plus_millis(backoff_secs(work.failures) * 1000);
                self.shared.view.update(|shown| shown.releases[i].problem = Some(words.clone()));
                self.trouble(i, Some(words)).await;
            }
        }
    }

    async fn reconcile(&mut self, i: usize, now: Timestamp) -> anyhow::Result<u64> {
        // Observe.
        if self.works[i].placed.manager_url.is_empty() {
            let url = match &self.manager_url {
                Some(url) => url.clone(),
                None => self.objects.manager_url().await?,
            };
            self.works[i].placed.manager_url = url;
        }
        let namespace = self.works[i].namespace.clone();
        let ledger = self.objects.ledger(&namespace).await?;
        let live = self.objects.live(&namespace).await?;
        if self.works[i].chain_due <= now {
            self.read_chain(i, now).await;
            self.read_sandbox(i).await;
        }
        self.fetch(i, &ledger, now).await;
        self.issue(i, &ledger, &live);

        // Plan.
        let work = &self.works[i];
        let millis = self.clock.monotonic_millis();
        let wanted = ledger.wanted_release();
        let said = |release: &Release| self.shared.board.said(i, release.version().get(), millis);
        let fitness = wanted.map_or(plan::Fitness::Absent, |it| live.fitness(it, said(it)));
        let offered = work.offered.clone().map(Ok);
        let seen = Observation {
            now,
            node_key: self.node_key,
            workload: &work.placed.workload,
            chain: work.chain.as_ref().map_err(Clone::clone),
            live: live.version,
            ending: live.ending,
            offered: offered.or_else(|| work.fetch_problem.clone().map(Err)),
            fitness,
            grant: &work.placement.grant,
        };
        let plan = plan::plan(&ledger, &seen);

        // Build and apply: what was decided is written down before it is done.
        let notes = self.apply(i, &ledger, &plan, &live).await?;

        // Report.
        self.issue(i, &plan.ledger, &live);
        self.report(i, &plan, &live, notes).await;
        let soon = plan.ledger.rollout.is_some() || live.ending;
        let by = plan.ledger.wanted_release().map(|release| release.health().by);
        Ok(match (soon, by) {
            (true, _) => ROLLOUT_SECS,
            (false, Some(HealthBy::Readiness)) => READINESS_SECS,
            (false, _) => REFRESH_SECS,
        })
    }
}

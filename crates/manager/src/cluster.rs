//! The controller: keeps the cluster running what the chain says it may.
//!
//! One loop, `observe -> plan -> build -> apply -> report`, over each workload in turn: when its
//! deployment changes, while an update is on its way, at the latest every ten minutes, and at once
//! when told. Everything is decided in [`plan`]; the rest reads and writes. It acts only while it
//! holds the cluster's Lease ([`election`]), and it never deletes anything but by a tombstone.

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
use nodesys_core::message::Domain;
use nodesys_core::release::{HealthBy, Release, Version};
use nodesys_core::signature::SigningKey;
use nodesys_core::time::Timestamp;
use nodesys_core::{Address, U256, keccak256};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::config::{ClusterSettings, HealthToken, Placement};
use crate::health::{HealthPost, Issued, PostedStatus};
use crate::http::Shared;
use crate::render::sandbox::Sandbox;
use crate::render::workload::{Placed, TokenKey};
use crate::render::{Cidr, Object, workload_namespace};
use crate::view::ReleaseView;

mod chain;
pub mod drift;
pub mod election;
mod fetch;
pub mod ledger;
pub mod live;
mod objects;
pub mod plan;

use chain::ChainReader;
use election::Election;
use fetch::Fetcher;
use ledger::Ledger;
use live::Live;
use nodesys_contracts::release::WorkloadReleases;
use objects::{Applied, Compared, Objects};
use plan::{Plan, Run, Seen, Told};

/// The time limit of one request to the cluster.
pub const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the chain is read, give or take a tenth.
const REFRESH_SECS: u64 = 600;
/// How often a workload is looked at while an update is on its way.
const ROLLOUT_SECS: u64 = 5;
/// How often a workload is looked at that says nothing of its health itself: within the time after
/// which a word is stale.
const READINESS_SECS: u64 = 15;
/// After a failure: so long, and twice as long each time up to [`MOST_BACKOFF_SECS`].
const BACKOFF_SECS: u64 = 5;
const MOST_BACKOFF_SECS: u64 = 300;

/// One workload, as the controller keeps it between rounds.
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
    /// The operator's objects that are otherwise than they were made.
    changed: Vec<String>,
    failures: u32,
    due: Timestamp,
    /// The last problem told, so that it is told once.
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

    /// Runs until `stop`; a round that has begun is ended.
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

    /// Which workload's deployment has changed, as it does.
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

    /// One round over one workload; what fails is told, and tried again later.
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
            self.read_sandbox(i).await?;
        }
        self.fetch(i, &ledger, now).await;
        self.issue(i, &ledger, &live, now);

        // Plan.
        let work = &self.works[i];
        let millis = self.clock.monotonic_millis();
        let wanted = ledger.wanted_release();
        let said = |release: &Release| self.shared.board.said(i, release.version().get(), millis);
        let fitness = wanted.map_or(plan::Fitness::Absent, |it| live.fitness(it, said(it)));
        let offered = work.offered.clone().map(Ok);
        let seen = Seen {
            now,
            node_key: self.node_key,
            workload: &work.placed.workload,
            chain: work.chain.as_ref().map_err(Clone::clone),
            live: live.version,
            offered: offered.or_else(|| work.fetch_problem.clone().map(Err)),
            fitness,
            grant: &work.placement.grant,
        };
        let plan = plan::plan(&ledger, &seen);

        // Build and apply: what was decided is written down before it is done.
        let notes = self.apply(i, &ledger, &plan, &live).await?;

        // Report.
        self.issue(i, &plan.ledger, &live, now);
        self.report(i, &plan, notes).await;
        let rollout = plan.ledger.rollout.is_some();
        let by = plan.ledger.wanted_release().map(|release| release.health().by);
        Ok(match (rollout, by) {
            (true, _) => ROLLOUT_SECS,
            (false, Some(HealthBy::Readiness)) => READINESS_SECS,
            (false, _) => REFRESH_SECS,
        })
    }

    async fn read_chain(&mut self, i: usize, now: Timestamp) {
        let work = &mut self.works[i];
        let read = self.chain.read(work.placement.project, &work.placed.workload).await;
        work.reads += 1;
        let next_secs = match read {
            Ok(found) => {
                work.chain_failures = 0;
                work.chain_read = Some(now);
                // What becomes runnable soon is looked at then.
                let soon =
                    found.announced.map(|it| it.runnable_at.saturating_sub(found.block.secs));
                let soon = soon.filter(|secs| *secs > 0 && found.runnable != found.announced);
                work.chain = Ok(found);
                spread_secs(self.node_key, work.reads).min(soon.map_or(u64::MAX, |secs| secs + 1))
            }
            Err(error) => {
                work.chain_failures = work.chain_failures.saturating_add(1);
                work.chain = Err(format!("{error:#}"));
                backoff_secs(work.chain_failures)
            }
        };
        work.chain_due = now.plus_millis(next_secs * 1000);
    }

    /// Compares what the operator made with what it was made as. It is told, and never changed.
    async fn read_sandbox(&mut self, i: usize) -> anyhow::Result<()> {
        let work = &self.works[i];
        let sandbox = Sandbox {
            project: work.placement.project,
            workload: &work.placed.workload,
            grant: &work.placement.grant,
            local_ranges: &self.local_ranges,
        };
        let mut changed = Vec::new();
        // Roles are not the manager's to read.
        let readable = |object: &&Object| !object.kind().starts_with("Role");
        for object in sandbox.objects().iter().filter(readable) {
            match self.objects.compare(object).await? {
                Compared::Same => {}
                Compared::Missing => changed.push(format!("{object} is missing")),
                Compared::Differs(field) => changed.push(format!("{object} differs at {field}")),
            }
        }
        if !changed.is_empty() && changed != work.changed {
            let note = changed.join("; ");
            tracing::warn!(workload = %work.placed.workload, note, "the sandbox was changed");
            self.objects.tell(&work.namespace, true, "SandboxChanged", note).await;
        }
        self.works[i].changed = changed;
        Ok(())
    }

    async fn fetch(&mut self, i: usize, ledger: &Ledger, now: Timestamp) {
        let work = &mut self.works[i];
        let wanted = work.chain.as_ref().ok().and_then(|chain| plan::to_fetch(ledger, chain));
        let Some((_, hash)) = wanted else {
            (work.offered, work.fetch_problem, work.fetch_failures) = (None, None, 0);
            return;
        };
        if work.offered.as_ref().is_some_and(|release| release.hash() == hash) {
            return;
        }
        work.offered = None;
        if now < work.fetch_due && work.fetch_problem.is_some() {
            return;
        }
        match self.fetcher.release(&work.placement.release_urls, hash).await {
            Ok(release) => {
                (work.offered, work.fetch_problem, work.fetch_failures) = (Some(release), None, 0);
            }
            Err(error) => {
                work.fetch_failures = work.fetch_failures.saturating_add(1);
                work.fetch_due = now.plus_millis(backoff_secs(work.fetch_failures) * 1000);
                work.fetch_problem = Some(format!("{error:#}"));
            }
        }
    }

    /// Lets the pods of the releases that may run post their health, and speaks for those that are
    /// judged by their readiness.
    fn issue(&mut self, i: usize, ledger: &Ledger, live: &Live, now: Timestamp) {
        let _ = now;
        let millis = self.clock.monotonic_millis();
        let work = &mut self.works[i];
        let versions = ledger.running();
        if versions != work.issued {
            let issued = versions.iter().map(|version| {
                let token = self.token_key.token(work.placed.license, *version);
                let token = HealthToken::new(&token).expect("64 hex digits are a token");
                Issued { release: version.get(), token }
            });
            self.shared.board.issue(i, issued.collect());
            work.issued = versions;
        }
        let release = ledger.wanted_release();
        let grace = release.map_or(0, |release| release.health().start_grace_secs);
        let version = release.map_or(0, |release| release.version().get());
        self.shared.board.runs(i, version, ledger.rollout.is_some(), grace.into(), millis);
        if let Some(release) = release.filter(|release| release.health().by == HealthBy::Readiness)
        {
            let status = if live.ready { PostedStatus::Healthy } else { PostedStatus::Starting };
            let trouble = live.pods.iter().find_map(|pod| pod.trouble.clone());
            let post = HealthPost { status, detail: trouble, work: None };
            // A pod that is not ready any more says nothing, as one that is silent.
            if live.ready || self.shared.board.last(i).is_none() {
                self.shared.board.hear(i, release.version().get(), post, millis);
            }
        }
    }

    async fn apply(
        &self,
        i: usize,
        before: &Ledger,
        plan: &Plan,
        live: &Live,
    ) -> anyhow::Result<Vec<String>> {
        let work = &self.works[i];
        let placed = &work.placed;
        let mut notes = Vec::new();
        anyhow::ensure!(self.election.acts(), "another manager acts now");
        if plan.ledger != *before {
            self.objects.apply(&placed.ledger(&plan.ledger.to_data())).await?;
        }
        for told in &plan.told {
            let bad = matches!(told, Told::RolledBack { .. });
            tracing::info!(workload = %placed.workload, "{}: {told}", told.reason());
            self.objects.tell(&work.namespace, bad, told.reason(), told.to_string()).await;
        }
        match plan.run {
            Run::Nothing => {}
            Run::Remove { volumes } => {
                if self.objects.remove(&work.namespace, volumes).await? {
                    tracing::info!(workload = %placed.workload, volumes, "removed");
                }
            }
            Run::Release(version) => {
                let release = plan.ledger.accepted.get(&version).context("an accepted release")?;
                for claim in placed.claims(release) {
                    if let Some(field) = self.objects.create(&claim).await? {
                        notes.push(format!("{claim} is kept as it is, otherwise at {field}"));
                    }
                }
                let secret = placed.token_secret(&self.token_key, &plan.ledger.running());
                let deployment = placed.deployment(release);
                for object in [secret, deployment] {
                    anyhow::ensure!(self.election.acts(), "another manager acts now");
                    let applied = self.objects.apply(&object).await?;
                    if let Applied::Changed(what) = applied
                        && live.version == Some(version)
                        && plan.told.is_empty()
                        && before.running() == plan.ledger.running()
                    {
                        let note = format!("{object} was changed ({what}); put back");
                        tracing::warn!(workload = %placed.workload, note, "drift");
                        self.objects.tell(&work.namespace, true, "Restored", note).await;
                    }
                }
            }
        }
        Ok(notes)
    }

    async fn report(&mut self, i: usize, plan: &Plan, notes: Vec<String>) {
        let work = &self.works[i];
        let ledger = &plan.ledger;
        let waits = plan.waits.iter().cloned().chain(notes).reduce(|a, b| format!("{a}; {b}"));
        let announced = work.chain.as_ref().ok().and_then(|chain| chain.announced);
        let quarantined = ledger.quarantined.iter();
        let view = ReleaseView {
            current: ledger.current,
            rollout: ledger.rollout.map(|rollout| rollout.version),
            announced: announced.map(|it| it.version.to_string()),
            quarantined: quarantined.map(|(version, it)| (*version, it.why.clone())).collect(),
            problem: plan.problem.clone(),
            waits,
            changed: work.changed.clone(),
            chain_read: work.chain_read.map(|at| at.to_string()),
        };
        self.shared.view.update(|shown| shown.releases[i] = view);
        self.trouble(i, plan.problem.clone()).await;
    }

    /// Tells a problem once, in the log and as an event.
    async fn trouble(&mut self, i: usize, problem: Option<String>) {
        let work = &mut self.works[i];
        if work.told == problem {
            return;
        }
        work.told.clone_from(&problem);
        let workload = &work.placed.workload;
        match problem {
            None => tracing::info!(%workload, "releases are well again"),
            Some(problem) => {
                tracing::warn!(%workload, problem, "a release is held up");
                let namespace = work.namespace.clone();
                if self.election.acts() {
                    self.objects.tell(&namespace, true, "HeldUp", problem).await;
                }
            }
        }
    }
}

/// The wait after so many failures in a row.
fn backoff_secs(failures: u32) -> u64 {
    let doubled = BACKOFF_SECS.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(MOST_BACKOFF_SECS)
}

/// Ten minutes give or take a tenth, so that nodes do not ask all at once: by the node and the
/// number of the read, since nothing here is random.
fn spread_secs(node_key: Address, read: u64) -> u64 {
    let seed = keccak256([node_key.as_slice(), &read.to_be_bytes()].concat());
    let tenth = REFRESH_SECS / 10;
    let offset = U256::from_be_bytes(seed.0) % U256::from(2 * tenth + 1);
    REFRESH_SECS - tenth + offset.to::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_spread_and_failures_wait_longer() {
        let secs: Vec<u64> =
            (0..200).map(|read| spread_secs(Address::repeat_byte(1), read)).collect();
        assert!(secs.iter().all(|secs| (540..=660).contains(secs)), "{secs:?}");
        assert!(secs.iter().min() < Some(&550) && secs.iter().max() > Some(&650));
        let waits: Vec<u64> = (1..9).map(backoff_secs).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(backoff_secs(u32::MAX), 300);
    }
}

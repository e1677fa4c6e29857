//! Acting on a plan, and reporting the outcome.

use anyhow::Context as _;
use nodesys_core::release::HealthBy;

use super::Controller;
use super::ledger::Ledger;
use super::live::Live;
use super::objects::Applied;
use super::plan::{Plan, RolloutEvent, Run};
use crate::config::HealthToken;
use crate::health::{HealthPost, Issued, PostedStatus};
use crate::view::ReleaseView;

impl Controller {
    /// Admits the health posts of releases that may run, and posts for those judged by readiness.
    pub(super) fn issue(&mut self, i: usize, ledger: &Ledger, live: &Live) {
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
        // A pod that is not ready counts as silent.
        let by_readiness = release.filter(|it| it.health().by == HealthBy::Readiness);
        if let Some(release) = by_readiness.filter(|_| live.ready) {
            let post = HealthPost { status: PostedStatus::Healthy, detail: None, work: None };
            self.shared.board.hear(i, release.version().get(), post, millis);
        }
    }

    pub(super) async fn apply(
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
            let bad = matches!(told, RolloutEvent::RolledBack { .. });
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
                        notes.push(format!("{claim} differs at {field} and is left unchanged"));
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
                        let note = format!("{object} was changed ({what}); restored");
                        tracing::warn!(workload = %placed.workload, note, "drift");
                        self.objects.tell(&work.namespace, true, "Restored", note).await;
                    }
                }
            }
        }
        Ok(notes)
    }

    pub(super) async fn report(&mut self, i: usize, plan: &Plan, live: &Live, notes: Vec<String>) {
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
            trouble: live.pods.iter().find_map(|pod| pod.trouble.clone()),
            changed: work.changed.clone(),
            chain_read: work.chain_read.map(|at| at.to_string()),
        };
        self.shared.view.update(|shown| shown.releases[i] = view);
        self.trouble(i, plan.problem.clone()).await;
    }

    /// Reports a problem once, in the log and as an event.
    pub(super) async fn trouble(&mut self, i: usize, problem: Option<String>) {
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

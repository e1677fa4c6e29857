//! The owner's work on one day: build, compare, sign once, store, submit.
//!
//! [`Owner::commit`] may be called again after any failure: uploads and commits are idempotent, the
//! signing record admits only the same commit, and a stored commit is submitted as it is.

use std::fmt;
use std::path::Path;

use anyhow::{Context as _, bail};
use nodesys_clock::Clock;
use nodesys_core::B256;
use nodesys_core::api::CommitState;
use nodesys_core::bundle::{DayBundle, ProjectInfo};
use nodesys_core::files::{PointsRow, RewardRow, Row as _, parse_file};
use nodesys_core::ids::Amount;
use nodesys_core::message::{Message as _, SignedCommit};
use nodesys_core::signature::SigningKey;
use nodesys_core::time::UtcDay;
use nodesys_sdk::bundles::{BundleSource, BundleStore, Places};
use nodesys_sdk::client::Client;
use nodesys_sdk::commit::{compare, domain_of, submit, upload_points, with_rewards};
use nodesys_sdk::day::{CheckedUptime, DayBuilder, find_project};
use serde::Serialize;
use sqlx::PgPool;

use super::points::{TaskCounts, task_points};
use super::signing::sign_once;
use crate::config::Settings;
use crate::database;
use crate::task::{Queue, open_queue};

/// A project's owner, with everything its days need.
pub(crate) struct Owner {
    /// Builds days.
    pub(crate) builder: DayBuilder,
    /// The project.
    pub(crate) project: ProjectInfo,
    /// The finished days.
    pub(crate) store: BundleStore,
    /// The reward signer, for a command that signs.
    signer: Option<Signer>,
    /// The task queue, where the project's rule counts tasks.
    tasks: Option<Queue>,
}

struct Signer {
    key: SigningKey,
    record: PgPool,
    clock: Clock,
}

/// A commit that the backend has accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct CommittedDay {
    pub(crate) day: UtcDay,
    /// Struct hash of the commit.
    pub(crate) commit_hash: B256,
    pub(crate) root: B256,
    /// Sum of all cumulative amounts, in wei.
    pub(crate) total: Amount,
    pub(crate) revision: u32,
    /// The commit's state at the backend.
    pub(crate) state: CommitState,
    /// Whether it had been signed before.
    pub(crate) again: bool,
}

impl fmt::Display for CommittedDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let again = if self.again { " (signed before)" } else { "" };
        writeln!(f, "day      {}", self.day)?;
        writeln!(f, "commit   {}{again}", self.commit_hash)?;
        writeln!(f, "root     {}", self.root)?;
        writeln!(f, "total    {} wei", self.total)?;
        write!(f, "state    {:?}", self.state)
    }
}

/// Reads a `rewards.csv`.
pub(super) fn read_rewards(path: &Path) -> anyhow::Result<Vec<RewardRow>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse_file::<RewardRow>(&bytes)
        .with_context(|| format!("{} is not a valid {}", path.display(), RewardRow::FILE))
}

impl Owner {
    /// For commands that do not sign.
    pub(crate) async fn reader(settings: &Settings) -> anyhow::Result<Self> {
        let provider = settings.provider().await?;
        let registry = *Settings::need(&settings.registry, "--registry")?;
        let name = Settings::need(&settings.project, "--project")?;
        let project = find_project(&provider, registry, name).await?;
        let backend = Client::new(Settings::need(&settings.backend, "--backend")?)?;
        let store = BundleStore::new(Settings::need(&settings.bundles, "--bundles")?);
        let builder = DayBuilder {
            // A master that lost its folder, or follows another, continues from the backend's bundles.
            bundles: Places::new(vec![
                BundleSource::Folder(store.clone()),
                BundleSource::Server(Box::new(backend.clone())),
            ]),
            backend,
            provider,
            project: project.clone(),
            terms: settings.read_terms()?,
            finality_depth: settings.final_depth.unwrap_or(64),
            logs_from: settings.first_block.unwrap_or(0),
            // Nothing is signed that the backend does not compute as well.
            second_opinion: true,
        };
        let tasks = match builder.terms.rule.counts_tasks() {
            false => None,
            true => Some(open_queue(settings, &project).await?),
        };
        Ok(Self { builder, project, store, signer: None, tasks })
    }

    /// For a command that signs and ends.
    pub(super) async fn signer(settings: &Settings) -> anyhow::Result<Self> {
        let owner = Self::reader(settings).await?;
        let clock = settings.observed_clock(owner.project.chain_id).await?;
        owner.with_signer(settings, clock).await
    }

    /// With the reward signer's key and the record of its signatures.
    pub(crate) async fn with_signer(
        mut self,
        settings: &Settings,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let record = database::connect(settings).await?;
        let key = settings.signer_key()?;
        let expected = self.builder.state().await?.signer;
        if expected != key.address() {
            bail!(
                "the keystore's key is {}, but the project's reward signer is {expected}: use its \
                 keystore, or check --project",
                key.address()
            );
        }
        self.signer = Some(Signer { key, record, clock });
        Ok(self)
    }

    /// The points of a day, by the queue's counts where the rule counts tasks; `None` where uptime
    /// alone decides them.
    pub(super) async fn task_points(
        &self,
        day: UtcDay,
        uptime: &CheckedUptime,
        counts: TaskCounts,
    ) -> anyhow::Result<Option<Vec<PointsRow>>> {
        match &self.tasks {
            None => Ok(None),
            Some(queue) => Ok(Some(task_points(queue, &self.builder, day, uptime, counts).await?)),
        }
    }

    /// Builds a day; with `rewards`, the day with those amounts in place of the computed ones.
    pub(super) async fn build(
        &self,
        day: UtcDay,
        rewards: Option<Vec<RewardRow>>,
        counts: TaskCounts,
    ) -> anyhow::Result<DayBundle> {
        let uptime = self.builder.uptime(day).await?;
        let points = self.task_points(day, &uptime, counts).await?;
        let built = self.builder.build_with_points(day, uptime, points).await?;
        match rewards {
            None => Ok(built),
            Some(rewards) => Ok(with_rewards(&built, rewards)?),
        }
    }

    /// Commits a day, and closes its task counts. A commit that was signed before is submitted
    /// again.
    pub(crate) async fn commit(
        &self,
        day: UtcDay,
        rewards: Option<Vec<RewardRow>>,
    ) -> anyhow::Result<CommittedDay> {
        let signer = self.signer.as_ref().context("this command has no signing key")?;
        if rewards.is_none()
            && let Some(signed) = self.valid_commit(day).await?
        {
            return self.submit(day, &signed, true).await;
        }
        let built = self.build(day, rewards, TaskCounts::Closed).await?;
        let backend = &self.builder.backend;
        let checked = upload_points(backend, &built, &signer.key).await?;
        let project = self.project.distributor;
        let csv = &built.files[RewardRow::FILE];
        compare(backend, project, &built.commit, csv, &checked).await?;
        let domain = domain_of(&built);
        let now = signer.clock.now();
        nodesys_failpoint::reach("sign:before");
        let signed = sign_once(&signer.record, &domain, &built.commit, &signer.key, now).await?;
        nodesys_failpoint::reach("sign:after");
        self.store.write(&built, &signed)?;
        nodesys_failpoint::reach("publish:after");
        let done = self.submit(day, &signed, false).await?;
        nodesys_failpoint::reach("commit:after");
        Ok(done)
    }

    /// The stored commit of a day, if it is still valid: posted, or of the present revision.
    pub(crate) async fn valid_commit(&self, day: UtcDay) -> anyhow::Result<Option<SignedCommit>> {
        let Some(signed) = self.store.commit(self.project.distributor, day)? else {
            return Ok(None);
        };
        let state = self.builder.state().await?;
        let valid = day.epoch() <= state.epoch || signed.commit.revision == state.revision;
        Ok(valid.then_some(signed))
    }

    /// Submits a signed commit to the backend, which may have it already. `again` says that it was
    /// signed before.
    pub(crate) async fn submit(
        &self,
        day: UtcDay,
        signed: &SignedCommit,
        again: bool,
    ) -> anyhow::Result<CommittedDay> {
        let view = submit(&self.builder.backend, self.project.distributor, signed).await?;
        let commit_hash = signed.commit.struct_hash();
        if view.commit_hash != commit_hash {
            bail!(
                "the backend accepted commit {} in place of {commit_hash}: do not trust it",
                view.commit_hash
            );
        }
        Ok(CommittedDay {
            day,
            commit_hash,
            root: signed.commit.root,
            total: signed.commit.total,
            revision: signed.commit.revision,
            state: view.state,
            again,
        })
    }
}

//! The owner's work on one day: build, compare, sign once, keep, hand in.
//!
//! [`Owner::commit`] may be called again after any failure: uploads and commits are idempotent,
//! the signing record lets only the same commit through, and a stored commit is handed in as it
//! is.

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
use nodesys_sdk::day::{DayBuilder, find_project};
use serde::Serialize;
use sqlx::PgPool;

use crate::config::Settings;
use crate::signed::sign_once;
use crate::task::{Queue, day_points, queue};

/// A project owner at work.
pub struct Owner {
    /// Builds days.
    pub builder: DayBuilder,
    /// Whose days.
    pub project: ProjectInfo,
    /// Where finished days are kept.
    pub store: BundleStore,
    /// What signs, where this command signs.
    signer: Option<Signer>,
    /// The tasks, where the project's rule counts them.
    tasks: Option<Queue>,
}

struct Signer {
    key: SigningKey,
    record: PgPool,
    clock: Clock,
}

/// A commit that the backend has accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Committed {
    /// The day.
    pub day: UtcDay,
    /// Struct hash of the commit.
    pub commit_hash: B256,
    /// Its root.
    pub root: B256,
    /// Sum of all cumulative amounts, in wei.
    pub total: Amount,
    /// Its revision.
    pub revision: u32,
    /// Where the backend says that it stands.
    pub state: CommitState,
    /// Whether it had been signed before.
    pub again: bool,
}

impl fmt::Display for Committed {
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
pub fn read_rewards(path: &Path) -> anyhow::Result<Vec<RewardRow>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse_file::<RewardRow>(&bytes)
        .with_context(|| format!("{} is no {}", path.display(), RewardRow::FILE))
}

/// The project's task queue.
pub(crate) async fn open_queue(
    settings: &Settings,
    project: &ProjectInfo,
) -> anyhow::Result<Queue> {
    let pool = queue::connect(Settings::need(&settings.database_url, "--database-url")?).await?;
    Queue::open(pool, project.chain_id, project.distributor).await
}

impl Owner {
    /// For commands that sign nothing.
    pub async fn reader(settings: &Settings) -> anyhow::Result<Self> {
        let provider = settings.provider().await?;
        let registry = *Settings::need(&settings.registry, "--registry")?;
        let name = Settings::need(&settings.project, "--project")?;
        let project = find_project(&provider, registry, name).await?;
        let backend = Client::new(Settings::need(&settings.backend, "--backend")?)?;
        let store = BundleStore::new(Settings::need(&settings.bundles, "--bundles")?);
        let builder = DayBuilder {
            // A master that has lost its folder, or follows another, goes on from the backend's.
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
        };
        let tasks = match builder.terms.rule.counts_tasks() {
            false => None,
            true => Some(open_queue(settings, &project).await?),
        };
        Ok(Self { builder, project, store, signer: None, tasks })
    }

    /// For a command that signs and ends.
    pub async fn signer(settings: &Settings) -> anyhow::Result<Self> {
        let owner = Self::reader(settings).await?;
        let clock = settings.observed_clock(owner.project.chain_id).await?;
        owner.with_signer(settings, clock).await
    }

    /// With the reward signer's key and the record of what it has signed.
    pub(crate) async fn with_signer(
        mut self,
        settings: &Settings,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let url = Settings::need(&settings.database_url, "--database-url")?;
        let record = queue::connect(url).await?;
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

    /// The points of a closed day, where uptime alone does not decide them.
    pub(crate) async fn task_points(&self, day: UtcDay) -> anyhow::Result<Option<Vec<PointsRow>>> {
        match &self.tasks {
            None => Ok(None),
            Some(queue) => Ok(Some(day_points(queue, &self.builder, day).await?)),
        }
    }

    /// Builds a day; with `rewards`, the day that those amounts would give.
    pub async fn build(
        &self,
        day: UtcDay,
        rewards: Option<Vec<RewardRow>>,
    ) -> anyhow::Result<DayBundle> {
        let built = self.builder.build_with_points(day, self.task_points(day).await?).await?;
        match rewards {
            None => Ok(built),
            Some(rewards) => Ok(with_rewards(&built, rewards)?),
        }
    }

    /// Commits a day: the same commit again, where it was signed before.
    pub async fn commit(
        &self,
        day: UtcDay,
        rewards: Option<Vec<RewardRow>>,
    ) -> anyhow::Result<Committed> {
        let signer = self.signer.as_ref().context("this command has no signing key")?;
        if rewards.is_none()
            && let Some(signed) = self.standing(day).await?
        {
            return self.hand_in(day, &signed, true).await;
        }
        let built = self.build(day, rewards).await?;
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
        let done = self.hand_in(day, &signed, false).await?;
        nodesys_failpoint::reach("commit:after");
        Ok(done)
    }

    /// A stored commit of the day that still stands: posted, or of the present revision.
    pub(crate) async fn standing(&self, day: UtcDay) -> anyhow::Result<Option<SignedCommit>> {
        let Some(signed) = self.store.commit(self.project.distributor, day)? else {
            return Ok(None);
        };
        let state = self.builder.state().await?;
        let stands = day.epoch() <= state.epoch || signed.commit.revision == state.revision;
        Ok(stands.then_some(signed))
    }

    /// Gives the backend a signed commit, which it may have already.
    pub(crate) async fn hand_in(
        &self,
        day: UtcDay,
        signed: &SignedCommit,
        again: bool,
    ) -> anyhow::Result<Committed> {
        let view = submit(&self.builder.backend, self.project.distributor, signed).await?;
        let commit_hash = signed.commit.struct_hash();
        if view.commit_hash != commit_hash {
            bail!(
                "the backend accepted commit {}, but {commit_hash} was handed in: do not trust it",
                view.commit_hash
            );
        }
        Ok(Committed {
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

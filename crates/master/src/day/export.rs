//! `commit --export|--import`: the reward signer's key is elsewhere, a Safe or a cold machine.
//!
//! It signs two messages, so a day takes two rounds: the points first, then, once the backend has
//! computed the very same commit from them, the commit. The order is the same as with a local key: a
//! commit is exported only if the backend computes the same one, and only after the signing record
//! is written. An export is a real commit, so it closes the day's task counts.

mod file;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use nodesys_chain::wallet_signature;
use nodesys_core::bundle::DayBundle;
use nodesys_core::files::{PointsRow, RewardRow, Row as _, first_difference};
use nodesys_core::message::{Domain, SignedCommit};
use nodesys_core::signature::WalletSignature;
use nodesys_core::time::UtcDay;
use nodesys_core::{Address, B256};
use nodesys_sdk::commit::{CommitError, compare, domain_of, points_upload, put_signed_points};
use serde::Serialize;

use super::owner::{CommittedDay, Owner};
use super::points::TaskCounts;
use super::signing::record_once;
use crate::config::Settings;
use crate::database;
use file::{ExportFile, SigningRequest};

/// Result of a round.
#[derive(Debug, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub(super) enum RoundView {
    /// A file was written for the signer.
    Exported {
        day: UtcDay,
        /// `points` or `commit`.
        round: &'static str,
        signer: Address,
        digest: B256,
        file: PathBuf,
    },
    /// The backend has accepted the points, and computes the same commit.
    PointsAccepted { day: UtcDay },
    /// The backend has accepted the commit.
    Committed(CommittedDay),
}

impl fmt::Display for RoundView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exported { day, round, signer, digest, file } => {
                writeln!(f, "day      {day}")?;
                writeln!(f, "round    {round}")?;
                writeln!(f, "signer   {signer}")?;
                writeln!(f, "digest   {digest}")?;
                writeln!(f, "file     {}", file.display())?;
                write!(
                    f,
                    "next     sign the digest (or the file's typed_data), then run\n         \
                     nodesys-master commit --day {day} --import {} --signature HEX",
                    file.display()
                )
            }
            Self::PointsAccepted { day } => {
                writeln!(f, "day      {day}")?;
                writeln!(f, "points   accepted; the backend computes the same commit")?;
                write!(f, "next     nodesys-master commit --day {day} --export FILE")
            }
            Self::Committed(committed) => committed.fmt(f),
        }
    }
}

/// A day whose signer's key is elsewhere.
struct UnsignedDay<'a> {
    settings: &'a Settings,
    owner: &'a Owner,
    day: UtcDay,
    built: DayBundle,
    domain: Domain,
    signer: Address,
}

impl<'a> UnsignedDay<'a> {
    async fn build(settings: &'a Settings, owner: &'a Owner, day: UtcDay) -> anyhow::Result<Self> {
        let signer = owner.builder.state().await?.signer;
        if signer.is_zero() {
            bail!("the project has no reward signer: appoint one with `project signer --set`");
        }
        let built = owner.build(day, None, TaskCounts::Closed).await?;
        let domain = domain_of(&built);
        Ok(Self { settings, owner, day, built, domain, signer })
    }

    /// Whether the backend has these points already. Fails where it computes other amounts from them.
    async fn has_points(&self) -> anyhow::Result<bool> {
        let (backend, project) = (&self.owner.builder.backend, self.owner.project.distributor);
        match backend.points(project, self.day).await {
            Ok(points) if *points == *self.built.files[PointsRow::FILE] => {}
            Ok(_) => return Ok(false),
            Err(error) if error.code() == Some("not_found") => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let computed = backend.computed_rewards(project, self.day).await?;
        let ours = &self.built.files[RewardRow::FILE];
        match first_difference(RewardRow::FILE, ours, &computed) {
            Some(difference) => Err(CommitError::Rewards(difference).into()),
            None => Ok(true),
        }
    }

    /// Records that this commit, and no other, may be signed.
    async fn record(&self) -> anyhow::Result<()> {
        let pool = database::connect(self.settings).await?;
        let clock = self.settings.observed_clock(self.owner.project.chain_id).await?;
        record_once(&pool, &self.domain, &self.built.commit, self.signer, clock.now()).await
    }

    /// Writes the next message to be signed.
    async fn export(&self, has_points: bool, path: &Path) -> anyhow::Result<RoundView> {
        let ask = if has_points {
            self.record().await?;
            SigningRequest::Commit(self.built.commit.clone())
        } else {
            SigningRequest::Points(points_upload(&self.built))
        };
        let export = ExportFile::new(self.day, &self.domain, self.signer, ask);
        export.write(path)?;
        Ok(RoundView::Exported {
            day: self.day,
            round: export.ask.round(),
            signer: self.signer,
            digest: export.digest,
            file: path.to_owned(),
        })
    }

    /// The exported message and its signature. Fails unless the message is the one that this day
    /// needs, and the signature is the signer's.
    async fn checked(
        &self,
        export: ExportFile,
        path: &Path,
        signature: Option<WalletSignature>,
    ) -> anyhow::Result<(SigningRequest, WalletSignature)> {
        let ours = match export.ask {
            SigningRequest::Points(_) => SigningRequest::Points(points_upload(&self.built)),
            SigningRequest::Commit(_) => SigningRequest::Commit(self.built.commit.clone()),
        };
        let digest = ours.digest(&self.domain);
        if export.day != self.day || export.ask != ours || export.digest != digest {
            bail!(
                "{} contains another {} message than {} needs now ({digest}): export it again",
                path.display(),
                ours.round(),
                self.day
            );
        }
        let signature = signature.or(export.signature).with_context(|| {
            format!("{} contains no signature: give --signature HEX", path.display())
        })?;
        let signature = signature.spelled_for(digest, self.signer)?;
        wallet_signature::verify(&self.owner.builder.provider, self.signer, digest, &signature)
            .await
            .with_context(|| format!("the signature is not {}'s over {digest}", self.signer))?;
        Ok((ours, signature))
    }
}

/// Writes the next message to be signed.
pub(super) async fn export(
    settings: &Settings,
    owner: &Owner,
    day: UtcDay,
    file: &Path,
) -> anyhow::Result<RoundView> {
    let unsigned = UnsignedDay::build(settings, owner, day).await?;
    let has_points = unsigned.has_points().await?;
    unsigned.export(has_points, file).await
}

/// Options of an import.
pub(super) struct ImportOptions {
    pub(super) day: UtcDay,
    pub(super) file: PathBuf,
    /// The signature, unless the file contains it.
    pub(super) signature: Option<WalletSignature>,
    /// File for the commit's export, after the points are accepted.
    pub(super) next: Option<PathBuf>,
}

/// Submits a signed message to the backend.
pub(super) async fn import(
    settings: &Settings,
    owner: &Owner,
    options: ImportOptions,
) -> anyhow::Result<RoundView> {
    let ImportOptions { day, file, signature, next } = options;
    let export = ExportFile::read(&file)?;
    // Submitted before: its bundle is stored, and the day need not be built again.
    if let (SigningRequest::Commit(commit), Some(signed)) =
        (&export.ask, owner.valid_commit(day).await?)
        && signed.commit == *commit
    {
        return Ok(RoundView::Committed(owner.submit(day, &signed, true).await?));
    }
    let unsigned = UnsignedDay::build(settings, owner, day).await?;
    let (request, signature) = unsigned.checked(export, &file, signature).await?;
    let (backend, project) = (&owner.builder.backend, owner.project.distributor);
    match request {
        SigningRequest::Points(_) => {
            let checked = put_signed_points(backend, &unsigned.built, &signature).await?;
            let csv = &unsigned.built.files[RewardRow::FILE];
            compare(backend, project, &unsigned.built.commit, csv, &checked).await?;
            match next {
                Some(next) => unsigned.export(true, &next).await,
                None => Ok(RoundView::PointsAccepted { day }),
            }
        }
        SigningRequest::Commit(commit) => {
            // The record may come from another machine; a repeat of the same commit is not a second
            // one.
            unsigned.record().await?;
            let signed = SignedCommit { commit, signature };
            owner.store.write(&unsigned.built, &signed)?;
            Ok(RoundView::Committed(owner.submit(day, &signed, false).await?))
        }
    }
}

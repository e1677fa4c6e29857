//! The audit: recomputes every posted day of a project from its published files and an RPC alone.
//!
//! Nothing the backend or the master says is believed. The chain gives the posted commits, the
//! holders, the receipt keys and the claims; the files must lead to exactly those commits. What
//! does not is a [`Finding`] that names the file and the row, with what was given and what was
//! computed. [`day::audit_day`] is the pure middle; this module fetches for it.

mod compare;
pub mod day;
mod report;

use std::collections::{BTreeMap, BTreeSet};

use nodesys_contracts::logs::{Logged, license_events};
use nodesys_contracts::project::{
    Collection, DistributorEvent, RegistryEvent, collections_of, distributor_events, receipt_keys,
    registry_events, state_of,
};
use nodesys_contracts::wallet_signature::{self, WalletSignatureError};
use nodesys_contracts::{BlockRef, ChainError, Provider};
use nodesys_core::bundle::{Before, ProjectInfo};
use nodesys_core::files::RewardRow;
use nodesys_core::holders::{Holders, LicenseEvent};
use nodesys_core::ids::Amount;
use nodesys_core::message::{Domain, Message as _, SignedCommit};
use nodesys_core::time::UtcDay;
use nodesys_core::{Address, B256};

use crate::bundles::{BundleSource, COMMIT_JSON, FILES, StoreError};
use crate::day::{DayError, project_of};
use day::{DayFacts, PostedCommit, audit_day};
pub use report::{AuditReport, DayReport, Finding};

/// Which days, and how far to trust the newest blocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuditRange {
    /// First day; the project's first where absent.
    pub from: Option<UtcDay>,
    /// Last day; the newest posted where absent.
    pub to: Option<UtcDay>,
    /// Depth at which a block counts as final where the chain has no such tag.
    pub finality_depth: u64,
    /// First block that may hold a log of the registry.
    pub logs_from: u64,
}

impl AuditRange {
    fn holds(&self, day: UtcDay) -> bool {
        self.from.is_none_or(|from| from <= day) && self.to.is_none_or(|to| day <= to)
    }
}

/// Why an audit could not be carried out; what it finds is no error.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The chain could not be asked.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The files could not be fetched.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The project is not on that chain.
    #[error(transparent)]
    Project(DayError),
    /// The chain has no posted commit in the range.
    #[error("project {name} has no posted commit {range}: nothing to audit")]
    NothingPosted {
        /// The project.
        name: String,
        /// The range in words.
        range: String,
    },
}

/// What the chain says of a project, as far as all days share it.
struct History {
    project: ProjectInfo,
    newest: BlockRef,
    collections: Vec<Collection>,
    receipt_keys: BTreeMap<Address, (u64, u64)>,
    signer: Option<Address>,
    first_quota: Option<Amount>,
    events: Vec<Logged<DistributorEvent>>,
    license_events: Vec<Logged<LicenseEvent>>,
}

/// Audits the posted days of a project.
pub async fn audit_project(
    provider: &Provider,
    registry: Address,
    distributor: Address,
    source: &BundleSource,
    range: AuditRange,
) -> Result<AuditReport, AuditError> {
    let history = history(provider, registry, distributor, range).await?;
    let posted = history.posted();
    let wanted: Vec<&PostedCommit> =
        posted.iter().filter(|commit| range.holds(commit.day)).collect();
    if wanted.is_empty() {
        let range = match (range.from, range.to) {
            (None, None) => "yet".to_owned(),
            (from, to) => {
                let word = |day: Option<UtcDay>| day.map_or("...".to_owned(), |d| d.to_string());
                format!("from {} to {}", word(from), word(to))
            }
        };
        return Err(AuditError::NothingPosted { name: history.project.name.to_string(), range });
    }

    let mut report = AuditReport::new(history.project.clone(), history.revoked_days());
    let mut rewards: BTreeMap<B256, Vec<RewardRow>> = BTreeMap::new();
    let mut before = base(&history, wanted[0], source, &mut report).await?;
    let mut holders = Holders::default();
    let mut folded = 0;
    for commit in wanted {
        let secs = commit.day.end().secs();
        let snapshot = provider.first_block_at_or_after(secs, range.finality_depth).await?;
        // Days rise, so their snapshot blocks do, and the fold goes on where it stood.
        let up_to = snapshot.map_or(0, |block| block.number);
        while let Some(log) =
            history.license_events.get(folded).filter(|log| log.block_number <= up_to)
        {
            holders.apply(log.event);
            folded += 1;
        }
        let mut files = BTreeMap::new();
        for name in FILES {
            if let Some(bytes) = source.file(distributor, commit.day, name).await? {
                files.insert(name, bytes);
            }
        }
        let posted_block = provider.block(commit.block_number.into()).await?;
        let facts = DayFacts {
            project: &history.project,
            posted: commit,
            posted_secs: posted_block.map_or(history.newest.secs, |block| block.secs),
            snapshot: snapshot.map(Into::into),
            holders: &holders,
            quotas: history.quotas(up_to, commit.block_number),
            receipt_keys: &history.receipt_keys,
            collections: history.listed(up_to),
        };
        let outcome = audit_day(&facts, &files, before.as_ref());
        report.findings.extend(outcome.findings);
        let signed = files.get(COMMIT_JSON);
        check_signature(provider, &history, commit, signed, &mut report).await?;
        let mut day = outcome.report;
        day.active = commit.activates_at <= history.newest.secs;
        report.days.push(day);
        before = outcome.after;
        if let Some(before) = &before {
            rewards.insert(commit.root, before.rewards.clone());
        }
    }
    check_claims(provider, &history, &posted, &rewards, &mut report).await?;
    report.finish();
    Ok(report)
}

async fn history(
    provider: &Provider,
    registry: Address,
    distributor: Address,
    range: AuditRange,
) -> Result<History, AuditError> {
    let project =
        project_of(provider, registry, distributor).await.map_err(|error| match error {
            DayError::Chain(error) => AuditError::Chain(error),
            other => AuditError::Project(other),
        })?;
    let newest = provider.latest_block().await?;
    let (from, to) = (range.logs_from, newest.number);
    let of_registry = registry_events(provider, registry, from, to).await?;
    let events = distributor_events(provider, distributor, from, to).await?;
    let collections = collections_of(&of_registry, distributor, to)?;
    let addresses: Vec<Address> = collections.iter().map(|one| one.address).collect();
    let license_events = license_events(provider, &addresses, from, to).await?;
    let created = of_registry.iter().find_map(|logged| match &logged.event {
        RegistryEvent::ProjectCreated(created) if created.project == distributor => Some(created),
        _ => None,
    });
    Ok(History {
        project,
        newest,
        collections,
        receipt_keys: receipt_keys(&of_registry),
        signer: created.map(|created| created.signer),
        first_quota: created.map(|created| Amount::new(created.dailyQuota)),
        events,
        license_events,
    })
}

impl History {
    fn revoked(&self) -> BTreeSet<B256> {
        self.events
            .iter()
            .filter_map(|logged| match &logged.event {
                DistributorEvent::Revoked(revoked) => Some(revoked.commitHash),
                _ => None,
            })
            .collect()
    }

    /// The commits that stand, in the order of their days.
    fn posted(&self) -> Vec<PostedCommit> {
        let revoked = self.revoked();
        self.events
            .iter()
            .filter_map(|logged| match &logged.event {
                DistributorEvent::Posted(posted) if !revoked.contains(&posted.commitHash) => {
                    Some(PostedCommit {
                        day: UtcDay::from_epoch(posted.epoch)?,
                        revision: posted.revision,
                        previous: posted.previous,
                        root: posted.root,
                        // `post` takes no total that 112 bits cannot hold.
                        total: Amount::from_u256(posted.total)?,
                        data_hash: posted.dataHash,
                        commit_hash: posted.commitHash,
                        activates_at: posted.activatesAt,
                        block_number: logged.block_number,
                        transaction: logged.transaction,
                    })
                }
                _ => None,
            })
            .collect()
    }

    fn revoked_days(&self) -> Vec<UtcDay> {
        let day = |logged: &Logged<DistributorEvent>| match &logged.event {
            DistributorEvent::Revoked(revoked) => UtcDay::from_epoch(revoked.epoch),
            _ => None,
        };
        self.events.iter().filter_map(day).collect()
    }

    /// The daily quotas in force from the snapshot block up to the post.
    fn quotas(&self, snapshot: u64, posted: u64) -> Vec<Amount> {
        let mut in_force: Vec<Amount> = self.first_quota.into_iter().collect();
        for logged in self.events.iter().filter(|logged| logged.block_number <= posted) {
            let quota = match &logged.event {
                DistributorEvent::QuotaLowered(lowered) => lowered.newQuota,
                DistributorEvent::QuotaRaised(raised) => raised.newQuota,
                _ => continue,
            };
            if logged.block_number <= snapshot {
                in_force.clear();
            }
            in_force.push(Amount::new(quota));
        }
        in_force
    }

    fn listed(&self, up_to: u64) -> BTreeSet<Address> {
        let listed = self.collections.iter().filter(|one| one.listed_in <= up_to);
        listed.map(|one| one.address).collect()
    }
}

/// What the first audited day builds on: nothing, or the published day before it, whose commit
/// must be the one that the chain names.
async fn base(
    history: &History,
    first: &PostedCommit,
    source: &BundleSource,
    report: &mut AuditReport,
) -> Result<Option<Before>, AuditError> {
    if first.previous.is_zero() {
        return Ok(Some(Before::default()));
    }
    let Some(day) = first.day.previous() else { return Ok(None) };
    let problem = match source.after(history.project.distributor, day).await {
        Ok((_, before)) if before.commit == first.previous => return Ok(Some(before)),
        Ok((_, before)) => {
            format!("its files lead to commit {}, the chain has {}", before.commit, first.previous)
        }
        Err(error @ (StoreError::Missing { .. } | StoreError::Bad { .. })) => error.to_string(),
        Err(error) => return Err(error.into()),
    };
    report.findings.push(Finding::new(day, None, problem));
    Ok(None)
}

async fn check_signature(
    provider: &Provider,
    history: &History,
    commit: &PostedCommit,
    file: Option<&Vec<u8>>,
    report: &mut AuditReport,
) -> Result<(), AuditError> {
    // Not every server has it; the contract checked the same signature when it was posted.
    let (Some(file), Some(signer)) = (file, history.signer) else { return Ok(()) };
    let Ok(signed) = serde_json::from_slice::<SignedCommit>(file) else { return Ok(()) };
    let project = &history.project;
    let domain = Domain::new(project.chain_id, project.distributor);
    let digest = signed.commit.digest(&domain);
    match wallet_signature::verify(provider, signer, digest, &signed.signature).await {
        Ok(()) => Ok(()),
        Err(WalletSignatureError::Chain(error)) => Err(error.into()),
        Err(WalletSignatureError::Signature(error)) => {
            let problem = format!("the reward signer {signer} did not sign it: {error}");
            report.findings.push(Finding::new(commit.day, Some(COMMIT_JSON), problem));
            Ok(())
        }
    }
}

/// Every claim is of an amount that its root's tree has for the account, and all of them together
/// are no more than the active commits add up to.
async fn check_claims(
    provider: &Provider,
    history: &History,
    posted: &[PostedCommit],
    rewards: &BTreeMap<B256, Vec<RewardRow>>,
    report: &mut AuditReport,
) -> Result<(), AuditError> {
    let day_of = |root: B256| posted.iter().find(|commit| commit.root == root).map(|c| c.day);
    for logged in &history.events {
        let DistributorEvent::Claimed(claimed) = &logged.event else { continue };
        report.claims += 1;
        let (Some(rows), Some(day)) = (rewards.get(&claimed.root), day_of(claimed.root)) else {
            continue;
        };
        let row = rows.iter().find(|row| row.account == claimed.account);
        let due = row.map_or(Amount::ZERO, |row| row.cumulative);
        if due.to_u256() != claimed.cumulative {
            let problem = format!(
                "{} claimed {} wei in all by transaction {}, its tree has {due}",
                claimed.account, claimed.cumulative, logged.transaction
            );
            report.findings.push(Finding::new(day, None, problem));
        }
    }
    let at = history.newest.number.into();
    let state = state_of(provider, history.project.distributor, at).await?;
    let active = posted.iter().filter(|commit| commit.activates_at <= history.newest.secs);
    let active = active.map(|commit| commit.total).max().unwrap_or_default();
    (report.paid, report.active_total) = (state.paid, active);
    if let (true, Some(last)) = (state.paid > active, posted.last()) {
        let problem = format!("{} wei are claimed, only {active} wei are active", state.paid);
        report.findings.push(Finding::new(last.day, None, problem));
    }
    Ok(())
}

#[cfg(test)]
mod tests;

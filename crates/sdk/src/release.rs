//! Releases and tombstones, as a project's release key announces them and its owner publishes them.
//!
//! Announcing may be repeated after any failure: a version stands for one hash for good, so what is on
//! chain already is found and not sent again, and of two transactions the contract takes one.

use std::path::{Path, PathBuf};

use alloy::eips::BlockNumberOrTag;
use alloy::rpc::types::TransactionRequest;
use nodesys_chain::error::ChainError;
use nodesys_chain::provider::Provider;
use nodesys_chain::release::{
    AnnouncedRelease, AnnouncedTombstone, WorkloadReleases, announce_request,
    announce_tombstone_request, newest_version, release_at, releases_of, tombstone_at,
};
use nodesys_core::ids::Name;
use nodesys_core::release::{Release, Version};
use nodesys_core::{Address, B256};

pub mod fetch;

/// Where a project announces.
#[derive(Debug, Clone, Copy)]
pub struct Announcer<'a> {
    /// The chain; with the release key, where something is sent.
    pub provider: &'a Provider,
    /// `ProjectRegistry`.
    pub registry: Address,
    /// The project, by its distributor's address.
    pub project: Address,
}

/// Why nothing was announced.
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// The project has no release key.
    #[error("the project has no release key: its owner sets one with nodesys-master release key")]
    NoReleaseKey,
    /// The sender may not announce.
    #[error(
        "the project's release key is {release_key}, the keystore's key is {sender}: use the release key's keystore"
    )]
    NotReleaseKey {
        /// Who may.
        release_key: Address,
        /// Who tried.
        sender: Address,
    },
    /// The version stands for something else.
    #[error(
        "version {version} of {workload} was announced as {found}: take a version above {newest}"
    )]
    Taken {
        /// The workload.
        workload: Name,
        /// The version.
        version: Version,
        /// What it stands for.
        found: String,
        /// The newest version.
        newest: u64,
    },
    /// It was vetoed, which is for good.
    #[error(
        "version {version} of {workload} was announced and vetoed, which is for good: take a version above {newest}"
    )]
    Vetoed {
        /// The workload.
        workload: Name,
        /// The version.
        version: Version,
        /// The newest version.
        newest: u64,
    },
    /// Versions only rise.
    #[error("version {version} of {workload} is not above {newest}, the newest one announced")]
    NotHigher {
        /// The workload.
        workload: Name,
        /// The version.
        version: Version,
        /// The newest version.
        newest: u64,
    },
    /// The chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// What became of an announcement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// The transaction; `None` where it was on chain already.
    pub transaction: Option<B256>,
    /// From when on nodes obey it, seconds since 1970.
    pub effective_at: u64,
}

impl Announcer<'_> {
    /// Everything the chain says of a workload now.
    pub async fn state(&self, workload: &Name) -> Result<WorkloadReleases, ChainError> {
        let latest = BlockNumberOrTag::Latest;
        releases_of(self.provider, self.registry, self.project, workload, latest).await
    }

    /// The transaction of [`Self::release`], for a Safe or another wallet to send.
    pub fn release_request(&self, release: &Release) -> TransactionRequest {
        let (workload, version) = (release.workload(), release.version().get());
        announce_request(self.registry, self.project, workload, version, release.hash())
    }

    /// The transaction of [`Self::tombstone`], for a Safe or another wallet to send.
    pub fn tombstone_request(
        &self,
        workload: &Name,
        version: Version,
        removes_volumes: bool,
    ) -> TransactionRequest {
        let version = version.get();
        announce_tombstone_request(self.registry, self.project, workload, version, removes_volumes)
    }

    /// Announces a release. Finding it announced is success.
    pub async fn release(&self, release: &Release) -> Result<Announced, AnnounceError> {
        if let Some(found) = self.find_release(release).await? {
            return Ok(found);
        }
        let (workload, version) = (release.workload(), release.version());
        self.check(workload, version).await?;
        let what = format!("announcing version {version} of {workload}");
        let sent = self.provider.send(&what, self.release_request(release)).await;
        self.outcome(sent.map(|receipt| receipt.transaction_hash), self.find_release(release)).await
    }

    /// Announces that a workload is removed up to a version. Finding it announced is success.
    pub async fn tombstone(
        &self,
        workload: &Name,
        version: Version,
        removes_volumes: bool,
    ) -> Result<Announced, AnnounceError> {
        let find = || self.find_tombstone(workload, version, removes_volumes);
        if let Some(found) = find().await? {
            return Ok(found);
        }
        self.check(workload, version).await?;
        let what = format!("announcing the tombstone {version} of {workload}");
        let request = self.tombstone_request(workload, version, removes_volumes);
        let sent = self.provider.send(&what, request).await;
        self.outcome(sent.map(|receipt| receipt.transaction_hash), find()).await
    }

    /// What was sent, as the chain has it. A refusal may come of an earlier, lost try.
    async fn outcome(
        &self,
        sent: Result<B256, ChainError>,
        find: impl Future<Output = Result<Option<Announced>, AnnounceError>>,
    ) -> Result<Announced, AnnounceError> {
        match sent {
            Ok(transaction) => {
                let found = find.await?.ok_or_else(|| ChainError::Rpc {
                    what: "reading the announcement".to_owned(),
                    problem: "it is in a block and yet not there; the chain may have been \
                              reorganised: run it again"
                        .to_owned(),
                })?;
                Ok(Announced { transaction: Some(transaction), ..found })
            }
            Err(error @ ChainError::Reverted { .. }) => find.await?.ok_or(error.into()),
            Err(error) => Err(error.into()),
        }
    }

    async fn find_release(&self, release: &Release) -> Result<Option<Announced>, AnnounceError> {
        let (workload, version) = (release.workload(), release.version());
        if let Some((found, vetoed)) = self.release_at(workload, version).await? {
            if found.release_hash != release.hash() {
                let hash = found.release_hash;
                return Err(self.taken(workload, version, format!("release {hash}")).await?);
            }
            if vetoed {
                return Err(self.vetoed(workload, version).await?);
            }
            return Ok(Some(Announced { transaction: None, effective_at: found.runnable_at }));
        }
        match self.tombstone_at(workload, version).await? {
            Some(_) => Err(self.taken(workload, version, "a tombstone".to_owned()).await?),
            None => Ok(None),
        }
    }

    async fn find_tombstone(
        &self,
        workload: &Name,
        version: Version,
        removes_volumes: bool,
    ) -> Result<Option<Announced>, AnnounceError> {
        if let Some((found, vetoed)) = self.tombstone_at(workload, version).await? {
            if found.removes_volumes != removes_volumes {
                let what = if found.removes_volumes { "removes" } else { "keeps" };
                let found = format!("a tombstone that {what} volumes");
                return Err(self.taken(workload, version, found).await?);
            }
            if vetoed {
                return Err(self.vetoed(workload, version).await?);
            }
            return Ok(Some(Announced { transaction: None, effective_at: found.effective_at }));
        }
        match self.release_at(workload, version).await? {
            Some(_) => Err(self.taken(workload, version, "a release".to_owned()).await?),
            None => Ok(None),
        }
    }

    /// What can be said in better words than the contract's, before anything is sent.
    async fn check(&self, workload: &Name, version: Version) -> Result<(), AnnounceError> {
        let state = self.state(workload).await?;
        let release_key = state.release_key.ok_or(AnnounceError::NoReleaseKey)?;
        if let Some(sender) = self.provider.sender()
            && sender != release_key
        {
            return Err(AnnounceError::NotReleaseKey { release_key, sender });
        }
        let newest = self.newest(workload).await?;
        if version.get() <= newest {
            let workload = workload.clone();
            return Err(AnnounceError::NotHigher { workload, version, newest });
        }
        Ok(())
    }

    async fn taken(
        &self,
        workload: &Name,
        version: Version,
        found: String,
    ) -> Result<AnnounceError, ChainError> {
        let newest = self.newest(workload).await?;
        Ok(AnnounceError::Taken { workload: workload.clone(), version, found, newest })
    }

    async fn vetoed(&self, workload: &Name, version: Version) -> Result<AnnounceError, ChainError> {
        let newest = self.newest(workload).await?;
        Ok(AnnounceError::Vetoed { workload: workload.clone(), version, newest })
    }

    /// The newest version announced for a workload; 0 before the first.
    pub async fn newest(&self, workload: &Name) -> Result<u64, ChainError> {
        newest_version(self.provider, self.registry, self.project, workload).await
    }

    async fn release_at(
        &self,
        workload: &Name,
        version: Version,
    ) -> Result<Option<(AnnouncedRelease, bool)>, ChainError> {
        release_at(self.provider, self.registry, self.project, workload, version.get()).await
    }

    async fn tombstone_at(
        &self,
        workload: &Name,
        version: Version,
    ) -> Result<Option<(AnnouncedTombstone, bool)>, ChainError> {
        tombstone_at(self.provider, self.registry, self.project, workload, version.get()).await
    }
}

/// Writes a release's canonical bytes to `folder/<hash>.json`, as nodes ask a project's own server
/// for it; whole or not at all. Says whether it was not there before.
pub fn write_to_folder(folder: &Path, release: &Release) -> std::io::Result<(PathBuf, bool)> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join(format!("{}.json", release.hash()));
    let bytes = release.canonical();
    if std::fs::read(&path).is_ok_and(|found| found == bytes) {
        return Ok((path, false));
    }
    let fresh = folder.join(format!(".{}.{}.new", release.hash(), std::process::id()));
    std::fs::write(&fresh, bytes).and_then(|()| std::fs::rename(&fresh, &path)).inspect_err(
        |_| {
            let _ = std::fs::remove_file(&fresh);
        },
    )?;
    Ok((path, true))
}

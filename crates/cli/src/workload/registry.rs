//! A project's workload on chain: the collection, the license to run under, the operator's right, and the
//! release.

use std::collections::BTreeSet;

use alloy::eips::BlockNumberOrTag;
use anyhow::Context as _;
use nodesys_chain::listing::last_listing;
use nodesys_chain::logs::license_events;
use nodesys_chain::ownership::{AtBlock, rights_of};
use nodesys_chain::project::Project;
use nodesys_chain::release::{AnnouncedRelease, releases_of};
use nodesys_chain::{Provider, project};
use nodesys_clock::DEVELOPMENT_CHAIN_ID;
use nodesys_core::holders::LicenseEvent;
use nodesys_core::license::{LicenseId, Right};
use nodesys_core::release::Release;
use nodesys_core::time::UtcDay;
use nodesys_core::{Address, U256};
use nodesys_sdk::release::fetch::Fetcher;
use reqwest::Url;

use crate::exit::Exit;
use crate::license::name::{LicenseName, resolve};
use crate::license::right::why;
use crate::node::workloads::{WorkloadEntry, WorkloadsFile};
use crate::setup::Setup;
use crate::workload::name::ProjectWorkload;

/// The workload to add, and the operator's choices.
pub(crate) struct AddRequest {
    pub(crate) workload: ProjectWorkload,
    /// The license, as it was typed.
    pub(crate) license: Option<String>,
    pub(crate) release_urls: Vec<Url>,
}

/// A project's workload, as the registry has it.
pub(crate) struct RegisteredWorkload {
    pub(crate) project: Project,
    pub(crate) collection: Address,
    /// First day on which the collection is listed no more, where that is announced.
    pub(crate) listed_until: Option<UtcDay>,
}

/// The chain, over one RPC or over several that must agree.
pub(crate) struct ChainReader {
    provider: Provider,
    registry: Address,
    chain_id: u64,
}

impl ChainReader {
    pub(crate) async fn connect(setup: &Setup) -> anyhow::Result<Self> {
        let chain_id = *Setup::need(&setup.settings.chain_id, "--chain-id")?;
        let provider = setup.provider().await?;
        provider.require_fresh().await?;
        Ok(Self { provider, registry: setup.registry()?, chain_id })
    }

    /// The project and the collection; a project that was pinned under the name stays the one.
    pub(crate) async fn find(
        &self,
        name: &ProjectWorkload,
        file: &WorkloadsFile,
    ) -> anyhow::Result<RegisteredWorkload> {
        let registry = self.registry;
        let provider = &self.provider;
        let found = match project::by_name(provider, registry, &name.project).await? {
            Some(address) => project::of(provider, registry, address).await?,
            None => None,
        };
        let Some(project) = found else {
            return Err(Exit::NotFound.because(format!(
                "the registry {registry} has no project {}: check the name, which is case-sensitive",
                name.project
            )));
        };
        let (address, workload) = (project.distributor, &name.workload);
        let collection = project::collection_of(provider, registry, address, workload).await?;
        let collection = collection.ok_or_else(|| {
            Exit::NotFound.because(format!(
                "project {} ({}) has no workload {}",
                name.project, project.distributor, name.workload
            ))
        })?;
        let pinned = file.workloads.iter().find(|entry| entry.project_name == name.project);
        if let Some(pinned) = pinned.filter(|entry| entry.project != project.distributor) {
            return Err(Exit::Failure.because(format!(
                "the name {} leads to {} now, but {} was pinned when {} was added: find out why \
                 before you continue; workload remove {} releases the pin",
                name.project,
                project.distributor,
                pinned.project,
                pinned.label(),
                pinned.label()
            )));
        }
        let last = last_listing(provider, registry, collection).await?;
        let listed_until = last.and_then(|last| last.days.until);
        Ok(RegisteredWorkload { project, collection, listed_until })
    }

    /// The license: as named, as added before, or the only one that the operator may run.
    pub(crate) async fn license(
        &self,
        setup: &Setup,
        request: &AddRequest,
        place: &RegisteredWorkload,
        operator: Address,
        known: Option<&WorkloadEntry>,
    ) -> anyhow::Result<LicenseId> {
        let of_token = |token_id| LicenseId {
            chain_id: self.chain_id,
            collection: place.collection,
            token_id,
        };
        let named = match &request.license {
            None => None,
            Some(text) => Some(of_token(self.token(setup, text, place).await?)),
        };
        if let Some(known) = known {
            let before = known.license(self.chain_id);
            return match named {
                Some(other) if other != before => Err(Exit::LeaseConflict.because(format!(
                    "{} runs here under license {}/{} already, and a node runs one license of a \
                     workload: nodesys workload remove {} first",
                    known.label(),
                    known.collection,
                    known.token_id,
                    known.label()
                ))),
                _ => Ok(before),
            };
        }
        match named {
            Some(named) => Ok(named),
            None => self.only_license(setup, request, place, operator).await,
        }
    }

    async fn token(
        &self,
        setup: &Setup,
        text: &str,
        place: &RegisteredWorkload,
    ) -> anyhow::Result<U256> {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if plain {
            return U256::from_str_radix(text, 10)
                .map_err(|_| Exit::Usage.because(format!("--license {text} is above 2^256")));
        }
        let name: LicenseName = text.parse().map_err(|error| Exit::Usage.because(error))?;
        let found = resolve(setup, &self.provider, &name).await?.license;
        if found.collection != place.collection {
            return Err(Exit::Usage.because(format!(
                "license {text} is of the collection {}, but the workload's licenses are of {}",
                found.collection, place.collection
            )));
        }
        Ok(found.token_id)
    }

    /// The one license of the collection that the operator may run.
    async fn only_license(
        &self,
        setup: &Setup,
        request: &AddRequest,
        place: &RegisteredWorkload,
        operator: Address,
    ) -> anyhow::Result<LicenseId> {
        let (provider, collection) = (&self.provider, place.collection);
        let newest = provider.latest_block().await?.number;
        let events = license_events(provider, &[collection], setup.first_block(), newest).await?;
        let minted: BTreeSet<U256> = events
            .iter()
            .filter_map(|logged| match logged.event {
                LicenseEvent::Transfer { token_id, .. } => Some(token_id),
                LicenseEvent::UpdateUser { .. } => None,
            })
            .collect();
        let asks: Vec<(LicenseId, Address)> = minted
            .into_iter()
            .map(|token_id| (LicenseId { chain_id: self.chain_id, collection, token_id }, operator))
            .collect();
        let AtBlock { facts, .. } =
            rights_of(provider, &asks, BlockNumberOrTag::Number(newest)).await?;
        let mine: Vec<LicenseId> = asks
            .iter()
            .zip(&facts)
            .filter(|(_, (ownership, right))| ownership.holder.is_some() && right.allows())
            .map(|((license, _), _)| *license)
            .collect();
        match mine[..] {
            [only] => Ok(only),
            [] => Err(Exit::AuthorizationNeeded.because(format!(
                "the operator {operator} may run no license of {}: buy, rent or be delegated one; \
                 nodesys license explain {}/TOKEN says why not",
                request.workload, request.workload.workload
            ))),
            ref several => {
                let tokens: Vec<String> =
                    several.iter().take(20).map(|license| license.token_id.to_string()).collect();
                Err(Exit::Usage.because(format!(
                    "the operator {operator} may run {} licenses of {}: name one with --license, of \
                     {}{}",
                    several.len(),
                    request.workload,
                    tokens.join(", "),
                    if several.len() > 20 { ", ..." } else { "" }
                )))
            }
        }
    }

    /// The operator's right to run the license; an error that ends with 4 where there is none.
    pub(crate) async fn right(
        &self,
        license: LicenseId,
        operator: Address,
    ) -> anyhow::Result<Right> {
        let asks = [(license, operator)];
        let AtBlock { facts, .. } =
            rights_of(&self.provider, &asks, BlockNumberOrTag::Latest).await?;
        let (ownership, right) =
            facts.into_iter().next().context("a question without an answer")?;
        if ownership.holder.is_some() && right.allows() {
            return Ok(right);
        }
        let words = format!(
            "the operator {operator} may not run license {}/{}: {}",
            license.collection,
            license.token_id,
            why(&ownership, right, operator)
        );
        Err(Exit::AuthorizationNeeded.because(words))
    }

    /// The release to run, whether it may run yet, and its document.
    pub(crate) async fn release(
        &self,
        setup: &Setup,
        request: &AddRequest,
        place: &RegisteredWorkload,
        urls: &[Url],
    ) -> anyhow::Result<(Release, AnnouncedRelease, bool)> {
        let (registry, project) = (self.registry, place.project.distributor);
        let workload = &request.workload.workload;
        let latest = BlockNumberOrTag::Latest;
        let state = releases_of(&self.provider, registry, project, workload, latest).await?;
        let (runnable, announced, tombstone) = (state.runnable, state.announced, state.tombstone);
        let standing = announced.filter(|announced| {
            tombstone.is_none_or(|tombstone| tombstone.version < announced.version)
        });
        let (announced, may_run) = match (runnable, standing) {
            (Some(runnable), _) => (runnable, true),
            (None, Some(announced)) => (announced, false),
            (None, None) => {
                return Err(Exit::NotFound.because(format!(
                    "project {} has no current release of {workload}, so there is \
                     nothing to run yet",
                    request.workload.project
                )));
            }
        };
        let backend = Setup::need(&setup.settings.backend, "--backend")?;
        let fetcher = Fetcher::new(backend, self.chain_id == DEVELOPMENT_CHAIN_ID)?;
        let release = fetcher
            .release(urls, announced.release_hash)
            .await
            .map_err(|error| Exit::Network.because(format!("{error:#}")))?;
        if release.workload() != workload || release.version().get() != announced.version {
            return Err(Exit::Failure.because(format!(
                "the release announced as version {} of {workload} says that it is version {} of {}: \
                 the project's owner has to announce another",
                announced.version,
                release.version(),
                release.workload()
            )));
        }
        Ok((release, announced, may_run))
    }
}

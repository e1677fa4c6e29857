//! `workload add`: from a name to a workload that the manager runs.
//!
//! In this order: everything is read and shown, the operator agrees, the namespace is written down in
//! `cluster.json` and made with all that surrounds the workload, the entry is written, the manager is
//! told. Each step finds what an interrupted run has done, so the same command goes on.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use alloy::eips::BlockNumberOrTag;
use anyhow::Context as _;
use nodesys_chain::Provider;
use nodesys_chain::logs::license_events;
use nodesys_chain::ownership::{AtBlock, rights_of};
use nodesys_chain::project::{self, Project};
use nodesys_chain::release::{AnnouncedRelease, releases_of};
use nodesys_clock::DEVELOPMENT_CHAIN_ID;
use nodesys_core::holders::LicenseEvent;
use nodesys_core::license::{LicenseId, Right};
use nodesys_core::release::Release;
use nodesys_core::{Address, U256};
use nodesys_render::Grant;
use nodesys_sdk::release::fetch::Fetcher;
use reqwest::Url;
use serde::Serialize;

use super::command::ProjectWorkload;
use super::offer::{Offer, OfferedRelease, lines, right_in_words};
use super::{WorkloadEntry, WorkloadsFile, surround};
use crate::ask::confirm;
use crate::cluster::apply::{Applied, Change};
use crate::cluster::{Cluster, apply_manager, connect, lock, wait_manager};
use crate::exit::Exit;
use crate::license::name::{LicenseName, resolve};
use crate::license::{operator, why};
use crate::output::{self, say};
use crate::setup::Setup;

/// Options of `workload add`.
#[derive(Debug, clap::Args)]
pub struct AddArgs {
    /// The project's name in the registry, and its workload's.
    #[arg(value_name = "PROJECT/WORKLOAD")]
    pub workload: ProjectWorkload,
    /// The license: its token, or as `license show` takes it. May be left out where the operator may
    /// run exactly one.
    #[arg(long, value_name = "ID")]
    pub license: Option<String>,
    /// A server of the project's releases, asked before the backend; may be given more than once.
    #[arg(long, value_name = "URL")]
    pub release_url: Vec<Url>,
    /// Agree to what is shown without being asked.
    #[arg(long)]
    pub yes: bool,
}

/// What `workload add` tells.
#[derive(Debug, Serialize)]
struct Added {
    #[serde(flatten)]
    offer: Offer,
    /// Whether it was there already, under the same grant.
    already: bool,
    changes: Vec<Change>,
}

impl fmt::Display for Added {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Offer { project_name, workload, release, .. } = &self.offer;
        let what = if self.already { "there already" } else { "added" };
        write!(f, "{project_name}/{workload} {what}")?;
        for Change { object, done } in &self.changes {
            write!(f, "\n  {object} {done}")?;
        }
        let _ = release;
        write!(f, "\nnodesys workload status {workload} shows how it comes up")
    }
}

/// Runs the verb.
pub(super) async fn add(setup: &Setup, args: &AddArgs) -> anyhow::Result<Exit> {
    let home = setup.home()?.to_owned();
    let _lock = lock(&home)?;
    let mut cluster = connect(setup).await?;
    let chain = Chain::connect(setup).await?;
    let mut file = WorkloadsFile::read(&home)?;
    let place = chain.place(&args.workload, &file).await?;
    let known = file.workloads.iter().position(|entry| {
        (entry.project, &entry.name) == (place.project.distributor, &args.workload.workload)
    });
    let known_entry = known.map(|at| file.workloads[at].clone());
    let operator = operator::or_own(setup, None, "the node's authorisation").await?;
    let license = chain.license(setup, args, &place, operator, known_entry.as_ref()).await?;
    let right = chain.right(license, operator).await?;
    let release_urls = match (&args.release_url[..], &known_entry) {
        ([], Some(entry)) => entry.release_urls.clone(),
        (given, _) => given.to_vec(),
    };
    let (release, announced, runnable) = chain.release(setup, args, &place, &release_urls).await?;
    let asked = Grant::of(&release);
    let entry = WorkloadEntry {
        name: args.workload.workload.clone(),
        collection: license.collection,
        token_id: license.token_id,
        project: place.project.distributor,
        project_name: args.workload.project.clone(),
        grant: asked.clone(),
        release_urls,
        paused: known_entry.as_ref().is_some_and(|entry| entry.paused),
    };
    let offer = Offer {
        workload: entry.name.clone(),
        project_name: entry.project_name.clone(),
        project: entry.project,
        owner: place.project.owner,
        license,
        operator,
        right: right_in_words(right),
        release: OfferedRelease::of(&release, announced.runnable_at, runnable),
        grant: asked,
        namespace: entry.namespace(),
    };
    let already = known_entry.as_ref() == Some(&entry);
    if !already {
        say(&offer);
        if let Some(before) = known_entry.as_ref().filter(|before| before.grant != entry.grant) {
            say("you agreed to this before:");
            for (name, line) in lines(&before.grant) {
                say(format!("  {name:<10} {line}"));
            }
        }
        confirm("Run it on this node?", args.yes)?;
    }
    let changes = place_it(setup, &home, &mut cluster, &mut file, known, entry).await?;
    output::print(setup.format(), &Added { offer, already, changes })?;
    Ok(Exit::Done)
}

/// Makes what surrounds the workload, writes the entry, tells the manager.
async fn place_it(
    setup: &Setup,
    home: &Path,
    cluster: &mut Cluster,
    file: &mut WorkloadsFile,
    known: Option<usize>,
    entry: WorkloadEntry,
) -> anyhow::Result<Vec<Change>> {
    let mut changes = surround(&cluster.client, home, &mut cluster.file, &entry).await?;
    match known {
        Some(at) if file.workloads[at] == entry => {}
        Some(at) => file.workloads[at] = entry,
        None => file.workloads.push(entry),
    }
    file.write(home)?;
    changes.extend(apply_manager(setup, &cluster.client, &cluster.file).await?);
    changes.retain(|change| change.done != Applied::Same);
    if !changes.is_empty() {
        wait_manager(&cluster.client).await?;
    }
    Ok(changes)
}

/// A project's workload, as the registry has it.
struct Place {
    project: Project,
    collection: Address,
}

/// The chain, over one RPC or over several that must agree.
struct Chain {
    provider: Provider,
    registry: Address,
    chain_id: u64,
}

impl Chain {
    async fn connect(setup: &Setup) -> anyhow::Result<Self> {
        let chain_id = *Setup::need(&setup.settings.chain_id, "--chain-id")?;
        let provider = setup.provider().await?;
        provider.require_fresh().await?;
        Ok(Self { provider, registry: setup.registry()?, chain_id })
    }

    /// The project and the collection; a project that was pinned under the name stays the one.
    async fn place(&self, name: &ProjectWorkload, file: &WorkloadsFile) -> anyhow::Result<Place> {
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
                 before you go on; workload remove {} lets the pin go",
                name.project,
                project.distributor,
                pinned.project,
                pinned.label(),
                pinned.label()
            )));
        }
        Ok(Place { project, collection })
    }

    /// The license: as named, as added before, or the only one that the operator may run.
    async fn license(
        &self,
        setup: &Setup,
        args: &AddArgs,
        place: &Place,
        operator: Address,
        known: Option<&WorkloadEntry>,
    ) -> anyhow::Result<LicenseId> {
        let of_token = |token_id| LicenseId {
            chain_id: self.chain_id,
            collection: place.collection,
            token_id,
        };
        let named = match &args.license {
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
            None => self.only_license(setup, args, place, operator).await,
        }
    }

    async fn token(&self, setup: &Setup, text: &str, place: &Place) -> anyhow::Result<U256> {
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
        args: &AddArgs,
        place: &Place,
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
                args.workload, args.workload.workload
            ))),
            ref several => {
                let tokens: Vec<String> =
                    several.iter().take(20).map(|license| license.token_id.to_string()).collect();
                Err(Exit::Usage.because(format!(
                    "the operator {operator} may run {} licenses of {}: name one with --license, of \
                     {}{}",
                    several.len(),
                    args.workload,
                    tokens.join(", "),
                    if several.len() > 20 { ", ..." } else { "" }
                )))
            }
        }
    }

    /// The operator's right to run the license; an error that ends with 4 where there is none.
    async fn right(&self, license: LicenseId, operator: Address) -> anyhow::Result<Right> {
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
    async fn release(
        &self,
        setup: &Setup,
        args: &AddArgs,
        place: &Place,
        urls: &[Url],
    ) -> anyhow::Result<(Release, AnnouncedRelease, bool)> {
        let (registry, project) = (self.registry, place.project.distributor);
        let workload = &args.workload.workload;
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
                    "project {} has announced no release of {workload} that stands, so there is \
                     nothing to run yet",
                    args.workload.project
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

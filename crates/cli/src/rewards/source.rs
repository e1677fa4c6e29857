//! Where proofs come from: a backend's route, or published bundles from which the tree is built
//! again. Either way the result is a proof that verifies, or none.

use alloy::eips::BlockNumberOrTag;
use anyhow::Context as _;
use nodesys_chain::Provider;
use nodesys_chain::project::{distributor_events, state_of};
use nodesys_core::bundle::ProjectInfo;
use nodesys_core::ids::Amount;
use nodesys_core::time::UtcDay;
use nodesys_core::tree::{Leaf, Proof, RewardTree};
use nodesys_core::{Address, B256};
use nodesys_sdk::audit::{PostedCommit, commit_gaps, standing};
use nodesys_sdk::bundles::{BundleSource, Places, StoreError};
use nodesys_sdk::client;
use nodesys_sdk::client::Client;

use crate::exit::Exit;
use crate::output::say;
use crate::setup::Setup;

/// A proof that leads to its root. Whether the root is anybody's is for the chain to say.
#[derive(Debug, Clone)]
pub(crate) struct Proven {
    pub(crate) day: UtcDay,
    pub(crate) root: B256,
    pub(crate) proof: Proof,
}

/// The commits of a project that stand, oldest first, by the chain alone. Where its logs cannot be
/// complete, which commits there are cannot be told.
pub(crate) async fn posted(
    setup: &Setup,
    provider: &Provider,
    project: &ProjectInfo,
) -> anyhow::Result<Vec<PostedCommit>> {
    let newest = provider.latest_block().await?;
    let (distributor, from) = (project.distributor, setup.first_block());
    let at = BlockNumberOrTag::Number(newest.number);
    let state = state_of(provider, distributor, at).await?;
    let events = distributor_events(provider, distributor, from, newest.number).await?;
    let gaps = commit_gaps(&events, &state);
    if !gaps.is_empty() {
        return Err(Exit::Network.because(format!(
            "cannot tell: the logs of {} do not lead to the contract's state ({}); try again in a minute, \
             or name another --rpc with the project's whole history",
            provider.place(),
            gaps.join("; ")
        )));
    }
    Ok(standing(&events))
}

/// A place that gives proofs.
pub(crate) struct ProofSource {
    backend: Option<Client>,
    bundles: Places,
}

impl ProofSource {
    pub(crate) fn new(setup: &Setup, from: &[String]) -> anyhow::Result<Self> {
        let bundles = match from {
            [] => BundleSource::Server(Box::new(setup.backend()?)).into(),
            places => places_at(places)?,
        };
        let backend = match &bundles.sources() {
            [BundleSource::Server(client)] => Some((**client).clone()),
            _ => None,
        };
        Ok(Self { backend, bundles })
    }

    /// The account's proof by a day's tree; `None` where the tree has no such account.
    pub(crate) async fn of_day(
        &self,
        project: &ProjectInfo,
        account: Address,
        day: UtcDay,
    ) -> anyhow::Result<Option<Proven>> {
        if let Some(found) = self.backends_proof(project, account, Some(day)).await? {
            return Ok(Some(found));
        }
        let tree = self.tree(project, day, None).await?;
        Ok(in_tree(&tree, account, day))
    }

    /// The account's proof by the newest active root that this place has; `None` where no active
    /// root names the account.
    pub(crate) async fn newest_active(
        &self,
        setup: &Setup,
        provider: &Provider,
        project: &ProjectInfo,
        account: Address,
        active_until: u64,
    ) -> anyhow::Result<Option<Proven>> {
        if let Some(found) = self.backends_proof(project, account, None).await? {
            return Ok(Some(found));
        }
        // "Nothing" is not believed either: the chain names the root, the files must lead to it.
        let posted = posted(setup, provider, project).await?;
        let mut active =
            posted.iter().rev().filter(|one| one.activates_at <= active_until).peekable();
        let Some(newest) = active.peek().map(|one| one.day) else { return Ok(None) };
        let mut missing = None;
        for one in active {
            if one.commit.root.is_zero() {
                return Ok(None);
            }
            match self.posted_tree(project, one).await {
                Ok(tree) => {
                    if one.day != newest {
                        say(format!(
                            "{} has no files of {newest}; going by those of {}, which are older",
                            self.bundles.place(),
                            one.day
                        ));
                    }
                    return Ok(in_tree(&tree, account, one.day));
                }
                Err(error) if is_missing(&error) => missing = missing.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        missing.map_or(Ok(None), Err)
    }

    /// The account's proof that leads to this root; `None` where no place has it.
    pub(crate) async fn of_root(
        &self,
        setup: &Setup,
        provider: &Provider,
        project: &ProjectInfo,
        account: Address,
        root: B256,
    ) -> anyhow::Result<Option<Proven>> {
        let newest = self.backends_proof(project, account, None).await?;
        if let Some(found) = newest.filter(|found| found.root == root) {
            return Ok(Some(found));
        }
        let posted = posted(setup, provider, project).await?;
        let Some(one) = posted.iter().rev().find(|one| one.commit.root == root) else {
            return Ok(None);
        };
        let tree = self.posted_tree(project, one).await?;
        Ok(in_tree(&tree, account, one.day))
    }

    /// The amount that the account has earned by a posted commit, proven.
    pub(crate) async fn by_posted(
        &self,
        project: &ProjectInfo,
        account: Address,
        posted: &PostedCommit,
    ) -> anyhow::Result<Amount> {
        if posted.commit.root.is_zero() {
            return Ok(Amount::ZERO);
        }
        let found = self.backends_proof(project, account, Some(posted.day)).await?;
        if let Some(found) = found.filter(|found| found.root == posted.commit.root) {
            return Ok(found.proof.cumulative);
        }
        let tree = self.posted_tree(project, posted).await?;
        Ok(tree.proof(&account).map_or(Amount::ZERO, |proof| proof.cumulative))
    }

    /// The bundles.
    pub(crate) const fn bundles(&self) -> &Places {
        &self.bundles
    }

    /// The tree of a posted commit: from whichever place has the files that lead to it.
    async fn posted_tree(
        &self,
        project: &ProjectInfo,
        posted: &PostedCommit,
    ) -> anyhow::Result<RewardTree> {
        self.tree(project, posted.day, Some(posted.commit_hash)).await
    }

    async fn backends_proof(
        &self,
        project: &ProjectInfo,
        account: Address,
        day: Option<UtcDay>,
    ) -> anyhow::Result<Option<Proven>> {
        let Some(backend) = &self.backend else { return Ok(None) };
        let view = match backend.proof(project.distributor, account, day).await {
            Ok(view) => view,
            // Nothing there, or a server of bundles only.
            Err(client::Error::Problem(problem)) if problem.status == 404 => return Ok(None),
            Err(client::Error::BadAnswer { status: 404, .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let proof = Proof { account, cumulative: view.cumulative, path: view.path };
        if view.account != account || !proof.verify(view.root) {
            return Err(Exit::Failure.because(format!(
                "the proof of {} does not lead to its root {}: do not trust this backend; take \
                 the proof from published bundles with --from",
                backend.base(),
                view.root
            )));
        }
        Ok(Some(Proven { day: view.day, root: view.root, proof }))
    }

    /// The tree of a day, built from its rewards; of the posted commit, where one is named.
    async fn tree(
        &self,
        project: &ProjectInfo,
        day: UtcDay,
        commit: Option<B256>,
    ) -> anyhow::Result<RewardTree> {
        let (bundle, after) = self.bundles.after(project.distributor, day, commit).await?;
        let leaf = |row: &nodesys_core::files::RewardRow| Leaf {
            account: row.account,
            cumulative: row.cumulative,
        };
        let tree = RewardTree::build(after.rewards.iter().map(leaf))
            .with_context(|| format!("rewards.csv of {day} in {}", self.bundles.place()))?;
        if tree.root() != bundle.root {
            return Err(Exit::Failure.because(format!(
                "rewards.csv of {day} in {} has the root {}, its bundle.json says {}",
                self.bundles.place(),
                tree.root(),
                bundle.root
            )));
        }
        Ok(tree)
    }
}

fn in_tree(tree: &RewardTree, account: Address, day: UtcDay) -> Option<Proven> {
    Some(Proven { day, root: tree.root(), proof: tree.proof(&account)? })
}

fn is_missing(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::Missing { .. }))
}

/// The places of bundles, URLs and folders. A folder that cannot be read is passed over, and named,
/// unless it is the only place.
pub(crate) fn places_at(places: &[String]) -> anyhow::Result<Places> {
    let mut sources = Vec::with_capacity(places.len());
    for place in places {
        let source = BundleSource::parse(place)?;
        if let (BundleSource::Folder(store), [_]) = (&source, places) {
            let root = store.root();
            std::fs::read_dir(root).map_err(|error| {
                let shown = root.display();
                Exit::Network
                    .because(format!("the folder of bundles {shown} cannot be read: {error}"))
            })?;
        }
        sources.push(source);
    }
    Ok(Places::new(sources))
}

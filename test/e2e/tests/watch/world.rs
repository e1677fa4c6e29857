//! A project on a chain alone: contracts, licenses, and the days its owner has published and
//! posted, without a backend. It can be saved and restored, so that many cells of the matrix share
//! one beginning.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alloy::primitives::{Address, B256, U256};
use nodesys_chain::bindings::{DevToken, RewardDistributor};
use nodesys_chain::project::{DistributorState, state_of};
use nodesys_chain::timelock::{Action, execute_request, queue_request};
use nodesys_chain::{ChainError, Provider};
use nodesys_clock::DEVELOPMENT_CHAIN_ID;
use nodesys_core::bitmap::DayBitmap;
use nodesys_core::bundle::{Beneficiary, DayBundle, PreviousDay, ProjectInfo, Terms};
use nodesys_core::ids::Amount;
use nodesys_core::message::{Domain, Message as _, SignedCommit};
use nodesys_core::points::Rule;
use nodesys_core::signature::SigningKey;
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_core::tree::RewardTree;
use nodesys_devnet::chain::{Chain, Snapshot};
use nodesys_devnet::deploy::{
    Deployed, LicenseRef, Plan, TOKEN, deploy_with_signer, mint, rent_out, wallet,
};
use nodesys_devnet::{People, Person};
use nodesys_sdk::bundles::BundleStore;
use nodesys_sdk::commit;
use nodesys_testing::days::Days;

use crate::signer::{RewardSigner, key, new_safe};

/// The project's first day.
pub const FIRST_DAY: UtcDay = UtcDay(20_454);
/// Delay of a post.
pub const DELAY_SECS: u64 = 2 * 86_400;
/// Most that a day may add, in wei.
pub const QUOTA: u128 = 1_100 * TOKEN;
/// Time after a day's end at which the owner has published and posted it.
pub const POSTED_AFTER_SECS: u64 = 600;

/// The seeds of keys: the receipt key's and the signers'.
const RECEIPT_KEY: u8 = 3;
pub const SIGNER: u8 = 5;
pub const NEXT_SIGNER: u8 = 6;
pub const CHECKER: u8 = 7;
pub const NEXT_CHECKER: u8 = 8;
/// The thief of the reward signer's key, and their second account.
pub const THIEF: u8 = 0x7f;
pub const RUNNER: u8 = 0x7e;

/// The world's initial options.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    /// Days that are published and posted.
    pub days: u32,
    /// Whether a Safe signs.
    pub safe: bool,
    /// Whether a new signer is queued on the first day.
    pub rotation: bool,
}

/// A commit that somebody posted.
#[derive(Debug, Clone)]
pub struct Post {
    pub day: UtcDay,
    pub hash: B256,
    pub root: B256,
    pub tree: Arc<RewardTree>,
}

/// The record of the days besides the chain.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// The commit that the next honest day builds on.
    pub before: PreviousDay,
    /// Honest posts.
    pub honest: Vec<Post>,
    /// The thief's: posted, or signed and in hand.
    pub thief: Vec<Post>,
}

/// A saved world.
#[derive(Debug)]
pub struct Kept {
    snapshot: Snapshot,
    ledger: Ledger,
    signer: RewardSigner,
}

/// The project, its chain, its people and its folder of bundles.
pub struct World {
    pub chain: Chain,
    pub people: People,
    pub deployed: Deployed,
    pub project: ProjectInfo,
    pub store: BundleStore,
    pub signer: RewardSigner,
    pub ledger: Ledger,
    root: PathBuf,
    _folder: tempfile::TempDir,
}

impl World {
    pub async fn start(recipe: Recipe) -> anyhow::Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let parent = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tmp");
        std::fs::create_dir_all(&parent)?;
        let folder = tempfile::tempdir_in(parent)?;
        let root = folder.path().to_owned();
        let people = People::new(&root.join("people"))?;
        let start = FIRST_DAY.start().plus_millis(3_600_000);
        let chain = Chain::start(&root.join("chain"), start, 1).await?;
        for seed in [THIEF, RUNNER] {
            let coins = (key(seed).address(), U256::from(1_000 * TOKEN));
            chain.request("anvil_setBalance", coins).await?;
        }
        let signer = if recipe.safe {
            new_safe(&wallet(&chain, &people.poster).await?, [SIGNER, CHECKER]).await?
        } else {
            RewardSigner::Key(SIGNER)
        };
        let plan = Plan {
            project: "acme",
            workloads: vec![("alpha", "A"), ("beta", "B")],
            funds: 100_000 * TOKEN,
            daily_quota: QUOTA,
            delay_secs: DELAY_SECS,
        };
        let receipt_key = key(RECEIPT_KEY).address();
        let deployed =
            deploy_with_signer(&chain, &people, &plan, receipt_key, signer.address()).await?;
        mint(&chain, &people, &deployed, 0, people.alice.address()).await?;
        mint(&chain, &people, &deployed, 0, people.bob.address()).await?;
        mint(&chain, &people, &deployed, 1, people.alice.address()).await?;
        let (a2, carol) = (LicenseRef { workload: 0, token: 2 }, people.carol.address());
        let until = FIRST_DAY.start().secs() + 400 * 86_400;
        rent_out(&chain, &people.bob, &deployed.license(a2), carol, until).await?;
        let project = ProjectInfo {
            chain_id: DEVELOPMENT_CHAIN_ID,
            registry: deployed.registry,
            distributor: deployed.distributor,
            name: deployed.project.parse()?,
        };
        let store = BundleStore::new(root.join("bundles"));
        let ledger = Ledger::default();
        let mut world =
            Self { chain, people, deployed, project, store, signer, ledger, root, _folder: folder };
        if recipe.rotation {
            let call = Action::SetSigner(key(NEXT_SIGNER).address()).call();
            let owner = wallet(&world.chain, &world.people.owner).await?;
            owner.send("queueing", queue_request(world.distributor(), call)).await?;
        }
        for _ in 0..recipe.days {
            world.move_to(world.next_day().end().plus_millis(POSTED_AFTER_SECS * 1_000)).await?;
            world.publish_next().await??;
        }
        world.claim_all().await?;
        world.move_to(world.next_day().start().plus_millis(3_600_000)).await?;
        Ok(world)
    }

    pub const fn distributor(&self) -> Address {
        self.project.distributor
    }

    /// The owner's next day to publish.
    pub fn next_day(&self) -> UtcDay {
        self.ledger.honest.last().map_or(FIRST_DAY, |post| post.day.next())
    }

    /// The chain's time.
    pub async fn now(&self) -> anyhow::Result<Timestamp> {
        Ok(Timestamp::from_secs(self.chain.reader.latest_block().await?.secs))
    }

    /// Advances the chain's time; the block of that moment is final.
    pub async fn move_to(&self, at: Timestamp) -> anyhow::Result<()> {
        self.chain.step(at).await?;
        for _ in 0..3 {
            self.chain.mine().await?;
        }
        Ok(())
    }

    /// The distributor at the newest block.
    pub async fn state(&self) -> anyhow::Result<DistributorState> {
        let newest = alloy::eips::BlockNumberOrTag::Latest;
        Ok(state_of(&self.chain.reader, self.distributor(), newest).await?)
    }

    /// A day built like the owner's.
    pub async fn build(&self, day: UtcDay, before: PreviousDay) -> anyhow::Result<DayBundle> {
        let terms = Terms {
            day_reward: Amount::new(1_000 * TOKEN),
            rule: Rule::default(),
            beneficiary: Beneficiary::Renter,
            excluded: Vec::new(),
        };
        let (provider, receipt_key) = (&self.chain.reader, &key(RECEIPT_KEY));
        let days = Days { provider, project: &self.project, receipt_key, terms: &terms };
        let [alpha, beta] =
            [0, 1].map(|workload: usize| self.deployed.workloads[workload].collection);
        // A2 stands still for a while, another each day.
        let gap = u16::try_from(day.epoch() % 7)? * 60;
        let a2 = !(DayBitmap::from_minute_on(300) & !DayBitmap::from_minute_on(400 + gap));
        let minutes = [(alpha, 1, DayBitmap::FULL), (alpha, 2, a2), (beta, 1, DayBitmap::FULL)];
        days.build(day, &minutes, before).await
    }

    pub fn domain(&self) -> Domain {
        Domain::new(DEVELOPMENT_CHAIN_ID, self.distributor())
    }

    /// The owner builds, signs, publishes and posts the next day. The contract's refusal is an answer:
    /// a signer may be disabled, or posts paused.
    pub async fn publish_next(&mut self) -> anyhow::Result<Result<(), ChainError>> {
        let built = self.build(self.next_day(), self.ledger.before.clone()).await?;
        let signed = self.signer.sign(&built.commit, &self.domain());
        self.store.write(&built, &signed)?;
        let poster = wallet(&self.chain, &self.people.poster).await?;
        match self.post(&poster, &signed).await {
            Ok(()) => {
                self.ledger.before = built.after();
                self.ledger.honest.push(post_of(&built));
                Ok(Ok(()))
            }
            Err(error @ ChainError::Reverted { .. }) => Ok(Err(error)),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends a signed commit.
    pub async fn post(&self, from: &Provider, signed: &SignedCommit) -> Result<(), ChainError> {
        commit::post(from, self.distributor(), signed, 0).await.map(drop)
    }

    pub async fn is_paused(&self) -> anyhow::Result<bool> {
        let bound = RewardDistributor::new(self.distributor(), self.chain.reader.rpc());
        Ok(bound.isPaused().call().await?)
    }

    /// The owner makes the call that it queued on the first day.
    pub async fn rotate_signer(&mut self) -> anyhow::Result<()> {
        let call = Action::SetSigner(key(NEXT_SIGNER).address()).call();
        let owner = wallet(&self.chain, &self.people.owner).await?;
        owner.send("rotating the signer", execute_request(self.distributor(), call)).await?;
        self.signer = RewardSigner::Key(NEXT_SIGNER);
        Ok(())
    }

    /// Every account with rewards claims by the newest active honest root.
    pub async fn claim_all(&self) -> anyhow::Result<()> {
        for post in self.ledger.honest.iter().rev() {
            if !self.is_active(post.root).await? {
                continue;
            }
            for Person { key, .. } in self.earners() {
                self.claim(key, post).await?;
            }
            break;
        }
        Ok(())
    }

    /// The accounts paid by honest days: Alice holds, Carol rents.
    pub const fn earners(&self) -> [&Person; 2] {
        [&self.people.alice, &self.people.carol]
    }

    /// Claims an account's amount in a root; none if it was paid already, or if a thief has left no
    /// tokens.
    pub async fn claim(&self, who: &SigningKey, post: &Post) -> anyhow::Result<()> {
        let Some(proof) = post.tree.proof(&who.address()) else { return Ok(()) };
        if proof.cumulative <= self.claimed(who.address()).await? {
            return Ok(());
        }
        let wallet =
            Provider::connect_with_key(&self.chain.url, Some(DEVELOPMENT_CHAIN_ID), who).await?;
        let bound = RewardDistributor::new(self.distributor(), wallet.rpc());
        let cumulative = proof.cumulative.to_u256();
        let call = bound.claim(post.root, cumulative, proof.path, who.address());
        match wallet.send("claiming", call.into_transaction_request()).await {
            Ok(_) | Err(ChainError::Reverted { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// An account's total payments.
    pub async fn claimed(&self, account: Address) -> anyhow::Result<Amount> {
        let bound = RewardDistributor::new(self.distributor(), self.chain.reader.rpc());
        Amount::from_u256(bound.claimed(account).call().await?)
            .ok_or_else(|| anyhow::anyhow!("more wei than there are"))
    }

    /// An account's balance of the reward token, in wei.
    pub async fn balance(&self, account: Address) -> anyhow::Result<U256> {
        let token = DevToken::new(self.deployed.token, self.chain.reader.rpc());
        Ok(token.balanceOf(account).call().await?)
    }

    pub async fn is_active(&self, root: B256) -> anyhow::Result<bool> {
        let bound = RewardDistributor::new(self.distributor(), self.chain.reader.rpc());
        Ok(bound.isActive(root).call().await?)
    }

    /// Saves the current state.
    pub async fn keep(&self) -> anyhow::Result<Kept> {
        copy_folder(self.store.root(), &self.root.join("kept"))?;
        let (ledger, signer) = (self.ledger.clone(), self.signer.clone());
        Ok(Kept { snapshot: self.chain.snapshot().await?, ledger, signer })
    }

    /// Restores the saved state.
    pub async fn restore(&mut self, kept: Kept) -> anyhow::Result<()> {
        self.chain.revert(kept.snapshot).await?;
        (self.ledger, self.signer) = (kept.ledger, kept.signer);
        copy_folder(&self.root.join("kept"), self.store.root())
    }
}

/// A built day as it is remembered.
pub fn post_of(built: &DayBundle) -> Post {
    let day = UtcDay::from_epoch(built.commit.epoch).unwrap_or(UtcDay(u32::MAX));
    let (hash, root) = (built.commit.struct_hash(), built.commit.root);
    Post { day, hash, root, tree: Arc::new(built.tree.clone()) }
}

/// Makes `to` a copy of `from`.
fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    if to.exists() {
        std::fs::remove_dir_all(to)?;
    }
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

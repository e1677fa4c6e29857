//! From a built day to a commit on chain: upload points, compare, sign, submit, post.
//!
//! The backend's computation is a second opinion, not an authority: a commit is worth signing
//! when both agree. Whoever signs must first make sure, durably, that no other commit was signed
//! for the same epoch and revision; this module does not keep that record (the master does).
//!
//! # Examples
//!
//! ```no_run
//! use nodesys_core::bundle::DayBundle;
//! use nodesys_core::files::{RewardRow, Row as _};
//! use nodesys_core::signature::SigningKey;
//! use nodesys_sdk::client::Client;
//! use nodesys_sdk::commit::{CommitError, compare, domain_of, sign, submit, upload_points};
//!
//! async fn example(backend: &Client, day: &DayBundle, key: &SigningKey) -> Result<(), CommitError> {
//!     let project = day.bundle.project.distributor;
//!     let checked = upload_points(backend, day, key).await?;
//!     compare(backend, project, &day.commit, &day.files[RewardRow::FILE], &checked).await?;
//!     // Here the record of what is signed comes onto disk.
//!     let signed = sign(&day.commit, &domain_of(day), key);
//!     let view = submit(backend, project, &signed).await?;
//!     println!("the backend took commit {}", view.commit_hash);
//!     Ok(())
//! }
//! ```

use alloy::primitives::keccak256;
use bytes::Bytes;
use nodesys_chain::project::{post_request, posted_at};
use nodesys_chain::{ChainError, Provider};
use nodesys_core::api::{CommitRequest, CommitView, PointsChecked, Problem};
use nodesys_core::bundle::{BUNDLE_JSON, DayBundle, canonical_json};
use nodesys_core::files::{Difference, PointsRow, RewardRow, Row, first_difference, write_file};
use nodesys_core::message::{Domain, Message as _, PointsUpload, RewardCommit, SignedCommit};
use nodesys_core::signature::{SigningKey, WalletSignature};
use nodesys_core::time::UtcDay;
use nodesys_core::tree::{Leaf, RewardTree, TreeError};
use nodesys_core::{Address, B256};

use crate::bundles::commit_of;
use crate::client::{self, Client};

/// Why a commit goes no further.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The backend refused, or could not be asked.
    #[error("{}", with_difference(.0))]
    Backend(#[from] client::Error),
    /// The chain refused, or could not be asked.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The backend computes other amounts.
    #[error("the backend computes other rewards: {0}")]
    Rewards(Difference),
    /// The backend computes the same amounts and another commit.
    #[error("the backend computes another commit: {field} given {given}, computed {computed}")]
    Commit {
        /// The first field that differs.
        field: &'static str,
        /// Ours.
        given: String,
        /// The backend's.
        computed: String,
    },
}

impl CommitError {
    /// The first differing row, where files were compared.
    pub fn difference(&self) -> Option<&Difference> {
        match self {
            Self::Rewards(difference) => Some(difference),
            Self::Backend(client::Error::Problem(problem)) => problem.difference.as_ref(),
            _ => None,
        }
    }
}

fn with_difference(error: &client::Error) -> String {
    match error {
        client::Error::Problem(problem) => match &**problem {
            Problem { difference: Some(difference), .. } => format!("{error}: {difference}"),
            _ => error.to_string(),
        },
        _ => error.to_string(),
    }
}

/// The domain of a project's commits.
pub fn domain_of(day: &DayBundle) -> Domain {
    let project = &day.bundle.project;
    Domain::new(project.chain_id, project.distributor)
}

/// The day that a bundle is for.
fn day_of(day: &DayBundle) -> UtcDay {
    // Built from a `UtcDay`, so it is one.
    UtcDay::from_epoch(day.commit.epoch).unwrap_or(UtcDay(u32::MAX))
}

/// The same day with other cumulative amounts, and the tree and commit that they give. The backend
/// and the audit compute the rightful ones, so this leads nowhere but to their first difference.
///
/// # Errors
///
/// [`TreeError`] where an account has two rows or a row of zero, or the sum is 2^128 wei or more.
pub fn with_rewards(day: &DayBundle, rewards: Vec<RewardRow>) -> Result<DayBundle, TreeError> {
    let leaf = |row: &RewardRow| Leaf { account: row.account, cumulative: row.cumulative };
    let tree = RewardTree::build(rewards.iter().map(leaf))?;
    let mut day = DayBundle { rewards, tree, ..day.clone() };
    let csv = write_file(&day.rewards).into_bytes();
    day.bundle.files.insert(RewardRow::FILE.to_owned(), keccak256(&csv));
    day.bundle.root = day.tree.root();
    day.bundle.totals.cumulative = day.tree.total();
    let json = canonical_json(&day.bundle);
    day.commit = commit_of(&day.bundle, &json);
    day.files.insert(RewardRow::FILE, csv);
    day.files.insert(BUNDLE_JSON, json);
    Ok(day)
}

/// Uploads the day's points under the reward signer's word; the same again changes nothing.
///
/// # Errors
///
/// [`CommitError::Backend`] where the backend cannot be asked or refuses; where it compared files,
/// [`CommitError::difference`] is the first row that differs.
pub async fn upload_points(
    backend: &Client,
    day: &DayBundle,
    signer: &SigningKey,
) -> Result<PointsChecked, CommitError> {
    let signature = signer.sign(points_upload(day).digest(&domain_of(day)));
    put_signed_points(backend, day, &signature.into()).await
}

/// What the reward signer signs of a day's points.
pub fn points_upload(day: &DayBundle) -> PointsUpload {
    PointsUpload {
        epoch: day.commit.epoch,
        points_hash: keccak256(&day.files[PointsRow::FILE]),
        terms_hash: day.bundle.terms.hash(),
    }
}

/// Uploads the day's points under a signature that was made elsewhere, over [`points_upload`].
///
/// # Errors
///
/// As [`upload_points`].
pub async fn put_signed_points(
    backend: &Client,
    day: &DayBundle,
    signature: &WalletSignature,
) -> Result<PointsChecked, CommitError> {
    let points = Bytes::copy_from_slice(&day.files[PointsRow::FILE]);
    let (project, terms) = (day.bundle.project.distributor, &day.bundle.terms);
    Ok(backend.put_points(project, day_of(day), terms, signature, points).await?)
}

/// Succeeds when the backend computes the very commit that we are about to sign. `rewards` is the
/// `rewards.csv` behind `commit`; where it differs from the backend's, the first differing row is
/// named.
///
/// # Errors
///
/// [`CommitError::Rewards`] with the first row that differs, [`CommitError::Commit`] with the first field
/// where the rows are the same, [`CommitError::Backend`] where its rows could not be had.
pub async fn compare(
    backend: &Client,
    project: Address,
    commit: &RewardCommit,
    rewards: &[u8],
    checked: &PointsChecked,
) -> Result<(), CommitError> {
    if checked.commit == *commit {
        return Ok(());
    }
    // Else the rows are the same, and fetching them would tell nothing.
    if checked.commit.root != commit.root || checked.commit.total != commit.total {
        let day = UtcDay::from_epoch(commit.epoch).unwrap_or(UtcDay(u32::MAX));
        let computed = backend.computed_rewards(project, day).await?;
        if let Some(difference) = first_difference(RewardRow::FILE, rewards, &computed) {
            return Err(CommitError::Rewards(difference));
        }
    }
    Err(first_field(commit, &checked.commit))
}

fn first_field(given: &RewardCommit, computed: &RewardCommit) -> CommitError {
    // The data hash comes last: it differs whenever anything else does.
    let pairs: [(&'static str, String, String); 6] = [
        ("epoch", given.epoch.to_string(), computed.epoch.to_string()),
        ("revision", given.revision.to_string(), computed.revision.to_string()),
        ("previous", given.previous.to_string(), computed.previous.to_string()),
        ("total", given.total.to_string(), computed.total.to_string()),
        ("root", given.root.to_string(), computed.root.to_string()),
        ("dataHash", given.data_hash.to_string(), computed.data_hash.to_string()),
    ];
    let differing = pairs.into_iter().find(|(_, given, computed)| given != computed);
    let (field, given, computed) = differing.unwrap_or_default();
    CommitError::Commit { field, given, computed }
}

/// Signs a commit. Keep the record of what was signed before you call this.
///
/// # Examples
///
/// ```
/// use nodesys_core::ids::Amount;
/// use nodesys_core::message::{Domain, Message as _, RewardCommit};
/// use nodesys_core::signature::SigningKey;
/// use nodesys_core::{Address, B256};
/// use nodesys_sdk::commit::sign;
///
/// let signer = SigningKey::from_bytes(&[7; 32])?;
/// let distributor = Domain::new(31_337, Address::repeat_byte(2));
/// let commit = RewardCommit {
///     epoch: 20_484,
///     revision: 0,
///     previous: B256::ZERO,
///     root: B256::repeat_byte(5),
///     total: Amount::new(1000),
///     data_hash: B256::repeat_byte(6),
/// };
/// let signed = sign(&commit, &distributor, &signer);
/// let signature = signed.signature.as_key_signature()?;
/// signature.verify(signed.commit.digest(&distributor), signer.address())?;
/// # Ok::<(), nodesys_core::signature::SignatureError>(())
/// ```
pub fn sign(commit: &RewardCommit, domain: &Domain, signer: &SigningKey) -> SignedCommit {
    let signature = signer.sign(commit.digest(domain)).into();
    SignedCommit { commit: commit.clone(), signature }
}

/// Hands a signed commit to the backend; the same again gives the same answer.
///
/// # Errors
///
/// [`CommitError::Backend`] where the backend cannot be asked or refuses the commit.
pub async fn submit(
    backend: &Client,
    project: Address,
    signed: &SignedCommit,
) -> Result<CommitView, CommitError> {
    Ok(backend.commit(&CommitRequest { project, signed: signed.clone() }).await?)
}

/// What became of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Post {
    /// Sent now, by this transaction.
    Sent {
        /// The transaction.
        transaction: B256,
        /// The gas that it used.
        gas_used: u64,
    },
    /// It was on chain already, by this transaction.
    Found {
        /// The transaction.
        transaction: B256,
    },
}

/// The post of a signed commit, if it is on chain.
///
/// # Errors
///
/// [`ChainError::NoCode`] where the distributor is no contract, and those of a read.
pub async fn find_post(
    provider: &Provider,
    distributor: Address,
    signed: &SignedCommit,
    logs_from: u64,
) -> Result<Option<Post>, ChainError> {
    provider.require_code(distributor, "the project's RewardDistributor").await?;
    let hash = signed.commit.struct_hash();
    let posted = posted_at(provider, distributor, hash, logs_from).await?;
    Ok(posted.map(|posted| Post::Found { transaction: posted.transaction }))
}

/// Sends a signed commit to the distributor. Finding it posted already is success.
///
/// # Errors
///
/// As [`find_post`], and those of [`Provider::send`]: [`ChainError::Reverted`] where the contract refuses
/// the commit and it is not on chain either.
pub async fn post(
    provider: &Provider,
    distributor: Address,
    signed: &SignedCommit,
    logs_from: u64,
) -> Result<Post, ChainError> {
    // Asked twice: before, so that a repeated call costs no gas, and after a refusal.
    let found = || find_post(provider, distributor, signed, logs_from);
    if let Some(found) = found().await? {
        return Ok(found);
    }
    let what = format!("posting the commit of epoch {}", signed.commit.epoch);
    match provider.send(&what, post_request(distributor, signed)).await {
        Ok(receipt) => {
            Ok(Post::Sent { transaction: receipt.transaction_hash, gas_used: receipt.gas_used })
        }
        // Somebody else may have been faster; then the contract refuses a second post.
        Err(error @ ChainError::Reverted { .. }) => found().await?.ok_or(error),
        Err(error) => Err(error),
    }
}

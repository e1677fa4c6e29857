//! The reward tree: what every account may have claimed in all, under one root.
//!
//! Built once per commit by the owner, the backend and the auditor, who must get the same root.
//! Leaves are `(address account, uint256 cumulative)`, hashed and ordered as OpenZeppelin's
//! `StandardMerkleTree` does: `keccak256(keccak256(abi.encode(account, cumulative)))`, sorted by
//! hash. An account stands in a tree once, with more than nothing, and the sum of all amounts
//! fits an [`Amount`]; so the root does not depend on the order the leaves came in.

mod standard;
mod stored;

use alloy_primitives::{Address, B256, keccak256};
use serde::{Deserialize, Serialize};

use crate::ids::Amount;
use crate::keccak;
use crate::merkle::{self, MerkleTree};

pub use standard::StandardError;
pub use stored::{LookupError, ProofSearch, Step, StoredError, proof_from_bytes};

/// One account's row of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Leaf {
    /// Who may claim.
    pub account: Address,
    /// Everything ever allocated to the account, claimed or not, in wei.
    pub cumulative: Amount,
}

impl Leaf {
    /// `keccak256(keccak256(abi.encode(account, cumulative)))`.
    pub fn hash(&self) -> B256 {
        // Twice, so that a leaf cannot be passed off as the hash of two nodes, which have 64 bytes too.
        keccak256(keccak256(self.abi_encode()))
    }

    fn abi_encode(&self) -> [u8; 64] {
        let mut words = [0; 64];
        // Written in whole 8-byte words, as the hash reads them: a word that is half one store
        // and half another stalls its reader, here for a quarter of the whole build.
        let [a, b, c, d, rest @ ..] = self.account.0.0;
        words[8..16].copy_from_slice(&[0, 0, 0, 0, a, b, c, d]);
        words[16..32].copy_from_slice(&rest);
        words[48..].copy_from_slice(&self.cumulative.get().to_be_bytes());
        words
    }
}

/// Leaves that make no tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The account has more than one leaf.
    #[error("account {0} has more than one leaf")]
    DuplicateAccount(Address),
    /// The account's amount is zero.
    #[error("account {0} has a leaf of zero")]
    ZeroAmount(Address),
    /// The amounts add up to 2^128 or more.
    #[error("the total of all leaves is above the largest amount")]
    TotalOverflow,
    /// More leaves than a tree's 32-bit node indexes can hold.
    #[error("{0} leaves are too many for one tree")]
    TooManyLeaves(usize),
}

/// A tree of cumulative rewards, complete with its leaves.
///
/// # Examples
///
/// ```
/// use nodesys_core::Address;
/// use nodesys_core::ids::Amount;
/// use nodesys_core::tree::{Leaf, RewardTree};
///
/// let leaf = |account, wei| Leaf {
///     account: Address::repeat_byte(account),
///     cumulative: Amount::new(wei),
/// };
/// let tree = RewardTree::build([leaf(0xa1, 400), leaf(0xb0, 200), leaf(0xca, 400)])?;
/// assert_eq!(tree.total(), Amount::new(1000));
///
/// let turned = RewardTree::build([leaf(0xca, 400), leaf(0xa1, 400), leaf(0xb0, 200)])?;
/// assert_eq!(turned.root(), tree.root(), "leaves may come in any order");
/// # Ok::<(), nodesys_core::tree::TreeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RewardTree {
    /// Sorted by account.
    leaves: Vec<Leaf>,
    /// The node of each leaf, in the order of `leaves`.
    leaf_nodes: Vec<u32>,
    merkle: MerkleTree,
    total: Amount,
}

impl RewardTree {
    /// The tree of these leaves, which may come in any order; fastest when sorted by account.
    ///
    /// # Errors
    ///
    /// [`TreeError`] where an account has two leaves or a leaf of zero, the amounts add up to 2^128
    /// wei or more, or there are 2^31 leaves or more.
    pub fn build(leaves: impl IntoIterator<Item = Leaf>) -> Result<Self, TreeError> {
        let mut leaves: Vec<Leaf> = leaves.into_iter().collect();
        // Those of rewards.csv are, and to see it costs less than to sort.
        if !leaves.is_sorted_by_key(|leaf| leaf.account) {
            leaves.sort_unstable_by_key(|leaf| leaf.account);
        }
        let total = check(&leaves)?;

        let (merkle, leaf_nodes) = MerkleTree::sorted(leaves.len(), |hashes| {
            keccak::hash_each_twice(hashes, |i| leaves[i].abi_encode());
        });
        Ok(Self { leaves, leaf_nodes, merkle, total })
    }

    /// The root that a commit names; zero for a tree without leaves.
    pub fn root(&self) -> B256 {
        self.merkle.root()
    }

    /// The sum of all cumulative amounts, in wei.
    pub const fn total(&self) -> Amount {
        self.total
    }

    /// How many accounts the tree has.
    pub fn len(&self) -> usize {
        self.leaves.len()
    }

    /// Whether the tree has no account.
    pub fn is_empty(&self) -> bool {
        self.leaves.is_empty()
    }

    /// The leaves, sorted by account.
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// The proof of an account, or `None` where the tree lacks it.
    pub fn proof(&self, account: &Address) -> Option<Proof> {
        let i = self.leaves.binary_search_by_key(account, |leaf| leaf.account).ok()?;
        let path = merkle::path_nodes(self.leaf_nodes[i] as usize)
            .map(|node| self.merkle.nodes()[node])
            .collect();
        Some(Proof { account: *account, cumulative: self.leaves[i].cumulative, path })
    }
}

/// That an account's cumulative amount is in a tree: what `claim` takes beside the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// Who may claim.
    #[schema(value_type = String)]
    pub account: Address,
    /// Everything ever allocated to the account, claimed or not, in wei.
    #[schema(value_type = String)]
    pub cumulative: Amount,
    /// The hashes beside the way from the leaf to the root.
    #[schema(value_type = Vec<String>)]
    pub path: Vec<B256>,
}

impl Proof {
    /// Whether the proof leads to this root.
    ///
    /// The leaf is hashed twice and pairs are sorted, as OpenZeppelin's `StandardMerkleTree` and
    /// `MerkleProof` have it; so this answers what the contract's `claim` would. That the root is the
    /// one in force is for the caller to read on chain.
    ///
    /// # Examples
    ///
    /// ```
    /// use nodesys_core::Address;
    /// use nodesys_core::ids::Amount;
    /// use nodesys_core::tree::{Leaf, RewardTree};
    ///
    /// let [alice, bob, carol] = [0xa1, 0xb0, 0xca].map(Address::repeat_byte);
    /// let leaves = [(alice, 400), (bob, 600)]
    ///     .map(|(account, wei)| Leaf { account, cumulative: Amount::new(wei) });
    /// let tree = RewardTree::build(leaves)?;
    ///
    /// let mut proof = tree.proof(&alice).expect("she has a leaf");
    /// assert!(proof.verify(tree.root()));
    /// proof.cumulative = Amount::new(401);
    /// assert!(!proof.verify(tree.root()));
    /// assert_eq!(tree.proof(&carol), None);
    /// # Ok::<(), nodesys_core::tree::TreeError>(())
    /// ```
    pub fn verify(&self, root: B256) -> bool {
        let leaf = Leaf { account: self.account, cumulative: self.cumulative };
        merkle::verify(leaf.hash(), &self.path, root)
    }
}

/// Nodes in a tree of `leaves` leaves, a number that [`check`] has let pass.
fn node_count(leaves: usize) -> u32 {
    u32::try_from((2 * leaves).saturating_sub(1)).unwrap_or(u32::MAX)
}

/// The total of leaves sorted by account, once they are found to make a tree.
fn check(leaves: &[Leaf]) -> Result<Amount, TreeError> {
    // 2n - 1 nodes must have indexes of 32 bits.
    if leaves.len() > (u32::MAX / 2) as usize {
        return Err(TreeError::TooManyLeaves(leaves.len()));
    }
    if let Some(pair) = leaves.windows(2).find(|pair| pair[0].account == pair[1].account) {
        return Err(TreeError::DuplicateAccount(pair[0].account));
    }
    let mut total = Amount::ZERO;
    for leaf in leaves {
        // Nothing could be claimed by it, and a tree would not say which accounts earned.
        if leaf.cumulative == Amount::ZERO {
            return Err(TreeError::ZeroAmount(leaf.account));
        }
        total = total.checked_add(leaf.cumulative).ok_or(TreeError::TotalOverflow)?;
    }
    Ok(total)
}

#[cfg(test)]
mod tests;

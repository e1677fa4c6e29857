//! A Merkle tree over 32-byte leaf hashes, in the array layout of OpenZeppelin's merkle-tree.
//!
//! Reward trees are built from it once a day, receipts once a batch. The tree is complete: node
//! `i` has the children `2i + 1` and `2i + 2`, the root is node 0, and the leaves, in the given
//! order, stand at the end of the array from last to first. A parent is the hash of its two
//! children, smaller first, so a path needs no directions and OpenZeppelin's `MerkleProof`
//! verifies it. Callers must see to it that a leaf hash cannot be mistaken for an inner node's.
//!
//! # Examples
//!
//! ```
//! use nodesys_core::keccak256;
//! use nodesys_core::merkle::{MerkleTree, verify};
//!
//! let leaves = ["a", "b", "c"].map(|text| keccak256(keccak256(text)));
//! let tree = MerkleTree::from_leaf_hashes(leaves);
//! let path = tree.path(2).expect("there are three leaves");
//! assert!(verify(leaves[2], &path, tree.root()));
//! assert!(!verify(leaves[1], &path, tree.root()));
//! ```

use alloy_primitives::{B256, keccak256};

use crate::keccak;

/// A complete binary tree of hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MerkleTree {
    nodes: Vec<B256>,
}

impl MerkleTree {
    /// The tree over leaf hashes in the given order.
    pub fn from_leaf_hashes<I>(leaves: I) -> Self
    where
        I: IntoIterator<Item = B256, IntoIter: ExactSizeIterator>,
    {
        let leaves = leaves.into_iter();
        let inner = leaves.len().saturating_sub(1);
        let mut nodes = vec![B256::ZERO; inner + leaves.len()];
        for (node, leaf) in nodes.iter_mut().rev().zip(leaves) {
            *node = leaf;
        }
        hash_inner(&mut nodes);
        Self { nodes }
    }

    /// The tree over `count` leaf hashes in the order of the hashes, and the node each one got.
    ///
    /// `write_hashes` makes the hashes, in any order, into the slice it is given. There must be
    /// less than 2^31, so that a node fits 32 bits.
    pub fn sorted(count: usize, write_hashes: impl FnOnce(&mut [B256])) -> (Self, Vec<u32>) {
        let inner = count.saturating_sub(1);
        let mut nodes = vec![B256::ZERO; inner + count];
        // The room of the inner nodes, still unused, holds the hashes until they are in order:
        // fresh memory costs as much as a tenth of the hashing. It is one short, but the node
        // that is both a hash's first place and a leaf's is written last, so read before.
        write_hashes(&mut nodes[..count]);
        let mut leaf_nodes = vec![0; count];
        for (node, (_, i)) in (inner..inner + count).rev().zip(order(&nodes[..count])) {
            nodes[node] = nodes[i as usize];
            leaf_nodes[i as usize] = u32::try_from(node).expect("a tree has less than 2^32 nodes");
        }
        hash_inner(&mut nodes);
        (Self { nodes }, leaf_nodes)
    }

    /// The root; zero for a tree without leaves.
    pub fn root(&self) -> B256 {
        self.nodes.first().copied().unwrap_or_default()
    }

    /// How many leaves the tree has.
    pub fn leaf_count(&self) -> usize {
        // A complete tree of n leaves has n - 1 inner nodes.
        self.nodes.len().div_ceil(2)
    }

    /// All nodes, root first.
    pub fn nodes(&self) -> &[B256] {
        &self.nodes
    }

    /// The node of leaf `i`, counted in the order given to [`Self::from_leaf_hashes`].
    pub fn leaf_node(&self, i: usize) -> Option<usize> {
        (i < self.leaf_count()).then(|| self.nodes.len() - 1 - i)
    }

    /// The siblings from leaf `i` up to the root.
    pub fn path(&self, i: usize) -> Option<Vec<B256>> {
        let node = self.leaf_node(i)?;
        Some(path_nodes(node).map(|sibling| self.nodes[sibling]).collect())
    }
}

/// The nodes whose hashes are the path of `node`: its sibling, its parent's sibling, and so on.
pub fn path_nodes(node: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(node), |&node| node.checked_sub(1).map(|below| below / 2))
        .take_while(|&node| node > 0)
        .map(|node| if node % 2 == 1 { node + 1 } else { node - 1 })
}

/// The parent of two nodes, in either order.
pub fn hash_pair(a: &B256, b: &B256) -> B256 {
    keccak256(sorted(a, b))
}

/// The root that a leaf and its path lead to.
pub fn root_of(leaf: B256, path: &[B256]) -> B256 {
    path.iter().fold(leaf, |node, sibling| hash_pair(&node, sibling))
}

/// Whether a leaf and its path lead to this root.
pub fn verify(leaf: B256, path: &[B256], root: B256) -> bool {
    root_of(leaf, path) == root
}

/// Hashes the inner nodes of a tree whose leaves are in place.
fn hash_inner(nodes: &mut [B256]) {
    // Level by level from the deepest, since the nodes of one level hash independently.
    let mut end = nodes.len() / 2;
    while end > 0 {
        let start = (1 << end.ilog2()) - 1;
        let (parents, children) = nodes.split_at_mut(2 * start + 1);
        keccak::hash_each(&mut parents[start..end], |i| {
            sorted(&children[2 * i], &children[2 * i + 1])
        });
        end = start;
    }
}

/// The indexes of hashes in the order of the hashes, each behind the hash's first eight bytes.
///
/// Those eight bytes decide all but every comparison, and keep what is sorted small.
fn order(hashes: &[B256]) -> Vec<(u64, u32)> {
    let prefix = |hash: &B256| {
        let (first, _) = hash.split_first_chunk().expect("a hash has 32 bytes");
        u64::from_be_bytes(*first)
    };
    let mut order: Vec<_> = hashes.iter().map(prefix).zip(0..).collect();
    order.sort_unstable_by(|a, b| {
        a.0.cmp(&b.0).then_with(|| hashes[a.1 as usize].cmp(&hashes[b.1 as usize]))
    });
    order
}

/// Both hashes, smaller first; chosen by index, since no processor can predict such a branch.
fn sorted(a: &B256, b: &B256) -> [u8; 64] {
    let pair = [a, b];
    let low = usize::from(b < a);
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(pair[low].as_slice());
    bytes[32..].copy_from_slice(pair[1 - low].as_slice());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: usize) -> Vec<B256> {
        (0..count).map(|i| keccak256(i.to_be_bytes())).collect()
    }

    #[test]
    fn no_leaves_give_the_zero_root_and_no_path() {
        let tree = MerkleTree::from_leaf_hashes(Vec::new());
        assert_eq!((tree.root(), tree.leaf_count(), tree.path(0)), (B256::ZERO, 0, None));
    }

    #[test]
    fn one_leaf_is_its_own_root() {
        let tree = MerkleTree::from_leaf_hashes(leaves(1));
        assert_eq!((tree.root(), tree.path(0)), (leaves(1)[0], Some(vec![])));
    }

    #[test]
    fn every_parent_is_the_hash_of_its_children() {
        for count in 1..70 {
            let tree = MerkleTree::from_leaf_hashes(leaves(count));
            let nodes = tree.nodes();
            assert_eq!(nodes.len(), 2 * count - 1);
            for i in 0..count - 1 {
                assert_eq!(
                    nodes[i],
                    hash_pair(&nodes[2 * i + 1], &nodes[2 * i + 2]),
                    "{i} of {count}"
                );
            }
        }
    }

    #[test]
    fn a_sorted_tree_is_that_of_the_sorted_leaves() {
        for count in 0..20 {
            let given = leaves(count);
            let (tree, nodes) = MerkleTree::sorted(count, |out| out.copy_from_slice(&given));
            let mut sorted = given.clone();
            sorted.sort_unstable();
            assert_eq!(tree, MerkleTree::from_leaf_hashes(sorted));
            for (leaf, node) in given.iter().zip(nodes) {
                assert_eq!(&tree.nodes()[node as usize], leaf);
            }
        }
    }

    #[test]
    fn each_path_leads_to_the_root_and_no_other_leaf_does() {
        for count in [1, 2, 3, 5, 8, 13] {
            let tree = MerkleTree::from_leaf_hashes(leaves(count));
            for (i, leaf) in leaves(count).into_iter().enumerate() {
                let path = tree.path(i).unwrap();
                assert!(verify(leaf, &path, tree.root()));
                assert!(!verify(keccak256(leaf), &path, tree.root()));
            }
            assert_eq!(tree.path(count), None);
        }
    }
}

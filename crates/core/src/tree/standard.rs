//! The reward tree as OpenZeppelin's `standard-v1` JSON.
//!
//! Published with every day bundle, so that `StandardMerkleTree.load` of
//! [@openzeppelin/merkle-tree](https://github.com/OpenZeppelin/merkle-tree) verifies the tree with no
//! code of ours. What is written here equals `JSON.stringify(tree.dump())` of a tree made from
//! the same leaves sorted by account; what is read is trusted in nothing and rebuilt.

use std::io::{self, Write};

use alloy_primitives::{Address, B256};
use serde::Deserialize;

use super::{Leaf, RewardTree, TreeError};
use crate::ids::Amount;

const FORMAT: &str = "standard-v1";
const LEAF_ENCODING: [&str; 2] = ["address", "uint256"];

/// A file that is no `standard-v1` dump of a reward tree.
#[derive(Debug, thiserror::Error)]
pub enum StandardError {
    /// Not JSON of the right shape, or a value out of range.
    #[error("not a standard-v1 dump: {0}")]
    Json(#[from] serde_json::Error),
    /// Another format or leaf encoding.
    #[error(
        "expected {FORMAT} with leaves {LEAF_ENCODING:?}, found {format} with {leaf_encoding:?}"
    )]
    Format {
        /// The file's format.
        format: String,
        /// The file's leaf encoding.
        leaf_encoding: Vec<String>,
    },
    /// The values make no tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The file's `tree` is not the tree of its values.
    #[error("node {0} is not that of the values' tree")]
    Node(usize),
    /// A value names another node than its own.
    #[error("the value of account {0} has the wrong treeIndex")]
    TreeIndex(Address),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Dump {
    format: String,
    leaf_encoding: Vec<String>,
    tree: Vec<B256>,
    values: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Value {
    value: (Address, Amount),
    tree_index: u32,
}

impl RewardTree {
    /// Writes the `standard-v1` dump, values sorted by account. Give it a buffered writer.
    ///
    /// `StandardMerkleTree.load` accepts it if the tree has a leaf; OpenZeppelin knows no empty
    /// tree.
    ///
    /// # Errors
    ///
    /// Those of writing to `out`.
    pub fn to_standard_v1(&self, mut out: impl Write) -> io::Result<()> {
        // Piece by piece, since a million accounts are some 250 MB of text.
        let [account, cumulative] = LEAF_ENCODING;
        write!(
            out,
            r#"{{"format":"{FORMAT}","leafEncoding":["{account}","{cumulative}"],"tree":["#
        )?;
        for (i, node) in self.merkle.nodes().iter().enumerate() {
            write!(out, r#"{}"{node:#x}""#, if i == 0 { "" } else { "," })?;
        }
        write!(out, r#"],"values":["#)?;
        for (i, (leaf, node)) in self.leaves.iter().zip(&self.leaf_nodes).enumerate() {
            let comma = if i == 0 { "" } else { "," };
            let Leaf { account, cumulative } = leaf;
            write!(
                out,
                r#"{comma}{{"value":["{account:#x}","{cumulative}"],"treeIndex":{node}}}"#
            )?;
        }
        write!(out, "]}}")
    }

    /// Reads a `standard-v1` dump, rebuilds the tree and requires every node to be equal.
    ///
    /// Values may stand in any order; leaves must be sorted by hash, OpenZeppelin's default.
    ///
    /// # Errors
    ///
    /// [`StandardError`] where the bytes are no such dump, the values make no tree, or a node or an
    /// index is not that of the values' tree.
    ///
    /// # Examples
    ///
    /// ```
    /// use nodesys_core::Address;
    /// use nodesys_core::ids::Amount;
    /// use nodesys_core::tree::{Leaf, RewardTree};
    ///
    /// let leaf = |byte, wei| Leaf { account: Address::repeat_byte(byte), cumulative: Amount::new(wei) };
    /// let tree = RewardTree::build([leaf(0xa1, 400), leaf(0xb0, 600)])?;
    /// let mut json = Vec::new();
    /// tree.to_standard_v1(&mut json)?;
    /// assert_eq!(RewardTree::from_standard_v1(&json)?, tree);
    ///
    /// let raised = String::from_utf8(json)?.replace("\"600\"", "\"601\"");
    /// assert!(RewardTree::from_standard_v1(raised.as_bytes()).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_standard_v1(json: &[u8]) -> Result<Self, StandardError> {
        let Dump { format, leaf_encoding, tree: nodes, values } = serde_json::from_slice(json)?;
        if format != FORMAT || leaf_encoding != LEAF_ENCODING {
            return Err(StandardError::Format { format, leaf_encoding });
        }
        let leaves = values.iter().map(|v| Leaf { account: v.value.0, cumulative: v.value.1 });
        let tree = Self::build(leaves)?;
        let built = tree.merkle.nodes();
        if built != nodes {
            let differing = built.iter().zip(&nodes).position(|(a, b)| a != b);
            // Where all that both have is equal, one of them goes on.
            let node = differing.unwrap_or_else(|| built.len().min(nodes.len()));
            return Err(StandardError::Node(node));
        }
        for Value { value: (account, _), tree_index } in values {
            let i = tree.leaves.binary_search_by_key(&account, |leaf| leaf.account);
            if i.map(|i| tree.leaf_nodes[i]) != Ok(tree_index) {
                return Err(StandardError::TreeIndex(account));
            }
        }
        Ok(tree)
    }
}

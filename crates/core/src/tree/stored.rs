//! The reward tree as bytes in one database column, and proofs read from it by offset.
//!
//! The backend stores each tree once and serves proofs of old days without loading them. All
//! numbers are big-endian; a tree of `n` leaves has `2n - 1` nodes (none if `n` is 0):
//!
//! ```text
//! offset       length      content
//! 0            8           magic "nstree" and the layout's version, 2 bytes: 1
//! 8            4           n
//! 12           16          total of all cumulative amounts
//! 28           40 n        records, sorted by account: account 20, cumulative 16, leaf node 4
//! 28 + 40 n    32 (2n-1)   nodes, root first
//! ```
//!
//! [`ProofSearch`] says which bytes it needs and takes them, so that reading may be a query; it
//! checks the finished proof against the stored root.

use std::ops::Range;

use alloy_primitives::{Address, B256};

use super::{Leaf, Proof, RewardTree, TreeError, node_count};
use crate::ids::Amount;
use crate::merkle;

const MAGIC: [u8; 8] = *b"nstree\x00\x01";
const HEADER: usize = 28;
const ACCOUNT: usize = 20;
const RECORD: usize = 40;
const NODE: usize = 32;

/// Accounts read in one step while the search is wide: a step costs a round trip to the database, and
/// sixteen at once save three of four steps of halving.
const PROBES: usize = 16;
/// Records that are read together once the search is this narrow: 5 KiB, which cost less than another
/// round trip.
const WINDOW: usize = 128;

/// Bytes that are no stored tree, or not of the version this program reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoredError {
    /// The first bytes are not the magic and version.
    #[error("not a stored tree of a known version")]
    Magic,
    /// A part is missing, or there is too much.
    #[error("expected {expected} bytes, found {found}")]
    Length {
        /// Bytes that the layout asks for.
        expected: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// The records make no tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// Total, records and nodes do not belong together.
    #[error("the stored tree contradicts itself")]
    Contradiction,
}

impl RewardTree {
    /// The stored form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length(self.len()));
        bytes.extend(MAGIC);
        bytes.extend(self.leaf_count().to_be_bytes());
        bytes.extend(self.total.get().to_be_bytes());
        for (leaf, node) in self.leaves.iter().zip(&self.leaf_nodes) {
            bytes.extend(leaf.account.as_slice());
            bytes.extend(leaf.cumulative.get().to_be_bytes());
            bytes.extend(node.to_be_bytes());
        }
        bytes.extend(self.merkle.nodes().iter().flat_map(|node| node.0));
        bytes
    }

    /// Reads the stored form, rebuilds the tree and requires every byte to be equal.
    ///
    /// # Errors
    ///
    /// [`StoredError`] where the bytes are not those that [`Self::to_bytes`] writes for some tree.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StoredError> {
        let header = bytes.get(..HEADER).ok_or_else(|| wrong_length(HEADER, bytes.len()))?;
        let leaves = read_header(header)?;
        if bytes.len() != length(leaves) {
            return Err(wrong_length(length(leaves), bytes.len()));
        }
        let (records, _) = bytes[HEADER..HEADER + RECORD * leaves].as_chunks();
        // Rebuilt, not believed: total, order and nodes are proven at once.
        let tree = Self::build(records.iter().map(|record| read_record(record).0))?;
        if tree.to_bytes() == bytes { Ok(tree) } else { Err(StoredError::Contradiction) }
    }

    fn leaf_count(&self) -> u32 {
        u32::try_from(self.len()).expect("a tree has less than 2^31 leaves")
    }
}

/// What a [`ProofSearch`] wants or has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Read these ranges of the stored tree and pass them, in this order, to the next step.
    Read(Vec<Range<usize>>),
    /// The proof, which leads to the stored root.
    Found(Proof),
    /// The tree lacks the account.
    Absent,
}

/// The search for one account's proof in a stored tree.
///
/// Takes about six reads of at most some kilobytes for a million leaves.
#[derive(Debug)]
pub struct ProofSearch {
    account: Address,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Start,
    Header,
    /// The record, if any, is in `low..high`; the accounts of `probes` are being read.
    Narrow {
        leaves: usize,
        low: usize,
        high: usize,
        probes: Vec<usize>,
    },
    Window {
        leaves: usize,
    },
    Path {
        cumulative: Amount,
    },
}

impl ProofSearch {
    /// A search that has read nothing yet.
    pub const fn new(account: Address) -> Self {
        Self { account, stage: Stage::Start }
    }

    /// Takes what the step before asked for (nothing, at first) and says what comes next.
    ///
    /// # Errors
    ///
    /// [`StoredError`] where what was read is not what was asked for, or no part of a stored tree;
    /// the finished proof is checked, so a damaged tree gives an error rather than a wrong proof.
    pub fn step(&mut self, read: &[Vec<u8>]) -> Result<Step, StoredError> {
        match &self.stage {
            Stage::Start => {
                self.stage = Stage::Header;
                Ok(read_only(0..HEADER))
            }
            Stage::Header => {
                let leaves = read_header(one(read)?)?;
                Ok(self.narrow(leaves, 0, leaves))
            }
            Stage::Narrow { leaves, low, high, probes } => {
                let (mut low, mut high) = (*low, *high);
                if read.len() != probes.len() {
                    return Err(wrong_length(probes.len(), read.len()));
                }
                for (&probe, account) in probes.iter().zip(read) {
                    let account: [u8; ACCOUNT] = fixed(account)?;
                    if account <= self.account.0.0 {
                        low = low.max(probe);
                    } else {
                        high = high.min(probe);
                    }
                }
                // Accounts that do not rise: the search would never end.
                if low >= high {
                    return Err(StoredError::Contradiction);
                }
                Ok(self.narrow(*leaves, low, high))
            }
            Stage::Window { leaves } => {
                let leaves = *leaves;
                let (records, rest) = one(read)?.as_chunks::<RECORD>();
                if !rest.is_empty() {
                    return Err(StoredError::Contradiction);
                }
                let account = |record: &[u8; RECORD]| Address::from_slice(&record[..ACCOUNT]);
                match records.binary_search_by_key(&self.account, account) {
                    Ok(i) => self.path(leaves, &records[i]),
                    Err(_) => Ok(Step::Absent),
                }
            }
            Stage::Path { cumulative } => {
                let nodes: Result<Vec<B256>, _> =
                    read.iter().map(|node| fixed::<NODE>(node).map(B256::from)).collect();
                let mut path = nodes?;
                let root = path.pop().ok_or(StoredError::Contradiction)?;
                let proof = Proof { account: self.account, cumulative: *cumulative, path };
                if proof.verify(root) {
                    Ok(Step::Found(proof))
                } else {
                    Err(StoredError::Contradiction)
                }
            }
        }
    }

    fn narrow(&mut self, leaves: usize, low: usize, high: usize) -> Step {
        let width = high - low;
        if width == 0 {
            return Step::Absent;
        }
        if width <= WINDOW {
            self.stage = Stage::Window { leaves };
            return read_only(record_at(low)..record_at(high));
        }
        let probes: Vec<_> = (1..=PROBES).map(|i| low + i * width / (PROBES + 1)).collect();
        let ranges = probes.iter().map(|&i| record_at(i)..record_at(i) + ACCOUNT).collect();
        self.stage = Stage::Narrow { leaves, low, high, probes };
        Step::Read(ranges)
    }

    fn path(&mut self, leaves: usize, record: &[u8; RECORD]) -> Result<Step, StoredError> {
        let (Leaf { cumulative, .. }, node) = read_record(record);
        // Its path would lead out of the bytes.
        if node >= node_count(leaves) {
            return Err(StoredError::Contradiction);
        }
        self.stage = Stage::Path { cumulative };
        // The root comes last, to hold the path against.
        let wanted = merkle::path_nodes(node as usize).chain([0]);
        let nodes_at = record_at(leaves);
        Ok(Step::Read(
            wanted.map(|i| nodes_at + NODE * i).map(|start| start..start + NODE).collect(),
        ))
    }
}

/// Why a proof could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LookupError<E> {
    /// The reader failed.
    #[error("cannot read the stored tree: {0}")]
    Read(E),
    /// What it read is no stored tree.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

/// An account's proof from a stored tree, read range by range; `None` where the tree lacks it.
///
/// # Errors
///
/// The reader's own, as [`LookupError::Read`], and those of [`ProofSearch::step`].
///
/// # Examples
///
/// ```
/// use nodesys_core::Address;
/// use nodesys_core::ids::Amount;
/// use nodesys_core::tree::{Leaf, RewardTree, proof_from_bytes};
///
/// let [alice, bob, carol] = [0xa1, 0xb0, 0xca].map(Address::repeat_byte);
/// let leaves =
///     [(alice, 400), (bob, 600)].map(|(account, wei)| Leaf { account, cumulative: Amount::new(wei) });
/// let tree = RewardTree::build(leaves)?;
/// let bytes = tree.to_bytes();
///
/// // A query of a database in the backend.
/// let read = |range| bytes.get(range).map(<[u8]>::to_vec).ok_or("too short");
/// assert_eq!(proof_from_bytes(read, alice)?, tree.proof(&alice));
/// assert_eq!(proof_from_bytes(read, carol)?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn proof_from_bytes<E>(
    reader: impl Fn(Range<usize>) -> Result<Vec<u8>, E>,
    account: Address,
) -> Result<Option<Proof>, LookupError<E>> {
    let mut search = ProofSearch::new(account);
    let mut read = Vec::new();
    loop {
        match search.step(&read)? {
            Step::Read(ranges) => {
                let parts: Result<_, E> = ranges.into_iter().map(&reader).collect();
                read = parts.map_err(LookupError::Read)?;
            }
            Step::Found(proof) => return Ok(Some(proof)),
            Step::Absent => return Ok(None),
        }
    }
}

fn read_only(range: Range<usize>) -> Step {
    Step::Read(vec![range])
}

const fn record_at(i: usize) -> usize {
    HEADER + RECORD * i
}

fn length(leaves: usize) -> usize {
    record_at(leaves) + NODE * node_count(leaves) as usize
}

const fn wrong_length(expected: usize, found: usize) -> StoredError {
    StoredError::Length { expected, found }
}

fn one(read: &[Vec<u8>]) -> Result<&[u8], StoredError> {
    match read {
        [part] => Ok(part),
        _ => Err(wrong_length(1, read.len())),
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], StoredError> {
    bytes.try_into().map_err(|_| wrong_length(N, bytes.len()))
}

/// The number of leaves.
fn read_header(header: &[u8]) -> Result<usize, StoredError> {
    let header = fixed::<HEADER>(header)?;
    let Some((&MAGIC, rest)) = header.split_first_chunk() else {
        return Err(StoredError::Magic);
    };
    let (leaves, _) = rest.split_first_chunk().ok_or(StoredError::Magic)?;
    let leaves = u32::from_be_bytes(*leaves) as usize;
    if leaves > (u32::MAX / 2) as usize {
        return Err(TreeError::TooManyLeaves(leaves).into());
    }
    Ok(leaves)
}

/// A record's leaf and the node it stands at.
fn read_record(record: &[u8; RECORD]) -> (Leaf, u32) {
    let (account, rest) = record.split_first_chunk::<ACCOUNT>().expect("20 of 40 bytes");
    let (cumulative, node) = rest.split_first_chunk().expect("16 bytes follow the account");
    let (node, _) = node.split_first_chunk().expect("4 bytes follow the amount");
    let cumulative = Amount::new(u128::from_be_bytes(*cumulative));
    (Leaf { account: Address::from(*account), cumulative }, u32::from_be_bytes(*node))
}

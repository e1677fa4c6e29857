//! The reward tree against the golden vectors that OpenZeppelin's JavaScript made.
//!
//! Everything is recomputed from the vectors' inputs: total, root, proofs, the `standard-v1`
//! dump (by its hash), and the proofs once more from the stored form.

use std::convert::Infallible;
use std::ops::Range;

use alloy_primitives::{Address, B256, U256, keccak256};
use nodesys_core::ids::Amount;
use nodesys_core::tree::{Leaf, Proof, RewardTree, proof_from_bytes};
use serde::Deserialize;

const VECTORS: &str = include_str!("../../../test/vectors/tree.json");

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    name: String,
    leaves: u64,
    values: Option<Vec<(Address, Amount)>>,
    total: Amount,
    root: B256,
    dump_hash: B256,
    proofs: Vec<Proof>,
}

impl Case {
    fn inputs(&self) -> Vec<Leaf> {
        let leaf = |(account, cumulative)| Leaf { account, cumulative };
        match &self.values {
            Some(values) => values.iter().copied().map(leaf).collect(),
            None => (0..self.leaves).map(formula).map(leaf).collect(),
        }
    }

    fn tree(&self) -> RewardTree {
        RewardTree::build(self.inputs()).expect("the inputs make a tree")
    }
}

/// Leaf `i` where the vectors list no values.
fn formula(i: u64) -> (Address, Amount) {
    let hash = keccak256(U256::from(i).to_be_bytes::<32>());
    (Address::from_slice(&hash[12..]), Amount::new((u128::from(i) + 1) * 10_u128.pow(15)))
}

fn cases() -> Vec<Case> {
    let cases = serde_json::from_str::<Vectors>(VECTORS).expect("the vectors are JSON").cases;
    assert!(cases.len() >= 7);
    cases
}

#[test]
fn trees_equal_openzeppelins() {
    for case in cases() {
        let tree = case.tree();
        assert_eq!(tree.len() as u64, case.leaves, "{}", case.name);
        assert_eq!(tree.total(), case.total, "{}", case.name);
        assert_eq!(tree.root(), case.root, "{}", case.name);
        let mut dump = Vec::new();
        tree.to_standard_v1(&mut dump).unwrap();
        assert_eq!(keccak256(&dump), case.dump_hash, "{}", case.name);
        assert_eq!(RewardTree::from_standard_v1(&dump).unwrap(), tree, "{}", case.name);
    }
}

#[test]
fn proofs_equal_openzeppelins() {
    for case in cases() {
        let (tree, bytes) = (case.tree(), case.tree().to_bytes());
        assert!(!case.proofs.is_empty());
        for proof in &case.proofs {
            assert_eq!(tree.proof(&proof.account).as_ref(), Some(proof), "{}", case.name);
            let read = |range: Range<usize>| Ok::<_, Infallible>(bytes[range].to_vec());
            let stored = proof_from_bytes(read, proof.account).unwrap();
            assert_eq!(stored.as_ref(), Some(proof), "{}", case.name);
            assert!(proof.verify(case.root), "{}", case.name);
        }
    }
}

#[test]
fn one_changed_byte_fails() {
    for case in cases() {
        let mut root = case.root;
        root.0[31] ^= 1;
        let mut inputs = case.inputs();
        inputs[0].account.0.0[19] ^= 1;
        assert_ne!(RewardTree::build(inputs).unwrap().root(), case.root, "{}", case.name);
        for proof in &case.proofs {
            assert!(!proof.verify(root), "{}", case.name);
            for i in 0..32 * proof.path.len() {
                let mut changed = proof.clone();
                changed.path[i / 32].0[i % 32] ^= 1;
                assert!(!changed.verify(case.root), "{}, byte {i}", case.name);
            }
        }
    }
}

//! Properties of the reward tree and of its JSON and stored forms.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Range;

use proptest::prelude::*;

use super::*;

fn leaf(i: u64, cumulative: u128) -> Leaf {
    let account = Address::from_slice(&keccak256(i.to_be_bytes())[12..]);
    Leaf { account, cumulative: Amount::new(cumulative) }
}

fn tree(leaves: u64) -> RewardTree {
    RewardTree::build((0..leaves).map(|i| leaf(i, u128::from(i) + 1))).unwrap()
}

/// Leaves in an order that is not the accounts'.
fn any_leaves() -> impl Strategy<Value = Vec<Leaf>> {
    let leaf = (any::<[u8; 20]>(), 1..u128::MAX >> 8);
    prop::collection::hash_map(leaf.0, leaf.1, 0..200).prop_map(|leaves| {
        let leaf = |(account, cumulative)| Leaf {
            account: Address::from(account),
            cumulative: Amount::new(cumulative),
        };
        leaves.into_iter().map(leaf).collect()
    })
}

fn standard(tree: &RewardTree) -> Vec<u8> {
    let mut json = Vec::new();
    tree.to_standard_v1(&mut json).unwrap();
    json
}

fn stored_proof(bytes: &[u8], account: Address) -> Option<Proof> {
    let read = |range: Range<usize>| Ok::<_, Infallible>(bytes[range].to_vec());
    proof_from_bytes(read, account).unwrap()
}

proptest! {
    #[test]
    fn the_root_does_not_depend_on_the_order(
        (leaves, shuffled) in any_leaves().prop_flat_map(|l| (Just(l.clone()), Just(l).prop_shuffle())),
    ) {
        prop_assert_eq!(RewardTree::build(leaves), RewardTree::build(shuffled));
    }

    #[test]
    fn every_proof_verifies_and_no_altered_one(leaves in any_leaves(), which in any::<prop::sample::Index>(), bit in 0_usize..1 << 16) {
        let tree = RewardTree::build(leaves.clone()).unwrap();
        for leaf in &leaves {
            let proof = tree.proof(&leaf.account).unwrap();
            prop_assert_eq!(proof.cumulative, leaf.cumulative);
            prop_assert!(proof.verify(tree.root()));
        }
        if !leaves.is_empty() {
            let proof = tree.proof(&which.get(&leaves).account).unwrap();
            prop_assert!(!flip(&proof, bit).verify(tree.root()));
        }
    }

    #[test]
    fn stored_bytes_round_trip_and_serve_the_same_proofs(leaves in any_leaves(), stranger in any::<[u8; 20]>()) {
        let tree = RewardTree::build(leaves).unwrap();
        let bytes = tree.to_bytes();
        for leaf in tree.leaves() {
            prop_assert_eq!(stored_proof(&bytes, leaf.account), tree.proof(&leaf.account));
        }
        prop_assert_eq!(stored_proof(&bytes, stranger.into()), tree.proof(&stranger.into()));
        prop_assert_eq!(RewardTree::from_bytes(&bytes), Ok(tree));
    }

    #[test]
    fn standard_v1_round_trips(leaves in any_leaves()) {
        let tree = RewardTree::build(leaves).unwrap();
        prop_assert_eq!(RewardTree::from_standard_v1(&standard(&tree)).unwrap(), tree);
    }
}

/// The proof with one bit flipped, anywhere in account, amount or path.
fn flip(proof: &Proof, bit: usize) -> Proof {
    let mut bytes = proof.account.to_vec();
    bytes.extend(proof.cumulative.get().to_be_bytes());
    bytes.extend(proof.path.iter().flat_map(|node| node.0));
    let bit = bit % (8 * bytes.len());
    bytes[bit / 8] ^= 1 << (bit % 8);
    let (account, rest) = bytes.split_at(20);
    let (cumulative, path) = rest.split_at(16);
    Proof {
        account: Address::from_slice(account),
        cumulative: Amount::new(u128::from_be_bytes(cumulative.try_into().unwrap())),
        path: path.chunks(32).map(B256::from_slice).collect(),
    }
}

#[test]
fn bad_leaves_are_refused_and_named() {
    let (a, b) = (leaf(0, 5), leaf(1, 7));
    let zero = Leaf { cumulative: Amount::ZERO, ..b };
    let again = Leaf { cumulative: Amount::new(6), ..a };
    assert_eq!(RewardTree::build([a, b, again]), Err(TreeError::DuplicateAccount(a.account)));
    assert_eq!(RewardTree::build([a, zero]), Err(TreeError::ZeroAmount(b.account)));
    assert_eq!(RewardTree::build([leaf(0, u128::MAX), b]), Err(TreeError::TotalOverflow));
}

#[test]
fn an_empty_tree_has_the_zero_root_and_no_proofs() {
    let empty = tree(0);
    assert_eq!((empty.root(), empty.total(), empty.len()), (B256::ZERO, Amount::ZERO, 0));
    assert_eq!(empty.proof(&Address::ZERO), None);
    assert_eq!(stored_proof(&empty.to_bytes(), Address::ZERO), None);
}

#[test]
fn a_proof_is_the_same_after_json() {
    let proof = tree(5).proof(&leaf(3, 0).account).unwrap();
    let json = serde_json::to_value(&proof).unwrap();
    assert_eq!(json["cumulative"], "4");
    assert_eq!(serde_json::from_value::<Proof>(json).unwrap(), proof);
}

#[test]
fn a_wide_search_reads_little() {
    let tree = tree(20_000);
    let bytes = tree.to_bytes();
    for i in [0, 1, 137, 9_999, 19_999] {
        let account = leaf(i, 0).account;
        let reads = RefCell::new(BTreeMap::new());
        let read = |range: Range<usize>| {
            reads.borrow_mut().insert(range.start, range.len());
            Ok::<_, Infallible>(bytes[range].to_vec())
        };
        assert_eq!(proof_from_bytes(read, account).unwrap(), tree.proof(&account));
        assert!(reads.borrow().len() < 70, "{reads:?}");
        assert!(reads.borrow().values().sum::<usize>() < 8_000, "{reads:?}");
    }
    for stranger in [Address::ZERO, Address::repeat_byte(0xff), leaf(20_000, 0).account] {
        assert_eq!(stored_proof(&bytes, stranger), None);
    }
}

#[test]
fn no_stored_byte_can_change_unseen() {
    let bytes = tree(9).to_bytes();
    for i in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[i] ^= 1;
        assert!(RewardTree::from_bytes(&changed).is_err(), "byte {i}");
        let read = |range: Range<usize>| {
            changed.get(range.clone()).map(<[u8]>::to_vec).ok_or_else(|| wrong_read(&range))
        };
        // A search reads only part of the tree, so it may miss a change but never serve one.
        for k in 0..9 {
            let account = leaf(k, 0).account;
            if let Ok(Some(proof)) = proof_from_bytes(read, account) {
                assert_eq!(Some(proof), tree(9).proof(&account), "byte {i}");
            }
        }
    }
    for length in [0, 5, 28, bytes.len() - 1] {
        assert!(RewardTree::from_bytes(&bytes[..length]).is_err(), "{length} bytes");
    }
    assert!(RewardTree::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
}

fn wrong_read(range: &Range<usize>) -> String {
    format!("{range:?} is outside")
}

#[test]
fn a_dump_that_is_not_its_values_tree_is_refused() {
    let json = String::from_utf8(standard(&tree(3))).unwrap();
    let refused = |from: &str, to: &str| {
        let changed = json.replacen(from, to, 1);
        assert_ne!(changed, json);
        RewardTree::from_standard_v1(changed.as_bytes()).unwrap_err()
    };
    let root = format!("{:#x}", tree(3).root());
    let one = format!("{:#x}", leaf(0, 0).account);
    assert!(matches!(refused("standard-v1", "simple-v1"), StandardError::Format { .. }));
    assert!(matches!(refused("uint256", "uint128"), StandardError::Format { .. }));
    assert!(matches!(refused(&root, &format!("{:#x}", B256::ZERO)), StandardError::Node(0)));
    assert!(matches!(refused(&format!("\"{root}\","), ""), StandardError::Node(0)));
    assert!(matches!(
        refused(&format!("{one}\",\"1\""), &format!("{one}\",\"4\"")),
        StandardError::Node(_)
    ));
    assert!(matches!(refused("\"treeIndex\":2", "\"treeIndex\":3"), StandardError::TreeIndex(_)));
    assert!(matches!(refused("\"treeIndex\"", "\"index\""), StandardError::Json(_)));
}

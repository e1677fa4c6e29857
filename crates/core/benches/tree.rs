//! How fast a reward tree is built from rows, on one thread, against the crate `rs_merkle`.
//!
//! Run by `scripts/bench tree`; prints lines `name value unit`. Both sides take the same million
//! rows, sorted by account as `rewards.csv` is, and do the same: hash each leaf twice, sort the
//! hashes, build the tree with commutative pair hashing. `rs_merkle` is given alloy's
//! `keccak256` and a pair hash that allocates nothing, and is timed without the checks, the leaf
//! index and the total that `RewardTree` makes besides. Times are this thread's CPU time, the
//! median of several runs in turn, so that other load on the machine does not count.

use std::convert::Infallible;
use std::fs;
use std::hint::black_box;
use std::ops::Range;

use alloy_primitives::{Address, keccak256};
use nodesys_core::ids::Amount;
use nodesys_core::tree::{Leaf, RewardTree, proof_from_bytes};
use rs_merkle::{Hasher, MerkleTree};

const LEAVES: u64 = 1_000_000;
const RUNS: usize = 5;
const PROOFS: usize = 10_000;

fn main() {
    same_root_as_rs_merkle();

    let mut rows: Vec<Leaf> = (0..LEAVES).map(row).collect();
    let any_order = rows.clone();
    rows.sort_unstable_by_key(|leaf| leaf.account);

    let before_kib = status_kib("VmRSS:");
    let tree = build(rows.clone());
    let peak_mib = (status_kib("VmHWM:") - before_kib) / 1024.0;

    let (mut ours, mut unsorted, mut theirs) = (vec![], vec![], vec![]);
    for _ in 0..RUNS {
        let (given, given_unsorted) = (rows.clone(), any_order.clone());
        ours.push(cpu_seconds(|| build(given)));
        theirs.push(cpu_seconds(|| build_rs_merkle(&rows)));
        unsorted.push(cpu_seconds(|| build(given_unsorted)));
    }
    let (ours, unsorted, theirs) = (median(ours), median(unsorted), median(theirs));
    let leaves_per_second = rows.len() as f64 / ours;

    let bytes = tree.to_bytes();
    let asked: Vec<_> = any_order.iter().map(|leaf| leaf.account).take(PROOFS).collect();
    let proof_us = 1e6 / PROOFS as f64
        * cpu_seconds(|| asked.iter().map(|a| tree.proof(a)).for_each(|p| drop(black_box(p))));
    let read = |range: Range<usize>| Ok::<_, Infallible>(bytes[range].to_vec());
    let stored_us = 1e6 / PROOFS as f64
        * cpu_seconds(|| {
            asked.iter().map(|a| proof_from_bytes(read, *a)).for_each(|p| drop(black_box(p)));
        });

    println!("tree.leaves_per_cpu_second {leaves_per_second:.0} 1/s");
    println!("tree.ratio_rs_merkle {:.2} x", theirs / ours);
    println!("tree.seconds {ours:.3} s");
    println!("tree.seconds_any_order {unsorted:.3} s");
    println!("tree.seconds_rs_merkle {theirs:.3} s");
    println!("tree.peak_mib {peak_mib:.0} MiB");
    println!("tree.stored_mib {:.0} MiB", bytes.len() as f64 / 1024.0 / 1024.0);
    println!("tree.proof_us {proof_us:.2} us");
    println!("tree.stored_proof_us {stored_us:.2} us");
}

fn row(i: u64) -> Leaf {
    let account = Address::from_slice(&keccak256(i.to_be_bytes())[12..]);
    Leaf { account, cumulative: Amount::new((u128::from(i) + 1) * 10_u128.pow(15)) }
}

fn build(rows: Vec<Leaf>) -> RewardTree {
    RewardTree::build(rows).expect("the rows make a tree")
}

/// Alloy's scalar Keccak, pairs sorted on the stack.
#[derive(Clone)]
struct Keccak;

impl Hasher for Keccak {
    type Hash = [u8; 32];

    fn hash(data: &[u8]) -> [u8; 32] {
        keccak256(data).0
    }

    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        let Some(right) = right else { return *left };
        let mut pair = [0; 64];
        pair[..32].copy_from_slice(left.min(right));
        pair[32..].copy_from_slice(left.max(right));
        Self::hash(&pair)
    }
}

fn build_rs_merkle(rows: &[Leaf]) -> MerkleTree<Keccak> {
    let mut leaves: Vec<[u8; 32]> = rows.iter().map(|leaf| leaf.hash().0).collect();
    leaves.sort_unstable();
    MerkleTree::from_leaves(&leaves)
}

/// With a power of two of leaves both trees have one shape, so the work is shown to be the same.
fn same_root_as_rs_merkle() {
    let rows: Vec<_> = (0..1024).map(row).collect();
    assert_eq!(build_rs_merkle(&rows).root(), Some(build(rows).root().0));
}

fn cpu_seconds<T>(work: impl FnOnce() -> T) -> f64 {
    let before = thread_cpu_seconds();
    black_box(work());
    thread_cpu_seconds() - before
}

fn thread_cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux with schedstat");
    let nanos = stat.split_whitespace().next().and_then(|n| n.parse::<f64>().ok());
    nanos.expect("the first number is the time on the CPU") / 1e9
}

fn status_kib(line: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let value = status.lines().find_map(|l| l.strip_prefix(line)?.split_whitespace().next());
    value.and_then(|v| v.parse().ok()).expect("a number of KiB")
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

//! Prints the `standard-v1` dump of a tree of N formula leaves, for JavaScript to load.
//!
//! Run by `test/vectors/verify-tree.mjs`, which also says what the formula is; the output is
//! what a day bundle publishes.

use std::io::{BufWriter, stdout};

use alloy_primitives::{Address, U256, keccak256};
use nodesys_core::ids::Amount;
use nodesys_core::tree::{Leaf, RewardTree};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: u64 = std::env::args().nth(1).ok_or("usage: standard_v1 N")?.parse()?;
    let tree = RewardTree::build((0..count).map(|i| {
        let hash = keccak256(U256::from(i).to_be_bytes::<32>());
        let cumulative = Amount::new((u128::from(i) + 1) * 10_u128.pow(15));
        Leaf { account: Address::from_slice(&hash[12..]), cumulative }
    }))?;
    tree.to_standard_v1(BufWriter::new(stdout().lock()))?;
    Ok(())
}

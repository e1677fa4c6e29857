//! The same random days through the Rust of `core` and through the contract, leaf by leaf.

use std::collections::BTreeMap;
use std::path::Path;

use alloy::primitives::{Bytes, U256};
use nodesys_chain::bindings::{DevToken, RewardDistributor};
use nodesys_core::allocation::{Budget, Share, accumulate, allocate};
use nodesys_core::ids::{Amount, LicenseIndex, Points};
use nodesys_core::message::{Claim, Domain, Message as _, RewardCommit};
use nodesys_core::signature::SigningKey;
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_core::tree::{Leaf, RewardTree};
use nodesys_core::{Address, B256};
use nodesys_devnet::People;
use nodesys_devnet::chain::Chain;
use nodesys_devnet::deploy::{Plan, TOKEN, deploy, wallet};
use nodesys_sdk::commit;
use proptest::collection::vec;
use proptest::test_runner::{Config, TestRunner};

const FUNDS: u128 = 10_000 * TOKEN;
const QUOTA: u128 = 1_000 * TOKEN;
const DELAY_SECS: u64 = 600;

/// A license's day: its account, its points, and whether the account claims that day.
type Row = (u8, u64, bool);
/// The project's reward that day, and its licenses.
type Day = (u128, Vec<Row>);

/// Beneficiaries have keys, so that a relayer can bring their claims.
fn account(index: u8) -> SigningKey {
    SigningKey::from_bytes(&[index + 1; 32]).unwrap()
}

async fn chain_time(chain: &Chain) -> u64 {
    chain.reader.latest_block().await.unwrap().secs
}

async fn differ(chain: &Chain, people: &People, days: &[Day]) {
    let plan = Plan {
        project: "acme",
        workloads: Vec::new(),
        funds: FUNDS,
        daily_quota: QUOTA,
        delay_secs: DELAY_SECS,
    };
    let deployed = deploy(chain, people, &plan, Address::repeat_byte(1)).await.unwrap();
    let poster = wallet(chain, &people.poster).await.unwrap();
    let distributor = RewardDistributor::new(deployed.distributor, poster.rpc());
    let token = DevToken::new(deployed.token, poster.rpc());
    let domain = Domain::new(31_337, deployed.distributor);

    let mut carry_in = Amount::ZERO;
    let mut rewards = Vec::new();
    let mut previous = B256::ZERO;
    let mut paid = BTreeMap::<Address, Amount>::new();
    let first = Timestamp::from_secs(chain_time(chain).await).day();
    for (epoch, (day_reward, rows)) in (first.epoch()..).zip(days) {
        // In Rust.
        let shares: Vec<Share> = (0..)
            .zip(rows)
            .map(|(index, &(owner, points, _))| Share {
                license: LicenseIndex(index),
                beneficiary: account(owner).address(),
                points: Points::checked_new(points).unwrap(),
            })
            .collect();
        let day_reward = Amount::new(*day_reward);
        let budget = Budget { day_reward, carry_in, daily_quota: Amount::new(QUOTA) };
        let allocation = allocate(&budget, &shares).unwrap();
        carry_in = allocation.carry_out;
        rewards = accumulate(&rewards, &shares, &allocation.allocated).unwrap();
        let leaf = |row: &nodesys_core::files::RewardRow| Leaf {
            account: row.account,
            cumulative: row.cumulative,
        };
        let tree = RewardTree::build(rewards.iter().map(leaf)).unwrap();
        let commit = RewardCommit {
            epoch,
            revision: 0,
            previous,
            root: tree.root(),
            total: tree.total(),
            data_hash: B256::repeat_byte(0xda),
        };
        previous = commit.struct_hash();

        // On chain: the digest, then the post once the day is over, then the delay.
        let sol = RewardDistributor::RewardCommit {
            epoch,
            revision: 0,
            previous: commit.previous,
            root: commit.root,
            total: commit.total.to_u256(),
            dataHash: commit.data_hash,
        };
        assert_eq!(distributor.hashCommit(sol).call().await.unwrap(), commit.digest(&domain));
        chain.step(UtcDay::from_epoch(epoch).unwrap().end()).await.unwrap();
        let signed = commit::sign(&commit, &domain, &people.signer.key);
        commit::post(&poster, deployed.distributor, &signed, 0).await.unwrap();
        let after = chain_time(chain).await + DELAY_SECS;
        chain.step(Timestamp::from_secs(after)).await.unwrap();

        // Leaf by leaf: what is owed, what a wei more is answered, and the claims of some.
        let claims: Vec<Address> = rows
            .iter()
            .filter(|(_, _, claims)| *claims)
            .map(|(owner, ..)| account(*owner).address())
            .collect();
        for row in &rewards {
            let proof = tree.proof(&row.account).unwrap();
            let before = paid.get(&row.account).copied().unwrap_or_default();
            let owed = row.cumulative.checked_sub(before).unwrap();
            let ask = async |cumulative: U256| {
                let path = proof.path.clone();
                let asked = distributor.claimable(row.account, commit.root, cumulative, path);
                asked.call().await
            };
            ask(row.cumulative.to_u256() + U256::ONE).await.unwrap_err();
            if owed == Amount::ZERO {
                continue;
            }
            assert_eq!(ask(row.cumulative.to_u256()).await.unwrap(), owed.to_u256());
            if !claims.contains(&row.account) {
                continue;
            }
            let claim = Claim {
                account: row.account,
                root: commit.root,
                cumulative: row.cumulative,
                recipient: row.account,
                relayer: Address::ZERO,
                relayer_fee: Amount::ZERO,
                deadline: after + 3_600,
            };
            let key = (0..=u8::MAX).map(account).find(|key| key.address() == row.account);
            let signature = key.unwrap().sign(claim.digest(&domain));
            let sol = RewardDistributor::Claim {
                account: claim.account,
                root: claim.root,
                cumulative: claim.cumulative.to_u256(),
                recipient: claim.recipient,
                relayer: claim.relayer,
                relayerFee: U256::ZERO,
                deadline: claim.deadline,
            };
            let signature = Bytes::copy_from_slice(signature.as_bytes());
            let call = distributor.claimWithSignature(sol, proof.path.clone(), signature);
            poster.send("claiming", call.into_transaction_request()).await.unwrap();
            paid.insert(row.account, row.cumulative);
            let balance = token.balanceOf(row.account).call().await.unwrap();
            assert_eq!(balance, row.cumulative.to_u256());
        }
    }
    let given: u128 = days.iter().map(|(reward, _)| reward).sum();
    let earned: u128 = rewards.iter().map(|row| row.cumulative.get()).sum();
    assert_eq!(earned + carry_in.get(), given);
    let claimed: u128 = paid.values().map(|amount| amount.get()).sum();
    let left = token.balanceOf(deployed.distributor).call().await.unwrap();
    assert_eq!(left, U256::from(FUNDS - claimed));
}

#[tokio::test(flavor = "multi_thread")]
async fn random_days_are_the_same_in_rust_and_on_chain() {
    let parent = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tmp");
    std::fs::create_dir_all(&parent).unwrap();
    let folder = tempfile::tempdir_in(parent).unwrap();
    let people = People::new(&folder.path().join("people")).unwrap();
    let start = Timestamp::from_secs(UtcDay(20_459).end().secs() - 3_600);
    let chain = Chain::start(&folder.path().join("chain"), start, 1).await.unwrap();

    // Up to the largest points, few accounts to many licenses, and rewards beyond the quota.
    let row = (0..24_u8, 0..=Points::MAX.get(), proptest::bool::ANY);
    let day = (0..=QUOTA + QUOTA / 5, vec(row, 0..40));
    let days = vec(day, 1..4);
    let cases = 24;
    let mut runner =
        TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let handle = tokio::runtime::Handle::current();
    let (on, with) = (&chain, &people);
    tokio::task::block_in_place(|| {
        runner.run(&days, |days| {
            handle.block_on(differ(on, with, &days));
            Ok(())
        })
    })
    .unwrap();
    chain.stop().await.unwrap();
}

//! Collections of the libraries that projects use, each from its npm package: its logs alone tell who
//! holds what.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use alloy::eips::BlockNumberOrTag;
use alloy::network::TransactionBuilder as _;
use alloy::primitives::{Address, Bytes, U256};
use alloy::providers::Provider as _;
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::{SolCall as _, SolValue as _};
use nodesys_core::holders::Holders;
use nodesys_core::license::LicenseId;

use super::anvil::Anvil;
use super::{BOB, CAROL, deploy, sent};
use crate::collection::{BlockingReason, blocking_reason, minted_in};
use crate::logs::license_events;
use crate::ownership::ownership_of;
use crate::{ChainError, Provider};

alloy::sol! {
    function give(address to, uint256 count) external;
    function transferFrom(address from, address to, uint256 id) external;
    function burn(uint256 id) external;
}

/// Creation code of a contract of test/collections, which the contracts' compiler makes once.
fn code_of(name: &str) -> Bytes {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let out = BUILT.get_or_init(|| {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
        let installed = || root.join("node_modules/@foundry-rs/forge-linux-amd64/bin/forge");
        let forge = std::env::var_os("NODESYS_FORGE").map_or_else(installed, PathBuf::from);
        let output = Command::new(forge)
            .current_dir(&root)
            .args(["build", "--root", "test/collections", "--use"])
            .arg(root.join("contracts/tools/solc"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        root.join("target/forge/collections/out/Collections.sol")
    });
    let artifact = std::fs::read(out.join(format!("{name}.json"))).unwrap();
    let artifact: serde_json::Value = serde_json::from_slice(&artifact).unwrap();
    artifact["bytecode"]["object"].as_str().unwrap().parse().unwrap()
}

async fn collection_of(provider: &Provider, name: &str, arguments: &[u8]) -> Address {
    let code = [code_of(name).as_ref(), arguments].concat();
    deploy(provider, TransactionRequest::default().with_deploy_code(code)).await
}

async fn call(provider: &Provider, to: Address, data: Vec<u8>) {
    sent(provider, TransactionRequest::default().with_to(to).with_input(data)).await;
}

/// Holders by the logs, which must be those of the chain's state.
async fn folded(provider: &Provider, collection: Address, ids: &[u64]) -> Vec<Option<Address>> {
    let newest = provider.latest_block().await.unwrap().number;
    let events = license_events(provider, &[collection], 0, newest).await.unwrap();
    let holders: Holders = events.into_iter().map(|logged| logged.event).collect();
    for id in ids {
        assert_eq!(holders.uncounted(collection, U256::from(*id)), None);
    }
    let by_logs: Vec<_> =
        ids.iter().map(|id| holders.at(collection, U256::from(*id), 0).holder).collect();
    let chain_id = provider.chain_id();
    let license = |id: &u64| LicenseId { chain_id, collection, token_id: U256::from(*id) };
    let licenses: Vec<_> = ids.iter().map(license).collect();
    let state = ownership_of(provider, &licenses, BlockNumberOrTag::Latest).await.unwrap();
    let by_state: Vec<_> = state.facts.iter().map(|facts| facts.holder).collect();
    assert_eq!(by_logs, by_state);
    by_logs
}

/// Mints three licenses, the first of which is `first`, and moves the second one. Returns whether it moved.
async fn story(provider: &Provider, collection: Address, first: u64) -> bool {
    let owner = provider.sender().unwrap();
    assert_eq!(blocking_reason(provider, collection, 0).await.unwrap(), None);
    let count = U256::from(3);
    call(provider, collection, giveCall { to: owner, count }.abi_encode()).await;
    let ids = [first, first + 1, first + 2];
    assert_eq!(folded(provider, collection, &ids).await, [Some(owner); 3]);
    let (from, id) = (owner, U256::from(first + 1));
    let transfer = transferFromCall { from, to: BOB, id }.abi_encode();
    let request = TransactionRequest::default().with_to(collection).with_input(transfer);
    let moved = match provider.send("transferring", request).await {
        Ok(_) => true,
        Err(ChainError::Reverted { .. }) => false,
        Err(error) => panic!("{error}"),
    };
    let second = if moved { BOB } else { owner };
    let expected = [Some(owner), Some(second), Some(owner)];
    assert_eq!(folded(provider, collection, &ids).await, expected);
    assert!(minted_in(provider, collection, id, 0).await.unwrap().is_some());
    moved
}

#[tokio::test]
async fn an_erc_721a_collection_is_followed() {
    let anvil = Anvil::start();
    let provider = anvil.provider().await;
    let collection = collection_of(&provider, "OfERC721A", &[]).await;
    assert!(story(&provider, collection, 0).await);
}

#[tokio::test]
async fn a_solmate_collection_is_followed() {
    let anvil = Anvil::start();
    let provider = anvil.provider().await;
    let collection = collection_of(&provider, "OfSolmate", &[]).await;
    assert!(story(&provider, collection, 1).await);
}

#[tokio::test]
async fn a_solady_collection_is_followed() {
    let anvil = Anvil::start();
    let provider = anvil.provider().await;
    let collection = collection_of(&provider, "OfSolady", &[]).await;
    assert!(story(&provider, collection, 1).await);
}

#[tokio::test]
async fn a_thirdweb_collection_is_followed() {
    let anvil = Anvil::start();
    let provider = anvil.provider().await;
    let collection = collection_of(&provider, "OfThirdweb", &[]).await;
    assert!(story(&provider, collection, 0).await);
}

#[tokio::test]
async fn a_soulbound_collection_is_followed() {
    let anvil = Anvil::start();
    let provider = anvil.provider().await;
    let collection = collection_of(&provider, "Soulbound", &[]).await;
    assert!(!story(&provider, collection, 1).await);
}

#[tokio::test]
async fn a_burnt_license_has_no_holder() {
    let anvil = Anvil::start();
    let provider = anvil.provider().await;
    let collection = collection_of(&provider, "Burnable", &[]).await;
    assert!(story(&provider, collection, 1).await);
    call(&provider, collection, burnCall { id: U256::from(3) }.abi_encode()).await;
    let owner = provider.sender().unwrap();
    assert_eq!(folded(&provider, collection, &[1, 2, 3]).await, [Some(owner), Some(BOB), None]);
}

/// Its licenses have holders on chain, and no log of their own.
#[tokio::test]
async fn an_erc_2309_collection_is_told() {
    let anvil = Anvil::start();
    let provider = anvil.provider().await;
    let arguments = (CAROL, U256::from(5)).abi_encode();
    let collection = collection_of(&provider, "OfERC2309", &arguments).await;
    let newest = provider.latest_block().await.unwrap().number;
    assert_eq!(license_events(&provider, &[collection], 0, newest).await.unwrap(), []);
    assert_eq!(minted_in(&provider, collection, U256::ZERO, 0).await.unwrap(), None);
    let found = blocking_reason(&provider, collection, 0).await.unwrap().unwrap();
    let (first, last) = (U256::ZERO, U256::from(4));
    assert_eq!(found, BlockingReason::Consecutive { first, last, block_number: newest });
    assert!(found.to_string().contains("minted 0 to 4 by one log of ERC-2309"), "{found}");
}

#[tokio::test]
async fn a_collection_that_is_older_than_what_is_read_is_told() {
    let anvil = Anvil::start();
    let provider = anvil.provider().await;
    let collection = collection_of(&provider, "OfSolmate", &[]).await;
    let made = provider.latest_block().await.unwrap().number;
    let one = giveCall { to: BOB, count: U256::ONE }.abi_encode();
    call(&provider, collection, one.clone()).await;
    assert_eq!(blocking_reason(&provider, collection, made).await.unwrap(), None);
    let first_block = made + 1;
    let older = Some(BlockingReason::Older { first_block });
    assert_eq!(blocking_reason(&provider, collection, first_block).await.unwrap(), older);
    // The license of before is not known from there, one of later is.
    let from = first_block + 1;
    assert_eq!(minted_in(&provider, collection, U256::ONE, from).await.unwrap(), None);
    call(&provider, collection, one).await;
    let newest = provider.rpc().get_block_number().await.unwrap();
    assert_eq!(minted_in(&provider, collection, U256::from(2), from).await.unwrap(), Some(newest));
}

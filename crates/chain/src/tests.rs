//! The chain as it is: against a real anvil, one per test.

mod anvil;
mod collections;
mod limits;
mod metadata;
mod proxy;
mod release;
mod sending;
mod undeployed;

use alloy::eips::BlockNumberOrTag;
use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::providers::Provider as _;
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use nodesys_core::holders::Holders;
use nodesys_core::license::{LicenseId, OPERATE_RIGHTS, Ownership, Rental, Right};
use nodesys_core::signature::{SignatureError, SigningKey, WalletSignature};

use crate::bindings::{DelegateRegistry, DevToken, Multicall3, NodeLicense};
use crate::error::ChainError;
use crate::logs::{Delegated, delegations, license_events};
use crate::ownership::{DELEGATE_REGISTRY, ownership_of, rights_of};
use crate::wallet_signature::{self, WalletSignatureError};
use crate::{MULTICALL3, Provider, RpcUrl};
use anvil::{Anvil, funded};

const BOB: Address = Address::repeat_byte(0xb0);
const CAROL: Address = Address::repeat_byte(0xca);

#[tokio::test]
async fn another_chain_is_refused() {
    let anvil = Anvil::start();
    let error = Provider::connect(&anvil.url, Some(1)).await.unwrap_err();
    assert!(matches!(error, ChainError::WrongChain { expected: 1, found: 31_337, .. }), "{error}");
    assert!(!error.is_temporary());
    assert_eq!(Provider::connect(&anvil.url, None).await.unwrap().chain_id(), 31_337);
}

#[tokio::test]
async fn a_dead_rpc_is_told_from_a_wrong_one() {
    let anvil = Anvil::start();
    let provider = anvil.provider().await;
    drop(anvil);
    let error = provider.latest_block().await.unwrap_err();
    assert!(matches!(error, ChainError::Unreachable { .. }), "{error}");
    assert!(error.is_temporary());
    let nobody: RpcUrl = "http://127.0.0.1:1/secret-path".parse().unwrap();
    let error = Provider::connect(&nobody, None).await.unwrap_err();
    assert!(matches!(error, ChainError::Unreachable { .. }), "{error}");
    // Neither for people nor where a program prints what it has.
    let words = format!("{error} {error:?}");
    assert!(words.contains("127.0.0.1") && !words.contains("secret-path"), "{words}");
}

#[tokio::test]
async fn an_address_without_code_is_named() {
    let anvil = Anvil::start();
    let provider = anvil.provider().await;
    let empty = Address::repeat_byte(0xee);
    let error = provider.require_code(empty, "the ProjectRegistry").await.unwrap_err();
    assert!(matches!(error, ChainError::NoCode { .. }), "{error}");
    assert!(error.to_string().contains("the ProjectRegistry"), "{error}");
    let license = LicenseId { chain_id: 31_337, collection: empty, token_id: U256::from(1) };
    let error = ownership_of(&provider, &[license], BlockNumberOrTag::Latest).await.unwrap_err();
    assert!(matches!(error, ChainError::NoCode { .. }), "{error}");
    let elsewhere = LicenseId { chain_id: 1, ..license };
    let error = ownership_of(&provider, &[elsewhere], BlockNumberOrTag::Latest).await.unwrap_err();
    assert!(matches!(error, ChainError::WrongChain { expected: 1, .. }), "{error}");
}

#[tokio::test]
async fn the_first_block_of_a_moment_is_found_once_it_is_final() {
    let anvil = Anvil::start_with(&["--timestamp", "1000"]);
    let provider = anvil.provider().await;
    for secs in [1060, 1120, 1180, 1240, 1300, 1360, 1420] {
        anvil.mine_at(&provider, secs).await;
    }
    let first = async |secs| {
        provider
            .first_block_at_or_after(secs, 0)
            .await
            .unwrap()
            .map(|block| (block.number, block.secs))
    };
    let last = provider.finalized_block(0).await.unwrap();
    assert!(last.number < provider.latest_block().await.unwrap().number, "{last:?}");
    assert_eq!(first(0).await, Some((0, 1000)));
    assert_eq!(first(1061).await, Some((2, 1120)));
    assert_eq!(first(1120).await, Some((2, 1120)));
    assert_eq!(first(last.secs).await, Some((last.number, last.secs)));
    assert_eq!(first(last.secs + 1).await, None);
    anvil.mine_at(&provider, 1500).await;
    assert_eq!(first(last.secs + 1).await.map(|(number, _)| number), Some(last.number + 1));
}

#[tokio::test]
async fn a_send_that_fails_burns_no_nonce() {
    let anvil = Anvil::start();
    let provider = anvil.provider().await;
    let to = Address::repeat_byte(0x70);
    let rich = TransactionRequest::default().to(to).value(U256::MAX);
    let error = provider.send("sending too much", rich).await.unwrap_err();
    assert!(error.to_string().starts_with("sending too much"), "{error}");
    let small = TransactionRequest::default().to(to).value(U256::from(5));
    assert!(provider.send("sending", small.clone()).await.unwrap().status());
    let reader = Provider::connect(&anvil.url, None).await.unwrap();
    let error = reader.send("sending", small).await.unwrap_err();
    assert!(matches!(error, ChainError::NoSigner(_)), "{error}");
}

async fn set_code(provider: &Provider, address: Address, code: &Bytes) {
    let _: serde_json::Value =
        provider.rpc().raw_request("anvil_setCode".into(), (address, code)).await.unwrap();
}

async fn deploy(provider: &Provider, request: TransactionRequest) -> Address {
    provider.send("deploying", request).await.unwrap().contract_address.unwrap()
}

async fn sent(provider: &Provider, request: TransactionRequest) -> TransactionReceipt {
    provider.send("setting up", request).await.unwrap()
}

/// A collection whose tokens are minted to the given accounts, from token 1 on.
async fn collection(provider: &Provider, holders: &[Address]) -> Address {
    let owner = provider.sender().unwrap();
    let params = NodeLicense::LicenseParams::plain("Alpha", "ALPHA", owner);
    let builder = NodeLicense::deploy_builder(provider.rpc(), params);
    let address = deploy(provider, builder.into_transaction_request()).await;
    let license = NodeLicense::new(address, provider.rpc());
    for holder in holders {
        sent(provider, license.mint(*holder).into_transaction_request()).await;
    }
    address
}

fn license(collection: Address, token: u64) -> LicenseId {
    LicenseId { chain_id: 31_337, collection, token_id: U256::from(token) }
}

#[tokio::test]
async fn rights_are_those_of_holder_renter_and_delegate() {
    let anvil = Anvil::start();
    let provider = anvil.provider().await;
    let alice = provider.sender().unwrap();
    let address = collection(&provider, &[alice, alice, alice, BOB]).await;
    let bound = NodeLicense::new(address, provider.rpc());
    let now = provider.latest_block().await.unwrap().secs;
    let (soon, later) = (now + 100, now + 100_000);
    for (token, until) in [(2, later), (3, soon)] {
        let call = bound.setUser(U256::from(token), CAROL, until);
        sent(&provider, call.into_transaction_request()).await;
    }
    let asks = [
        (1, alice),
        (1, BOB),
        (2, alice),
        (2, CAROL),
        (3, alice),
        (3, CAROL),
        (4, BOB),
        (99, alice),
    ]
    .map(|(token, operator)| (license(address, token), operator));
    let rights = async || {
        let at = rights_of(&provider, &asks, BlockNumberOrTag::Latest).await.unwrap();
        at.facts.into_iter().map(|(_, right)| right).collect::<Vec<_>>()
    };
    let renter = |until_secs| Right::Renter { until_secs };
    let expected = [
        Right::Holder,
        Right::None,
        Right::None,
        renter(later),
        Right::None,
        renter(soon),
        Right::Holder,
        Right::None,
    ];
    // No delegate registry and no Multicall3 on this chain yet.
    assert_eq!(rights().await, expected);
    set_code(&provider, MULTICALL3, &Multicall3::DEPLOYED_BYTECODE).await;
    assert_eq!(rights().await, expected);

    // The third rental runs out; the holder delegates the first token.
    set_code(&provider, DELEGATE_REGISTRY, &DelegateRegistry::DEPLOYED_BYTECODE).await;
    let registry = DelegateRegistry::new(DELEGATE_REGISTRY, provider.rpc());
    let call = registry.delegateERC721(BOB, address, U256::from(1), OPERATE_RIGHTS, true);
    sent(&provider, call.into_transaction_request()).await;
    anvil.mine_at(&provider, soon + 1).await;
    let expected = [
        Right::Holder,
        Right::Delegate { from: alice },
        Right::None,
        renter(later),
        Right::Holder,
        Right::None,
        Right::Holder,
        Right::None,
    ];
    assert_eq!(rights().await, expected);
    set_code(&provider, MULTICALL3, &Bytes::new()).await;
    assert_eq!(rights().await, expected);
}

#[tokio::test]
async fn an_expired_license_is_nobodys_to_run() {
    let anvil = Anvil::start();
    let provider = anvil.provider().await;
    let alice = provider.sender().unwrap();
    let plain = NodeLicense::LicenseParams::plain("Alpha", "ALPHA", alice);
    let params = NodeLicense::LicenseParams { term: 30 * 86_400, ..plain };
    let builder = NodeLicense::deploy_builder(provider.rpc(), params);
    let address = deploy(&provider, builder.into_transaction_request()).await;
    let bound = NodeLicense::new(address, provider.rpc());
    sent(&provider, bound.mint(alice).into_transaction_request()).await;
    let expires = bound.expiresAt(U256::from(1)).call().await.unwrap();
    let right = async || {
        let asks = [(license(address, 1), alice)];
        rights_of(&provider, &asks, BlockNumberOrTag::Latest).await.unwrap().facts[0].1
    };
    anvil.mine_at(&provider, expires - 1).await;
    assert_eq!(right().await, Right::Holder);
    anvil.mine_at(&provider, expires).await;
    assert_eq!(right().await, Right::Expired { at_secs: expires });
    let renew = bound.renewSubscription(U256::from(1), 86_400);
    sent(&provider, renew.into_transaction_request()).await;
    assert_eq!(right().await, Right::Holder);
}

#[tokio::test]
async fn logs_fold_into_what_the_calls_say() {
    let anvil = Anvil::start();
    let provider = anvil.provider().await;
    let alice = provider.sender().unwrap();
    let address = collection(&provider, &[alice, alice, BOB]).await;
    let bound = NodeLicense::new(address, provider.rpc());
    let until = provider.latest_block().await.unwrap().secs + 1000;
    sent(&provider, bound.setUser(U256::from(2), CAROL, until).into_transaction_request()).await;
    let call = bound.transferFrom(alice, BOB, U256::from(1));
    sent(&provider, call.into_transaction_request()).await;

    let latest = provider.latest_block().await.unwrap();
    let events = license_events(&provider, &[address], 0, latest.number).await.unwrap();
    let holders: Holders = events.into_iter().map(|logged| logged.event).collect();
    let licenses = [1, 2, 3, 4].map(|token| license(address, token));
    let read = ownership_of(&provider, &licenses, BlockNumberOrTag::Latest).await.unwrap();
    assert_eq!(read.block, latest);
    for (license, read) in licenses.iter().zip(&read.facts) {
        assert_eq!(holders.at(address, license.token_id, latest.secs), *read);
    }
    let rental = Some(Rental { renter: CAROL, until_secs: until });
    assert_eq!(read.facts[1], Ownership { holder: Some(alice), rental });
    assert!(license_events(&provider, &[], 0, latest.number).await.unwrap().is_empty());
}

#[tokio::test]
async fn delegations_of_collections_are_followed() {
    let anvil = Anvil::start();
    let provider = anvil.provider().await;
    set_code(&provider, DELEGATE_REGISTRY, &DelegateRegistry::DEPLOYED_BYTECODE).await;
    let registry = DelegateRegistry::new(DELEGATE_REGISTRY, provider.rpc());
    let (ours, other) = (Address::repeat_byte(0x0a), Address::repeat_byte(0x0b));
    let token = |to, collection, enable| {
        registry.delegateERC721(to, collection, U256::from(7), OPERATE_RIGHTS, enable)
    };
    sent(&provider, token(BOB, ours, true).into_transaction_request()).await;
    sent(&provider, token(CAROL, other, true).into_transaction_request()).await;
    let whole = registry.delegateContract(CAROL, ours, OPERATE_RIGHTS, true);
    sent(&provider, whole.into_transaction_request()).await;
    let before = provider.latest_block().await.unwrap().number;
    sent(&provider, token(BOB, ours, false).into_transaction_request()).await;
    let everything = registry.delegateAll(CAROL, OPERATE_RIGHTS, true);
    sent(&provider, everything.into_transaction_request()).await;

    let after = provider.latest_block().await.unwrap().number;
    let read = async |from, to| delegations(&provider, &[ours], from, to).await.unwrap();
    let of = |to| Delegated { to, collection: ours };
    assert_eq!(read(0, before).await, [of(BOB), of(CAROL)]);
    assert_eq!(read(before + 1, after).await, [of(BOB)]);
    assert!(delegations(&provider, &[], 0, after).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_collection_without_rentals_has_none() {
    let anvil = Anvil::start();
    let provider = anvil.provider().await;
    // A token contract knows neither `ownerOf` nor `userOf`; its refusals are answers.
    let (name, owner) = ("Dev".to_owned(), provider.sender().unwrap());
    let builder = DevToken::deploy_builder(provider.rpc(), name.clone(), name, owner);
    let token = deploy(&provider, builder.into_transaction_request()).await;
    let read =
        ownership_of(&provider, &[license(token, 1)], BlockNumberOrTag::Latest).await.unwrap();
    assert_eq!(read.facts, [Ownership { holder: None, rental: None }]);
}

#[tokio::test]
async fn a_refusal_is_told_by_name_and_values() {
    let anvil = Anvil::start();
    let provider = anvil.provider().await;
    let owner = provider.sender().unwrap();
    let address = collection(&provider, &[BOB]).await;
    let bound = NodeLicense::new(address, provider.rpc());
    let call = bound.transferFrom(BOB, owner, U256::from(1));
    let error = provider.send("transferring", call.into_transaction_request()).await.unwrap_err();
    assert_eq!(error.revert().and_then(|revert| revert.name()), Some("ERC721InsufficientApproval"));
    assert!(error.to_string().contains(&owner.to_string()), "{error}");
    assert!(error.to_string().contains("tokenId 1"), "{error}");
}

#[tokio::test]
async fn a_wallet_signs_by_its_key_or_by_its_contract() {
    let anvil = Anvil::start();
    let provider = anvil.provider().await;
    let digest = keccak256("message");
    let key = SigningKey::from_bytes(&[9; 32]).unwrap();
    let signature = WalletSignature::from(key.sign(digest));
    wallet_signature::verify(&provider, key.address(), digest, &signature).await.unwrap();
    let error = wallet_signature::verify(&provider, BOB, digest, &signature).await.unwrap_err();
    let wrong = SignatureError::WrongSigner { expected: BOB, found: key.address() };
    assert!(matches!(&error, WalletSignatureError::Signature(found) if *found == wrong), "{error}");

    // PUSH32 0x1626ba7e..., PUSH0, MSTORE, PUSH1 32, PUSH0, RETURN: accepts everything.
    let mut yes = vec![0x7f];
    yes.extend_from_slice(&B256::right_padding_from(&[0x16, 0x26, 0xba, 0x7e])[..]);
    yes.extend_from_slice(&[0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3]);
    let yes = Bytes::from(yes);
    set_code(&provider, CAROL, &yes).await;
    let bytes = WalletSignature::new(Bytes::from_static(b"anything")).unwrap();
    wallet_signature::verify(&provider, CAROL, digest, &bytes).await.unwrap();
    // INVALID, and a contract that answers nothing.
    for no in [&[0xfe_u8][..], &[0x00]] {
        set_code(&provider, CAROL, &Bytes::copy_from_slice(no)).await;
        let error = wallet_signature::verify(&provider, CAROL, digest, &bytes).await.unwrap_err();
        let refused = SignatureError::ContractRefused(CAROL);
        assert!(matches!(&error, WalletSignatureError::Signature(e) if *e == refused), "{error}");
    }
    assert_eq!(funded().address(), provider.sender().unwrap());

    // An account that delegates its code (EIP-7702) to a contract that refuses everything: its own key
    // signs, another one does not.
    set_code(&provider, key.address(), &Bytes::from_static(&[0xfe])).await;
    wallet_signature::verify(&provider, key.address(), digest, &signature).await.unwrap();
    let other = SigningKey::from_bytes(&[8; 32]).unwrap().sign(digest).into();
    let error = wallet_signature::verify(&provider, key.address(), digest, &other).await;
    let refused = SignatureError::ContractRefused(key.address());
    let error = error.unwrap_err();
    assert!(matches!(&error, WalletSignatureError::Signature(e) if *e == refused), "{error}");
    // And where the code accepts everything, other bytes do too.
    set_code(&provider, key.address(), &yes).await;
    wallet_signature::verify(&provider, key.address(), digest, &bytes).await.unwrap();
}

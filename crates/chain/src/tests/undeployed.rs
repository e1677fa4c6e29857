//! Wallets that sign before they are deployed (ERC-6492).

use alloy::primitives::{B256, Bytes, keccak256};
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::SolValue as _;
use nodesys_core::signature::{SignatureError, WalletSignature};

use super::anvil::Anvil;
use super::{BOB, sent, set_code};
use crate::MULTICALL3;
use crate::bindings::Multicall3;
use crate::deterministic::DEPLOYMENT_PROXY;
use crate::wallet_signature::{self, WalletSignatureError};

/// The deployment proxy is its factory.
#[tokio::test]
async fn a_wallet_that_is_not_deployed_signs_for_programs_and_not_for_contracts() {
    let anvil = Anvil::start();
    let provider = anvil.provider().await;
    let digest = keccak256("message");
    let accepts = [
        &[0x7f_u8][..],
        &B256::right_padding_from(&[0x16, 0x26, 0xba, 0x7e])[..],
        &[0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3],
    ]
    .concat();
    // PUSH1 length, DUP1, PUSH1 9, PUSH0, CODECOPY, PUSH0, RETURN: creates the code behind it.
    let creates = |code: &[u8]| {
        let length = u8::try_from(code.len()).unwrap();
        [&[0x60, length, 0x80, 0x60, 9, 0x5f, 0x39, 0x5f, 0xf3][..], code].concat()
    };
    let wallet = |code: &[u8]| {
        let init_code = creates(code);
        let account = DEPLOYMENT_PROXY.create2(B256::ZERO, keccak256(&init_code));
        let deployment = Bytes::from([B256::ZERO.as_slice(), &init_code].concat());
        let inner = Bytes::from_static(b"anything");
        let parts = (DEPLOYMENT_PROXY, deployment.clone(), inner).abi_encode_params();
        let bytes = [parts, [0x64, 0x92].repeat(16)].concat();
        (account, deployment, WalletSignature::new(bytes.into()).unwrap())
    };
    let (account, deployment, signature) = wallet(&accepts);
    let told = wallet_signature::verify(&provider, account, digest, &signature).await.unwrap_err();
    assert!(told.to_string().contains("deploy the wallet first"), "{told}");
    let off_chain = async |account, signature: &WalletSignature| {
        wallet_signature::verify_off_chain(&provider, account, digest, signature).await
    };
    let told = off_chain(account, &signature).await.unwrap_err();
    assert!(matches!(told, WalletSignatureError::NotDeployed(_)), "without Multicall3: {told}");
    set_code(&provider, MULTICALL3, &Multicall3::DEPLOYED_BYTECODE).await;
    off_chain(account, &signature).await.unwrap();
    assert!(provider.code(account).await.unwrap().is_empty(), "the call changed the chain");
    // Another account has no wallet after that call, and a wallet may refuse.
    let (refusing, _, refused) = wallet(&[0xfe]);
    for (account, signature) in [(BOB, &signature), (refusing, &refused)] {
        let told = off_chain(account, signature).await.unwrap_err();
        let expected = SignatureError::ContractRefused(account);
        assert!(matches!(&told, WalletSignatureError::Signature(e) if *e == expected), "{told}");
    }
    // Once it is deployed its own bytes count.
    let request = TransactionRequest::default().to(DEPLOYMENT_PROXY).input(deployment.into());
    sent(&provider, request).await;
    off_chain(account, &signature).await.unwrap();
}

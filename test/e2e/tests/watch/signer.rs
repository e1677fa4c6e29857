//! The signer of the project's commits: a key, or a Safe whose two owners both sign.

use std::path::Path;

use alloy::eips::BlockId;
use alloy::eips::eip7702::Authorization;
use alloy::network::TransactionBuilder as _;
use alloy::network::TransactionBuilder7702 as _;
use alloy::primitives::{Address, B256, Bytes, U256, hex};
use alloy::providers::Provider as _;
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::{SolCall as _, SolStruct as _, SolValue as _, eip712_domain};
use anyhow::Context as _;
use nodesys_chain::Provider;
use nodesys_clock::DEVELOPMENT_CHAIN_ID;
use nodesys_core::message::{Domain, Message as _, RewardCommit, SignedCommit};
use nodesys_core::signature::{SigningKey, WalletSignature};

alloy::sol! {
    interface ISafe {
        function setup(
            address[] owners, uint256 threshold, address to, bytes data, address fallbackHandler,
            address paymentToken, uint256 payment, address paymentReceiver
        );
        function swapOwner(address prevOwner, address oldOwner, address newOwner);
        function execTransaction(
            address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas,
            uint256 baseGas, uint256 gasPrice, address gasToken, address refundReceiver,
            bytes signatures
        ) returns (bool success);
        function getTransactionHash(
            address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas,
            uint256 baseGas, uint256 gasPrice, address gasToken, address refundReceiver,
            uint256 nonce
        ) returns (bytes32 hash);
        function nonce() returns (uint256);
    }

    #[sol(rpc)]
    interface ISafeProxyFactory {
        function createProxyWithNonce(address singleton, bytes initializer, uint256 saltNonce)
            returns (address proxy);
    }

    struct SafeMessage {
        bytes message;
    }
}

/// npm's folder of the Safe's contracts.
const ARTIFACTS: &str =
    "../../node_modules/@safe-global/safe-smart-account/build/artifacts/contracts";

/// A key of these tests only.
pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32]).expect("a repeated byte is a valid key")
}

/// The signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RewardSigner {
    /// The key of this seed.
    Key(u8),
    /// A Safe, and the seeds of its owners' keys.
    Safe(Address, [u8; 2]),
}

impl RewardSigner {
    /// Its address at the distributor.
    pub fn address(&self) -> Address {
        match self {
            Self::Key(seed) => key(*seed).address(),
            Self::Safe(address, _) => *address,
        }
    }

    /// The commit with its signature.
    pub fn sign(&self, commit: &RewardCommit, domain: &Domain) -> SignedCommit {
        let digest = commit.digest(domain);
        let signature = match self {
            Self::Key(seed) => key(*seed).sign(digest).into(),
            Self::Safe(address, owners) => {
                let message = SafeMessage { message: digest.abi_encode().into() };
                let domain = eip712_domain! {
                    chain_id: DEVELOPMENT_CHAIN_ID,
                    verifying_contract: *address,
                };
                let hash = message.eip712_signing_hash(&domain);
                WalletSignature::new(both_sign(*owners, hash)).expect("two signatures are short")
            }
        };
        SignedCommit { commit: commit.clone(), signature }
    }
}

/// The owners' signatures, in the order of their addresses, as a Safe requires.
fn both_sign(owners: [u8; 2], hash: B256) -> Bytes {
    let mut keys = owners.map(key);
    keys.sort_by_key(SigningKey::address);
    keys.iter().flat_map(|key| key.sign(hash).as_bytes().to_vec()).collect()
}

/// Deploys the real contracts, and makes a Safe that both owners must sign for.
pub async fn new_safe(wallet: &Provider, owners: [u8; 2]) -> anyhow::Result<RewardSigner> {
    let singleton = create(wallet, "Safe.sol/Safe").await?;
    let handler =
        create(wallet, "handler/CompatibilityFallbackHandler.sol/CompatibilityFallbackHandler");
    let handler = handler.await?;
    let factory = create(wallet, "proxies/SafeProxyFactory.sol/SafeProxyFactory").await?;
    let setup = ISafe::setupCall {
        owners: owners.map(|seed| key(seed).address()).to_vec(),
        threshold: U256::from(2),
        to: Address::ZERO,
        data: Bytes::new(),
        fallbackHandler: handler,
        paymentToken: Address::ZERO,
        payment: U256::ZERO,
        paymentReceiver: Address::ZERO,
    };
    let factory = ISafeProxyFactory::new(factory, wallet.rpc());
    let make = factory.createProxyWithNonce(singleton, setup.abi_encode().into(), U256::ZERO);
    let safe = make.call().await?;
    wallet.send("making a Safe", make.into_transaction_request()).await?;
    wallet.require_code(safe, "the Safe").await?;
    Ok(RewardSigner::Safe(safe, owners))
}

async fn create(wallet: &Provider, artifact: &str) -> anyhow::Result<Address> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("{ARTIFACTS}/{artifact}.json"));
    let text = std::fs::read(&path)
        .with_context(|| format!("{} is missing: run scripts/setup", path.display()))?;
    let json: serde_json::Value = serde_json::from_slice(&text)?;
    let code = hex::decode(json["bytecode"].as_str().context("an artifact without bytecode")?)?;
    let request = TransactionRequest::default().with_deploy_code(code);
    let receipt = wallet.send(&format!("deploying {artifact}"), request).await?;
    receipt.contract_address.context("no address")
}

/// The Safe's owners replace the second of them.
pub async fn swap_owner(
    wallet: &Provider,
    signer: &RewardSigner,
    by: u8,
) -> anyhow::Result<RewardSigner> {
    let RewardSigner::Safe(address, owners) = *signer else { anyhow::bail!("not a Safe") };
    let [first, old] = owners;
    let swap = ISafe::swapOwnerCall {
        prevOwner: key(first).address(),
        oldOwner: key(old).address(),
        newOwner: key(by).address(),
    };
    let data = Bytes::from(swap.abi_encode());
    let (none, zero, at) = (Address::ZERO, U256::ZERO, BlockId::latest());
    let hash = ISafe::getTransactionHashCall {
        to: address,
        value: zero,
        data: data.clone(),
        operation: 0,
        safeTxGas: zero,
        baseGas: zero,
        gasPrice: zero,
        gasToken: none,
        refundReceiver: none,
        nonce: wallet.call(address, &ISafe::nonceCall {}, at).await?,
    };
    let signatures = both_sign(owners, wallet.call(address, &hash, at).await?);
    let execute = ISafe::execTransactionCall {
        to: address,
        value: zero,
        data,
        operation: 0,
        safeTxGas: zero,
        baseGas: zero,
        gasPrice: zero,
        gasToken: none,
        refundReceiver: none,
        signatures,
    };
    let request = TransactionRequest::default().with_to(address).with_input(execute.abi_encode());
    wallet.send("swapping an owner", request).await?;
    Ok(RewardSigner::Safe(address, [first, by]))
}

/// The account of a key takes the code of a contract (EIP-7702); `wallet` pays.
pub async fn delegate_code(wallet: &Provider, seed: u8, to: Address) -> anyhow::Result<()> {
    let account = key(seed);
    let nonce = wallet.rpc().get_transaction_count(account.address()).await?;
    let chain_id = U256::from(DEVELOPMENT_CHAIN_ID);
    let authorization = Authorization { chain_id, address: to, nonce };
    let signature = account.sign(authorization.signature_hash());
    let signature = alloy::primitives::Signature::from_raw(signature.as_bytes())?;
    // To nobody in particular: the account's new code is not called.
    let request = TransactionRequest::default()
        .with_to(Address::ZERO)
        .with_authorization_list(vec![authorization.into_signed(signature)]);
    wallet.send("delegating an account's code", request).await?;
    wallet.require_code(account.address(), "the delegation").await?;
    Ok(())
}

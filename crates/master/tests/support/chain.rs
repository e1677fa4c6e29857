//! A real chain of a test's own: anvil with the registry and one project that lists one collection.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use alloy::primitives::{B256, U256};
use alloy::providers::Provider as _;
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use nodesys_chain::Provider;
use nodesys_chain::bindings::ProjectRegistry::ProjectParams;
use nodesys_chain::bindings::{DevToken, NodeLicense, ProjectRegistry};
use nodesys_core::Address;
use nodesys_core::signature::SigningKey;

/// anvil's, the development chain.
pub const CHAIN_ID: u64 = 31_337;
/// Start of the chain's time, 2026-01-01: the project's first day.
const START_SECS: u64 = 20_454 * 86_400;
/// The first of anvil's funded accounts ("test test test ... junk").
const FUNDED: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// A key by its number.
pub fn key(byte: u8) -> SigningKey {
    SigningKey::from_bytes(&[byte; 32]).unwrap()
}

/// The project's reward signer.
pub fn signer() -> SigningKey {
    key(0x51)
}

/// The backend's receipt key, which signs closed days.
pub fn receipt_key() -> SigningKey {
    key(0x7e)
}

/// The chain, stopped when dropped, and what is deployed on it.
pub struct Chain {
    anvil: Child,
    url: String,
    pub registry: Address,
    pub distributor: Address,
    /// The collection of workload `alpha`.
    pub alpha: Address,
    /// A collection that no project lists.
    pub unlisted: Address,
}

impl Chain {
    pub async fn start() -> Self {
        let (anvil, url) = start_anvil();
        let (mut chain, key) = {
            let nowhere = Address::ZERO;
            let (registry, distributor, alpha, unlisted) = (nowhere, nowhere, nowhere, nowhere);
            let chain = Self { anvil, url, registry, distributor, alpha, unlisted };
            (chain, SigningKey::from_hex(FUNDED).unwrap())
        };
        let url = chain.url.parse().unwrap();
        let provider = Provider::connect_with_key(&url, Some(CHAIN_ID), &key).await.unwrap();
        chain.deploy(&provider, key.address()).await;
        chain
    }

    pub fn url(&self) -> String {
        self.url.clone()
    }

    async fn deploy(&mut self, provider: &Provider, owner: Address) {
        let rpc = provider.rpc();
        let registry = ProjectRegistry::deploy_builder(rpc, owner).into_transaction_request();
        self.registry = created(provider, registry).await;
        let (name, symbol) = ("Dev".to_owned(), "DEV".to_owned());
        let token = DevToken::deploy_builder(rpc, name, symbol, owner).into_transaction_request();
        let token = created(provider, token).await;
        let registry = ProjectRegistry::new(self.registry, rpc);
        let params = ProjectParams {
            name: "acme".to_owned(),
            token,
            signer: signer().address(),
            guardian: owner,
            dailyQuota: 1000,
            delay: 3600,
            metadataURI: String::new(),
            userSalt: B256::ZERO,
        };
        sent(provider, registry.createProject(params).into_transaction_request()).await;
        self.distributor = registry.projectByName("acme".to_owned()).call().await.unwrap();
        for (collection, name) in [(&mut self.alpha, "alpha"), (&mut self.unlisted, "other")] {
            let params = NodeLicense::LicenseParams::plain(name, name, owner);
            let builder = NodeLicense::deploy_builder(rpc, params);
            *collection = created(provider, builder.into_transaction_request()).await;
        }
        let listed = registry.listCollection(self.distributor, "alpha".to_owned(), self.alpha);
        sent(provider, listed.into_transaction_request()).await;
        let recorded = registry.setReceiptKey(receipt_key().address(), 1, u64::from(u32::MAX));
        sent(provider, recorded.into_transaction_request()).await;
        let token = DevToken::new(token, rpc);
        let funds = token.mint(self.distributor, U256::from(1_000_000));
        sent(provider, funds.into_transaction_request()).await;
    }

    async fn funded(&self) -> Provider {
        let key = SigningKey::from_hex(FUNDED).unwrap();
        Provider::connect_with_key(&self.url.parse().unwrap(), Some(CHAIN_ID), &key).await.unwrap()
    }

    /// Mints the licenses 1 to `count` of workload `alpha`.
    pub async fn mint_licenses(&self, count: u64) {
        let (provider, holder) = (self.funded().await, key(0x40).address());
        let licenses = NodeLicense::new(self.alpha, provider.rpc());
        let mint = licenses.mintBatch(holder, U256::from(count));
        sent(&provider, mint.into_transaction_request()).await;
    }

    /// Advances the chain's time, by blocks of which the first ones are final.
    pub async fn pass(&self, secs: u64) {
        let provider = self.funded().await;
        let _: serde_json::Value =
            provider.rpc().raw_request("evm_increaseTime".into(), (secs,)).await.unwrap();
        for _ in 0..4 {
            let _: serde_json::Value =
                provider.rpc().raw_request("evm_mine".into(), ()).await.unwrap();
        }
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        let _ = self.anvil.kill();
        let _ = self.anvil.wait();
    }
}

async fn sent(provider: &Provider, request: TransactionRequest) -> TransactionReceipt {
    provider.send("setting up", request).await.unwrap()
}

async fn created(provider: &Provider, request: TransactionRequest) -> Address {
    sent(provider, request).await.contract_address.unwrap()
}

fn start_anvil() -> (Child, String) {
    let installed = "../../node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil";
    let path = std::env::var_os("NODESYS_ANVIL")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(installed), PathBuf::from);
    assert!(path.exists(), "no anvil at {}: run npm ci, or set NODESYS_ANVIL", path.display());
    let mut child = Command::new(path)
        .args(["--port", "0", "--slots-in-an-epoch", "1", "--no-request-size-limit"])
        .args(["--timestamp", &START_SECS.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address =
        lines.find_map(|line| Some(line.ok()?.strip_prefix("Listening on ")?.to_owned())).unwrap();
    // A pipe that nobody reads would stop anvil once it is full.
    std::thread::spawn(move || lines.for_each(drop));
    (child, format!("http://{address}"))
}

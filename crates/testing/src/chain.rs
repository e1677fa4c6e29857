//! A real chain of a test's own: anvil with our contracts, one project with two collections, a
//! funded distributor, and the backend's receipt key on record.

use alloy::network::TransactionBuilder as _;
use alloy::primitives::{B256, U256};
use alloy::providers::Provider as _;
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use nodesys_chain::Provider;
use nodesys_chain::bindings::ProjectRegistry::ProjectParams;
use nodesys_chain::bindings::{DevToken, NodeLicense, ProjectRegistry};
use nodesys_core::Address;
use nodesys_core::license::LicenseId;
use nodesys_core::signature::SigningKey;
use nodesys_core::time::UtcDay;
use serde_json::json;

use crate::anvil::{Anvil, CHAIN_ID, ask, mine_at};
use crate::key;

/// The day on which the chain begins and the project is created: 2026-01-01.
pub const DAY: UtcDay = UtcDay(20_454);
/// One token.
pub const TOKEN: u128 = 1_000_000_000_000_000_000;
/// What the project may pay a day.
pub const QUOTA: u128 = 1000 * TOKEN;
/// How long a posted commit waits.
pub const DELAY_SECS: u64 = 3600;

/// The project's and the network's owner.
pub fn owner() -> SigningKey {
    key(0x0f)
}
/// Holds token 1 of both collections.
pub fn alice() -> SigningKey {
    key(0xa1)
}
/// Holds token 2 of both collections.
pub fn bob() -> SigningKey {
    key(0xb0)
}
/// The project's reward signer.
pub fn signer() -> SigningKey {
    key(0x51)
}
/// The backend's.
pub fn receipt_key() -> SigningKey {
    key(0x7e)
}
/// Has money for gas.
pub fn poster_key() -> SigningKey {
    key(0x9a)
}

/// An anvil at the beginning of [`DAY`] on which every account may send, whoever has its key.
pub fn start_anvil(chain_id: u64) -> Anvil {
    let (start, chain_id) = (DAY.start().secs().to_string(), chain_id.to_string());
    let accounts = ["--auto-impersonate", "--accounts", "1"];
    Anvil::start(&[&accounts[..], &["--timestamp", &start, "--chain-id", &chain_id]].concat())
}

/// The chain and what is deployed on it.
pub struct Chain {
    /// The process.
    pub anvil: Anvil,
    /// Straight to anvil.
    pub provider: Provider,
    /// `ProjectRegistry`.
    pub registry: Address,
    /// The project's `RewardDistributor`.
    pub distributor: Address,
    /// The reward token.
    pub token: Address,
    /// The collection of the workload `alpha`.
    pub alpha: Address,
    /// The collection of the workload `beta`.
    pub beta: Address,
}

impl Chain {
    /// Starts it and deploys everything.
    pub async fn start() -> Self {
        let anvil = start_anvil(CHAIN_ID);
        let provider = Provider::connect(&anvil.url, Some(CHAIN_ID)).await.unwrap();
        let nowhere = Address::ZERO;
        let mut chain = Self {
            anvil,
            provider,
            registry: nowhere,
            distributor: nowhere,
            token: nowhere,
            alpha: nowhere,
            beta: nowhere,
        };
        chain.deploy().await;
        chain
    }

    async fn deploy(&mut self) {
        let owner = owner().address();
        for account in [owner, alice().address(), bob().address(), poster_key().address()] {
            ask(&self.provider, "anvil_setBalance", json!([account, U256::from(1000 * TOKEN)]))
                .await;
        }
        let provider = self.provider.clone();
        let rpc = provider.rpc();
        let registry = ProjectRegistry::deploy_builder(rpc, owner).into_transaction_request();
        self.registry = self.create(registry).await;
        let (name, symbol) = ("Dev".to_owned(), "DEV".to_owned());
        let token = DevToken::deploy_builder(rpc, name, symbol, owner).into_transaction_request();
        self.token = self.create(token).await;

        let registry = ProjectRegistry::new(self.registry, rpc);
        self.distributor = self.project("acme", owner, signer().address()).await;
        self.alpha = self.collection(&registry, "alpha").await;
        self.beta = self.collection(&registry, "beta").await;
        // Programs that tests start go by the real time.
        let (from, until) = (0, u64::MAX);
        let call = registry.setReceiptKey(Address::ZERO, receipt_key().address(), from, until);
        self.send(owner, call.into_transaction_request()).await;
        self.fund(5 * QUOTA).await;
        self.finalize().await;
    }

    /// A project of this owner's, who is its guardian too; its distributor.
    pub async fn project(&self, name: &str, owner: Address, signer: Address) -> Address {
        let registry = ProjectRegistry::new(self.registry, self.provider.rpc());
        let params = ProjectParams {
            name: name.to_owned(),
            token: self.token,
            signer,
            guardian: owner,
            dailyQuota: QUOTA,
            delay: DELAY_SECS,
            metadataURI: String::new(),
            claimsForContracts: false,
            userSalt: B256::ZERO,
        };
        let at = registry.projectAddress(owner, params.clone()).call().await.unwrap();
        self.send(owner, registry.reserveProject(at).into_transaction_request()).await;
        self.send(owner, registry.createProject(params).into_transaction_request()).await;
        registry.projectByName(name.to_owned()).call().await.unwrap()
    }

    async fn create(&self, request: TransactionRequest) -> Address {
        let receipt = self.send(owner().address(), request).await;
        receipt.contract_address.unwrap()
    }

    /// A collection listed for a workload; token 1 is alice's, token 2 bob's.
    async fn collection<P: alloy::providers::Provider>(
        &self,
        registry: &ProjectRegistry::ProjectRegistryInstance<P>,
        workload: &str,
    ) -> Address {
        let (rpc, owner) = (self.provider.rpc(), owner().address());
        let address = self.unlisted(workload).await;
        let call = registry.listCollection(self.distributor, workload.to_owned(), address);
        self.send(owner, call.into_transaction_request()).await;
        let license = NodeLicense::new(address, rpc);
        for holder in [alice(), bob()] {
            let call = license.mint(holder.address());
            self.send(owner, call.into_transaction_request()).await;
        }
        address
    }

    /// A collection that no project lists.
    pub async fn unlisted(&self, name: &str) -> Address {
        let params = NodeLicense::LicenseParams::plain(name, name, owner().address());
        let builder = NodeLicense::deploy_builder(self.provider.rpc(), params);
        self.create(builder.into_transaction_request()).await
    }

    /// Mints the next licenses of `alpha` to one holder.
    pub async fn mint(&self, count: u64, holder: Address) {
        let call = NodeLicense::new(self.alpha, self.provider.rpc());
        let call = call.mintBatch(holder, U256::from(count));
        self.send(owner().address(), call.into_transaction_request()).await;
    }

    /// Moves the chain's time on, by blocks of which the first ones are final.
    pub async fn pass(&self, secs: u64) {
        ask(&self.provider, "evm_increaseTime", [secs]).await;
        self.finalize().await;
    }

    /// Gives the distributor tokens to pay with.
    pub async fn fund(&self, wei: u128) {
        self.fund_project(self.distributor, wei).await;
    }

    /// Gives another project's distributor tokens to pay with.
    pub async fn fund_project(&self, distributor: Address, wei: u128) {
        let token = DevToken::new(self.token, self.provider.rpc());
        let call = token.mint(distributor, U256::from(wei));
        self.send(owner().address(), call.into_transaction_request()).await;
    }

    /// Takes all of it away again.
    pub async fn drain(&self) {
        let token = DevToken::new(self.token, self.provider.rpc());
        let all = token.balanceOf(self.distributor).call().await.unwrap();
        ask(&self.provider, "anvil_setBalance", json!([self.distributor, U256::from(TOKEN)])).await;
        let call = token.transfer(owner().address(), all);
        self.send(self.distributor, call.into_transaction_request()).await;
    }

    /// Sends a transaction of any account; it must succeed.
    pub async fn send(&self, from: Address, request: TransactionRequest) -> TransactionReceipt {
        let request = request.with_from(from).with_gas_limit(20_000_000);
        let sent: Result<B256, _> =
            self.provider.rpc().raw_request("eth_sendTransaction".into(), [&request]).await;
        let sent = sent.unwrap();
        loop {
            let receipt = self.provider.rpc().get_transaction_receipt(sent).await;
            if let Some(receipt) = receipt.unwrap() {
                assert!(receipt.status(), "reverted: {request:?}");
                return receipt;
            }
        }
    }

    /// Mines one block with this timestamp.
    pub async fn mine_at(&self, secs: u64) {
        mine_at(&self.provider, secs).await;
    }

    /// Makes all blocks so far final: anvil's `finalized` is two epochs, here blocks, behind.
    pub async fn finalize(&self) {
        ask(&self.provider, "anvil_mine", json!(["0x3", "0x1"])).await;
    }

    /// A license of a collection.
    pub fn license(&self, collection: Address, token: u64) -> LicenseId {
        LicenseId { chain_id: CHAIN_ID, collection, token_id: U256::from(token) }
    }

    /// alice's license of workload alpha.
    pub fn a1(&self) -> LicenseId {
        self.license(self.alpha, 1)
    }
}

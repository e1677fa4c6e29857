//! A real chain of a test's own: anvil with our contracts, one project with two collections, a
//! funded distributor, and the backend's receipt key on record.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

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
use serde_json::{Value, json};

/// The day on which the chain begins and the project is created: 2026-01-01.
pub(crate) const DAY: UtcDay = UtcDay(20_454);
/// anvil's, the development chain.
pub(crate) const CHAIN_ID: u64 = 31_337;
/// One token.
pub(crate) const TOKEN: u128 = 1_000_000_000_000_000_000;
/// The project's daily quota.
pub(crate) const QUOTA: u128 = 1000 * TOKEN;
/// The delay of a posted commit.
pub(crate) const DELAY_SECS: u64 = 3600;

/// A key by its number.
pub(crate) fn key(byte: u8) -> SigningKey {
    SigningKey::from_bytes(&[byte; 32]).expect("32 equal bytes other than zero are a key")
}

/// The project's and the network's owner.
pub(crate) fn owner() -> SigningKey {
    key(0x0f)
}
/// Holds token 1 of both collections.
pub(crate) fn alice() -> SigningKey {
    key(0xa1)
}
/// Holds token 2 of both collections.
pub(crate) fn bob() -> SigningKey {
    key(0xb0)
}
/// The project's reward signer.
pub(crate) fn signer() -> SigningKey {
    key(0x51)
}
/// The backend's.
pub(crate) fn receipt_key() -> SigningKey {
    key(0x7e)
}
/// Has money for gas.
pub(crate) fn poster_key() -> SigningKey {
    key(0x9a)
}

/// A running anvil, stopped when dropped.
pub(crate) struct Anvil {
    child: Child,
    pub(crate) addr: SocketAddr,
}

impl Anvil {
    /// Every account may send, whoever has its key.
    pub(crate) fn start(chain_id: u64) -> Self {
        let start = DAY.start().secs().to_string();
        let chain_id = chain_id.to_string();
        let mut child = Command::new(binary())
            .args(["--port", "0", "--slots-in-an-epoch", "1", "--no-request-size-limit"])
            .args(["--auto-impersonate", "--accounts", "1", "--timestamp", &start])
            .args(["--chain-id", &chain_id])
            .stdout(Stdio::piped())
            .spawn()
            .expect("anvil starts");
        let stdout = child.stdout.take().expect("its output is piped");
        let mut lines = BufReader::new(stdout).lines();
        let addr = lines
            .find_map(|line| Some(line.ok()?.strip_prefix("Listening on ")?.to_owned()))
            .expect("anvil says where it listens");
        // A pipe that nobody reads would stop anvil once it is full.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, addr: addr.parse().expect("an address") }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn binary() -> PathBuf {
    let installed = "../../node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil";
    let path = std::env::var_os("NODESYS_ANVIL")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(installed), PathBuf::from);
    assert!(path.exists(), "no anvil at {}: run npm ci, or set NODESYS_ANVIL", path.display());
    path
}

/// The chain and what is deployed on it.
pub(crate) struct Chain {
    pub(crate) anvil: Anvil,
    /// Straight to anvil.
    pub(crate) provider: Provider,
    pub(crate) registry: Address,
    pub(crate) distributor: Address,
    pub(crate) token: Address,
    /// Collections of the workloads `alpha` and `beta`.
    pub(crate) alpha: Address,
    pub(crate) beta: Address,
}

impl Chain {
    pub(crate) async fn start() -> Self {
        let anvil = Anvil::start(CHAIN_ID);
        let url = anvil.url().parse().expect("a URL");
        let provider = Provider::connect(&url, Some(CHAIN_ID)).await.expect("anvil answers");
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
            self.ask("anvil_setBalance", json!([account, U256::from(1000 * TOKEN)])).await;
        }
        let provider = self.provider.clone();
        let rpc = provider.rpc();
        let registry = ProjectRegistry::deploy_builder(rpc, owner).into_transaction_request();
        self.registry = self.create(registry).await;
        let (name, symbol) = ("Dev".to_owned(), "DEV".to_owned());
        let token = DevToken::deploy_builder(rpc, name, symbol, owner).into_transaction_request();
        self.token = self.create(token).await;

        let registry = ProjectRegistry::new(self.registry, rpc);
        let params = ProjectParams {
            name: "acme".to_owned(),
            token: self.token,
            signer: signer().address(),
            guardian: owner,
            dailyQuota: QUOTA,
            delay: DELAY_SECS,
            metadataURI: String::new(),
            userSalt: B256::ZERO,
        };
        self.send(owner, registry.createProject(params).into_transaction_request()).await;
        let named = registry.projectByName("acme".to_owned()).call().await;
        self.distributor = named.expect("the registry answers");
        self.alpha = self.collection(&registry, "alpha").await;
        self.beta = self.collection(&registry, "beta").await;
        // Programs that tests start go by the real time.
        let (from, until) = (DAY.start().secs() - 86_400, u64::MAX);
        let call = registry.setReceiptKey(receipt_key().address(), from, until);
        self.send(owner, call.into_transaction_request()).await;
        self.fund(5 * QUOTA).await;
        self.finalize().await;
    }

    async fn create(&self, request: TransactionRequest) -> Address {
        let receipt = self.send(owner().address(), request).await;
        receipt.contract_address.expect("a deployment makes a contract")
    }

    /// A collection listed for a workload; token 1 is alice's, token 2 bob's.
    async fn collection<P: alloy::providers::Provider>(
        &self,
        registry: &ProjectRegistry::ProjectRegistryInstance<P>,
        workload: &str,
    ) -> Address {
        let (rpc, owner) = (self.provider.rpc(), owner().address());
        let params = NodeLicense::LicenseParams::plain(workload, workload, owner);
        let builder = NodeLicense::deploy_builder(rpc, params);
        let address = self.create(builder.into_transaction_request()).await;
        let call = registry.listCollection(self.distributor, workload.to_owned(), address);
        self.send(owner, call.into_transaction_request()).await;
        let license = NodeLicense::new(address, rpc);
        for holder in [alice(), bob()] {
            let call = license.mint(holder.address());
            self.send(owner, call.into_transaction_request()).await;
        }
        address
    }

    /// Gives the distributor tokens to pay with.
    pub(crate) async fn fund(&self, wei: u128) {
        let token = DevToken::new(self.token, self.provider.rpc());
        let call = token.mint(self.distributor, U256::from(wei));
        self.send(owner().address(), call.into_transaction_request()).await;
    }

    /// Takes all of it away again.
    pub(crate) async fn drain(&self) {
        let token = DevToken::new(self.token, self.provider.rpc());
        let all = token.balanceOf(self.distributor).call().await.expect("the token answers");
        self.ask("anvil_setBalance", json!([self.distributor, U256::from(TOKEN)])).await;
        let call = token.transfer(owner().address(), all);
        self.send(self.distributor, call.into_transaction_request()).await;
    }

    /// Sends a transaction of any account; it must succeed.
    pub(crate) async fn send(
        &self,
        from: Address,
        request: TransactionRequest,
    ) -> TransactionReceipt {
        let request = request.with_from(from).with_gas_limit(20_000_000);
        let sent: Result<B256, _> =
            self.provider.rpc().raw_request("eth_sendTransaction".into(), [&request]).await;
        let sent = sent.expect("anvil takes the transaction");
        loop {
            let receipt = self.provider.rpc().get_transaction_receipt(sent).await;
            if let Some(receipt) = receipt.expect("anvil answers") {
                assert!(receipt.status(), "reverted: {request:?}");
                return receipt;
            }
        }
    }

    /// Mines one block with this timestamp.
    pub(crate) async fn mine_at(&self, secs: u64) {
        self.ask("evm_setNextBlockTimestamp", json!([secs])).await;
        self.ask("evm_mine", json!([])).await;
    }

    /// Makes all blocks so far final: anvil's `finalized` is two epochs, here blocks, behind.
    pub(crate) async fn finalize(&self) {
        self.ask("anvil_mine", json!(["0x3", "0x1"])).await;
    }

    async fn ask(&self, method: &'static str, params: Value) {
        let answer: Result<Value, _> = self.provider.rpc().raw_request(method.into(), params).await;
        answer.expect("anvil does it");
    }

    pub(crate) fn license(&self, collection: Address, token: u64) -> LicenseId {
        LicenseId { chain_id: CHAIN_ID, collection, token_id: U256::from(token) }
    }

    /// alice's license of workload alpha.
    pub(crate) fn a1(&self) -> LicenseId {
        self.license(self.alpha, 1)
    }
}

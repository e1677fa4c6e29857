//! A project on a real anvil: contracts, licenses, and days of rewards, built, signed and posted as
//! an owner does, with no backend anywhere.

use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use nodesys_chain::Provider;
use nodesys_chain::bindings::{
    DelegateRegistry, DevToken, LicenseSale, NodeLicense, ProjectRegistry, RewardDistributor,
};
use nodesys_chain::ownership::DELEGATE_REGISTRY;
use nodesys_core::bitmap::DayBitmap;
use nodesys_core::bundle::{Beneficiary, DayBundle, PreviousDay, ProjectInfo, Terms};
use nodesys_core::ids::Amount;
use nodesys_core::license::OPERATE_RIGHTS;
use nodesys_core::message::Domain;
use nodesys_core::points::Rule;
use nodesys_core::signature::SigningKey;
use nodesys_core::time::UtcDay;
use nodesys_sdk::bundles::BundleStore;
use nodesys_sdk::commit::{post, sign, with_rewards};
use nodesys_testing::anvil::{Anvil, ask, mine_at};
use nodesys_testing::days::Days;
use nodesys_testing::key;

use crate::home::Home;

pub const FIRST_DAY: UtcDay = UtcDay(20_454);
pub const BOB: Address = Address::repeat_byte(0xb0);
pub const CAROL: Address = Address::repeat_byte(0xca);
pub const DAVE: Address = Address::repeat_byte(0xda);
/// One token.
pub const TOKEN: u128 = 1_000_000_000_000_000_000;
const DELAY_SECS: u64 = 3600;

pub fn alice() -> SigningKey {
    key(1)
}

fn receipt_key() -> SigningKey {
    key(3)
}

fn signer() -> SigningKey {
    key(5)
}

/// Alice holds A1 and B1, bob holds A2, which carol rents, and the owner holds B2, which dave runs
/// as delegate.
pub struct Acme {
    pub anvil: Anvil,
    pub owner: Provider,
    pub registry: Address,
    pub token: Address,
    pub distributor: Address,
    pub collections: Vec<Address>,
    pub rented_until: u64,
}

impl Acme {
    pub async fn start() -> Self {
        let start = FIRST_DAY.start().secs().to_string();
        let anvil = Anvil::start(&["--timestamp", &start]);
        let owner = anvil.provider().await;
        let address = owner.sender().unwrap();
        let code = (DELEGATE_REGISTRY, DelegateRegistry::DEPLOYED_BYTECODE.clone());
        ask(&owner, "anvil_setCode", code).await;
        let registry = deploy(&owner, |rpc| ProjectRegistry::deploy_builder(rpc, address)).await;
        let bound = ProjectRegistry::new(registry, owner.rpc());
        let key = bound.setReceiptKey(Address::ZERO, receipt_key().address(), 0, u64::MAX);
        sent(&owner, key.into_transaction_request()).await;
        let token = deploy(&owner, |rpc| {
            DevToken::deploy_builder(rpc, "Acme".into(), "ACME".into(), address)
        })
        .await;
        let params = ProjectRegistry::ProjectParams {
            name: "acme".into(),
            token,
            signer: signer().address(),
            guardian: Address::ZERO,
            dailyQuota: 1000 * TOKEN,
            delay: DELAY_SECS,
            metadataURI: String::new(),
            claimsForContracts: false,
            userSalt: B256::ZERO,
        };
        let distributor = bound.projectAddress(address, params.clone()).call().await.unwrap();
        sent(&owner, bound.reserveProject(distributor).into_transaction_request()).await;
        sent(&owner, bound.createProject(params).into_transaction_request()).await;
        let tokens = DevToken::new(token, owner.rpc());
        let mint = tokens.mint(distributor, U256::from(9000 * TOKEN));
        sent(&owner, mint.into_transaction_request()).await;
        let mut acme = Self {
            anvil,
            owner,
            registry,
            token,
            distributor,
            collections: Vec::new(),
            rented_until: FIRST_DAY.end().secs() + 400 * 86_400,
        };
        acme.collection("alpha", "A", &[alice().address(), address]).await;
        acme.collection("beta", "B", &[alice().address(), address]).await;
        acme.rent_and_delegate().await;
        acme
    }

    /// Deploys, lists and mints to these holders, from token 1 on.
    pub async fn collection(&mut self, workload: &str, symbol: &str, holders: &[Address]) {
        let owner = self.owner.sender().unwrap();
        let collection = deploy(&self.owner, |rpc| {
            NodeLicense::deploy_builder(
                rpc,
                NodeLicense::LicenseParams::plain(workload, symbol, owner),
            )
        })
        .await;
        let registry = ProjectRegistry::new(self.registry, self.owner.rpc());
        let list = registry.listCollection(self.distributor, workload.to_owned(), collection);
        sent(&self.owner, list.into_transaction_request()).await;
        let bound = NodeLicense::new(collection, self.owner.rpc());
        for holder in holders {
            sent(&self.owner, bound.mint(*holder).into_transaction_request()).await;
        }
        self.collections.push(collection);
    }

    /// Opens a sale of a collection's licenses, two at one coin (or token) each and two at two; a code
    /// HALF gives half of it for one license.
    pub async fn sale(&self, collection: Address, token: Address) -> Address {
        let owner = self.owner.sender().unwrap();
        let tier = |price: u128| LicenseSale::Tier { price: price * TOKEN, count: 2 };
        let params = LicenseSale::SaleParams {
            collection,
            owner,
            paymentToken: token,
            startsAt: 0,
            endsAt: u64::MAX,
            walletCap: 0,
            allowlistRoot: B256::ZERO,
            tiers: vec![tier(1), tier(2)],
        };
        let sale = deploy(&self.owner, |rpc| LicenseSale::deploy_builder(rpc, params)).await;
        let licenses = NodeLicense::new(collection, self.owner.rpc());
        sent(&self.owner, licenses.setMinter(sale).into_transaction_request()).await;
        let half = LicenseSale::Code {
            referrer: Address::ZERO,
            discountBps: 5_000,
            rewardBps: 0,
            licensesLeft: 1,
        };
        let bound = LicenseSale::new(sale, self.owner.rpc());
        let code = bound.setCode(keccak256("HALF"), half);
        sent(&self.owner, code.into_transaction_request()).await;
        sale
    }

    async fn rent_and_delegate(&self) {
        let two = U256::from(2);
        let (rpc, owner) = (self.owner.rpc(), self.owner.sender().unwrap());
        let alpha = NodeLicense::new(self.collections[0], rpc);
        let rent = alpha.setUser(two, CAROL, self.rented_until);
        sent(&self.owner, rent.into_transaction_request()).await;
        sent(&self.owner, alpha.transferFrom(owner, BOB, two).into_transaction_request()).await;
        let delegates = DelegateRegistry::new(DELEGATE_REGISTRY, rpc);
        let beta = self.collections[1];
        let call = delegates.delegateERC721(DAVE, beta, two, OPERATE_RIGHTS, true);
        sent(&self.owner, call.into_transaction_request()).await;
    }

    /// Settings of somebody who has an RPC and no backend.
    pub fn configure(&self, home: &Home) {
        let config = serde_json::json!({
            "rpc": self.anvil.url.expose().as_str(),
            "chain_id": 31_337,
            "registry": self.registry,
            "project": "acme",
        });
        home.write("config.json", &config.to_string());
    }

    pub fn project(&self) -> ProjectInfo {
        ProjectInfo {
            chain_id: 31_337,
            registry: self.registry,
            distributor: self.distributor,
            name: "acme".parse().unwrap(),
        }
    }

    /// The day ends, is built from these minutes of A1, A2 and B1, signed, stored and posted.
    pub async fn publish(
        &self,
        store: &BundleStore,
        day: UtcDay,
        minutes: [DayBitmap; 3],
        before: PreviousDay,
    ) -> PreviousDay {
        let built = self.build(day, minutes, before).await;
        self.sign_and_post(store, &built).await;
        built.after()
    }

    /// As `publish`, with amounts that no points give.
    pub async fn publish_forged(
        &self,
        store: &BundleStore,
        day: UtcDay,
        minutes: [DayBitmap; 3],
        before: PreviousDay,
    ) {
        let built = self.build(day, minutes, before).await;
        let mut rewards = built.rewards.clone();
        rewards[0].cumulative = rewards[0].cumulative.checked_add(Amount::new(1)).unwrap();
        rewards[1].cumulative = rewards[1].cumulative.checked_sub(Amount::new(1)).unwrap();
        self.sign_and_post(store, &with_rewards(&built, rewards).unwrap()).await;
    }

    async fn sign_and_post(&self, store: &BundleStore, built: &DayBundle) {
        let signed = sign(&built.commit, &Domain::new(31_337, self.distributor), &signer());
        store.write(built, &signed).unwrap();
        post(&self.owner, self.distributor, &signed, 0).await.unwrap();
    }

    async fn build(&self, day: UtcDay, minutes: [DayBitmap; 3], before: PreviousDay) -> DayBundle {
        for after in [60, 120, 180, 240] {
            mine_at(&self.owner, day.end().secs() + after).await;
        }
        let terms = Terms {
            day_reward: Amount::new(1000 * TOKEN),
            rule: Rule::default(),
            beneficiary: Beneficiary::Renter,
            excluded: vec![],
        };
        let (project, receipt_key) = (self.project(), receipt_key());
        let days = Days {
            provider: &self.owner,
            project: &project,
            receipt_key: &receipt_key,
            terms: &terms,
        };
        let [alpha, beta] = [self.collections[0], self.collections[1]];
        let [a1, a2, b1] = minutes;
        days.build(day, &[(alpha, 1, a1), (alpha, 2, a2), (beta, 1, b1)], before).await.unwrap()
    }

    /// The delay of everything posted passes.
    pub async fn activate(&self) {
        let now = self.owner.latest_block().await.unwrap().secs;
        mine_at(&self.owner, now + DELAY_SECS + 60).await;
    }

    /// Coins for gas.
    pub async fn fund(&self, account: Address) {
        ask(&self.owner, "anvil_setBalance", (account, U256::from(TOKEN))).await;
    }

    pub async fn balance(&self, account: Address) -> U256 {
        DevToken::new(self.token, self.owner.rpc()).balanceOf(account).call().await.unwrap()
    }

    pub async fn claimed(&self, account: Address) -> U256 {
        let distributor = RewardDistributor::new(self.distributor, self.owner.rpc());
        distributor.claimed(account).call().await.unwrap()
    }
}

async fn deploy<'a, D>(
    provider: &'a Provider,
    builder: impl FnOnce(
        &'a alloy::providers::DynProvider,
    ) -> alloy::contract::CallBuilder<&'a alloy::providers::DynProvider, D>,
) -> Address
where
    D: alloy::contract::CallDecoder,
{
    let request = builder(provider.rpc()).into_transaction_request();
    sent(provider, request).await.contract_address.unwrap()
}

async fn sent(provider: &Provider, request: TransactionRequest) -> TransactionReceipt {
    provider.send("setting up", request).await.unwrap()
}

//! The contracts of the devnet: registry, token, a project with two workloads, and its licenses.

use alloy::primitives::{Address, B256, U256};
use alloy::rpc::types::TransactionRequest;
use anyhow::Context as _;
use nodesys_chain::bindings::{
    DelegateRegistry, DevToken, Multicall3, NodeLicense, ProjectRegistry,
};
use nodesys_chain::ownership::DELEGATE_REGISTRY;
use nodesys_chain::{MULTICALL3, Provider};
use nodesys_clock::DEVELOPMENT_CHAIN_ID;
use nodesys_core::license::{LicenseId, OPERATE_RIGHTS};

use crate::chain::Chain;
use crate::people::{People, Person};

/// One token in its smallest unit.
pub const TOKEN: u128 = 1_000_000_000_000_000_000;

/// The deployment plan.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The project's name.
    pub project: &'static str,
    /// Workload names and the symbols of their collections.
    pub workloads: Vec<(&'static str, &'static str)>,
    /// Funding of the distributor, in wei.
    pub funds: u128,
    /// Most that a day may add, in wei.
    pub daily_quota: u128,
    /// Delay of a post, in seconds.
    pub delay_secs: u64,
}

/// A workload of the project.
#[derive(Debug, Clone)]
pub struct Workload {
    /// Its name.
    pub name: &'static str,
    /// The symbol of its collection.
    pub symbol: &'static str,
    /// Its collection.
    pub collection: Address,
}

/// A license: its workload and token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LicenseRef {
    /// The workload's place in the plan.
    pub workload: usize,
    /// The token.
    pub token: u64,
}

/// The deployed contracts.
#[derive(Debug, Clone)]
pub struct Deployed {
    /// `ProjectRegistry`.
    pub registry: Address,
    /// The reward token.
    pub token: Address,
    /// The project's `RewardDistributor`: the project's id.
    pub distributor: Address,
    /// The project's name.
    pub project: &'static str,
    /// Its workloads, in the order of the plan.
    pub workloads: Vec<Workload>,
}

impl Deployed {
    /// The license's id.
    pub fn license(&self, license: LicenseRef) -> LicenseId {
        LicenseId {
            chain_id: DEVELOPMENT_CHAIN_ID,
            collection: self.workloads[license.workload].collection,
            token_id: U256::from(license.token),
        }
    }

    /// The license as people write it: the collection's symbol and the token, as in A1.
    pub fn label(&self, license: LicenseRef) -> String {
        format!("{}{}", self.workloads[license.workload].symbol, license.token)
    }
}

/// Somebody's connection to the chain.
pub async fn wallet(chain: &Chain, person: &Person) -> anyhow::Result<Provider> {
    let expected = Some(DEVELOPMENT_CHAIN_ID);
    Ok(Provider::connect_with_key(&chain.url, expected, &person.key).await?)
}

/// Deploys everything; no license is minted yet.
pub async fn deploy(
    chain: &Chain,
    people: &People,
    plan: &Plan,
    receipt_key: Address,
) -> anyhow::Result<Deployed> {
    deploy_with_signer(chain, people, plan, receipt_key, people.signer.address()).await
}

/// The same, with rewards signed by another account, which may be a contract.
pub async fn deploy_with_signer(
    chain: &Chain,
    people: &People,
    plan: &Plan,
    receipt_key: Address,
    signer: Address,
) -> anyhow::Result<Deployed> {
    chain.set_code(MULTICALL3, &Multicall3::DEPLOYED_BYTECODE).await?;
    chain.set_code(DELEGATE_REGISTRY, &DelegateRegistry::DEPLOYED_BYTECODE).await?;
    let network = wallet(chain, &people.network).await?;
    let request = ProjectRegistry::deploy_builder(network.rpc(), people.network.address());
    let registry =
        deployed(&network, "ProjectRegistry", request.into_transaction_request()).await?;
    let bound = ProjectRegistry::new(registry, network.rpc());
    // From now on: no key becomes valid for a time that has passed.
    let record = bound.setReceiptKey(Address::ZERO, receipt_key, 0, u64::MAX);
    network.send("recording the receipt key", record.into_transaction_request()).await?;

    let owner = wallet(chain, &people.owner).await?;
    let address = people.owner.address();
    let name = ("Acme".to_owned(), "ACME".to_owned());
    let request = DevToken::deploy_builder(owner.rpc(), name.0, name.1, address);
    let token = deployed(&owner, "DevToken", request.into_transaction_request()).await?;
    let bound = ProjectRegistry::new(registry, owner.rpc());
    let params = ProjectRegistry::ProjectParams {
        name: plan.project.to_owned(),
        token,
        signer,
        guardian: people.guardian.address(),
        dailyQuota: plan.daily_quota,
        delay: plan.delay_secs,
        metadataURI: String::new(),
        claimsForContracts: false,
        userSalt: B256::ZERO,
    };
    let distributor = bound.projectAddress(address, params.clone()).call().await?;
    let reserve = bound.reserveProject(distributor);
    owner.send("reserving the project's address", reserve.into_transaction_request()).await?;
    let create = bound.createProject(params);
    owner.send("creating the project", create.into_transaction_request()).await?;
    owner.require_code(distributor, "the project's RewardDistributor").await?;
    let bound_token = DevToken::new(token, owner.rpc());
    let mint = bound_token.mint(distributor, U256::from(plan.funds));
    owner.send("funding the distributor", mint.into_transaction_request()).await?;

    let mut workloads = Vec::new();
    for &(name, symbol) in &plan.workloads {
        let params = NodeLicense::LicenseParams::plain(&format!("Acme {name}"), symbol, address);
        let request = NodeLicense::deploy_builder(owner.rpc(), params);
        let collection =
            deployed(&owner, "NodeLicense", request.into_transaction_request()).await?;
        let list = bound.listCollection(distributor, name.to_owned(), collection);
        owner.send("listing a collection", list.into_transaction_request()).await?;
        workloads.push(Workload { name, symbol, collection });
    }
    Ok(Deployed { registry, token, distributor, project: plan.project, workloads })
}

async fn deployed(
    provider: &Provider,
    what: &str,
    request: TransactionRequest,
) -> anyhow::Result<Address> {
    let receipt = provider.send(&format!("deploying {what}"), request).await?;
    receipt.contract_address.with_context(|| format!("{what} has no address"))
}

/// The owner sets the release key and the release delay.
pub async fn set_release_key(
    chain: &Chain,
    people: &People,
    deployed: &Deployed,
    delay_secs: u64,
) -> anyhow::Result<()> {
    let owner = wallet(chain, &people.owner).await?;
    let registry = ProjectRegistry::new(deployed.registry, owner.rpc());
    let releaser = people.releaser.address();
    let call = registry.setReleaseKey(deployed.distributor, releaser, delay_secs);
    owner.send("setting the release key", call.into_transaction_request()).await?;
    Ok(())
}

/// Mints the next token of a workload's collection.
pub async fn mint(
    chain: &Chain,
    people: &People,
    deployed: &Deployed,
    workload: usize,
    to: Address,
) -> anyhow::Result<()> {
    let owner = wallet(chain, &people.owner).await?;
    let bound = NodeLicense::new(deployed.workloads[workload].collection, owner.rpc());
    owner.send("minting a license", bound.mint(to).into_transaction_request()).await?;
    Ok(())
}

/// Mints many; returns the first token.
pub async fn mint_batch(
    chain: &Chain,
    people: &People,
    deployed: &Deployed,
    workload: usize,
    to: Address,
    count: u64,
) -> anyhow::Result<u64> {
    let owner = wallet(chain, &people.owner).await?;
    let bound = NodeLicense::new(deployed.workloads[workload].collection, owner.rpc());
    let supply = bound.totalSupply().call().await?;
    let call = bound.mintBatch(to, U256::from(count));
    owner.send("minting licenses", call.into_transaction_request()).await?;
    Ok(u64::try_from(supply)? + 1)
}

/// The holder rents a license out (ERC-4907).
pub async fn rent_out(
    chain: &Chain,
    holder: &Person,
    license: &LicenseId,
    renter: Address,
    until_secs: u64,
) -> anyhow::Result<()> {
    let wallet = wallet(chain, holder).await?;
    let collection = NodeLicense::new(license.collection, wallet.rpc());
    let call = collection.setUser(license.token_id, renter, until_secs);
    wallet.send("renting a license out", call.into_transaction_request()).await?;
    Ok(())
}

/// The holder or renter delegates a license (delegate.xyz v2), or takes it back.
pub async fn delegate(
    chain: &Chain,
    from: &Person,
    license: &LicenseId,
    to: Address,
    enable: bool,
) -> anyhow::Result<()> {
    let wallet = wallet(chain, from).await?;
    let registry = DelegateRegistry::new(DELEGATE_REGISTRY, wallet.rpc());
    let call =
        registry.delegateERC721(to, license.collection, license.token_id, OPERATE_RIGHTS, enable);
    wallet.send("delegating a license", call.into_transaction_request()).await?;
    Ok(())
}

/// The holder hands a license to another.
pub async fn transfer(
    chain: &Chain,
    holder: &Person,
    license: &LicenseId,
    to: Address,
) -> anyhow::Result<()> {
    let wallet = wallet(chain, holder).await?;
    let collection = NodeLicense::new(license.collection, wallet.rpc());
    let call = collection.transferFrom(holder.address(), to, license.token_id);
    wallet.send("transferring a license", call.into_transaction_request()).await?;
    Ok(())
}

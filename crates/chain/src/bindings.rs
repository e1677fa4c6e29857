//! Types of the contracts, made at compile time from the committed ABI and bytecode in `abi/`, which
//! `scripts/gen` writes. One module per contract, because two contracts may use one struct.
//!
//! `<Contract>::deploy(provider, ..)` deploys, `<Contract>::new(address, provider)` binds, and
//! `<Contract>::DEPLOYED_BYTECODE` is the runtime code for the contracts that a dev chain puts at a
//! canonical address.
//!
//! # Examples
//!
//! ```no_run
//! use nodesys_chain::Provider;
//! use nodesys_chain::bindings::RewardDistributor;
//! use nodesys_core::{Address, U256};
//!
//! async fn example(provider: &Provider, distributor: Address) -> alloy::contract::Result<U256> {
//!     // The first RPC's word alone; what is decided on is read by the functions of this crate.
//!     RewardDistributor::new(distributor, provider.rpc()).paid().call().await
//! }
//! ```

/// Projects, their collections and the network's receipt keys.
pub mod project_registry {
    alloy::sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        ProjectRegistry,
        "abi/ProjectRegistry.json"
    );
}

/// The license collection of one workload: ERC-721 with ERC-4907 rental and ERC-5643 expiry.
pub mod node_license {
    alloy::sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        NodeLicense,
        "abi/NodeLicense.json"
    );
}

/// The sale of one collection's licenses.
pub mod license_sale {
    alloy::sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        LicenseSale,
        "abi/LicenseSale.json"
    );
}

/// The rewards of one project.
pub mod reward_distributor {
    alloy::sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        RewardDistributor,
        "abi/RewardDistributor.json"
    );
}

/// Dev chains only: a token its owner mints at will.
pub mod dev_token {
    alloy::sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        DevToken,
        "abi/DevToken.json"
    );
}

/// delegate.xyz v2, the part that is used. The bytecode is for dev chains only.
pub mod delegate_registry {
    alloy::sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        DelegateRegistry,
        "abi/DelegateRegistry.json"
    );
}

/// `aggregate3` of Multicall3. The bytecode is for dev chains only.
pub mod multicall3 {
    alloy::sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        Multicall3,
        "abi/Multicall3.json"
    );
}

impl node_license::NodeLicense::LicenseParams {
    /// The plainest collection: the owner mints, licenses never expire, and there is no limit, no
    /// transfer lock and no royalty.
    pub fn plain(name: &str, symbol: &str, owner: alloy::primitives::Address) -> Self {
        Self {
            name: name.to_owned(),
            symbol: symbol.to_owned(),
            owner,
            minter: owner,
            maxSupply: alloy::primitives::U256::ZERO,
            term: 0,
            lockedUntil: 0,
            royaltyReceiver: alloy::primitives::Address::ZERO,
            royaltyBps: 0,
        }
    }
}

pub use delegate_registry::DelegateRegistry;
pub use dev_token::DevToken;
pub use license_sale::LicenseSale;
pub use multicall3::Multicall3;
pub use node_license::NodeLicense;
pub use project_registry::ProjectRegistry;
pub use reward_distributor::RewardDistributor;

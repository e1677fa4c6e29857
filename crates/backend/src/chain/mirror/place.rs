//! What the mirror is of: a chain and the registry on it.

use nodesys_chain::Provider;
use nodesys_core::Address;

use crate::state::App;

/// A chain, and where on it the facts begin.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) chain: Provider,
    pub(crate) chain_id: u64,
    pub(crate) registry: Address,
    pub(crate) first_block: u64,
}

impl Place {
    /// That of a running replica.
    pub(crate) fn of(app: &App) -> Self {
        Self {
            chain: app.chain.clone(),
            chain_id: app.domain.chain_id(),
            registry: app.domain.verifying_contract(),
            first_block: app.first_block,
        }
    }
}

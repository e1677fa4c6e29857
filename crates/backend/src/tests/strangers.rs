//! Strangers on one network: what one project, collection or RPC does reaches no other's rows.

mod burning;
mod costly;
mod flooding;
mod lagging;
mod losing;
mod odd;
mod slow;
mod sources;
mod twin;

use alloy::primitives::Address;
use nodesys_chain::bindings::{NodeLicense, ProjectRegistry};
use nodesys_testing::chain::{alice, bob, owner};

use super::support::World;

/// A collection of another project's, listed for its workload `gamma`; token 1 is alice's, token 2 bob's.
async fn of_another_project(world: &World) -> (Address, Address) {
    let chain = &world.chain;
    let project = chain.project("other", owner().address(), bob().address()).await;
    let collection = chain.unlisted("gamma").await;
    let registry = ProjectRegistry::new(chain.registry, chain.provider.rpc());
    let call = registry.listCollection(project, "gamma".to_owned(), collection);
    chain.send(owner().address(), call.into_transaction_request()).await;
    let licenses = NodeLicense::new(collection, chain.provider.rpc());
    for holder in [alice(), bob()] {
        let call = licenses.mint(holder.address());
        chain.send(owner().address(), call.into_transaction_request()).await;
    }
    chain.finalize().await;
    (project, collection)
}

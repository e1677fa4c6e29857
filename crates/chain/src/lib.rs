//! The chain, as programs use it: bindings, the one provider constructor, ownership checks.
//!
//! Called by the backend, the CLI, the manager and the SDK, each over an RPC of its own. Facts
//! come from the chain alone; decisions from them are `nodesys_core`'s. Amounts are in the token's
//! smallest unit (wei), times of blocks and contracts in seconds since 1970 UTC.
//!
//! # Examples
//!
//! ```no_run
//! use nodesys_chain::{Provider, RpcUrl, project};
//! use nodesys_core::Address;
//!
//! async fn example(registry: Address) -> Result<(), Box<dyn std::error::Error>> {
//!     let rpcs: [RpcUrl; 2] =
//!         ["https://rpc.one.example".parse()?, "https://rpc.two.example".parse()?];
//!     let provider = Provider::connect_all(&rpcs, Some(1)).await?;
//!     let acme = project::by_name(&provider, registry, &"acme".parse()?).await?;
//!     println!("by both RPCs, on chain {}, acme is {acme:?}", provider.chain_id());
//!     Ok(())
//! }
//! ```

#![warn(clippy::missing_errors_doc)]

#[expect(clippy::too_many_arguments, reason = "a Solidity event has as many values as it needs")]
pub mod bindings;
pub mod blocks;
pub mod collection;
pub mod control;
pub mod deterministic;
pub mod error;
pub mod gas;
pub mod keystore;
pub mod listing;
pub mod logs;
mod many;
pub mod metadata;
pub mod ownership;
mod patient;
pub mod project;
pub mod provider;
pub mod release;
pub mod revert;
mod rpc_url;
pub mod sending;
mod sent;
mod sources;
pub mod standards;
pub mod timelock;
pub mod urgent;
pub mod verification;
mod wait;
pub mod wallet_signature;
mod width;

pub use blocks::BlockRef;
pub use error::ChainError;
pub use many::MULTICALL3;
pub use provider::Provider;
pub use rpc_url::RpcUrl;
pub use sent::Tell;
pub use sources::majority;

#[cfg(test)]
mod tests;

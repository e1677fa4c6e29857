//! What contracts call themselves: symbols of collections, symbol and decimals of a token. For
//! people only; nothing is decided by it. A contract without such a function has none.
//!
//! # Examples
//!
//! ```no_run
//! use nodesys_chain::{ChainError, Provider, metadata};
//! use nodesys_core::Address;
//!
//! async fn example(provider: &Provider, token: Address) -> Result<(), ChainError> {
//!     let token = metadata::token_of(provider, token).await?;
//!     println!("{:?} with {:?} decimals", token.symbol, token.decimals);
//!     Ok(())
//! }
//! ```

use alloy::eips::BlockId;
use alloy::primitives::{Address, Bytes};

use crate::error::ChainError;
use crate::many::{Call, returned};
use crate::provider::Provider;
use crate::standards::{IERC20Metadata, IERC721Metadata};

/// An ERC-20 as it presents itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The contract.
    pub address: Address,
    /// Its symbol. A stranger's text: show it with care.
    pub symbol: Option<String>,
    /// How many decimals its unit has.
    pub decimals: Option<u8>,
}

/// The ERC-721 `symbol()` of each collection, in the order given. A stranger's text.
///
/// # Errors
///
/// Those of a read ([`ChainError`]). A contract without such a function is none.
pub async fn symbols_of(
    provider: &Provider,
    collections: &[Address],
) -> Result<Vec<Option<String>>, ChainError> {
    let calls: Vec<Call> =
        collections.iter().map(|to| Call::new(*to, &IERC721Metadata::symbolCall {})).collect();
    let what = "reading symbols of collections";
    let answers = provider.call_many(what, &calls, BlockId::latest()).await?;
    let symbol = |answer: &Option<Bytes>| returned::<IERC721Metadata::symbolCall>(answer.as_ref());
    Ok(answers.iter().map(symbol).collect())
}

/// Symbol and decimals of an ERC-20.
///
/// # Errors
///
/// Those of a read ([`ChainError`]). A contract without such a function is none.
pub async fn token_of(provider: &Provider, token: Address) -> Result<Token, ChainError> {
    let calls = [
        Call::new(token, &IERC20Metadata::symbolCall {}),
        Call::new(token, &IERC20Metadata::decimalsCall {}),
    ];
    let answers = provider.call_many("reading a token's name", &calls, BlockId::latest()).await?;
    let answer = |i: usize| answers.get(i).and_then(Option::as_ref);
    Ok(Token {
        address: token,
        symbol: returned::<IERC20Metadata::symbolCall>(answer(0)),
        decimals: returned::<IERC20Metadata::decimalsCall>(answer(1)),
    })
}

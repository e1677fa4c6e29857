//! What contracts call themselves, and what a transaction would cost.

use alloy::primitives::{Address, U256};
use alloy::rpc::types::TransactionRequest;

use super::anvil::Anvil;
use super::{BOB, collection, deploy, set_code};
use crate::bindings::{DevToken, Multicall3, NodeLicense};
use crate::error::ChainError;
use crate::metadata::{Token, symbols_of, token_of};
use crate::{MULTICALL3, Provider};

#[tokio::test]
async fn contracts_say_their_symbols_and_tokens_their_decimals() {
    let anvil = Anvil::start();
    let provider = anvil.provider().await;
    let owner = provider.sender().unwrap();
    let alpha = collection(&provider, &[]).await;
    let builder = DevToken::deploy_builder(provider.rpc(), "Acme".into(), "ACME".into(), owner);
    let token = deploy(&provider, builder.into_transaction_request()).await;
    let expected = [Some("ALPHA".to_owned()), None, Some("ACME".to_owned())];
    let asked = [alpha, BOB, token];
    assert_eq!(symbols_of(&provider, &asked).await.unwrap(), expected);
    assert!(symbols_of(&provider, &[]).await.unwrap().is_empty());
    let acme = Token { address: token, symbol: Some("ACME".to_owned()), decimals: Some(18) };
    assert_eq!(token_of(&provider, token).await.unwrap(), acme);
    // A collection has a symbol and no decimals; an address without code has neither.
    let found = token_of(&provider, alpha).await.unwrap();
    assert_eq!((found.symbol.as_deref(), found.decimals), (Some("ALPHA"), None));
    let none = Token { address: BOB, symbol: None, decimals: None };
    assert_eq!(token_of(&provider, BOB).await.unwrap(), none);
    set_code(&provider, MULTICALL3, &Multicall3::DEPLOYED_BYTECODE).await;
    assert_eq!(symbols_of(&provider, &asked).await.unwrap(), expected);
    assert_eq!(token_of(&provider, token).await.unwrap(), acme);
}

#[tokio::test]
async fn a_transaction_is_priced_before_it_is_sent_and_a_refusal_told() {
    let anvil = Anvil::start();
    let sender = anvil.provider().await;
    let owner = sender.sender().unwrap();
    // Anybody may ask, without a key and without a coin.
    let reader = Provider::connect(&anvil.url, None).await.unwrap();
    let to = Address::repeat_byte(0x70);
    let request = TransactionRequest::default().to(to).value(U256::ZERO);
    let gas = reader.gas_for("sending", BOB, request.clone()).await.unwrap();
    // An eighth above what it takes.
    assert_eq!((gas.units, gas.balance), (21_000 + 21_000 / 8, U256::ZERO));
    assert_eq!(gas.cost(), U256::from(gas.units) * U256::from(gas.price));
    let rich = reader.gas_for("sending", owner, request).await.unwrap();
    assert!(rich.balance > rich.cost());

    let address = collection(&sender, &[BOB]).await;
    let bound = NodeLicense::new(address, reader.rpc());
    let call = bound.transferFrom(BOB, owner, U256::from(1));
    let error =
        reader.gas_for("transferring", owner, call.into_transaction_request()).await.unwrap_err();
    assert!(matches!(&error, ChainError::Reverted { .. }), "{error}");
    assert!(error.to_string().contains("ERC721InsufficientApproval"), "{error}");
}

//! Transactions that wait while their command is repeated; accounts with little money; contracts that
//! answer an estimate otherwise than a transaction.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy::network::TransactionBuilder as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

/// What a connection told its person.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn tell(&self) -> crate::Tell {
        let told = self.0.clone();
        Arc::new(move |words: &str| told.lock().unwrap().push(words.to_owned()))
    }

    fn heard(&self, part: &str) -> bool {
        self.0.lock().unwrap().iter().any(|words| words.contains(part))
    }
}

async fn ask(provider: &Provider, method: &'static str, params: Value) -> Value {
    provider.rpc().raw_request(method.into(), params).await.unwrap()
}

fn coins(wei: u64) -> TransactionRequest {
    TransactionRequest::default().to(BOB).value(U256::from(wei))
}

/// A connection as a command has it: no transaction is waited for longer than a second.
async fn command(anvil: &Anvil, folder: &Path, told: &Told) -> Result<Provider, ChainError> {
    let mut provider = anvil.provider().await;
    provider.set_mined_timeout(Duration::from_secs(1));
    provider.recording(folder, told.tell()).await
}

/// A command that has ended while its payment of 5 to BOB waits, on a chain that makes no blocks.
struct Stopped {
    anvil: Anvil,
    folder: TempDir,
    told: Told,
    /// A connection of nobody's command.
    watcher: Provider,
    sender: Address,
    transaction: B256,
}

async fn stopped() -> Stopped {
    let anvil = Anvil::start();
    let (folder, told) = (tempfile::tempdir().unwrap(), Told::default());
    let watcher = anvil.provider().await;
    let sender = watcher.sender().unwrap();
    let first = command(&anvil, folder.path(), &told).await.unwrap();
    ask(&watcher, "evm_setAutomine", json!([false])).await;
    let error = first.send("paying", coins(5)).await.unwrap_err();
    let ChainError::StillWaits { transaction, nonce: 0, .. } = error else { panic!("{error}") };
    assert!(error.to_string().contains("run the same command again"), "{error}");
    // Its hash was shown before it was waited for.
    assert!(told.heard(&format!("transaction {transaction}: paying")));
    Stopped { anvil, folder, told, watcher, sender, transaction }
}

#[tokio::test]
async fn a_repeated_command_goes_on_with_what_waits_and_adds_nothing() {
    let Stopped { anvil, folder, told, watcher, sender, transaction } = stopped().await;

    // Repeated while it waits: nothing is decided, and nothing is added.
    for _ in 0..2 {
        let error = command(&anvil, folder.path(), &told).await.unwrap_err();
        assert!(matches!(error, ChainError::StillWaits { nonce: 0, .. }), "{error}");
    }
    let waiting = watcher.rpc().get_transaction_count(sender).pending().await.unwrap();
    assert_eq!(waiting, 1);

    // The node loses what waits: it is handed over again, byte for byte.
    ask(&watcher, "anvil_dropAllTransactions", json!([])).await;
    assert_eq!(watcher.rpc().get_transaction_count(sender).pending().await.unwrap(), 0);
    let again = command(&anvil, folder.path(), &told).await.unwrap_err();
    let ChainError::StillWaits { transaction: found, .. } = &again else { panic!("{again}") };
    assert_eq!(*found, transaction);

    // In a block, it is what the next run begins with.
    ask(&watcher, "evm_mine", json!([])).await;
    let next = command(&anvil, folder.path(), &told).await.unwrap();
    assert_eq!(watcher.rpc().get_balance(BOB).await.unwrap(), U256::from(5));
    ask(&watcher, "evm_setAutomine", json!([true])).await;
    next.send("paying", coins(2)).await.unwrap();
    assert_eq!(watcher.rpc().get_transaction_count(sender).await.unwrap(), 2);
}

#[tokio::test]
async fn what_waits_for_its_fee_is_replaced_under_its_nonce() {
    let Stopped { anvil, folder, told, watcher, sender, transaction } = stopped().await;

    // A hundred times the price at which it was sent; blocks now leave it out.
    ask(&watcher, "anvil_setNextBlockBaseFeePerGas", json!(["0x2e90edd000"])).await;
    ask(&watcher, "evm_mine", json!([])).await;
    ask(&watcher, "anvil_setNextBlockBaseFeePerGas", json!(["0x2e90edd000"])).await;
    ask(&watcher, "evm_mine", json!([])).await;
    assert_eq!(watcher.rpc().get_balance(BOB).await.unwrap(), U256::ZERO);
    ask(&watcher, "evm_setIntervalMining", json!([1])).await;
    let mut provider = anvil.provider().await;
    provider.set_mined_timeout(Duration::from_secs(60));
    provider.recording(folder.path(), told.tell()).await.unwrap();
    assert!(told.heard("gas costs more by now: replaced by"));
    assert_eq!(watcher.rpc().get_balance(BOB).await.unwrap(), U256::from(5));
    assert_eq!(watcher.rpc().get_transaction_count(sender).await.unwrap(), 1);
    let found = watcher.rpc().get_transaction_receipt(transaction).await.unwrap();
    assert!(found.is_none(), "the first try is not in a block");
}

#[tokio::test]
async fn nothing_is_decided_while_another_wallets_transaction_waits() {
    let anvil = Anvil::start();
    let (folder, told) = (tempfile::tempdir().unwrap(), Told::default());
    let watcher = anvil.provider().await;
    ask(&watcher, "evm_setAutomine", json!([false])).await;
    let by_hand = coins(1).with_from(watcher.sender().unwrap());
    let _ = watcher.rpc().send_transaction(by_hand).await.unwrap();
    let error = command(&anvil, folder.path(), &told).await.unwrap_err();
    assert!(matches!(error, ChainError::OthersWait { waiting: 1, .. }), "{error}");
    ask(&watcher, "evm_mine", json!([])).await;
    command(&anvil, folder.path(), &told).await.unwrap();
}

#[tokio::test]
async fn a_balance_between_once_and_twice_the_cost_pays() {
    let anvil = Anvil::start();
    let provider = anvil.provider().await;
    let sender = provider.sender().unwrap();
    let gas = provider.gas_for("sending", sender, coins(0)).await.unwrap();
    // More than the check asks for, and less than twice the base fee.
    let balance = gas.cost() + gas.cost() / U256::from(10);
    ask(&provider, "anvil_setBalance", json!([sender, balance])).await;
    provider.send("sending", coins(0)).await.unwrap();

    ask(&provider, "anvil_setBalance", json!([sender, U256::from(21_000)])).await;
    let error = provider.send("sending", coins(0)).await.unwrap_err();
    assert!(!matches!(error, ChainError::NotMined { .. }), "{error}");
    assert_eq!(provider.rpc().get_transaction_count(sender).await.unwrap(), 1);
}

#[tokio::test]
async fn a_contract_that_answers_by_the_price_of_gas_is_tried_as_the_chain_will() {
    let anvil = Anvil::start();
    let provider = anvil.provider().await;
    let sender = provider.sender().unwrap();
    // GASPRICE, ISZERO, PUSH1 8, JUMPI, PUSH0, PUSH0, REVERT, JUMPDEST, STOP: it takes every call that
    // names no price, as an estimate does, and no transaction.
    let two_faced = &[0x3a, 0x15, 0x60, 0x08, 0x57, 0x5f, 0x5f, 0xfd, 0x5b, 0x00];
    set_code(&provider, CAROL, &Bytes::from_static(two_faced)).await;
    let request = TransactionRequest::default().to(CAROL);
    provider.rpc().estimate_gas(request.clone().with_from(sender)).await.unwrap();
    let error = provider.send("calling", request).await.unwrap_err();
    assert!(matches!(error, ChainError::Reverted { .. }), "{error}");
    assert_eq!(provider.rpc().get_transaction_count(sender).await.unwrap(), 0, "it was not sent");
}

#[tokio::test]
async fn a_reason_within_the_block_is_found() {
    let anvil = Anvil::start();
    let provider = anvil.provider().await;
    let owner = provider.sender().unwrap();
    let address = collection(&provider, &[owner]).await;
    let bound = NodeLicense::new(address, provider.rpc());
    let give = bound.transferFrom(owner, BOB, U256::from(1)).into_transaction_request();
    ask(&provider, "evm_setAutomine", json!([false])).await;
    // The same transfer twice in one block: the first one takes the token from the second.
    let nonce = provider.rpc().get_transaction_count(owner).await.unwrap();
    for nonce in [nonce, nonce + 1] {
        let request = give.clone().with_from(owner).with_nonce(nonce).with_gas_limit(200_000);
        let _ = provider.rpc().send_transaction(request).await.unwrap();
    }
    ask(&provider, "evm_mine", json!([])).await;
    let block = provider.rpc().get_block_receipts(BlockNumberOrTag::Latest.into()).await.unwrap();
    let block = block.unwrap();
    let failed = block.iter().find(|receipt| !receipt.status()).unwrap();
    let error = provider.why_it_failed("transferring", give.with_from(owner), failed).await;
    assert_eq!(
        error.revert().and_then(|revert| revert.name()),
        Some("ERC721InsufficientApproval"),
        "{error}"
    );
}

//! RPCs with limits, and RPCs that answer late: what they refuse is asked for otherwise, and their own
//! words are kept.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::proxy::Proxy;
use super::*;
use crate::logs::license_events;
use crate::metadata::symbols_of;

fn error(id: &Value, message: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32005, "message": message}})
}

#[tokio::test]
async fn a_batch_over_the_limit_is_asked_in_smaller_ones_down_to_single_calls() {
    let anvil = Anvil::start();
    let sender = anvil.provider().await;
    let mut collections = Vec::new();
    for _ in 0..6 {
        collections.push(collection(&sender, &[]).await);
    }
    for most in [1, 2] {
        let refused = move |request: &Value| {
            let calls = request.as_array()?.len();
            (calls > most).then(|| (413, "", error(&Value::Null, "too many calls in a batch")))
        };
        let proxy = Proxy::start(&anvil.url, refused).await;
        let provider = Provider::connect(&proxy.url, None).await.unwrap();
        let symbols = symbols_of(&provider, &collections).await.unwrap();
        assert_eq!(symbols, vec![Some("ALPHA".to_owned()); 6]);
        // The limit is remembered: no batch is refused again.
        let before = proxy.requests();
        symbols_of(&provider, &collections).await.unwrap();
        let code_of_multicall = 1;
        assert_eq!(proxy.requests() - before, 6 / most + code_of_multicall);
    }
    // What is refused call by call is told in the provider's own words.
    let refused = |request: &Value| {
        let calls = request.is_array() || request["method"] == "eth_call";
        calls.then(|| (402, "", error(&request["id"], "your plan has no calls left")))
    };
    let proxy = Proxy::start(&anvil.url, refused).await;
    let provider = Provider::connect(&proxy.url, None).await.unwrap();
    let words = symbols_of(&provider, &collections).await.unwrap_err().to_string();
    assert!(words.contains("your plan has no calls left"), "{words}");
}

#[tokio::test]
async fn a_refused_page_of_logs_is_halved_once_and_not_again_for_each_page() {
    const BLOCKS: u64 = 2_000;
    const MOST: u64 = 100;
    let anvil = Anvil::start();
    let sender = anvil.provider().await;
    let address = collection(&sender, &[BOB, CAROL]).await;
    // In pieces: a busy machine mines some hundred blocks a second.
    for _ in 0..BLOCKS / 250 {
        let _: Value =
            sender.rpc().raw_request("anvil_mine".into(), [U256::from(250)]).await.unwrap();
    }
    let hex = |value: &Value| u64::from_str_radix(&value.as_str().unwrap()[2..], 16).unwrap();
    let refused = move |request: &Value| {
        let range = &request["params"][0];
        let too_wide = request["method"] == "eth_getLogs"
            && hex(&range["toBlock"]) - hex(&range["fromBlock"]) >= MOST;
        too_wide.then(|| (200, "", error(&request["id"], "at most 100 blocks")))
    };
    let proxy = Proxy::start(&anvil.url, refused).await;
    let provider = Provider::connect(&proxy.url, None).await.unwrap();
    let before = proxy.requests();
    let logs = license_events(&provider, &[address], 0, BLOCKS).await.unwrap();
    assert_eq!(logs.len(), 2);
    let asked = u64::try_from(proxy.requests() - before).unwrap();
    // The whole range of 2,001 blocks is halved down to 63.
    let pages = BLOCKS.div_ceil(63);
    assert!(asked < pages + 20, "{asked} requests for {pages} pages");
}

#[tokio::test]
async fn a_wait_that_the_rpc_asks_for_is_granted() {
    let anvil = Anvil::start();
    let left = AtomicUsize::new(2);
    let busy = move |request: &Value| {
        let less = |left: usize| left.checked_sub(1);
        let refused = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok();
        let body = error(&request["id"], "slow down");
        refused.then_some((429, "retry-after: 1\r\n", body))
    };
    let proxy = Proxy::start(&anvil.url, busy).await;
    Provider::connect(&proxy.url, Some(31_337)).await.unwrap();
    assert_eq!(proxy.requests(), 3);

    // One that never has enough is not waited for again and again, and its words are kept.
    let never = |request: &Value| {
        Some((429, "retry-after: 1\r\n", error(&request["id"], "your plan is used up")))
    };
    let proxy = Proxy::start(&anvil.url, never).await;
    let words = Provider::connect(&proxy.url, None).await.unwrap_err().to_string();
    assert!(words.contains("your plan is used up"), "{words}");
    // Nor one that asks for an hour.
    let hour = |request: &Value| Some((429, "retry-after: 3600\r\n", error(&request["id"], "x")));
    let proxy = Proxy::start(&anvil.url, hour).await;
    Provider::connect(&proxy.url, None).await.unwrap_err();
    assert_eq!(proxy.requests(), 1);
}

#[tokio::test]
async fn a_receipt_that_comes_later_than_its_block_is_waited_for() {
    let anvil = Anvil::start();
    let asked = AtomicUsize::new(0);
    let late = move |request: &Value| {
        let early = request["method"] == "eth_getTransactionReceipt"
            && asked.fetch_add(1, Ordering::Relaxed) < 5;
        early.then(|| (200, "", json!({"jsonrpc": "2.0", "id": request["id"], "result": null})))
    };
    let proxy = Proxy::start(&anvil.url, late).await;
    let provider = Provider::connect_with_key(&proxy.url, None, &funded()).await.unwrap();
    let request = TransactionRequest::default().to(BOB).value(U256::from(5));
    let receipt = provider.send("paying", request).await.unwrap();
    assert!(receipt.status());
}

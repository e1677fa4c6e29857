//! The facts of the chain that a lying RPC needs to lie like a real one.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::upstream::Upstream;

/// The true chain, as far as the fault needs it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// The newest block.
    pub head: u64,
    /// The newest final block.
    pub finalized: u64,
    /// The numbers of the blocks that a request names by their hash.
    pub numbers: BTreeMap<String, u64>,
}

impl Facts {
    pub(super) async fn read(upstream: &Upstream, request: &Value) -> anyhow::Result<Self> {
        let mut numbers = BTreeMap::new();
        for hash in hashes(request) {
            if let Some(number) = number_of(upstream, "eth_getBlockByHash", &hash).await? {
                numbers.insert(hash, number);
            }
        }
        let tag = async |tag: &str| number_of(upstream, "eth_getBlockByNumber", tag).await;
        let head = tag("latest").await?.unwrap_or_default();
        Ok(Self { head, finalized: tag("finalized").await?.unwrap_or_default(), numbers })
    }

    /// The block that a call's parameter names, by number or hash.
    pub(super) fn block_of(&self, param: &Value) -> Option<u64> {
        match param["blockHash"].as_str() {
            Some(hash) => self.numbers.get(hash).copied(),
            None => param.as_str().or_else(|| param["blockNumber"].as_str()).and_then(quantity),
        }
    }
}

async fn number_of(upstream: &Upstream, method: &str, block: &str) -> anyhow::Result<Option<u64>> {
    let call = json!({"jsonrpc": "2.0", "id": 0, "method": method, "params": [block, false]});
    let answer = upstream.ask(&call).await?;
    Ok(answer["result"]["number"].as_str().and_then(quantity))
}

/// A number in JSON-RPC form; `None` for a hash.
pub(super) fn quantity(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// The blocks that a request's calls and filters name by hash.
fn hashes(request: &Value) -> Vec<String> {
    let calls = match request {
        Value::Array(calls) => calls.as_slice(),
        call => std::slice::from_ref(call),
    };
    let params = calls.iter().filter_map(|call| call["params"].as_array()).flatten();
    params.filter_map(|param| Some(param["blockHash"].as_str()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_named_by_number_or_hash() {
        let hash = format!("0x{}", "ab".repeat(32));
        let request = json!([
            {"method": "eth_call", "params": [{}, {"blockHash": hash}]},
            {"method": "eth_getTransactionReceipt", "params": [hash]},
        ]);
        assert_eq!(hashes(&request), std::slice::from_ref(&hash));
        let facts = Facts { numbers: BTreeMap::from([(hash.clone(), 7)]), ..Facts::default() };
        assert_eq!(facts.block_of(&json!({"blockHash": hash})), Some(7));
        assert_eq!(facts.block_of(&json!("0x10")), Some(16));
        assert_eq!(facts.block_of(&json!({"to": "0x10"})), None);
        assert_eq!(facts.block_of(&json!("latest")), None);
    }
}

//! Faults like those of real RPCs: they change a call before the chain is asked, or the chain's
//! answer afterwards. All of it is pure; a fault's inputs are in [`Facts`].

use std::time::Duration;

use serde_json::{Value, json};

use super::facts::{Facts, quantity};

/// The RPC's behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing wrong.
    None,
    /// Answers 502, like a load balancer without its node.
    Down,
    /// Takes requests and never answers.
    Hangs,
    /// Answers each request this much later.
    Slow(Duration),
    /// Answers 429, like a provider with an exhausted plan.
    RateLimited,
    /// Answers as if this block were the newest and the final one.
    StandsAt(u64),
    /// Claims to be on this chain.
    OtherChain(u64),
    /// Has pruned logs and state of the blocks below this one. It answers that there are no such
    /// logs, and that the state is missing.
    Pruned {
        /// The first block that it still has.
        below: u64,
    },
    /// The same, but it refuses requests for such logs.
    PrunedSaysSo {
        /// The first block that it still has.
        below: u64,
    },
    /// Is always this many blocks behind. Later blocks do not exist for it, and logs end there
    /// silently.
    Lags {
        /// How many.
        blocks: u64,
    },
    /// Omits every second log, and changes one-word answers to calls; the chain id is true.
    Differs,
    /// Knows no transaction's receipt.
    NullReceipts,
    /// Refuses requests for more blocks or logs than its plan allows.
    Limits {
        /// Most blocks of one request.
        blocks: u64,
        /// Most logs of one answer.
        results: usize,
    },
}

/// The handling of a call.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Ask the chain this.
    Ask(Value),
    /// Answer without the chain.
    Answer(Value),
}

/// Requests for state at a block, and the index of the block parameter.
const OF_STATE: [(&str, usize); 6] = [
    ("eth_call", 1),
    ("eth_getCode", 1),
    ("eth_getBalance", 1),
    ("eth_getTransactionCount", 1),
    ("eth_estimateGas", 1),
    ("eth_getStorageAt", 2),
];

impl Fault {
    /// Whether its behaviour depends on the chain's height.
    pub(super) const fn needs_facts(self) -> bool {
        matches!(
            self,
            Self::Lags { .. }
                | Self::Pruned { .. }
                | Self::PrunedSaysSo { .. }
                | Self::Limits { .. }
        )
    }

    /// The request for a call, or the answer without one.
    pub(super) fn before(self, facts: &Facts, call: Value) -> Step {
        match self {
            Self::StandsAt(block) => Step::Ask(with_tags(call, |_| Some(block))),
            Self::Pruned { below } => match old_state(&call, facts, below) {
                Some(refusal) => Step::Answer(refusal),
                None => Step::Ask(call),
            },
            Self::PrunedSaysSo { below } => {
                if let Some((from, _)) = asked_logs(&call, facts)
                    && from < below
                {
                    let words = format!("history has been pruned below block {below}");
                    return Step::Answer(refused(&call, 4444, &words));
                }
                match old_state(&call, facts, below) {
                    Some(refusal) => Step::Answer(refusal),
                    None => Step::Ask(call),
                }
            }
            Self::Lags { blocks } => lag(call, facts, blocks),
            Self::Limits { blocks, .. } => match asked_logs(&call, facts) {
                Some((from, to)) if to.saturating_sub(from) >= blocks => {
                    let words = format!("block range is too wide: at most {blocks} blocks");
                    Step::Answer(refused(&call, -32_602, &words))
                }
                _ => Step::Ask(call),
            },
            _ => Step::Ask(call),
        }
    }

    /// The changed answer of the chain.
    pub(super) fn after(self, facts: &Facts, call: &Value, mut answer: Value) -> Value {
        let method = call["method"].as_str().unwrap_or_default();
        // A refusal stays one.
        let Some(result) = answer.get_mut("result") else { return answer };
        match (self, method) {
            (Self::StandsAt(block), "eth_blockNumber") => *result = hex(block),
            (Self::OtherChain(chain), "eth_chainId") => *result = hex(chain),
            (Self::Pruned { below }, "eth_getLogs") => {
                keep(result, |_, log| number(log, "blockNumber").is_none_or(|at| at >= below));
            }
            (Self::Lags { blocks }, _) => {
                let head = facts.head.saturating_sub(blocks);
                let name =
                    if method.starts_with("eth_getBlockBy") { "number" } else { "blockNumber" };
                let unknown = ["eth_getBlockBy", "eth_getTransaction"]
                    .iter()
                    .any(|prefix| method.starts_with(prefix));
                match method {
                    "eth_blockNumber" => *result = hex(head),
                    "eth_getLogs" => keep(result, |_, log| {
                        number(log, "blockNumber").is_none_or(|at| at <= head)
                    }),
                    _ if unknown && number(result, name).is_some_and(|at| at > head) => {
                        *result = Value::Null;
                    }
                    _ => {}
                }
            }
            (Self::Differs, "eth_getLogs") => keep(result, |place, _| place % 2 == 0),
            (Self::Differs, "eth_call") => {
                if let Some(word) = result.as_str().and_then(another_word) {
                    *result = word.into();
                }
            }
            (Self::NullReceipts, "eth_getTransactionReceipt") => *result = Value::Null,
            (Self::Limits { results, .. }, "eth_getLogs")
                if result.as_array().is_some_and(|logs| logs.len() > results) =>
            {
                let words = format!("query returned more than {results} results");
                return refused(call, -32_005, &words);
            }
            _ => {}
        }
        answer
    }
}

/// The refusal of a call for the state of a pruned block.
fn old_state(call: &Value, facts: &Facts, below: u64) -> Option<Value> {
    let at = state_of(call, facts)?;
    (at < below).then(|| refused(call, -32_000, &format!("missing trie node: state of block {at}")))
}

/// The block whose state a call asks for, if given by number or hash.
fn state_of(call: &Value, facts: &Facts) -> Option<u64> {
    let (_, place) = OF_STATE.into_iter().find(|(method, _)| call["method"] == *method)?;
    facts.block_of(&call["params"][place])
}

/// The request to a node that has fallen behind.
fn lag(call: Value, facts: &Facts, blocks: u64) -> Step {
    let head = facts.head.saturating_sub(blocks);
    if state_of(&call, facts).is_some_and(|at| at > head) {
        return Step::Answer(refused(&call, -32_000, "header not found"));
    }
    if let Some((from, _)) = asked_logs(&call, facts)
        && from > head
    {
        return Step::Answer(json!({"jsonrpc": "2.0", "id": call["id"], "result": []}));
    }
    let finalized = facts.finalized.saturating_sub(blocks);
    let mut call = with_tags(call, |tag| Some(if tag == "finalized" { finalized } else { head }));
    // A call without a block is one at the newest.
    let place = OF_STATE.into_iter().find(|(method, _)| call["method"] == *method);
    if let (Some((_, place)), Some(params)) = (place, call["params"].as_array_mut())
        && params.len() == place
    {
        params.push(hex(head));
    }
    Step::Ask(call)
}

/// The blocks whose logs a call asks for. A block by its hash is one block; `latest` is the head.
fn asked_logs(call: &Value, facts: &Facts) -> Option<(u64, u64)> {
    if call["method"] != "eth_getLogs" {
        return None;
    }
    let filter = &call["params"][0];
    if filter["blockHash"].is_string() {
        let at = facts.block_of(filter)?;
        return Some((at, at));
    }
    let end = |name: &str, none: u64| match filter[name].as_str() {
        Some("earliest") => 0,
        Some(text) => quantity(text).unwrap_or(none),
        None => none,
    };
    Some((end("fromBlock", facts.head), end("toBlock", facts.head)))
}

/// The call with every tag of a newest block replaced, in any parameter for a block.
fn with_tags(mut call: Value, block: impl Fn(&str) -> Option<u64>) -> Value {
    let replace = |value: &mut Value| {
        let tag = value
            .as_str()
            .filter(|tag| matches!(*tag, "latest" | "pending" | "safe" | "finalized"));
        if let Some(block) = tag.and_then(&block) {
            *value = hex(block);
        }
    };
    if let Some(params) = call.get_mut("params").and_then(Value::as_array_mut) {
        for param in params {
            replace(param);
            for name in ["fromBlock", "toBlock"] {
                if let Some(end) = param.get_mut(name) {
                    replace(end);
                }
            }
        }
    }
    call
}

/// A word of 32 bytes with its last bit flipped; other answers are unchanged.
fn another_word(text: &str) -> Option<String> {
    let last = text.chars().last()?.to_digit(16)?;
    (text.len() == 66).then(|| format!("{}{:x}", &text[..65], last ^ 1))
}

fn keep(result: &mut Value, wanted: impl Fn(usize, &Value) -> bool) {
    if let Some(logs) = result.as_array_mut() {
        let mut place = 0..;
        logs.retain(|log| place.next().is_some_and(|place| wanted(place, log)));
    }
}

fn number(object: &Value, name: &str) -> Option<u64> {
    object.get(name)?.as_str().and_then(quantity)
}

fn hex(number: u64) -> Value {
    Value::from(format!("{number:#x}"))
}

fn refused(call: &Value, code: i64, message: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": call["id"], "error": {"code": code, "message": message}})
}

#[cfg(test)]
mod tests;

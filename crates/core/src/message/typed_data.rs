//! Messages of wallets as `eth_signTypedData_v4` takes them, so that a wallet shows what it signs.
//!
//! cast, ethers, viem, eth-account, Safe and wallets in browsers load this JSON. The domain's fields stand in
//! EIP-712's own order: implementations differ where they do not. Numbers are decimal texts, except the
//! chain's id.
//!
//! # Examples
//!
//! ```
//! use nodesys_core::message::{Domain, NodeRevocation, typed_data::typed_data};
//! use nodesys_core::{Address, U256};
//!
//! let (operator, node_key) = (Address::repeat_byte(1), Address::repeat_byte(2));
//! let revocation = NodeRevocation { operator, node_key, nonce: U256::from(7) };
//! let json = typed_data(&revocation, &Domain::new(1, Address::repeat_byte(3)));
//! assert_eq!(json["primaryType"], "NodeRevocation");
//! assert_eq!(json["message"]["nonce"], "7");
//! assert_eq!(json["types"]["NodeRevocation"][1]["name"], "nodeKey");
//! ```

use alloy_sol_types::SolStruct as _;
use serde_json::{Map, Value, json};

use super::{
    Claim, Domain, Message, NodeAuthorization, NodeRevocation, PointsUpload, RewardCommit,
};

/// A message that a wallet signs.
pub trait WalletMessage: Message {
    /// Its values, in the order of the type's fields.
    fn values(&self) -> Vec<Value>;
}

/// The message in its domain as `eth_signTypedData_v4` takes it.
pub fn typed_data<M: WalletMessage>(message: &M, domain: &Domain) -> Value {
    let name = <M::Sol as alloy_sol_types::SolStruct>::NAME;
    // `Name(type field,type field)`: messages of wallets hold no other structs.
    let encoded = M::Sol::eip712_root_type();
    let fields: Vec<(&str, &str)> = encoded
        .trim_start_matches(name)
        .trim_matches(['(', ')'])
        .split(',')
        .filter_map(|field| field.split_once(' '))
        .collect();
    let member = |(kind, name): &(&str, &str)| json!({ "name": name, "type": kind });
    let values: Map<String, Value> =
        fields.iter().map(|(_, name)| (*name).to_owned()).zip(message.values()).collect();
    let of_domain = [
        ("string", "name"),
        ("string", "version"),
        ("uint256", "chainId"),
        ("address", "verifyingContract"),
    ];
    json!({
        "types": {
            "EIP712Domain": of_domain.iter().map(member).collect::<Vec<_>>(),
            name: fields.iter().map(member).collect::<Vec<_>>(),
        },
        "primaryType": name,
        "domain": {
            "name": "NodeSystem",
            "version": "1",
            "chainId": domain.chain_id(),
            "verifyingContract": domain.verifying_contract(),
        },
        "message": values,
    })
}

fn number(value: impl std::fmt::Display) -> Value {
    Value::String(value.to_string())
}

impl WalletMessage for NodeAuthorization {
    fn values(&self) -> Vec<Value> {
        let Self { operator, node_key, not_after, nonce } = self;
        vec![json!(operator), json!(node_key), number(not_after), number(nonce)]
    }
}

impl WalletMessage for NodeRevocation {
    fn values(&self) -> Vec<Value> {
        let Self { operator, node_key, nonce } = self;
        vec![json!(operator), json!(node_key), number(nonce)]
    }
}

impl WalletMessage for PointsUpload {
    fn values(&self) -> Vec<Value> {
        let Self { epoch, points_hash, terms_hash } = self;
        vec![number(epoch), json!(points_hash), json!(terms_hash)]
    }
}

impl WalletMessage for RewardCommit {
    fn values(&self) -> Vec<Value> {
        let Self { epoch, revision, previous, root, total, data_hash } = self;
        vec![
            number(epoch),
            number(revision),
            json!(previous),
            json!(root),
            number(total),
            json!(data_hash),
        ]
    }
}

impl WalletMessage for Claim {
    fn values(&self) -> Vec<Value> {
        let Self { account, root, cumulative, recipient, relayer, relayer_fee, deadline } = self;
        vec![
            json!(account),
            json!(root),
            number(cumulative),
            json!(recipient),
            json!(relayer),
            number(relayer_fee),
            number(deadline),
        ]
    }
}

//! Every signed message against vectors made by viem: type string, struct hash, digest, signature.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use alloy_sol_types::SolStruct;
use nodesys_core::license::LicenseId;
use nodesys_core::message::*;
use nodesys_core::notify::NotifyRequest;
use nodesys_core::signature::SigningKey;
use nodesys_core::{Address, B256};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
struct Vectors {
    messages: Vec<Vector>,
    licenses: Vec<Value>,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
struct Vector {
    name: String,
    primary_type: String,
    type_string: String,
    domain: Value,
    message: Value,
    struct_hash: B256,
    digest: B256,
    private_key: String,
    signer: Address,
    signature: String,
}

fn vectors() -> Vectors {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../test/vectors/messages.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Solidity's camelCase names and numbers to the snake_case JSON of our own types.
fn ours(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                let mut snake = String::new();
                for c in name.chars() {
                    if c.is_ascii_uppercase() {
                        snake.push('_');
                    }
                    snake.push(c.to_ascii_lowercase());
                }
                let value = match snake.as_str() {
                    "revision" => json!(value.as_str().unwrap().parse::<u32>().unwrap()),
                    "status" => {
                        let number = value.as_str().unwrap().parse().unwrap();
                        json!(Status::from_u8(number).unwrap())
                    }
                    "action" => {
                        let number: usize = value.as_str().unwrap().parse().unwrap();
                        json!(["add", "list", "remove", "test"][number % 4])
                    }
                    _ => ours(value),
                };
                (snake, value)
            };
            Value::Object(fields.iter().map(field).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(ours).collect()),
        other => other.clone(),
    }
}

/// What disagrees with the vector, recomputed from its inputs alone.
fn check<M: Message + DeserializeOwned>(vector: &Vector) -> Result<(), &'static str> {
    let message: M = serde_json::from_value(ours(&vector.message)).map_err(|_| "message")?;
    let number = |name: &str| vector.domain[name].as_str().unwrap().parse::<u64>().unwrap();
    let contract: Address = vector.domain["verifyingContract"].as_str().unwrap().parse().unwrap();
    let domain = Domain::new(number("chainId"), contract);
    let key = SigningKey::from_hex(&vector.private_key).map_err(|_| "key")?;
    let same = |condition: bool, what| if condition { Ok(()) } else { Err(what) };
    same(<M::Sol as SolStruct>::eip712_encode_type() == vector.type_string, "type string")?;
    same(message.struct_hash() == vector.struct_hash, "struct hash")?;
    same(message.digest(&domain) == vector.digest, "digest")?;
    same(key.address() == vector.signer, "signer")?;
    let signed = Signed::new(message, &domain, &key);
    same(signed.signature.to_string() == vector.signature, "signature")?;
    signed.verify(&domain, vector.signer).map(|_| ()).map_err(|_| "verify")
}

fn check_any(vector: &Vector) -> Result<(), &'static str> {
    match vector.primary_type.as_str() {
        "NodeAuthorization" => check::<NodeAuthorization>(vector),
        "NodeRevocation" => check::<NodeRevocation>(vector),
        "LeaseRequest" => check::<LeaseRequest>(vector),
        "Heartbeat" => check::<Heartbeat>(vector),
        "Accepted" => check::<Accepted>(vector),
        "ReceiptBatch" => check::<ReceiptBatch>(vector),
        "DayClosed" => check::<DayClosed>(vector),
        "PointsUpload" => check::<PointsUpload>(vector),
        "RewardCommit" => check::<RewardCommit>(vector),
        "Claim" => check::<Claim>(vector),
        "NotifyRequest" => check::<NotifyRequest>(vector),
        "WorkloadTicket" => check::<WorkloadTicket>(vector),
        other => panic!("no such message: {other}"),
    }
}

#[test]
fn every_message_agrees_with_viem() {
    let vectors = vectors();
    for vector in &vectors.messages {
        assert_eq!(check_any(vector), Ok(()), "{}", vector.name);
    }
    let mut types: Vec<_> = vectors.messages.iter().map(|v| v.primary_type.as_str()).collect();
    types.sort_unstable();
    types.dedup();
    assert_eq!(types.len(), 12, "each message has a vector");
}

/// Adds one to a field's last digit, wherever it stands.
fn change(value: &mut Value) {
    match value {
        Value::String(text) => {
            let last = if text.ends_with('0') { '1' } else { '0' };
            text.pop();
            text.push(last);
        }
        Value::Array(items) => items.iter_mut().for_each(change),
        Value::Object(fields) => fields.values_mut().for_each(change),
        _ => {}
    }
}

/// Nothing is there to be changed.
fn is_empty(value: &Value) -> bool {
    *value == json!([]) || *value == json!("")
}

#[test]
fn one_changed_byte_fails() {
    for vector in vectors().messages {
        let fields: Vec<String> = vector.message.as_object().unwrap().keys().cloned().collect();
        for field in fields.iter().filter(|field| !is_empty(&vector.message[*field])) {
            let mut changed = vector.clone();
            change(&mut changed.message[field]);
            assert_eq!(check_any(&changed), Err("struct hash"), "{} {field}", vector.name);
        }
        let mut changed = vector.clone();
        change(&mut changed.domain["verifyingContract"]);
        assert_eq!(check_any(&changed), Err("digest"), "{}", vector.name);
    }
}

#[test]
fn license_hashes_agree_with_viem() {
    for vector in vectors().licenses {
        let expected: B256 = vector["license"].as_str().unwrap().parse().unwrap();
        let mut id = ours(&vector);
        id.as_object_mut().unwrap().remove("license");
        let id: LicenseId = serde_json::from_value(id).unwrap();
        assert_eq!(id.hash(), expected);
    }
}

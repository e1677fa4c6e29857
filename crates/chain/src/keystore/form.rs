//! The forms in which programs write keystores, brought to the one that is decrypted.
//!
//! ethers 6 writes `Crypto`; some leave `id` out or null, write the version as text, or begin the file
//! with a byte order mark. Bounds keep a stranger's file from costing more than a keystore should.

use alloy::primitives::Address;
use serde_json::{Map, Value, json};

/// Above what any program writes: a gibibyte of memory.
const MOST_MEMORY: u64 = 1 << 30;
/// Above what any program writes: some seconds.
const MOST_ROUNDS: u64 = 10_000_000;

/// The keystore in its plain form, and the address that it says it is of.
pub(super) fn plain(bytes: &[u8]) -> Result<(Vec<u8>, Option<Address>), String> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let file: Map<String, Value> =
        serde_json::from_slice(bytes).map_err(|error| format!("it is no JSON object ({error})"))?;
    let field = |name: &str| {
        let found = file.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value).filter(|value| !value.is_null())
    };
    let version = field("version").and_then(number);
    if version != Some(3) {
        return Err("its version is not 3: export the wallet again as a version 3 keystore".into());
    }
    let crypto = field("crypto").ok_or("it has no field crypto")?;
    check(crypto)?;
    let address = match field("address").and_then(Value::as_str) {
        None => None,
        Some(text) => {
            let digits = text.strip_prefix("0x").unwrap_or(text);
            let parsed = digits.parse::<Address>();
            Some(parsed.map_err(|_| format!("its address {text:?} is none"))?)
        }
    };
    // The id names the file, and is used for nothing.
    let plain = json!({
        "crypto": crypto, "version": 3, "id": "00000000-0000-4000-8000-000000000000",
    });
    Ok((plain.to_string().into_bytes(), address))
}

/// A number, or its decimal text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// What the decryption takes for granted.
fn check(crypto: &Value) -> Result<(), String> {
    let hex_bytes = |value: &Value| value.as_str().map_or(0, |text| text.len() / 2);
    let kdf = &crypto["kdfparams"];
    let of_kdf = |name: &str| number(&kdf[name]).unwrap_or(0);
    if crypto["cipher"] != "aes-128-ctr" {
        return Err(format!("its cipher {} is not aes-128-ctr", crypto["cipher"]));
    }
    if of_kdf("dklen") != 32 || hex_bytes(&crypto["cipherparams"]["iv"]) != 16 {
        return Err("its dklen is not 32, or its iv not of 16 bytes".into());
    }
    let memory = of_kdf("n").saturating_mul(of_kdf("r")).saturating_mul(128);
    if memory > MOST_MEMORY || of_kdf("p") > 64 || of_kdf("c") > MOST_ROUNDS {
        return Err("opening it would take more memory or time than a keystore does".into());
    }
    Ok(())
}

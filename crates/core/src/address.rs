//! Addresses as people write them: a checksum that is there must hold.
//!
//! An address of one case only carries no checksum and is taken as it is; one of both cases must have the
//! case that [EIP-55](https://eips.ethereum.org/EIPS/eip-55) gives it, since a wrong character in an
//! address sends funds to nobody. Flags and settings are read by [`address`], and JSON that people write by
//! [`from_json`], which looks at every text in it.
//!
//! # Examples
//!
//! ```
//! use nodesys_core::address::address;
//!
//! let right = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
//! assert_eq!(address(right), address(&right.to_lowercase()));
//! assert!(address("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD").is_err(), "its last letter");
//! let words = address("vitalik.eth").unwrap_err().to_string();
//! assert!(words.contains("dashboard"), "{words}");
//! ```

use alloy_primitives::Address;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::ids::ParseError;

/// An address.
///
/// # Errors
///
/// [`ParseError`] says what it is instead.
pub fn address(text: &str) -> Result<Address, ParseError> {
    let bad = |problem| ParseError::new("address", problem, text);
    if let Some((chain, _)) = text.split_once(":0x") {
        return Err(match chain.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            true => {
                bad("leave the chain's name and the colon out: the chain is that of --chain-id")
            }
            false => bad("expected 0x and 40 hex digits"),
        });
    }
    if text.contains('.') {
        return Err(bad(
            "names are resolved in the dashboard only: give the address that it shows",
        ));
    }
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 40);
    let parsed: Option<Address> = digits.and_then(|digits| digits.parse().ok());
    let (Some(digits), Some(parsed)) = (digits, parsed) else {
        return Err(bad("expected 0x and 40 hex digits"));
    };
    if has_a_checksum(digits) && text != parsed.to_checksum(None) {
        return Err(bad("its checksum (EIP-55) is wrong: a character was changed; copy it again"));
    }
    Ok(parsed)
}

/// Whether both cases occur, so that the case means something.
fn has_a_checksum(digits: &str) -> bool {
    let any = |of: fn(&u8) -> bool| digits.as_bytes().iter().any(of);
    any(u8::is_ascii_lowercase) && any(u8::is_ascii_uppercase)
}

/// JSON that a person wrote, in which every address with a checksum has the right one. A byte order mark
/// at its beginning, which some editors write, is passed over.
///
/// # Errors
///
/// serde's, and one that names the wrong address.
pub fn from_json<T: DeserializeOwned>(json: &[u8]) -> Result<T, serde_json::Error> {
    let json = json.strip_prefix("\u{feff}".as_bytes()).unwrap_or(json);
    // Twice, since serde names lines for text only.
    let parsed = serde_json::from_slice(json)?;
    check(&serde_json::from_slice(json)?)?;
    Ok(parsed)
}

fn check(value: &Value) -> Result<(), serde_json::Error> {
    match value {
        Value::String(text) if looks_like_one(text) => {
            address(text).map(drop).map_err(serde::de::Error::custom)
        }
        Value::Array(values) => values.iter().try_for_each(check),
        Value::Object(fields) => fields.values().try_for_each(check),
        _ => Ok(()),
    }
}

fn looks_like_one(text: &str) -> bool {
    text.len() == 42
        && text.starts_with("0x")
        && text.as_bytes()[2..].iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of EIP-55.
    const RIGHT: [&str; 4] = [
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ];

    #[test]
    fn a_checksum_that_is_there_must_hold() {
        for right in RIGHT {
            let plain = address(&right.to_lowercase()).unwrap();
            assert_eq!(address(right).unwrap(), plain);
            assert_eq!(address(&format!("0x{}", right[2..].to_uppercase())).unwrap(), plain);
            for at in (2..42).filter(|at| right.as_bytes()[*at].is_ascii_alphabetic()) {
                let mut wrong = right.to_owned().into_bytes();
                wrong[at] ^= 0x20;
                let wrong = String::from_utf8(wrong).unwrap();
                let error = address(&wrong).unwrap_err().to_string();
                assert!(error.contains("EIP-55"), "{error}");
                let json = format!(r#"{{"a":[{{"b":"{wrong}"}}]}}"#);
                let error = from_json::<Value>(json.as_bytes()).unwrap_err().to_string();
                assert!(error.contains(&wrong) && error.contains("EIP-55"), "{error}");
            }
        }
    }

    #[test]
    fn what_is_no_address_gets_a_sentence() {
        let right = RIGHT[0];
        for (text, part) in [
            (format!("eth:{right}"), "leave the chain's name"),
            (format!("arb1:{right}"), "leave the chain's name"),
            ("acme.eth".to_owned(), "names are resolved in the dashboard"),
            (right[2..].to_owned(), "expected 0x"),
            (format!("{right}0"), "expected 0x"),
            (right.replace("0x", "0X"), "expected 0x"),
            (String::new(), "expected 0x"),
        ] {
            let error = address(&text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn json_of_people_may_begin_with_a_mark() {
        let json = format!("\u{feff}{{\"owner\":\"{}\"}}", RIGHT[0]);
        assert_eq!(from_json::<Value>(json.as_bytes()).unwrap()["owner"], RIGHT[0]);
        assert!(from_json::<Value>(b"{").is_err());
    }
}

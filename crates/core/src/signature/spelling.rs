//! The spellings in which wallets and their tools give a signature, brought to the one that is taken.
//!
//! Tools differ in the last byte (0 or 1, 27 or 28), write 64 bytes
//! ([EIP-2098](https://eips.ethereum.org/EIPS/eip-2098)) or an object of `r`, `s` and `v` or `yParity`, leave
//! `0x` out, put quotes around it or a line end behind it. None of these changes what was signed. Bytes that
//! are no key's are a contract's own, and stay as they are.

use std::str::FromStr;

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use serde::Deserialize;

use super::{HALF_ORDER, Signature, SignatureError, WalletSignature};

impl FromStr for WalletSignature {
    type Err = SignatureError;

    /// The bytes of a signature in any of the spellings. [`WalletSignature::spelled_for`] then makes a
    /// key's signature of them where they are one.
    fn from_str(text: &str) -> Result<Self, SignatureError> {
        let text =
            text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\u{feff}'));
        if text.starts_with('{') {
            let parts: Parts = serde_json::from_str(text).map_err(|_| SignatureError::Malformed)?;
            return parts.signature().ok_or(SignatureError::Malformed);
        }
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        let bytes = hex::decode(digits).map_err(|_| SignatureError::Malformed)?;
        match bytes.is_empty() {
            true => Err(SignatureError::Malformed),
            false => Self::new(bytes.into()).ok_or(SignatureError::Malformed),
        }
    }
}

/// As ethers, viem and eth-account show it; other fields repeat these.
#[derive(Deserialize)]
struct Parts {
    r: Number,
    s: Number,
    v: Option<Number>,
    #[serde(alias = "yParity")]
    y_parity: Option<Number>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Small(u64),
    Text(String),
}

impl Number {
    fn get(&self) -> Option<U256> {
        match self {
            Self::Small(value) => Some(U256::from(*value)),
            Self::Text(text) => U256::from_str(text).ok(),
        }
    }
}

impl Parts {
    fn signature(&self) -> Option<WalletSignature> {
        let v = self.v.as_ref().or(self.y_parity.as_ref())?.get()?;
        let v = u8::try_from(v).ok()?;
        let (r, s) = (self.r.get()?, self.s.get()?);
        let bytes = [&r.to_be_bytes::<32>()[..], &s.to_be_bytes::<32>(), &[v]].concat();
        WalletSignature::new(bytes.into())
    }
}

impl WalletSignature {
    /// The signature in the one spelling that contracts take of a key, where it is one of `account`'s key
    /// over the digest; else as it is, for an account with code to judge.
    ///
    /// # Errors
    ///
    /// [`SignatureError::HighS`] where it is the key's, but with the upper half of S: contracts refuse it,
    /// and the wallet has to sign again with a tool that follows EIP-2.
    pub fn spelled_for(self, digest: B256, account: Address) -> Result<Self, SignatureError> {
        let Some(bytes) = key_spelling(&self.0) else { return Ok(self) };
        let is_the_keys = |bytes: [u8; 65]| {
            Signature::from_bytes(&bytes)
                .and_then(|signature| signature.recover(digest))
                .is_ok_and(|signer| signer == account)
        };
        if is_the_keys(bytes) {
            return Ok(Self(Bytes::copy_from_slice(&bytes)));
        }
        if bytes[32..64] > HALF_ORDER[..] && is_the_keys(lowered(bytes)) {
            return Err(SignatureError::HighS);
        }
        Ok(self)
    }
}

/// 65 bytes with 27 or 28 last, of those that could be a key's.
fn key_spelling(bytes: &[u8]) -> Option<[u8; 65]> {
    let mut spelled = [0; 65];
    match bytes.len() {
        65 => {
            spelled.copy_from_slice(bytes);
            if spelled[64] < 2 {
                spelled[64] += 27;
            }
        }
        64 => {
            spelled[..64].copy_from_slice(bytes);
            // The parity is the first bit of S, which a low S leaves free.
            spelled[64] = 27 + (spelled[32] >> 7);
            spelled[32] &= 0x7f;
        }
        _ => return None,
    }
    matches!(spelled[64], 27 | 28).then_some(spelled)
}

/// The other signature of the same key over the same digest: `n - s`, and the other parity.
fn lowered(mut bytes: [u8; 65]) -> [u8; 65] {
    let s = U256::from_be_slice(&bytes[32..64]);
    let half = U256::from_be_bytes(HALF_ORDER);
    // The order is odd: twice its half, and one.
    let order = half + half + U256::from(1);
    bytes[32..64].copy_from_slice(&order.wrapping_sub(s).to_be_bytes::<32>());
    bytes[64] = 55 - bytes[64];
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keccak256;
    use crate::signature::SigningKey;

    #[test]
    fn each_spelling_of_a_keys_signature_is_the_same_signature() {
        let digest = keccak256("a message");
        for secret in 1..=8 {
            let key = SigningKey::from_bytes(&[secret; 32]).unwrap();
            let plain = key.sign(digest);
            let bytes = plain.as_bytes();
            let (r, s) = (hex::encode(&bytes[..32]), hex::encode(&bytes[32..64]));
            let parity = bytes[64] - 27;
            let mut short = bytes[..64].to_vec();
            short[32] |= parity << 7;
            let spellings = [
                plain.to_string(),
                format!("\"{plain}\"\n"),
                format!("  '{plain}'\r\n"),
                hex::encode(bytes),
                format!("0x{r}{s}{parity:02x}"),
                hex::encode_prefixed(short),
                format!(r#"{{"r":"0x{r}","s":"0x{s}","v":{}}}"#, bytes[64]),
                format!(r#"{{"r":"0x{r}","s":"0x{s}","yParity":{parity},"networkV":null}}"#),
                format!(r#"{{"r":"0x{r}","s":"0x{s}","v":"0x{:x}"}}"#, bytes[64]),
            ];
            for text in spellings {
                let read: WalletSignature = text.parse().unwrap();
                let spelled = read.spelled_for(digest, key.address()).unwrap();
                assert_eq!(spelled, WalletSignature::from(plain), "{text}");
            }
            // The same in the upper half of S is told.
            let high: WalletSignature = hex::encode(lowered(*bytes)).parse().unwrap();
            assert_eq!(high.spelled_for(digest, key.address()), Err(SignatureError::HighS));
        }
    }

    #[test]
    fn a_contracts_own_bytes_stay_as_they_are() {
        let digest = keccak256("a message");
        // A Safe's word for a hash that an owner approved on chain: the owner, nothing, 1.
        let approved = [&[0; 12][..], &[7; 20], &[0; 32], &[1]].concat();
        for bytes in [approved, vec![9; 64], vec![9; 130], vec![1]] {
            let read: WalletSignature = hex::encode_prefixed(&bytes).parse().unwrap();
            let spelled = read.spelled_for(digest, Address::repeat_byte(7)).unwrap();
            assert_eq!(spelled.as_bytes()[..], bytes[..]);
        }
        for bad in ["", "0x", "0x0", "zz", "{}", r#"{"r":"1","s":"2"}"#] {
            assert_eq!(bad.parse::<WalletSignature>(), Err(SignatureError::Malformed), "{bad}");
        }
    }
}

//! Pairing by a code: a node asks, its operator types the code in a browser and signs there.
//!
//! The code is never part of the link, so nobody signs by following one. Both screens show the same
//! [`words`], made from the digest that is signed: who was sent the link and the code of another node sees
//! other words than the node says. The wallet signs the same
//! [`NodeAuthorization`](crate::message::NodeAuthorization) as in the exchange of files.
//!
//! # Examples
//!
//! ```
//! use nodesys_core::keccak256;
//! use nodesys_core::pairing::{Code, words};
//!
//! let code: Code = "wdjb mjht".parse()?;
//! assert_eq!(code.to_string(), "WDJB-MJHT");
//! assert_eq!(words(keccak256("a digest")).split('-').count(), 3);
//! # Ok::<(), nodesys_core::ids::ParseError>(())
//! ```

use std::fmt;
use std::str::FromStr;

use alloy_primitives::{Address, B256, U256};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::ids::ParseError;
use crate::message::{NodeAuthorization, decimal};
use crate::signature::WalletSignature;

/// Longest name of a machine, in characters.
pub const MAX_MACHINE: usize = 64;
/// Seconds between two questions of a node.
pub const POLL_SECS: u64 = 3;

/// Letters of a code: no vowels, so that no words appear, and nothing that looks like another (RFC 8628).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// Eight letters that a person types.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Code([u8; 8]);

impl Code {
    /// From random bytes; `None` where one of them would make some letters likelier than others.
    pub fn from_random(bytes: [u8; 8]) -> Option<Self> {
        let letter = |byte: u8| (byte < 240).then(|| LETTERS[usize::from(byte % 20)]);
        let mut code = [0; 8];
        for (letter_of_code, byte) in code.iter_mut().zip(bytes) {
            *letter_of_code = letter(byte)?;
        }
        Some(Self(code))
    }

    /// The letters alone.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("letters of a code are ASCII")
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = self.as_str().split_at(4);
        write!(f, "{first}-{second}")
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(..)")
    }
}

impl FromStr for Code {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let typed = text.bytes().filter(|byte| !matches!(byte, b'-' | b' '));
        let letters: Vec<u8> = typed.map(|byte| byte.to_ascii_uppercase()).take(9).collect();
        let code: Result<[u8; 8], _> = letters.try_into();
        code.ok()
            .filter(|code| code.iter().all(|letter| LETTERS.contains(letter)))
            .map(Self)
            .ok_or_else(|| ParseError::new("code", "expected eight letters as in WDJB-MJHT", text))
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The first 48 bits of a digest as three words that can be said aloud (proquints: consonant, vowel,
/// consonant, vowel, consonant for 16 bits).
pub fn words(digest: B256) -> String {
    const CONSONANTS: &[u8; 16] = b"bdfghjklmnprstvz";
    const VOWELS: &[u8; 4] = b"aiou";
    let word = |pair: &[u8]| -> String {
        let bits = usize::from(u16::from_be_bytes([pair[0], pair[1]]));
        let consonant = |shift: usize| char::from(CONSONANTS[bits >> shift & 15]);
        let vowel = |shift: usize| char::from(VOWELS[bits >> shift & 3]);
        [consonant(12), vowel(10), consonant(6), vowel(4), consonant(0)].iter().collect()
    };
    digest[..6].chunks(2).map(word).collect::<Vec<_>>().join("-")
}

/// `POST /v1/pairings`: what a node wants signed. Its operator is whoever signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PairingRequest {
    /// The node's key.
    #[schema(value_type = String)]
    pub node_key: Address,
    /// Last second of validity, seconds since 1970.
    #[serde(with = "decimal")]
    #[schema(value_type = String)]
    pub not_after: u64,
    /// A higher nonce replaces an authorisation.
    #[serde(with = "decimal")]
    #[schema(value_type = String)]
    pub nonce: U256,
    /// What the machine calls itself: shown as its own claim.
    pub machine: String,
}

/// A pairing that has begun.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PairingBegun {
    /// Its id.
    pub pairing: String,
    /// The page to open, by a link or a QR code. The code is not in it.
    pub link: String,
    /// What the operator types there.
    #[schema(value_type = String)]
    pub code: Code,
    /// For the node's questions. Keep it secret.
    pub secret: String,
    /// When it ends, milliseconds since 1970.
    #[serde(with = "decimal")]
    #[schema(value_type = String)]
    pub until_millis: u64,
}

impl fmt::Debug for PairingBegun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without code and secret, which a log would keep.
        f.debug_struct("PairingBegun").field("pairing", &self.pairing).finish_non_exhaustive()
    }
}

/// `POST /v1/pairings/state`: a node's question.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PairingQuestion {
    /// The pairing's id.
    pub pairing: String,
    /// The secret that it began with.
    pub secret: String,
}

impl fmt::Debug for PairingQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PairingQuestion").field("pairing", &self.pairing).finish_non_exhaustive()
    }
}

/// How far a pairing is, for the node. Believe the signature alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PairingState {
    /// The wallet that has typed the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub operator: Option<Address>,
    /// Its signature under the authorisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub operator_signature: Option<WalletSignature>,
}

/// `POST /v1/pairings/{pairing}/claims`: the code, as it was typed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PairingClaim {
    /// Eight letters; case, spaces and dashes do not matter.
    #[schema(value_type = String)]
    pub code: Code,
}

/// `POST /v1/pairings/{pairing}/signature`: what the wallet signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PairingSignature {
    /// The account's signature under the typed data.
    #[schema(value_type = String)]
    pub signature: WalletSignature,
}

/// A pairing for the operator who typed its code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PairingView {
    /// Its id.
    pub pairing: String,
    /// What is signed.
    pub authorization: NodeAuthorization,
    /// The same for `eth_signTypedData_v4`. A careful page makes it itself, from `authorization`.
    #[schema(value_type = Object)]
    pub typed_data: serde_json::Value,
    /// To be compared with the node's screen, before signing.
    pub words: String,
    /// What the machine calls itself: its own claim, which proves nothing.
    pub machine: String,
    /// Whether the wallet's signature is here.
    pub signed: bool,
    /// When it ends, milliseconds since 1970.
    #[serde(with = "decimal")]
    #[schema(value_type = String)]
    pub until_millis: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let code: Code = "WDJB-MJHT".parse().unwrap();
        for typed in ["wdjb-mjht", "wdjbmjht", " WDJB MJHT ", "w-d-j-b-m-j-h-t"] {
            assert_eq!(typed.parse::<Code>().unwrap(), code, "{typed}");
        }
        for bad in ["", "WDJB-MJH", "WDJB-MJHTT", "WDJB-MJHA", "WDJB_MJHT", "WDJB-MJHÉ"] {
            assert!(bad.parse::<Code>().is_err(), "{bad}");
        }
        assert!(!format!("{code:?}").contains("WDJB"), "a log would keep it");
    }

    #[test]
    fn every_letter_of_a_code_is_as_likely_as_the_others() {
        let mut counts = [0; 20];
        for byte in 0..=255 {
            let Some(code) = Code::from_random([byte; 8]) else { continue };
            counts[LETTERS.iter().position(|letter| *letter == code.0[3]).unwrap()] += 1;
        }
        assert_eq!(counts, [12; 20]);
    }

    /// The examples of the proquints' proposal (arXiv:0901.4016): 127.0.0.1 and 63.84.220.193.
    #[test]
    fn words_are_proquints() {
        let digest = |bytes: [u8; 6]| {
            let mut digest = B256::ZERO;
            digest[..6].copy_from_slice(&bytes);
            digest
        };
        assert_eq!(words(digest([127, 0, 0, 1, 63, 84])), "lusab-babad-gutih");
        assert_eq!(words(digest([220, 193, 127, 0, 0, 1])), "tugad-lusab-babad");
        let other = digest([127, 0, 0, 1, 63, 85]);
        assert_ne!(words(other), words(digest([127, 0, 0, 1, 63, 84])));
    }
}

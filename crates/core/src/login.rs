//! Login of people: the text that a wallet signs
//! ([EIP-4361](https://eips.ethereum.org/EIPS/eip-4361), "Sign-In with Ethereum"), and the bodies of the
//! routes.
//!
//! The backend writes the text and makes it again from its parts when the signature comes, so no text of a
//! stranger is parsed. A login opens an account's own view; where a signature is needed it replaces none.
//!
//! # Examples
//!
//! ```
//! use nodesys_core::Address;
//! use nodesys_core::login::LoginText;
//! use nodesys_core::time::Timestamp;
//!
//! let text = LoginText {
//!     site: &"https://nodes.example.org".parse()?,
//!     account: Address::repeat_byte(7),
//!     chain_id: 1,
//!     nonce: "00112233445566",
//!     issued: Timestamp::from_secs(1_767_225_600),
//!     until: Timestamp::from_secs(1_767_226_200),
//! };
//! assert!(text.to_string().starts_with("nodes.example.org wants you to sign in"));
//! # Ok::<(), nodesys_core::ticket::NoOrigin>(())
//! ```

use std::fmt;

use alloy_primitives::{Address, B256, eip191_hash_message};
use serde::{Deserialize, Serialize};

use crate::signature::WalletSignature;
use crate::ticket::Origin;
use crate::time::Timestamp;

/// What the wallet shows its owner above the fields.
pub const STATEMENT: &str = "Sign in to Node System. This moves nothing and costs nothing.";

/// The parts of the text that are not the same for everybody.
#[derive(Debug, Clone, Copy)]
pub struct LoginText<'a> {
    /// The backend's public address: the wallet compares it with the page that asks.
    pub site: &'a Origin,
    /// Who signs in.
    pub account: Address,
    /// The chain on which a contract wallet is asked.
    pub chain_id: u64,
    /// Letters and digits, at least eight; taken once.
    pub nonce: &'a str,
    /// When it was written.
    pub issued: Timestamp,
    /// When it can no longer be used.
    pub until: Timestamp,
}

impl LoginText<'_> {
    /// What a key signs: the text as `personal_sign` hashes it (EIP-191).
    pub fn digest(&self) -> B256 {
        eip191_hash_message(self.to_string())
    }
}

impl fmt::Display for LoginText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { site, account, chain_id, nonce, issued, until } = self;
        write!(
            f,
            "{} wants you to sign in with your Ethereum account:\n{}\n\n{STATEMENT}\n\nURI: {}\n\
             Version: 1\nChain ID: {chain_id}\nNonce: {nonce}\nIssued At: {issued}\n\
             Expiration Time: {until}",
            site.authority(),
            account.to_checksum(None),
            site.as_str(),
        )
    }
}

/// `POST /v1/login/messages`: who wants to sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LoginMessageRequest {
    /// The wallet's address.
    #[schema(value_type = String)]
    pub account: Address,
}

/// The text for the wallet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LoginMessage {
    /// To be signed as it is, with `personal_sign`.
    pub message: String,
    /// The nonce in it, to be sent back with the signature.
    pub nonce: String,
    /// When it can no longer be used, milliseconds since 1970.
    #[serde(with = "crate::message::decimal")]
    #[schema(value_type = String)]
    pub until_millis: u64,
}

/// `POST /v1/login`: the signed text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LoginRequest {
    /// Who signs in.
    #[schema(value_type = String)]
    pub account: Address,
    /// The nonce of the text.
    pub nonce: String,
    /// The account's signature: a key's 65 bytes, or what its contract accepts (ERC-1271, ERC-6492).
    #[schema(value_type = String)]
    pub signature: WalletSignature,
}

/// A login. Its secret is in a cookie, and nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LoginView {
    /// Its number.
    #[serde(with = "crate::message::decimal")]
    #[schema(value_type = String)]
    pub login: u64,
    /// Who signed in.
    #[schema(value_type = String)]
    pub account: Address,
    /// What the browser said of itself: its own claim.
    pub program: String,
    /// When it began, milliseconds since 1970.
    #[serde(with = "crate::message::decimal")]
    #[schema(value_type = String)]
    pub begun_millis: u64,
    /// When it ends by itself, milliseconds since 1970.
    #[serde(with = "crate::message::decimal")]
    #[schema(value_type = String)]
    pub until_millis: u64,
    /// Whether this request came with it.
    pub current: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::{Signature, SigningKey};

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Vector {
        site: Origin,
        chain_id: u64,
        nonce: String,
        issued_secs: u64,
        until_secs: u64,
        message: String,
        digest: B256,
        private_key: String,
        account: Address,
        signature: Signature,
    }

    #[derive(Deserialize)]
    struct Vectors {
        vectors: Vec<Vector>,
    }

    /// viem writes the text by the standard's grammar, and reads it back.
    #[test]
    fn the_text_and_its_digest_are_viems() {
        let vectors = include_str!("../../../test/vectors/login.json");
        let Vectors { vectors } = serde_json::from_str(vectors).unwrap();
        assert!(vectors.len() >= 3);
        for vector in vectors {
            let text = LoginText {
                site: &vector.site,
                account: vector.account,
                chain_id: vector.chain_id,
                nonce: &vector.nonce,
                issued: Timestamp::from_secs(vector.issued_secs),
                until: Timestamp::from_secs(vector.until_secs),
            };
            assert_eq!(text.to_string(), vector.message);
            assert_eq!(text.digest(), vector.digest);
            vector.signature.verify(text.digest(), vector.account).unwrap();
            let key = SigningKey::from_hex(&vector.private_key).unwrap();
            assert_eq!(key.sign(text.digest()), vector.signature);
        }
    }
}

//! Signatures: 65 bytes `r || s || v` of secp256k1, low-S only, over an EIP-712 digest.
//!
//! [`Signature`] is what a key makes ([EIP-2](https://eips.ethereum.org/EIPS/eip-2): the upper half of S
//! is refused, so a signature has one spelling; the 64 bytes of EIP-2098 are refused too).
//! [`WalletSignature`] is what a wallet makes: the same 65 bytes, or whatever bytes an
//! [ERC-1271](https://eips.ethereum.org/EIPS/eip-1271) contract accepts; only the chain can judge the
//! latter. A digest is signed as it is, never as the text of EIP-191's `personal_sign`.
//!
//! # Examples
//!
//! ```
//! use nodesys_core::keccak256;
//! use nodesys_core::signature::{Signature, SignatureError, SigningKey};
//!
//! let key = SigningKey::from_bytes(&[7; 32])?;
//! let digest = keccak256("a digest of EIP-712");
//! let signature = key.sign(digest);
//! signature.verify(digest, key.address())?;
//! let read: Signature = signature.to_string().parse()?;
//! assert_eq!(read.recover(digest), Ok(key.address()));
//!
//! let other = SigningKey::from_bytes(&[8; 32])?.address();
//! let error = signature.verify(digest, other).expect_err("not by that key");
//! assert_eq!(error, SignatureError::WrongSigner { expected: other, found: key.address() });
//! # Ok::<(), SignatureError>(())
//! ```
//!
//! The curve is `k256`'s, or with the feature `libsecp256k1` that C library's, which verifies several
//! times as fast. Which one a program has makes no difference to its bytes or its errors: the tests
//! hold both to the same vectors, and to each other.

use std::fmt;
use std::str::FromStr;

use alloy_primitives::{Address, B256, Bytes, hex, keccak256};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

#[cfg(any(test, feature = "libsecp256k1"))]
mod libsecp;
#[cfg(any(test, not(feature = "libsecp256k1")))]
mod pure;
mod spelling;

#[cfg(feature = "libsecp256k1")]
use libsecp as curve;
#[cfg(not(feature = "libsecp256k1"))]
use pure as curve;

/// Half the order of secp256k1 (SEC 2, 2.4.1): the largest S that EIP-2 allows.
const HALF_ORDER: [u8; 32] =
    hex!("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0");

/// Why a signature is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not 65 bytes of hex.
    #[error("signature is malformed: expected 65 bytes r || s || v as 0x hex")]
    Malformed,
    /// S is in the upper half of the curve's order (EIP-2).
    #[error("signature is not low-S: the upper half of S is refused (EIP-2)")]
    HighS,
    /// The recovery byte is neither 27 nor 28.
    #[error("signature's last byte is {0}, expected 27 or 28")]
    RecoveryByte(u8),
    /// No public key fits the signature.
    #[error("signature does not recover to any key")]
    Unrecoverable,
    /// A good signature, by another key.
    #[error("signed by {found}, expected {expected}")]
    WrongSigner {
        /// Who should have signed.
        expected: Address,
        /// Who did.
        found: Address,
    },
    /// The address is a contract, and it does not accept the signature (ERC-1271).
    #[error("the contract wallet {0} does not accept the signature (ERC-1271)")]
    ContractRefused(Address),
    /// The private key is zero or not below the curve's order.
    #[error("not a secp256k1 private key")]
    BadKey,
}

/// A low-S secp256k1 signature `r || s || v`, `v` 27 or 28.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature([u8; 65]);

impl Signature {
    /// Checks length, low S (EIP-2) and the recovery byte.
    ///
    /// # Errors
    ///
    /// [`SignatureError`] says which of the three is wrong, the first in that order.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SignatureError> {
        // Both numbers are big-endian and of equal length, so they compare as bytes.
        let bytes: [u8; 65] = bytes.try_into().map_err(|_| SignatureError::Malformed)?;
        if bytes[32..64] > HALF_ORDER[..] {
            return Err(SignatureError::HighS);
        }
        if !matches!(bytes[64], 27 | 28) {
            return Err(SignatureError::RecoveryByte(bytes[64]));
        }
        Ok(Self(bytes))
    }

    /// `r || s || v`.
    pub const fn as_bytes(&self) -> &[u8; 65] {
        &self.0
    }

    /// The address whose key signed the digest.
    ///
    /// # Errors
    ///
    /// [`SignatureError::Unrecoverable`] where no key can have made it.
    pub fn recover(&self, digest: B256) -> Result<Address, SignatureError> {
        curve::recover(&self.0, digest).ok_or(SignatureError::Unrecoverable)
    }

    /// Succeeds when `expected`'s key signed the digest.
    ///
    /// # Errors
    ///
    /// [`SignatureError::WrongSigner`] where another key did, else that of [`Self::recover`].
    pub fn verify(&self, digest: B256, expected: Address) -> Result<(), SignatureError> {
        match self.recover(digest)? {
            found if found == expected => Ok(()),
            found => Err(SignatureError::WrongSigner { expected, found }),
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode_prefixed(self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}

impl FromStr for Signature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        let bytes = text
            .strip_prefix("0x")
            .and_then(|digits| hex::decode(digits).ok())
            .ok_or(SignatureError::Malformed)?;
        Self::from_bytes(&bytes)
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A wallet's signature: 65 bytes of a key, or an ERC-1271 contract's own bytes (at most 8 KiB).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct WalletSignature(Bytes);

impl WalletSignature {
    /// The largest ERC-1271 signature taken, in bytes: room for a Safe with a hundred owners.
    pub const MAX_BYTES: usize = 8192;

    /// `None` when longer than [`Self::MAX_BYTES`].
    pub fn new(bytes: Bytes) -> Option<Self> {
        (bytes.len() <= Self::MAX_BYTES).then_some(Self(bytes))
    }

    /// The raw bytes, as a contract takes them.
    pub const fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// As a key's signature, for an address without code.
    ///
    /// # Errors
    ///
    /// Those of [`Signature::from_bytes`].
    pub fn as_key_signature(&self) -> Result<Signature, SignatureError> {
        Signature::from_bytes(&self.0)
    }
}

impl From<Signature> for WalletSignature {
    fn from(signature: Signature) -> Self {
        Self(Bytes::copy_from_slice(signature.as_bytes()))
    }
}

impl<'de> Deserialize<'de> for WalletSignature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Bytes::deserialize(deserializer)?)
            .ok_or_else(|| de::Error::custom("signature is longer than 8192 bytes"))
    }
}

/// A private key held in memory for signing: a node key, a receipt key, a development wallet.
///
/// It has no `Debug` and no `Display`, and is wiped when dropped.
pub struct SigningKey {
    secret: curve::Secret,
    address: Address,
}

impl SigningKey {
    /// From 32 secret bytes, a big-endian number.
    ///
    /// # Errors
    ///
    /// [`SignatureError::BadKey`] where it is zero or not below the curve's order (SEC 1, 3.2.1).
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, SignatureError> {
        let secret = curve::Secret::from_bytes(bytes).ok_or(SignatureError::BadKey)?;
        // Kept: to derive it is a multiplication on the curve.
        let address = secret.address();
        Ok(Self { secret, address })
    }

    /// From 64 hex digits, with or without `0x`; surrounding white space is ignored.
    ///
    /// # Errors
    ///
    /// [`SignatureError::BadKey`] where it is not such digits, or not a key. The text stays out of the
    /// error, since it may be a secret.
    pub fn from_hex(text: &str) -> Result<Self, SignatureError> {
        let mut bytes = Zeroizing::new([0; 32]);
        let digits = text.trim();
        hex::decode_to_slice(digits.strip_prefix("0x").unwrap_or(digits), bytes.as_mut())
            .map_err(|_| SignatureError::BadKey)?;
        Self::from_bytes(&bytes)
    }

    /// The secret as 64 hex digits, for writing a 0600 file.
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.secret.to_bytes().as_slice()))
    }

    /// The key's address.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// A key for another purpose, derived from this one: `keccak256(secret || label)`.
    pub fn derive(&self, label: &str) -> Zeroizing<[u8; 32]> {
        // Made in one piece, since a vector that grows leaves a copy behind.
        let input = Zeroizing::new([self.secret.to_bytes().as_slice(), label.as_bytes()].concat());
        Zeroizing::new(keccak256(&*input).0)
    }

    /// Signs a digest: deterministic (RFC 6979), low-S (EIP-2).
    pub fn sign(&self, digest: B256) -> Signature {
        Signature(self.secret.sign(digest))
    }
}

#[cfg(test)]
mod tests;

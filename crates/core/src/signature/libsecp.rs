//! Keys and recovery by libsecp256k1, a C library: for a program that verifies all day long.

use alloy_primitives::{Address, B256};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, PublicKey, SecretKey};
use zeroize::Zeroizing;

/// A private key, wiped when dropped.
pub(super) struct Secret(SecretKey);

impl Secret {
    /// `None` where the bytes are zero or not below the curve's order.
    pub(super) fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        SecretKey::from_secret_bytes(*bytes).ok().map(Self)
    }

    /// The 32 secret bytes.
    pub(super) fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_secret_bytes())
    }

    /// The key's address.
    pub(super) fn address(&self) -> Address {
        address_of(&PublicKey::from_secret_key(&self.0))
    }

    /// `r || s || v`, deterministic (RFC 6979), low-S.
    pub(super) fn sign(&self, digest: B256) -> [u8; 65] {
        let signed =
            RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(digest.0), &self.0);
        let (id, compact) = signed.serialize_compact();
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&compact);
        bytes[64] = 27 + id.to_u8();
        bytes
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.non_secure_erase();
    }
}

/// The address whose key made `r || s || v`, low-S with `v` 27 or 28; `None` where there is none.
pub(super) fn recover(signature: &[u8; 65], digest: B256) -> Option<Address> {
    let id = if signature[64] == 28 { RecoveryId::One } else { RecoveryId::Zero };
    let signature = RecoverableSignature::from_compact(&signature[..64], id).ok()?;
    let key = signature.recover(Message::from_digest(digest.0)).ok()?;
    Some(address_of(&key))
}

fn address_of(key: &PublicKey) -> Address {
    Address::from_raw_public_key(&key.serialize_uncompressed()[1..])
}

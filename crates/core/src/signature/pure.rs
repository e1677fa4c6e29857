//! Keys and recovery by `k256`: Rust alone, the default.

use alloy_primitives::{Address, B256};
use k256::ecdsa::{RecoveryId, Signature, SigningKey, VerifyingKey};
use k256::elliptic_curve::ops::Reduce;
use k256::{Scalar, U256};
use zeroize::Zeroizing;

/// A private key, wiped when dropped (by `k256`).
pub(super) struct Secret(SigningKey);

impl Secret {
    /// `None` where the bytes are zero or not below the curve's order.
    pub(super) fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        SigningKey::from_slice(bytes).ok().map(Self)
    }

    /// The 32 secret bytes.
    pub(super) fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes().into())
    }

    /// The key's address.
    pub(super) fn address(&self) -> Address {
        address_of(self.0.verifying_key())
    }

    /// `r || s || v`, deterministic (RFC 6979), low-S.
    pub(super) fn sign(&self, digest: B256) -> [u8; 65] {
        // RFC 6979 (3.2 d) feeds the nonce from the digest modulo the curve's order, which this
        // version of `k256` leaves to its caller.
        let digest = <Scalar as Reduce<U256>>::reduce_bytes(&digest.0.into()).to_bytes();
        let (signature, id) = self
            .0
            .sign_prehash_recoverable(&digest)
            .expect("it fails only where r or s is zero, and nobody knows a digest for that");
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&signature.to_bytes());
        bytes[64] = 27 + u8::from(id.is_y_odd());
        bytes
    }
}

/// The address whose key made `r || s || v`, low-S with `v` 27 or 28; `None` where there is none.
pub(super) fn recover(signature: &[u8; 65], digest: B256) -> Option<Address> {
    let id = RecoveryId::new(signature[64] == 28, false);
    let signature = Signature::from_slice(&signature[..64]).ok()?;
    let key = VerifyingKey::recover_from_prehash(digest.as_slice(), &signature, id).ok()?;
    Some(address_of(&key))
}

fn address_of(key: &VerifyingKey) -> Address {
    Address::from_raw_public_key(&key.to_encoded_point(false).as_bytes()[1..])
}

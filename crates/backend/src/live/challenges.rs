//! Challenges: stateless, so that every replica recognises those of the others.

use hmac::{Hmac, KeyInit, Mac};
use nodesys_core::time::Minute;
use nodesys_core::{Address, B256};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Minutes for which a challenge is valid.
const CHALLENGE_MINUTES: u64 = 3;

/// Makes and recognises challenges.
pub(crate) struct Challenges {
    secret: Zeroizing<[u8; 32]>,
}

impl Challenges {
    pub(super) const fn new(secret: Zeroizing<[u8; 32]>) -> Self {
        Self { secret }
    }

    /// Challenge of a node for a minute: `HMAC-SHA256(secret, nodeKey || minute)`.
    pub(crate) fn of(&self, node_key: Address, minute: Minute) -> B256 {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_ref())
            .expect("HMAC takes a secret of any length");
        mac.update(node_key.as_slice());
        mac.update(&minute.0.to_be_bytes());
        B256::from_slice(&mac.finalize().into_bytes())
    }

    /// The minute a challenge was made in, if recent.
    pub(crate) fn minute_of(
        &self,
        node_key: Address,
        challenge: B256,
        current: Minute,
    ) -> Option<Minute> {
        (0..CHALLENGE_MINUTES)
            .map(|back| Minute(current.0.saturating_sub(back)))
            .find(|minute| self.of(node_key, *minute) == challenge)
    }
}

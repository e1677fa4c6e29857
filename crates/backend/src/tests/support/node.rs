//! A test's node: its key, its operator, and its signed messages.

use std::sync::atomic::{AtomicU64, Ordering};

use nodesys_core::api::{LeaseView, Receipt};
use nodesys_core::ids::{Fence, Seq};
use nodesys_core::message::{
    Heartbeat, LeaseStatus, Message as _, NodeAuthorization, NodeRevocation, Signed,
    SignedAuthorization, SignedRevocation, Status,
};
use nodesys_core::signature::SigningKey;
use nodesys_core::{Address, B256, U256};
use nodesys_sdk::client::Error;

use super::World;
use nodesys_testing::chain::receipt_key;
use nodesys_testing::key;

/// A node.
pub(crate) struct Node {
    pub(crate) key: SigningKey,
    pub(crate) operator: SigningKey,
    numbers: AtomicU64,
}

impl Node {
    pub(crate) fn new(operator: &SigningKey, number: u8) -> Self {
        let operator = SigningKey::from_hex(&operator.to_hex()).unwrap();
        Self { key: key(number), operator, numbers: AtomicU64::new(1) }
    }

    pub(crate) const fn address(&self) -> Address {
        self.key.address()
    }

    /// Rises with each use: sequence numbers and nonces.
    pub(crate) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Signed by both, for thirty days.
    pub(crate) fn authorization(&self, world: &World, nonce: u64) -> SignedAuthorization {
        self.authorization_until(world, nonce, world.now().secs() + 30 * 86_400)
    }

    pub(crate) fn authorization_until(
        &self,
        world: &World,
        nonce: u64,
        not_after: u64,
    ) -> SignedAuthorization {
        let authorization = NodeAuthorization {
            operator: self.operator.address(),
            node_key: self.address(),
            not_after,
            nonce: U256::from(nonce),
        };
        let digest = authorization.digest(world.domain());
        SignedAuthorization {
            operator_signature: self.operator.sign(digest).into(),
            node_signature: self.key.sign(digest),
            authorization,
        }
    }

    pub(crate) fn revocation(&self, world: &World, nonce: u64) -> SignedRevocation {
        let revocation = NodeRevocation {
            operator: self.operator.address(),
            node_key: self.address(),
            nonce: U256::from(nonce),
        };
        let operator_signature = self.operator.sign(revocation.digest(world.domain())).into();
        SignedRevocation { revocation, operator_signature }
    }

    /// An unsigned heartbeat of this minute with a fresh challenge.
    pub(crate) async fn heartbeat(&self, world: &World, leases: &[LeaseStatus]) -> Heartbeat {
        let session = world.client().session(self.address()).await.unwrap();
        Heartbeat {
            node_key: self.address(),
            minute: world.now().minute(),
            seq: Seq::checked_new(self.next_number()).unwrap(),
            challenge: session.challenge,
            leases: leases.to_vec(),
        }
    }

    pub(crate) fn sign(&self, world: &World, heartbeat: Heartbeat) -> Signed<Heartbeat> {
        Signed::new(heartbeat, world.domain(), &self.key)
    }

    pub(crate) async fn signed(&self, world: &World, leases: &[LeaseStatus]) -> Signed<Heartbeat> {
        let heartbeat = self.heartbeat(world, leases).await;
        self.sign(world, heartbeat)
    }

    /// Sends this minute's heartbeat; a receipt is checked as a node checks it.
    pub(crate) async fn beat(
        &self,
        world: &World,
        leases: &[LeaseStatus],
    ) -> Result<Receipt, Error> {
        let signed = self.signed(world, leases).await;
        let receipt = world.client().heartbeat(&signed).await?;
        check_receipt(world, &signed, &receipt);
        Ok(receipt)
    }
}

pub(crate) fn check_receipt(world: &World, signed: &Signed<Heartbeat>, receipt: &Receipt) {
    let hash = signed.message.struct_hash();
    receipt.verify(world.domain(), receipt_key().address(), hash).unwrap();
    assert_eq!(receipt.batch.message.minute, signed.message.minute);
    assert_eq!(receipt.results.len(), signed.message.leases.len());
}

/// A healthy line for a lease.
pub(crate) const fn healthy(lease: &LeaseView) -> LeaseStatus {
    line(lease.license_hash, lease.fence, Status::Healthy)
}

pub(crate) const fn line(license: B256, fence: Fence, status: Status) -> LeaseStatus {
    LeaseStatus { license, fence, status, release: 1 }
}

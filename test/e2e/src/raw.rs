//! A node without a manager: heartbeats and lease requests by hand.

use nodesys_core::B256;
use nodesys_core::U256;
use nodesys_core::api::{LeaseState, LeaseView, Receipt};
use nodesys_core::ids::{Fence, Seq};
use nodesys_core::license::LicenseId;
use nodesys_core::message::{
    Domain, Heartbeat, LeaseRequest, LeaseStatus, Message as _, NodeAuthorization, Signed,
    SignedAuthorization, Status,
};
use nodesys_core::signature::SigningKey;
use nodesys_core::time::{Minute, Timestamp};
use nodesys_sdk::client::{Client, Error};

/// A node that the test drives.
pub struct RawNode {
    /// Its key.
    pub key: SigningKey,
    /// The domain of its messages.
    pub domain: Domain,
    /// Its leases: license and fence.
    pub leases: Vec<(LicenseId, Fence)>,
    /// Acknowledged heartbeats, with their receipts.
    pub receipts: Vec<(Heartbeat, Receipt)>,
    /// The last receipt's challenge, with the minute it was made in.
    challenge: Option<(B256, Minute)>,
    seq: u64,
    nonce: u64,
}

impl RawNode {
    /// A new node, authorised by `operator` for 30 days.
    pub async fn new(
        backend: &Client,
        domain: Domain,
        operator: &SigningKey,
        now: Timestamp,
    ) -> Self {
        let key = SigningKey::from_bytes(&rand::random()).unwrap();
        let authorization = NodeAuthorization {
            operator: operator.address(),
            node_key: key.address(),
            not_after: now.secs() + 30 * 86_400,
            nonce: U256::from(now.millis()),
        };
        let digest = authorization.digest(&domain);
        let signed = SignedAuthorization {
            operator_signature: operator.sign(digest).into(),
            node_signature: key.sign(digest),
            authorization,
        };
        backend.authorize_node(&signed).await.unwrap();
        let (leases, receipts) = (Vec::new(), Vec::new());
        let (seq, nonce) = (now.millis(), now.millis());
        Self { key, domain, leases, receipts, challenge: None, seq, nonce }
    }

    /// Asks for a lease; an active one is kept.
    pub async fn ask(&mut self, backend: &Client, license: LicenseId) -> Result<LeaseView, Error> {
        // A node signs by the time of its clock, which is the backend's here.
        let now = backend.session(self.key.address()).await?.server_time_millis;
        self.nonce = now.max(self.nonce + 1);
        let request = LeaseRequest {
            node_key: self.key.address(),
            license: license.hash(),
            nonce: self.nonce,
        };
        let signed = Signed::new(request, &self.domain, &self.key);
        let view = backend.request_lease(&signed).await?;
        if view.state == LeaseState::Active && view.node_key == self.key.address() {
            self.leases.retain(|(held, _)| *held != license);
            self.leases.push((license, view.fence));
        }
        Ok(view)
    }

    /// Signs the minute's heartbeat, every lease healthy.
    pub async fn sign(
        &mut self,
        backend: &Client,
        minute: Minute,
    ) -> Result<Signed<Heartbeat>, Error> {
        self.sign_as(backend, minute, Status::Healthy).await
    }

    /// Signs the minute's heartbeat.
    pub async fn sign_as(
        &mut self,
        backend: &Client,
        minute: Minute,
        status: Status,
    ) -> Result<Signed<Heartbeat>, Error> {
        let challenge = match self.challenge.take() {
            // Good for three minutes, its own included.
            Some((challenge, made)) if minute.0 < made.0 + 3 => challenge,
            _ => backend.session(self.key.address()).await?.challenge,
        };
        self.seq += 1;
        let line = |(license, fence): &(LicenseId, Fence)| LeaseStatus {
            license: license.hash(),
            fence: *fence,
            status,
            release: 0,
        };
        let heartbeat = Heartbeat {
            node_key: self.key.address(),
            minute,
            seq: Seq::checked_new(self.seq).unwrap(),
            challenge,
            leases: self.leases.iter().map(line).collect(),
        };
        Ok(Signed::new(heartbeat, &self.domain, &self.key))
    }

    /// Sends a heartbeat, and keeps it if it is acknowledged.
    pub async fn send(
        &mut self,
        backend: &Client,
        signed: &Signed<Heartbeat>,
    ) -> Result<Receipt, Error> {
        let receipt = backend.heartbeat(signed).await?;
        let minute = signed.message.minute;
        self.challenge = Some((receipt.accepted.next_challenge, minute));
        self.receipts.push((signed.message.clone(), receipt.clone()));
        Ok(receipt)
    }

    /// Signs and sends the minute's heartbeat.
    pub async fn beat(&mut self, backend: &Client, minute: Minute) -> Result<Receipt, Error> {
        let signed = self.sign(backend, minute).await?;
        self.send(backend, &signed).await
    }

    /// The minutes credited to a license by receipts.
    pub fn credited(&self, license: &LicenseId) -> Vec<Minute> {
        let hash = license.hash();
        let credited = |(heartbeat, receipt): &(Heartbeat, Receipt)| {
            let line = heartbeat.leases.iter().position(|line| line.license == hash)?;
            (receipt.accepted.credited >> line & 1 == 1).then_some(heartbeat.minute)
        };
        let mut minutes: Vec<Minute> = self.receipts.iter().filter_map(credited).collect();
        minutes.sort_unstable();
        minutes.dedup();
        minutes
    }
}

//! Bodies of the backend's `/v1` routes, shared by the backend and its clients.
//!
//! JSON names are snake_case; 64-bit numbers and amounts are decimal strings, hashes and
//! addresses `0x` hex, days `YYYY-MM-DD`. Errors are
//! [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem documents: see [`Problem`].
//!
//! # Examples
//!
//! ```
//! use nodesys_core::api::Problem;
//!
//! let body = r#"{
//!     "type": "urn:nodesys:problem:day_open", "title": "The day is not closed yet", "status": 409,
//!     "detail": "2026-01-31 closes after 2026-02-01T00:05:00Z", "code": "day_open"
//! }"#;
//! let problem: Problem = serde_json::from_str(body)?;
//! assert_eq!(problem.code, "day_open", "what a program goes by; the words may change");
//! # Ok::<(), serde_json::Error>(())
//! ```

mod days;
mod fleet;

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

use crate::bitmap::DayBitmap;
use crate::files::Difference;
use crate::holders::Uncounted;
use crate::ids::{Amount, Fence, LicenseIndex, Name};
use crate::license::{LicenseId, Rental};
use crate::merkle;
use crate::message::{
    Accepted, DayClosed, Domain, Message, NodeAuthorization, ReceiptBatch, RewardCommit, Signed,
};
use crate::signature::SignatureError;
use crate::time::UtcDay;

pub use days::{DayCount, LicenseDays, MinuteCounts, Missing, MissingCause};
pub use fleet::{Fleet, FleetLicense, FleetRow, FleetState};

/// An RFC 9457 problem document, content type `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// `urn:nodesys:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Short and the same for every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened here, and what to do.
    pub detail: String,
    /// Stable and made for programs.
    pub code: String,
    /// The first differing row, where files were compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
}

impl Problem {
    /// What a problem document is served as.
    pub const CONTENT_TYPE: &str = "application/problem+json";

    /// A problem of this code and HTTP status.
    pub fn new(status: u16, code: &str, title: &str, detail: String) -> Self {
        Self {
            kind: format!("urn:nodesys:problem:{code}"),
            title: title.to_owned(),
            status,
            detail,
            code: code.to_owned(),
            difference: None,
        }
    }
}

/// `GET /v1/network`: what a client must agree on before it signs anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Network {
    /// The chain.
    #[serde(with = "crate::message::decimal")]
    #[schema(value_type = String)]
    pub chain_id: u64,
    /// `ProjectRegistry`; check it against your own network file.
    #[schema(value_type = String)]
    pub registry: Address,
    /// Who signs receipts and closed days now; check it in the registry.
    #[schema(value_type = String)]
    pub receipt_key: Address,
    /// The backend's version.
    pub version: String,
    /// The backend's clock, milliseconds since 1970: which day it is, whatever the caller's clock
    /// says. 0 of an older backend.
    #[serde(default, with = "crate::message::decimal")]
    #[schema(value_type = String)]
    pub now_millis: u64,
}

/// `GET /v1/nodes/{node_key}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NodeView {
    /// The authorisation in force.
    pub authorization: NodeAuthorization,
    /// Whether it has been revoked.
    pub revoked: bool,
    /// When it lapsed, milliseconds since 1970: the node had run no license for 30 days, and had been allowed none.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_decimal")]
    #[schema(value_type = Option<String>)]
    pub lapsed_millis: Option<u64>,
    /// The last accepted heartbeat's time, milliseconds since 1970.
    #[serde(with = "optional_decimal")]
    #[schema(value_type = Option<String>)]
    pub last_heartbeat_millis: Option<u64>,
    /// The licenses it holds or waits for.
    pub leases: Vec<LeaseView>,
}

/// `POST /v1/sessions`: asks for a challenge before the first heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SessionRequest {
    /// The asking node.
    #[schema(value_type = String)]
    pub node_key: Address,
}

/// The answer: the server's time and a challenge good for 3 minutes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Session {
    /// The backend's clock, milliseconds since 1970.
    #[serde(with = "crate::message::decimal")]
    #[schema(value_type = String)]
    pub server_time_millis: u64,
    /// For the next heartbeat.
    #[schema(value_type = String)]
    pub challenge: B256,
}

/// Whether a node runs a license or waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeaseState {
    /// Holds the lease.
    Active,
    /// Wants it; another node holds it.
    Standby,
    /// Held it until it expired, moved or was ended.
    Ended,
}

/// A lease, as `POST /v1/leases` and `GET /v1/leases/{license}` answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LeaseView {
    /// The license.
    pub license: LicenseId,
    /// The license in signed messages.
    #[schema(value_type = String)]
    pub license_hash: B256,
    /// Its dense index in day files.
    pub index: LicenseIndex,
    /// The project, by its distributor's address.
    #[schema(value_type = String)]
    pub project: Address,
    /// The workload it licenses.
    pub workload: Name,
    /// The node.
    #[schema(value_type = String)]
    pub node_key: Address,
    /// Whether the node holds it.
    pub state: LeaseState,
    /// The fencing number heartbeats must carry.
    #[schema(value_type = String)]
    pub fence: Fence,
    /// When it was granted, milliseconds since 1970.
    #[serde(with = "crate::message::decimal")]
    #[schema(value_type = String)]
    pub granted_millis: u64,
}

/// What became of one line of a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LineResult {
    /// The minute is credited.
    Credited,
    /// The lease holds, but the status earns no minute.
    NotHealthy,
    /// `updating` beyond 5 minutes of a release or 10 of a day.
    UpdatingTooLong,
    /// The lease came from another node in this minute, which may have been that node's: it earns
    /// from the next.
    NewLease,
    /// The node does not hold the lease with this fence: stand by and ask again.
    LeaseLost,
}

/// The backend's signed answer to a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Receipt {
    /// Signed once for all heartbeats committed together.
    pub batch: Signed<ReceiptBatch>,
    /// This heartbeat's leaf.
    pub accepted: Accepted,
    /// From the leaf to the batch's root.
    #[schema(value_type = Vec<String>)]
    pub path: Vec<B256>,
    /// One result per line of the heartbeat, in its order; not part of what is signed.
    pub results: Vec<LineResult>,
}

/// Why a receipt does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Not the receipt key's signature.
    #[error("the receipt's signature does not hold: {0}")]
    Signature(#[from] SignatureError),
    /// The leaf is not in the signed root.
    #[error("the receipt's path does not lead to its signed root")]
    Path,
    /// It is for another heartbeat.
    #[error("the receipt is for another heartbeat")]
    OtherHeartbeat,
}

impl Receipt {
    /// Checks the signature, that it is for `heartbeat_hash`, and the path.
    ///
    /// # Errors
    ///
    /// [`ReceiptError`] says which of the three does not hold, in that order.
    ///
    /// # Examples
    ///
    /// ```
    /// use nodesys_core::api::{LineResult, Receipt, ReceiptError};
    /// use nodesys_core::ids::Seq;
    /// use nodesys_core::message::{Accepted, Domain, Message, ReceiptBatch, Signed};
    /// use nodesys_core::signature::SigningKey;
    /// use nodesys_core::time::Minute;
    /// use nodesys_core::{Address, B256};
    ///
    /// let (backend, domain) =
    ///     (SigningKey::from_bytes(&[9; 32])?, Domain::new(31_337, Address::repeat_byte(1)));
    /// let heartbeat_hash = B256::repeat_byte(4);
    /// let accepted = Accepted {
    ///     node_key: Address::repeat_byte(7),
    ///     seq: Seq::checked_new(1).expect("below 2^63"),
    ///     heartbeat_hash,
    ///     credited: 0b1,
    ///     next_challenge: B256::repeat_byte(5),
    /// };
    /// // The only heartbeat of its batch: its leaf is the root.
    /// let batch = ReceiptBatch {
    ///     minute: Minute(29_453_760),
    ///     server_time_millis: 1_767_225_600_250,
    ///     root: accepted.struct_hash(),
    /// };
    /// let batch = Signed::new(batch, &domain, &backend);
    /// let mut receipt = Receipt { batch, accepted, path: vec![], results: vec![LineResult::Credited] };
    /// assert_eq!(receipt.verify(&domain, backend.address(), heartbeat_hash), Ok(()));
    ///
    /// receipt.accepted.credited = 0;
    /// let denied = receipt.verify(&domain, backend.address(), heartbeat_hash);
    /// assert_eq!(denied, Err(ReceiptError::Path), "the credited bit is signed too");
    /// # Ok::<(), nodesys_core::signature::SignatureError>(())
    /// ```
    pub fn verify(
        &self,
        domain: &Domain,
        receipt_key: Address,
        heartbeat_hash: B256,
    ) -> Result<(), ReceiptError> {
        let batch = self.batch.verify(domain, receipt_key)?;
        if self.accepted.heartbeat_hash != heartbeat_hash {
            return Err(ReceiptError::OtherHeartbeat);
        }
        if merkle::verify(self.accepted.struct_hash(), &self.path, batch.root) {
            Ok(())
        } else {
            Err(ReceiptError::Path)
        }
    }
}

/// `GET /v1/licenses/{collection}/{token_id}`: a license as final blocks have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LicenseView {
    /// The license.
    pub license: LicenseId,
    /// Its dense index in day files.
    pub index: LicenseIndex,
    /// The project, by its distributor's address.
    #[schema(value_type = String)]
    pub project: Address,
    /// The workload it licenses.
    pub workload: Name,
    /// Its owner by final blocks; null once burnt.
    #[schema(value_type = Option<String>)]
    pub holder: Option<Address>,
    /// The running rental by final blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub rental: Option<Rental>,
    /// Why it counts for nobody, where its logs do not tell who holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncounted: Option<Uncounted>,
}

/// `GET /v1/days/{day}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DayView {
    /// The day.
    #[schema(value_type = String)]
    pub day: UtcDay,
    /// Set once the day is closed.
    pub closed: Option<Signed<DayClosed>>,
    /// Minutes excused for everybody, once closed.
    #[schema(value_type = Option<String>)]
    pub excused: Option<DayBitmap>,
}

/// `GET /v1/licenses/{license}/uptime/{day}`: one license's day as the backend has it now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LicenseDay {
    /// The license.
    pub license: LicenseId,
    /// The day.
    #[schema(value_type = String)]
    pub day: UtcDay,
    /// Whether the day is closed, so that this never changes.
    pub closed: bool,
    /// Credited minutes.
    pub minutes: u16,
    /// Minutes in which it was expected to run.
    pub expected: u16,
    /// The credited minutes.
    #[schema(value_type = String)]
    pub bitmap: DayBitmap,
    /// The others that were expected, and why they were not credited. An older backend does not say.
    #[serde(default)]
    pub missing: Vec<Missing>,
}

/// `PUT /v1/points/{project}/{day}`: the backend's own computation of the day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PointsChecked {
    /// The commit that the backend computes from these points.
    pub commit: RewardCommit,
    /// What the day adds, in wei.
    #[schema(value_type = String)]
    pub allocated: Amount,
    /// What is carried to the next day, in wei.
    #[schema(value_type = String)]
    pub carry_out: Amount,
}

/// `POST /v1/commits`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CommitRequest {
    /// The project, by its distributor's address.
    #[schema(value_type = String)]
    pub project: Address,
    /// The commit and the reward signer's signature.
    #[serde(flatten)]
    pub signed: crate::message::SignedCommit,
}

/// Where a commit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommitState {
    /// Verified and stored; not yet in a final block.
    Accepted,
    /// Its `Posted` event is in a final block.
    Posted,
    /// Its delay has passed: claimable.
    Active,
    /// Revoked on chain.
    Revoked,
}

/// A commit, as `POST /v1/commits`, `GET /v1/commits/{project}/{day}` and `/v1/roots` answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CommitView {
    /// The project.
    #[schema(value_type = String)]
    pub project: Address,
    /// The day.
    #[schema(value_type = String)]
    pub day: UtcDay,
    /// The commit.
    pub commit: RewardCommit,
    /// Its struct hash: the next commit's `previous`.
    #[schema(value_type = String)]
    pub commit_hash: B256,
    /// Where it stands.
    pub state: CommitState,
    /// The transaction that posted it, once final.
    #[schema(value_type = Option<String>)]
    pub transaction: Option<B256>,
    /// When its delay passes, seconds since 1970, once posted.
    #[serde(with = "optional_decimal")]
    #[schema(value_type = Option<String>)]
    pub activates_at_secs: Option<u64>,
}

/// `GET /v1/proofs/{project}/{account}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProofView {
    /// The project.
    #[schema(value_type = String)]
    pub project: Address,
    /// The day of the tree.
    #[schema(value_type = String)]
    pub day: UtcDay,
    /// The tree's root.
    #[schema(value_type = String)]
    pub root: B256,
    /// The account.
    #[schema(value_type = String)]
    pub account: Address,
    /// Its cumulative amount, in wei.
    #[schema(value_type = String)]
    pub cumulative: Amount,
    /// From the leaf to the root.
    #[schema(value_type = Vec<String>)]
    pub path: Vec<B256>,
    /// Where the commit stands.
    pub state: CommitState,
}

/// One project's line of `GET /v1/rewards/{account}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RewardView {
    /// The project.
    #[schema(value_type = String)]
    pub project: Address,
    /// Its name.
    pub name: Name,
    /// The day of the newest commit that names the account.
    #[schema(value_type = String)]
    pub day: UtcDay,
    /// Earned up to and with the newest accepted commit, in wei.
    #[schema(value_type = String)]
    pub cumulative: Amount,
    /// Earned up to and with the newest active commit, in wei.
    #[schema(value_type = String)]
    pub active: Amount,
    /// Claimed in final blocks, in wei.
    #[schema(value_type = String)]
    pub claimed: Amount,
}

/// The answer of `PUT /v1/releases/{hash}`: a release that the backend keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StoredRelease {
    /// keccak256 of its canonical bytes.
    #[schema(value_type = String)]
    pub release_hash: B256,
    /// The workload that it says it is of.
    pub workload: Name,
    /// Its version.
    #[serde(with = "crate::message::decimal")]
    #[schema(value_type = String)]
    pub version: u64,
}

mod optional_decimal {
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "the signature serde calls")]
    pub(super) fn serialize<S: Serializer>(value: &Option<u64>, s: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => s.collect_str(value),
            None => s.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u64>, D::Error> {
        // serde's `with` does not reach into an `Option`.
        #[derive(Deserialize)]
        struct Plain(#[serde(with = "crate::message::decimal")] u64);
        Option::<Plain>::deserialize(d).map(|value| value.map(|Plain(number)| number))
    }
}

#[cfg(test)]
mod tests;

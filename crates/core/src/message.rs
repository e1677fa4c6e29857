//! The signed messages: [EIP-712](https://eips.ethereum.org/EIPS/eip-712) types, their domains, and
//! [`Signed`].
//!
//! Each message is one Rust struct of parsed values and one Solidity struct (module [`sol`]) that
//! fixes its type string. Off-chain messages are verified in the registry's domain; those the
//! reward contract checks, in the distributor's. Golden vectors of every type string, struct hash,
//! digest and signature stand in `test/vectors/messages.json`.
//!
#![doc = include_str!("message/example.md")]

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::SolStruct;
use serde::{Deserialize, Serialize};

use crate::ids::{Amount, Fence, Seq};
use crate::signature::{Signature, SignatureError, SigningKey, WalletSignature};
use crate::time::Minute;

pub mod decimal;
pub mod typed_data;

/// The Solidity structs, whose names and field order are the EIP-712 type strings.
pub mod sol {
    alloy_sol_types::sol! {
        struct NodeAuthorization { address operator; address nodeKey; uint64 notAfter; uint256 nonce; }
        struct NodeRevocation { address operator; address nodeKey; uint256 nonce; }
        struct LeaseRequest { address nodeKey; bytes32 license; uint64 nonce; }
        struct LeaseStatus { bytes32 license; uint64 fence; uint8 status; uint64 release; }
        struct Heartbeat { address nodeKey; uint64 minute; uint64 seq; bytes32 challenge; LeaseStatus[] leases; }
        struct Accepted { address nodeKey; uint64 seq; bytes32 heartbeatHash; uint64 credited; bytes32 nextChallenge; }
        struct ReceiptBatch { uint64 minute; uint64 serverTimeMillis; bytes32 root; }
        struct DayClosed { uint64 day; bytes32 uptimeHash; bytes32 evidenceRoot; }
        struct PointsUpload { uint64 epoch; bytes32 pointsHash; bytes32 termsHash; }
        struct RewardCommit { uint64 epoch; uint32 revision; bytes32 previous; bytes32 root; uint256 total; bytes32 dataHash; }
        struct Claim { address account; bytes32 root; uint256 cumulative; address recipient; address relayer; uint256 relayerFee; uint64 deadline; }
        struct WorkloadTicket { address project; bytes32 license; uint64 fence; bytes32 audience; uint64 notAfter; }
    }
}

/// An EIP-712 domain `{name: "NodeSystem", version: "1", chainId, verifyingContract}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Domain {
    chain_id: u64,
    verifying_contract: Address,
    separator: B256,
}

impl Domain {
    /// The domain of a contract (`ProjectRegistry` for off-chain messages, the project's
    /// `RewardDistributor` for commits and claims), its separator computed once.
    pub fn new(chain_id: u64, verifying_contract: Address) -> Self {
        let separator = alloy_sol_types::eip712_domain! {
            name: "NodeSystem",
            version: "1",
            chain_id: chain_id,
            verifying_contract: verifying_contract,
        }
        .separator();
        Self { chain_id, verifying_contract, separator }
    }

    /// The chain the contract lives on.
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The contract that the messages are for.
    pub const fn verifying_contract(&self) -> Address {
        self.verifying_contract
    }

    /// The EIP-712 domain separator.
    pub const fn separator(&self) -> B256 {
        self.separator
    }
}

/// A message that is signed by EIP-712.
///
/// # Examples
///
/// ```
/// use nodesys_core::message::{Domain, LeaseRequest, Message, Signed};
/// use nodesys_core::signature::SigningKey;
/// use nodesys_core::{Address, B256};
///
/// let node = SigningKey::from_bytes(&[7; 32])?;
/// let registry = Address::repeat_byte(1);
/// let domain = Domain::new(31_337, registry);
/// let request = LeaseRequest {
///     node_key: node.address(),
///     license: B256::repeat_byte(3),
///     nonce: 1_767_225_600_000,
/// };
/// // The digest binds the message to one contract on one chain.
/// assert_ne!(request.digest(&domain), request.digest(&Domain::new(1, registry)));
///
/// let signed = Signed::new(request, &domain, &node);
/// assert_eq!(signed.verify(&domain, node.address())?.license, B256::repeat_byte(3));
/// assert!(signed.verify(&domain, registry).is_err());
/// # Ok::<(), nodesys_core::signature::SignatureError>(())
/// ```
pub trait Message {
    /// The Solidity struct that fixes its type string.
    type Sol: SolStruct;

    /// The message as that struct.
    fn to_sol(&self) -> Self::Sol;

    /// `hashStruct(message)` (EIP-712).
    fn struct_hash(&self) -> B256 {
        self.to_sol().eip712_hash_struct()
    }

    /// What is signed: `keccak256(0x1901 || domainSeparator || hashStruct(message))` (EIP-712).
    fn digest(&self, domain: &Domain) -> B256 {
        let mut input = [0; 66];
        // EIP-191: no transaction begins with 0x19; version 1 is structured data.
        input[..2].copy_from_slice(&[0x19, 0x01]);
        input[2..34].copy_from_slice(domain.separator().as_slice());
        input[34..].copy_from_slice(self.struct_hash().as_slice());
        keccak256(input)
    }
}

/// A message and a key's signature over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Signed<M> {
    /// What was signed.
    pub message: M,
    /// The signature over the message's digest.
    #[schema(value_type = String)]
    pub signature: Signature,
}

impl<M: Message> Signed<M> {
    /// Signs a message.
    pub fn new(message: M, domain: &Domain, key: &SigningKey) -> Self {
        let signature = key.sign(message.digest(domain));
        Self { message, signature }
    }

    /// The message, once the signature is found to be `signer`'s.
    ///
    /// # Errors
    ///
    /// Those of [`Signature::verify`].
    pub fn verify(&self, domain: &Domain, signer: Address) -> Result<&M, SignatureError> {
        self.signature.verify(self.message.digest(domain), signer)?;
        Ok(&self.message)
    }
}

/// Who may act for an operator: a wallet binds a node key to itself, at most 90 days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NodeAuthorization {
    /// The wallet that runs the node.
    #[schema(value_type = String)]
    pub operator: Address,
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
}

/// The longest validity of an authorisation, in seconds (90 days): a node key that was lost and
/// forgotten ends by itself.
pub const MAX_AUTHORIZATION_SECS: u64 = 90 * 86_400;

/// An authorisation with both signatures: the operator's wallet and the node key, one digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SignedAuthorization {
    /// What both signed.
    pub authorization: NodeAuthorization,
    /// By the operator's wallet (a key, or an ERC-1271 contract).
    #[schema(value_type = String)]
    pub operator_signature: WalletSignature,
    /// By the node key, so that nobody can claim another's node.
    #[schema(value_type = String)]
    pub node_signature: Signature,
}

/// Ends an authorisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NodeRevocation {
    /// The wallet that authorised the node.
    #[schema(value_type = String)]
    pub operator: Address,
    /// The node's key.
    #[schema(value_type = String)]
    pub node_key: Address,
    /// Not below the authorisation's nonce.
    #[serde(with = "decimal")]
    #[schema(value_type = String)]
    pub nonce: U256,
}

/// A revocation with the wallet's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SignedRevocation {
    /// What the wallet signed.
    pub revocation: NodeRevocation,
    /// By the operator's wallet.
    #[schema(value_type = String)]
    pub operator_signature: WalletSignature,
}

/// A node asks for the lease of a license.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LeaseRequest {
    /// The asking node.
    #[schema(value_type = String)]
    pub node_key: Address,
    /// [`crate::license::LicenseId::hash`] of the license.
    #[schema(value_type = String)]
    pub license: B256,
    /// Milliseconds since 1970 by the node's clock; each request has a higher one.
    #[serde(with = "decimal")]
    #[schema(value_type = String)]
    pub nonce: u64,
}

/// How a workload is, as its manager sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Status {
    /// Answering, and fit for work.
    Healthy = 0,
    /// Not up yet.
    Starting = 1,
    /// Up, but not fit.
    Degraded = 2,
    /// Silent or stopped.
    Down = 3,
    /// A release is being rolled out.
    Updating = 4,
}

impl Status {
    /// From the number in the signed message.
    pub const fn from_u8(value: u8) -> Option<Self> {
        match value {
            0 => Some(Self::Healthy),
            1 => Some(Self::Starting),
            2 => Some(Self::Degraded),
            3 => Some(Self::Down),
            4 => Some(Self::Updating),
            _ => None,
        }
    }
}

/// One lease's line in a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LeaseStatus {
    /// The license's hash.
    #[schema(value_type = String)]
    pub license: B256,
    /// The fencing number the lease was granted with.
    #[schema(value_type = String)]
    pub fence: Fence,
    /// How its workload is.
    pub status: Status,
    /// The release that runs, 0 where none is announced.
    #[serde(with = "decimal")]
    #[schema(value_type = String)]
    pub release: u64,
}

/// The most leases one heartbeat carries: one `credited` bit each in a `uint64`.
pub const MAX_LEASES: usize = 64;

/// One signed message a minute: this node is alive, and so are these workloads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Heartbeat {
    /// The sender.
    #[schema(value_type = String)]
    pub node_key: Address,
    /// Which minute it is for: minutes since 1970 UTC.
    #[serde(with = "decimal::minute")]
    #[schema(value_type = String)]
    pub minute: Minute,
    /// Rising with each heartbeat of the node.
    #[schema(value_type = String)]
    pub seq: Seq,
    /// From the last receipt or session; good for 3 minutes.
    #[schema(value_type = String)]
    pub challenge: B256,
    /// At most [`MAX_LEASES`] lines.
    pub leases: Vec<LeaseStatus>,
}

/// What the backend took of one heartbeat: a leaf of a receipt batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Accepted {
    /// The sender.
    #[schema(value_type = String)]
    pub node_key: Address,
    /// The heartbeat's sequence number.
    #[schema(value_type = String)]
    pub seq: Seq,
    /// `hashStruct` of the heartbeat.
    #[schema(value_type = String)]
    pub heartbeat_hash: B256,
    /// Bit `i` is set when the heartbeat's line `i` was credited its minute.
    #[serde(with = "decimal")]
    #[schema(value_type = String)]
    pub credited: u64,
    /// The challenge of the next heartbeat.
    #[schema(value_type = String)]
    pub next_challenge: B256,
}

/// One signature for all heartbeats committed together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReceiptBatch {
    /// The minute all of its heartbeats are for.
    #[serde(with = "decimal::minute")]
    #[schema(value_type = String)]
    pub minute: Minute,
    /// The backend's clock when it committed, milliseconds since 1970.
    #[serde(with = "decimal")]
    #[schema(value_type = String)]
    pub server_time_millis: u64,
    /// Merkle root over `hashStruct` of each [`Accepted`].
    #[schema(value_type = String)]
    pub root: B256,
}

/// The backend's word that a day is over, and what was in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DayClosed {
    /// The day's number (epoch).
    #[serde(with = "decimal")]
    #[schema(value_type = String)]
    pub day: u64,
    /// Merkle root over the projects' files: see [`crate::uptime::uptime_leaf`].
    #[schema(value_type = String)]
    pub uptime_hash: B256,
    /// Merkle root over `hashStruct` of each receipt batch of the day, by writer and number.
    #[schema(value_type = String)]
    pub evidence_root: B256,
}

/// The reward signer's word that a points file is its own; verified in the distributor's domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PointsUpload {
    /// The day's number.
    #[serde(with = "decimal")]
    #[schema(value_type = String)]
    pub epoch: u64,
    /// keccak256 of `points.csv`.
    #[schema(value_type = String)]
    pub points_hash: B256,
    /// keccak256 of the canonical JSON of the day's terms.
    #[schema(value_type = String)]
    pub terms_hash: B256,
}

/// A day's rewards, signed by the project's reward signer and checked by its distributor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RewardCommit {
    /// The UTC day's number.
    #[serde(with = "decimal")]
    #[schema(value_type = String)]
    pub epoch: u64,
    /// The distributor's revision counter.
    pub revision: u32,
    /// Struct hash of the commit before, zero for the first.
    #[schema(value_type = String)]
    pub previous: B256,
    /// The tree's root, zero while nobody has earned anything.
    #[schema(value_type = String)]
    pub root: B256,
    /// Sum of all cumulative amounts, in wei.
    #[schema(value_type = String)]
    pub total: Amount,
    /// keccak256 of `bundle.json`.
    #[schema(value_type = String)]
    pub data_hash: B256,
}

/// A commit and the reward signer's signature (a key, or an ERC-1271 contract).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SignedCommit {
    /// What was signed.
    pub commit: RewardCommit,
    /// By the reward signer, in the distributor's domain.
    #[schema(value_type = String)]
    pub signature: WalletSignature,
}

/// A claim that somebody else may carry to the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Claim {
    /// Who earned.
    #[schema(value_type = String)]
    pub account: Address,
    /// The active root the proof is for.
    #[schema(value_type = String)]
    pub root: B256,
    /// The account's cumulative amount under that root, in wei.
    #[schema(value_type = String)]
    pub cumulative: Amount,
    /// Who receives the tokens.
    #[schema(value_type = String)]
    pub recipient: Address,
    /// Who may send it, zero for anyone.
    #[schema(value_type = String)]
    pub relayer: Address,
    /// What the sender keeps, in wei.
    #[schema(value_type = String)]
    pub relayer_fee: Amount,
    /// Last second of validity, seconds since 1970.
    #[serde(with = "decimal")]
    #[schema(value_type = String)]
    pub deadline: u64,
}

/// What a workload shows its project's master: its node's word for license and fence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WorkloadTicket {
    /// The project, by its distributor's address.
    #[schema(value_type = String)]
    pub project: Address,
    /// The license's hash.
    #[schema(value_type = String)]
    pub license: B256,
    /// The lease's fencing number.
    #[schema(value_type = String)]
    pub fence: Fence,
    /// keccak256 of the service the ticket is for.
    #[schema(value_type = String)]
    pub audience: B256,
    /// Last second of validity, seconds since 1970; at most 10 minutes ahead.
    #[serde(with = "decimal")]
    #[schema(value_type = String)]
    pub not_after: u64,
}

macro_rules! message {
    ($name:ident { $($field:ident : $value:expr),* $(,)? } from $m:ident) => {
        impl Message for $name {
            type Sol = sol::$name;

            fn to_sol(&self) -> sol::$name {
                let $m = self;
                sol::$name { $($field: $value),* }
            }
        }
    };
}

message!(NodeAuthorization {
    operator: m.operator, nodeKey: m.node_key, notAfter: m.not_after, nonce: m.nonce,
} from m);
message!(NodeRevocation { operator: m.operator, nodeKey: m.node_key, nonce: m.nonce } from m);
message!(LeaseRequest { nodeKey: m.node_key, license: m.license, nonce: m.nonce } from m);
message!(LeaseStatus {
    license: m.license, fence: m.fence.get(), status: m.status as u8, release: m.release,
} from m);
message!(Heartbeat {
    nodeKey: m.node_key, minute: m.minute.0, seq: m.seq.get(), challenge: m.challenge,
    leases: m.leases.iter().map(Message::to_sol).collect(),
} from m);
message!(Accepted {
    nodeKey: m.node_key, seq: m.seq.get(), heartbeatHash: m.heartbeat_hash, credited: m.credited,
    nextChallenge: m.next_challenge,
} from m);
message!(ReceiptBatch {
    minute: m.minute.0, serverTimeMillis: m.server_time_millis, root: m.root,
} from m);
message!(DayClosed {
    day: m.day, uptimeHash: m.uptime_hash, evidenceRoot: m.evidence_root,
} from m);
message!(PointsUpload {
    epoch: m.epoch, pointsHash: m.points_hash, termsHash: m.terms_hash,
} from m);
message!(RewardCommit {
    epoch: m.epoch, revision: m.revision, previous: m.previous, root: m.root,
    total: m.total.to_u256(), dataHash: m.data_hash,
} from m);
message!(Claim {
    account: m.account, root: m.root, cumulative: m.cumulative.to_u256(), recipient: m.recipient,
    relayer: m.relayer, relayerFee: m.relayer_fee.to_u256(), deadline: m.deadline,
} from m);
message!(WorkloadTicket {
    project: m.project, license: m.license, fence: m.fence.get(), audience: m.audience,
    notAfter: m.not_after,
} from m);
